//! A convolution of kernel 3 and stride 2 with its non-linearity.

use burn::prelude::*;

use super::{Kept, Kernel, apply_2, is_supported};
use crate::{
    kernels::{
        elementwise,
        matmul::{Affine, AffineGradient, Factors, RightFactor},
        operations::Operations,
        vectorize::vectorized,
        view::{Into, View},
    },
    nn::branch::Pair,
};

/// GELU of the convolution of `[batch, time, c_in]` with `[3 * c_in, c_out]`, taps outermost:
/// `[batch, out_time, c_out]`. The first window starts `left` frames (0 or 1) before the input;
/// frames that do not exist are zero.
#[inline(always)]
pub(crate) fn conv_gelu(
    x: &Tensor<3>,
    conv: Pair,
    left: usize,
    out_time: usize,
    operations: Operations,
) -> Option<Tensor<3>> {
    let [_, time, c_in] = x.dims();
    let kernel = ConvGelu {
        time,
        c_in,
        c_out: conv.1.dims()[0],
        left,
        out_time,
        factors: Factors::of(operations),
    };
    is_supported(x).then(|| apply_2(kernel, x, conv))
}

struct ConvGelu {
    time: usize,
    c_in: usize,
    c_out: usize,
    left: usize,
    out_time: usize,
    factors: Factors,
}

impl ConvGelu {
    /// Values of an utterance with the zeros around it that its windows reach.
    fn padded_len(&self) -> usize {
        (2 * self.out_time + 1) * self.c_in
    }

    /// Frames that windows read, and where they stand among the padded ones.
    fn used(&self) -> (usize, std::ops::Range<usize>) {
        let first = self.left * self.c_in;
        let len = (self.time * self.c_in).min(self.padded_len() - first);
        (len, first..first + len)
    }

    /// Three frames each, every second frame: the windows of an utterance share frames.
    fn windows<'a>(&self, padded: &'a [f32]) -> View<'a> {
        View::strided(padded, self.out_time, 3 * self.c_in, 2 * self.c_in)
    }
}

impl Kernel for ConvGelu {
    fn output_shape(&self, [batch, ..]: [usize; 3]) -> [usize; 3] {
        [batch, self.out_time, self.c_out]
    }

    fn forward(&self, x: &[f32], weights: &[&[f32]], _keep: bool) -> (Vec<f32>, Kept) {
        let conv = Affine::new(weights[0], weights[1], self.factors);
        let stride = self.time * self.c_in;
        let mut convolved = Vec::with_capacity(x.len() / stride * self.out_time * self.c_out);
        let mut padded = vec![0.0; self.padded_len()];
        let (len, place) = self.used();
        for x in x.chunks_exact(stride) {
            padded[place.clone()].copy_from_slice(&x[..len]);
            conv.append(self.windows(&padded), &mut convolved);
        }
        let mut y = vec![0.0; convolved.len()];
        gelu(&convolved, &mut y);
        (y, vec![convolved])
    }

    #[cfg(feature = "autodiff")]
    fn backward(
        &self,
        x: &[f32],
        weights: &[&[f32]],
        kept: &Kept,
        gradient: &[f32],
        want_input: bool,
    ) -> (Vec<f32>, Vec<Vec<f32>>) {
        let Self { c_in, .. } = *self;
        let conv = Affine::new(weights[0], weights[1], self.factors);
        let width = self.c_out;
        let mut d_conv = AffineGradient::zeros(&conv);
        let mut d_convolved = gradient.to_vec();
        times_gelu_slope(&kept[0], &mut d_convolved);
        let mut dx = Vec::with_capacity(if want_input { x.len() } else { 0 });
        let stride = self.time * c_in;
        let mut padded = vec![0.0; self.padded_len()];
        let mut d_padded = vec![0.0; self.padded_len()];
        let (len, place) = self.used();
        let weight = weights[0];
        let taps = |values| RightFactor::new(View::new(values, width).transposed(), self.factors);
        let (two_taps, last_tap) = weight.split_at(2 * c_in * width);
        let (two_taps, last_tap) = (taps(two_taps), taps(last_tap));
        let utterances = x.chunks_exact(stride);
        for (x, gradient) in utterances.zip(d_convolved.chunks_exact(self.out_time * width)) {
            padded[place.clone()].copy_from_slice(&x[..len]);
            d_conv.add(self.windows(&padded), gradient);
            if want_input {
                // Two taps of all windows cover each frame once, and so does the third.
                let gradient = View::new(gradient, width);
                d_padded[2 * self.out_time * c_in..].fill(0.0);
                let out = (d_padded.as_mut_slice(), 2 * c_in);
                two_taps.multiply(out, gradient, 1.0, Into::Replace);
                let out = (&mut d_padded[2 * c_in..], 2 * c_in);
                last_tap.multiply(out, gradient, 1.0, Into::Add);
                dx.extend_from_slice(&d_padded[place.clone()]);
                dx.resize(dx.len() + stride - len, 0.0);
            }
        }
        (dx, vec![d_conv.weight, d_conv.bias])
    }
}

vectorized! {
    fn gelu(x: &[f32], out: &mut [f32]) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = elementwise::gelu(x);
        }
    }
}

vectorized! {
    fn times_gelu_slope(x: &[f32], gradient: &mut [f32]) {
        for (gradient, &x) in gradient.iter_mut().zip(x) {
            *gradient *= elementwise::gelu_slope(x);
        }
    }
}
