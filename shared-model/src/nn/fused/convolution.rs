//! The convolution branch of a Conformer block.

use std::sync::Arc;

use burn::prelude::*;

use super::{Kept, Kernel, apply_10, int8_of, is_supported};
use crate::{
    kernels::{
        depthwise::{add_weight_gradient, depthwise, reversed_taps},
        drop_mask::DropMask,
        elementwise::sigmoid,
        int8::Int8Matrix,
        matmul::{Affine, AffineGradient, Factors, row_chunks},
        rows::{self, Norm, NormGradient, drop_rows, grown, normalise, residual, sized},
        running_norm::scale_by_channel,
        vectorize::vectorized,
        view::View,
    },
    nn::branch::{ConvolutionOptions, ConvolutionWeights, RunningNorm},
};

/// `x + drop(out(silu(norm(depthwise(glu(gate(norm_in(x))))))))`, `[batch, time, d_model]`. The
/// depthwise convolution sees zeros behind each utterance's `lengths` frames. Gradients are there for
/// an inner norm that is a layer norm.
#[inline(always)]
pub(crate) fn convolution(
    x: &Tensor<3>,
    weights: ConvolutionWeights,
    options: ConvolutionOptions<'_>,
) -> Option<Tensor<3>> {
    let ConvolutionWeights {
        norm_in,
        gate,
        depthwise,
        norm,
        out,
    } = weights;
    let kernel = Convolution {
        time: x.dims()[1],
        lengths: options.pass.mask.lengths().to_vec(),
        mask: options.mask,
        running: options.running,
        epsilon: options.epsilon as f32,
        factors: Factors::of(options.pass.operations),
        int8: int8_of(options.pass.operations, [gate.int8, out.int8]),
    };
    is_supported(x).then(|| apply_10(kernel, x, norm_in, gate.pair, depthwise, norm, out.pair))
}

struct Convolution {
    time: usize,
    /// Real frames of each utterance.
    lengths: Vec<usize>,
    mask: Option<DropMask>,
    running: Option<RunningNorm>,
    epsilon: f32,
    factors: Factors,
    int8: [Option<Arc<Int8Matrix>>; 2],
}

struct Parts<'a> {
    norm_in: Norm<'a>,
    gate: Affine<'a>,
    taps: &'a [f32],
    bias: &'a [f32],
    norm: Norm<'a>,
    out: Affine<'a>,
}

impl Convolution {
    fn parts<'a>(&'a self, weights: &[&'a [f32]]) -> Parts<'a> {
        let norm = |gamma, beta| Norm {
            gamma,
            beta,
            epsilon: self.epsilon,
        };
        let [int8_gate, int8_out] = self.int8.each_ref().map(Option::as_deref);
        Parts {
            norm_in: norm(weights[0], weights[1]),
            gate: Affine::new(weights[2], weights[3], self.factors).with_int8(int8_gate),
            taps: weights[4],
            bias: weights[5],
            norm: norm(weights[6], weights[7]),
            out: Affine::new(weights[8], weights[9], self.factors).with_int8(int8_out),
        }
    }

    fn normalise_inside(&self, x: &[f32], norm: Norm<'_>, out: &mut [f32]) {
        let Some(RunningNorm { mean, inverse_std }) = &self.running else {
            return normalise(x, norm, out);
        };
        out.copy_from_slice(x);
        scale_by_channel(out, mean, inverse_std, [norm.gamma, norm.beta]);
    }

    /// Sets the frames behind each utterance to zero, `[batch, time, width]`.
    fn zero_padding(&self, x: &mut [f32], width: usize) {
        for (x, &length) in x.chunks_exact_mut(self.time * width).zip(&self.lengths) {
            x[length.min(self.time) * width..].fill(0.0);
        }
    }
}

impl Kernel for Convolution {
    fn forward(&self, x: &[f32], weights: &[&[f32]], _keep: bool) -> (Vec<f32>, Kept) {
        let parts = self.parts(weights);
        let width = parts.bias.len();
        let count = x.len() / width;
        let mut gates = Vec::with_capacity(2 * x.len());
        let mut gated = Vec::with_capacity(x.len());
        let mut scratch = vec![];
        for rows in row_chunks(count, 2 * width) {
            let x = &x[rows.start * width..rows.end * width];
            normalise(x, parts.norm_in, sized(&mut scratch, x.len()));
            parts.gate.append(View::new(&scratch, width), &mut gates);
            glu(
                &gates[2 * rows.start * width..],
                width,
                grown(&mut gated, x.len()),
            );
        }
        self.zero_padding(&mut gated, width);
        let mut mixed = vec![0.0; x.len()];
        let stride = self.time * width;
        for (gated, mixed) in gated
            .chunks_exact(stride)
            .zip(mixed.chunks_exact_mut(stride))
        {
            depthwise(gated, parts.taps, parts.bias, mixed);
        }
        let mut y = Vec::with_capacity(x.len());
        let (mut activated, mut projected) = (vec![], vec![]);
        for rows in row_chunks(count, 2 * width) {
            let range = rows.start * width..rows.end * width;
            let normed = sized(&mut scratch, range.len());
            self.normalise_inside(&mixed[range.clone()], parts.norm, normed);
            rows::silu(&scratch, sized(&mut activated, range.len()));
            projected.clear();
            parts
                .out
                .append(View::new(&activated, width), &mut projected);
            drop_rows(self.mask, rows.start, width, &mut projected);
            let out = grown(&mut y, range.len());
            residual(&x[range], &projected, 1.0, out);
        }
        (y, vec![gates, mixed])
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
        let parts = self.parts(weights);
        let width = parts.bias.len();
        let count = x.len() / width;
        let (gates, mixed) = (&kept[0], &kept[1]);
        let mut d_norm = NormGradient::zeros(parts.norm);
        let mut d_out = AffineGradient::zeros(&parts.out);
        let mut d_mixed = Vec::with_capacity(x.len());
        let (mut normed, mut activated, mut slope) = (vec![], vec![], vec![]);
        let (mut d_projected, mut d_activated) = (vec![], vec![]);
        for rows in row_chunks(count, 2 * width) {
            let range = rows.start * width..rows.end * width;
            d_projected.clear();
            d_projected.extend_from_slice(&gradient[range.clone()]);
            drop_rows(self.mask, rows.start, width, &mut d_projected);
            normalise(
                &mixed[range.clone()],
                parts.norm,
                sized(&mut normed, range.len()),
            );
            let (silu, silu_slope) = (
                sized(&mut activated, range.len()),
                sized(&mut slope, range.len()),
            );
            rows::silu_with_slope(&normed, silu, silu_slope);
            d_out.add(View::new(&activated, width), &d_projected);
            parts.out.input_gradient(&d_projected, &mut d_activated);
            rows::times(&mut d_activated, &slope);
            d_norm.append(&mixed[range], parts.norm, &d_activated, None, &mut d_mixed);
        }

        let mut gated = vec![0.0; x.len()];
        glu(gates, width, &mut gated);
        self.zero_padding(&mut gated, width);
        let mut d_taps = vec![0.0; parts.taps.len()];
        let mut d_bias = vec![0.0; width];
        let mut d_gated = vec![0.0; x.len()];
        let (reversed, no_bias) = (reversed_taps(parts.taps, width), vec![0.0; width]);
        let stride = self.time * width;
        let utterances = gated.chunks_exact(stride).zip(d_mixed.chunks_exact(stride));
        for ((gated, d_mixed), d_gated) in utterances.zip(d_gated.chunks_exact_mut(stride)) {
            add_weight_gradient(gated, d_mixed, &mut d_taps, &mut d_bias);
            depthwise(d_mixed, &reversed, &no_bias, d_gated);
        }
        self.zero_padding(&mut d_gated, width);

        let mut d_norm_in = NormGradient::zeros(parts.norm_in);
        let mut d_gate = AffineGradient::zeros(&parts.gate);
        let mut dx = Vec::with_capacity(x.len());
        let (mut d_gates, mut d_normed) = (vec![], vec![]);
        for rows in row_chunks(count, 2 * width) {
            let range = rows.start * width..rows.end * width;
            let x = &x[range.clone()];
            let gates = &gates[2 * range.start..2 * range.end];
            let d_gated = &d_gated[range.clone()];
            glu_gradient(gates, d_gated, width, sized(&mut d_gates, gates.len()));
            normalise(x, parts.norm_in, sized(&mut normed, x.len()));
            d_gate.add(View::new(&normed, width), &d_gates);
            parts.gate.input_gradient(&d_gates, &mut d_normed);
            d_norm_in.append(x, parts.norm_in, &d_normed, Some(&gradient[range]), &mut dx);
        }
        let d_weights = vec![
            d_norm_in.gamma,
            d_norm_in.beta,
            d_gate.weight,
            d_gate.bias,
            d_taps,
            d_bias,
            d_norm.gamma,
            d_norm.beta,
            d_out.weight,
            d_out.bias,
        ];
        (dx, d_weights)
    }
}

vectorized! {
    /// `out`: first half of each row's `2 * width` values times the sigmoid of the second.
    fn glu(x: &[f32], width: usize, out: &mut [f32]) {
        for (row, out) in x.chunks_exact(2 * width).zip(out.chunks_exact_mut(width)) {
            let (values, gates) = row.split_at(width);
            for ((out, value), &gate) in out.iter_mut().zip(values).zip(gates) {
                *out = value * sigmoid(gate);
            }
        }
    }
}

vectorized! {
    /// `out`: the gradient of [`glu`]'s input.
    fn glu_gradient(x: &[f32], gradient: &[f32], width: usize, out: &mut [f32]) {
        let rows = x.chunks_exact(2 * width).zip(gradient.chunks_exact(width));
        for ((row, gradient), out) in rows.zip(out.chunks_exact_mut(2 * width)) {
            let (values, gates) = row.split_at(width);
            let (d_values, d_gates) = out.split_at_mut(width);
            for c in 0..width {
                let s = sigmoid(gates[c]);
                d_values[c] = gradient[c] * s;
                d_gates[c] = gradient[c] * values[c] * s * (1.0 - s);
            }
        }
    }
}
