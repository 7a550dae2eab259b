//! Layer norm.

use burn::prelude::*;

use super::{Kept, Kernel, apply_2, is_supported};
use crate::{
    kernels::rows::{Norm, NormGradient, normalise},
    nn::branch::NormPair,
};

/// Layer norm over the last axis with scale and shift.
#[inline(always)]
pub(crate) fn layer_norm(x: &Tensor<3>, norm: NormPair, epsilon: f64) -> Option<Tensor<3>> {
    let kernel = LayerNorm {
        epsilon: epsilon as f32,
    };
    is_supported(x).then(|| apply_2(kernel, x, norm))
}

struct LayerNorm {
    epsilon: f32,
}

impl LayerNorm {
    fn norm<'a>(&self, weights: &[&'a [f32]]) -> Norm<'a> {
        Norm {
            gamma: weights[0],
            beta: weights[1],
            epsilon: self.epsilon,
        }
    }
}

impl Kernel for LayerNorm {
    fn forward(&self, x: &[f32], weights: &[&[f32]], _keep: bool) -> (Vec<f32>, Kept) {
        let mut y = vec![0.0; x.len()];
        normalise(x, self.norm(weights), &mut y);
        (y, vec![])
    }

    #[cfg(feature = "autodiff")]
    fn backward(
        &self,
        x: &[f32],
        weights: &[&[f32]],
        _kept: &Kept,
        gradient: &[f32],
        _want_input: bool,
    ) -> (Vec<f32>, Vec<Vec<f32>>) {
        let norm = self.norm(weights);
        let mut sums = NormGradient::zeros(norm);
        let mut dx = vec![];
        sums.append(x, norm, gradient, None, &mut dx);
        (dx, vec![sums.gamma, sums.beta])
    }
}
