//! The feed-forward branch of a Conformer block.

use std::sync::Arc;

use burn::prelude::*;

use super::{Kept, Kernel, apply_6, int8_of, is_supported};
use crate::{
    kernels::{
        drop_mask::DropMask,
        int8::Int8Matrix,
        matmul::{Affine, AffineGradient, Factors, row_chunks},
        rows::{self, Norm, NormGradient, drop_rows, grown, normalise, residual, sized},
        view::View,
    },
    nn::branch::{AffineWeights, FeedForwardOptions, NormPair},
};

/// `x + scale * drop(down(drop(silu(up(norm(x))))))`, `[batch, time, d_model]`.
#[inline(always)]
pub(crate) fn feed_forward(
    x: &Tensor<3>,
    norm: NormPair,
    up: AffineWeights,
    down: AffineWeights,
    options: FeedForwardOptions<'_>,
) -> Option<Tensor<3>> {
    let kernel = FeedForward {
        masks: options.masks,
        scale: options.scale as f32,
        epsilon: options.epsilon as f32,
        factors: Factors::of(options.pass.operations),
        int8: int8_of(options.pass.operations, [up.int8, down.int8]),
    };
    is_supported(x).then(|| apply_6(kernel, x, norm, up.pair, down.pair))
}

struct FeedForward {
    masks: [Option<DropMask>; 2],
    scale: f32,
    epsilon: f32,
    factors: Factors,
    int8: [Option<Arc<Int8Matrix>>; 2],
}

impl FeedForward {
    fn parts<'a>(&'a self, weights: &[&'a [f32]]) -> (Norm<'a>, Affine<'a>, Affine<'a>) {
        let norm = Norm {
            gamma: weights[0],
            beta: weights[1],
            epsilon: self.epsilon,
        };
        let [int8_up, int8_down] = self.int8.each_ref().map(Option::as_deref);
        let up = Affine::new(weights[2], weights[3], self.factors).with_int8(int8_up);
        let down = Affine::new(weights[4], weights[5], self.factors).with_int8(int8_down);
        (norm, up, down)
    }
}

impl Kernel for FeedForward {
    fn forward(&self, x: &[f32], weights: &[&[f32]], keep: bool) -> (Vec<f32>, Kept) {
        let (norm, up, down) = self.parts(weights);
        let (width, d_ffn) = (up.d_in(), up.d_out());
        let mut y = Vec::with_capacity(x.len());
        // What the non-linearity is applied to, `[rows, d_ffn]`.
        let mut raised = Vec::with_capacity(if keep { x.len() / width * d_ffn } else { 0 });
        let (mut normed, mut inner, mut lowered) = (vec![], vec![], vec![]);
        for rows in row_chunks(x.len() / width, d_ffn) {
            let x = &x[rows.start * width..rows.end * width];
            normalise(x, norm, sized(&mut normed, x.len()));
            if !keep {
                raised.clear();
            }
            let start = raised.len();
            up.append(View::new(&normed, width), &mut raised);
            let raised = &raised[start..];
            rows::silu(raised, sized(&mut inner, raised.len()));
            drop_rows(self.masks[0], rows.start, d_ffn, &mut inner);
            lowered.clear();
            down.append(View::new(&inner, d_ffn), &mut lowered);
            drop_rows(self.masks[1], rows.start, width, &mut lowered);
            residual(x, &lowered, self.scale, grown(&mut y, x.len()));
        }
        (y, vec![raised])
    }

    #[cfg(feature = "autodiff")]
    fn backward(
        &self,
        x: &[f32],
        weights: &[&[f32]],
        kept: &Kept,
        gradient: &[f32],
        _want_input: bool,
    ) -> (Vec<f32>, Vec<Vec<f32>>) {
        let (norm, up, down) = self.parts(weights);
        let (width, d_ffn) = (up.d_in(), up.d_out());
        let mut d_norm = NormGradient::zeros(norm);
        let (mut d_up, mut d_down) = (AffineGradient::zeros(&up), AffineGradient::zeros(&down));
        let mut dx = Vec::with_capacity(x.len());
        let (mut normed, mut inner, mut slope) = (vec![], vec![], vec![]);
        let (mut d_lowered, mut d_raised, mut d_normed) = (vec![], vec![], vec![]);
        for rows in row_chunks(x.len() / width, d_ffn) {
            let x = &x[rows.start * width..rows.end * width];
            let gradient = &gradient[rows.start * width..rows.end * width];
            let raised = &kept[0][rows.start * d_ffn..rows.end * d_ffn];
            rows::scaled(gradient, self.scale, sized(&mut d_lowered, gradient.len()));
            drop_rows(self.masks[1], rows.start, width, &mut d_lowered);
            let (silu, silu_slope) = (
                sized(&mut inner, raised.len()),
                sized(&mut slope, raised.len()),
            );
            rows::silu_with_slope(raised, silu, silu_slope);
            drop_rows(self.masks[0], rows.start, d_ffn, &mut inner);
            d_down.add(View::new(&inner, d_ffn), &d_lowered);
            down.input_gradient(&d_lowered, &mut d_raised);
            drop_rows(self.masks[0], rows.start, d_ffn, &mut d_raised);
            rows::times(&mut d_raised, &slope);
            normalise(x, norm, sized(&mut normed, x.len()));
            d_up.add(View::new(&normed, width), &d_raised);
            up.input_gradient(&d_raised, &mut d_normed);
            d_norm.append(x, norm, &d_normed, Some(gradient), &mut dx);
        }
        let weights = [d_norm.gamma, d_norm.beta, d_up.weight, d_up.bias];
        let weights = weights.into_iter().chain([d_down.weight, d_down.bias]);
        (dx, weights.collect())
    }
}
