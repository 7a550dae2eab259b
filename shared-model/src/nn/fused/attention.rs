//! The self-attention branch of a Conformer block.

use std::sync::Arc;

use burn::prelude::*;

use super::{Kept, Kernel, apply_6, int8_of, is_supported};
use crate::{
    kernels::{
        drop_mask::DropMask,
        elementwise::{exp, max, sum},
        int8::Int8Matrix,
        matmul::{Affine, AffineGradient, Factors, RightFactor, row_chunks},
        rows::{Norm, NormGradient, drop_rows, grown, normalise, residual, sized},
        vectorize::vectorized,
        view::{Into, View},
    },
    nn::{
        branch::{AffineWeights, AttentionOptions, NormPair},
        positions::{Angles, RotaryTables},
    },
};

/// `x + drop(out(attend(qkv(norm(x)))))`, `[batch, time, d_model]`.
#[inline(always)]
pub(crate) fn attention(
    x: &Tensor<3>,
    norm: NormPair,
    qkv: AffineWeights,
    out: AffineWeights,
    options: AttentionOptions<'_>,
) -> Option<Tensor<3>> {
    let [_, time, width] = x.dims();
    let kernel = Attention {
        time,
        width,
        n_heads: options.n_heads,
        // Without a single key all are seen: such a frame is padding, and stays finite.
        keys: options
            .pass
            .mask
            .lengths()
            .iter()
            .map(|&length| if length == 0 { time } else { length.min(time) })
            .collect(),
        angles: options.pass.rotary.map(RotaryTables::angles),
        masks: options.masks,
        epsilon: options.epsilon as f32,
        factors: Factors::of(options.pass.operations),
        int8: int8_of(options.pass.operations, [qkv.int8, out.int8]),
    };
    is_supported(x).then(|| apply_6(kernel, x, norm, qkv.pair, out.pair))
}

struct Attention {
    time: usize,
    /// Of the model.
    width: usize,
    n_heads: usize,
    keys: Vec<usize>,
    angles: Option<Arc<Angles>>,
    masks: [Option<DropMask>; 2],
    epsilon: f32,
    factors: Factors,
    int8: [Option<Arc<Int8Matrix>>; 2],
}

impl Attention {
    fn parts<'a>(&'a self, weights: &[&'a [f32]]) -> (Norm<'a>, Affine<'a>, Affine<'a>) {
        let norm = Norm {
            gamma: weights[0],
            beta: weights[1],
            epsilon: self.epsilon,
        };
        let [int8_qkv, int8_out] = self.int8.each_ref().map(Option::as_deref);
        let qkv = Affine::new(weights[2], weights[3], self.factors).with_int8(int8_qkv);
        let out = Affine::new(weights[4], weights[5], self.factors).with_int8(int8_out);
        (norm, qkv, out)
    }

    fn d_head(&self) -> usize {
        self.width / self.n_heads
    }

    /// Where queries (0), keys (1) or values (2) of a head begin among a frame's `3 * width`.
    fn place(&self, which: usize, head: usize) -> usize {
        which * self.width + head * self.d_head()
    }

    /// Queries, keys or values of a head, `[time, d_head]`.
    fn head<'a>(&self, qkv: &'a [f32], which: usize, head: usize) -> View<'a> {
        let start = self.place(which, head);
        View::strided(&qkv[start..], self.time, self.d_head(), 3 * self.width)
    }

    /// Turns queries and keys by their frames' angles, or back.
    fn rotate(&self, qkv: &mut [f32], back: bool) {
        if let Some(angles) = &self.angles {
            let (width, d_head) = (self.width, self.d_head());
            for utterance in qkv.chunks_exact_mut(self.time * 3 * width) {
                rotate(utterance, angles, width, d_head, back);
            }
        }
    }

    /// Attention weights of a head, `[query, key]`, before dropout.
    fn weights(&self, qkv: &[f32], utterance: usize, head: usize, out: &mut Vec<f32>) {
        let time = self.time;
        out.resize(time * time, 0.0);
        let scale = (self.d_head() as f64).powf(-0.5) as f32;
        let (queries, keys) = (self.head(qkv, 0, head), self.head(qkv, 1, head));
        let scores = (out.as_mut_slice(), time);
        self.multiply(scores, queries, keys.transposed(), scale);
        softmax(out, time, self.keys[utterance]);
    }

    fn multiply(&self, out: (&mut [f32], usize), a: View<'_>, b: View<'_>, scale: f32) {
        RightFactor::new(b, self.factors).multiply(out, a, scale, Into::Replace);
    }

    /// Row of the dropout mask of a head's first query.
    fn mask_row(&self, utterance: usize, head: usize) -> usize {
        (utterance * self.n_heads + head) * self.time
    }
}

impl Kernel for Attention {
    fn forward(&self, x: &[f32], weights: &[&[f32]], _keep: bool) -> (Vec<f32>, Kept) {
        let Self { time, width, .. } = *self;
        let (norm, qkv_map, out_map) = self.parts(weights);
        let count = x.len() / width;
        let mut qkv = Vec::with_capacity(3 * x.len());
        let mut scratch = vec![];
        for rows in row_chunks(count, 3 * width) {
            let x = &x[rows.start * width..rows.end * width];
            normalise(x, norm, sized(&mut scratch, x.len()));
            qkv_map.append(View::new(&scratch, width), &mut qkv);
        }
        self.rotate(&mut qkv, false);

        let mut attended = vec![0.0; x.len()];
        let stride = time * width;
        let utterances = qkv.chunks_exact(3 * stride);
        for (u, (qkv, attended)) in utterances
            .zip(attended.chunks_exact_mut(stride))
            .enumerate()
        {
            for head in 0..self.n_heads {
                self.weights(qkv, u, head, &mut scratch);
                drop_rows(self.masks[0], self.mask_row(u, head), time, &mut scratch);
                let out = (&mut attended[self.place(0, head)..], width);
                let values = self.head(qkv, 2, head);
                self.multiply(out, View::new(&scratch, time), values, 1.0);
            }
        }

        let mut y = Vec::with_capacity(x.len());
        for rows in row_chunks(count, 3 * width) {
            let range = rows.start * width..rows.end * width;
            scratch.clear();
            out_map.append(View::new(&attended[range.clone()], width), &mut scratch);
            drop_rows(self.masks[1], rows.start, width, &mut scratch);
            let out = grown(&mut y, range.len());
            residual(&x[range], &scratch, 1.0, out);
        }
        (y, vec![qkv, attended])
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
        let Self { time, width, .. } = *self;
        let (norm, qkv_map, out_map) = self.parts(weights);
        let count = x.len() / width;
        let (qkv, attended) = (&kept[0], &kept[1]);
        let mut d_out = AffineGradient::zeros(&out_map);
        let mut d_attended = Vec::with_capacity(x.len());
        let (mut d_projected, mut scratch) = (vec![], vec![]);
        for rows in row_chunks(count, 3 * width) {
            let range = rows.start * width..rows.end * width;
            d_projected.clear();
            d_projected.extend_from_slice(&gradient[range.clone()]);
            drop_rows(self.masks[1], rows.start, width, &mut d_projected);
            d_out.add(View::new(&attended[range], width), &d_projected);
            out_map.input_gradient(&d_projected, &mut scratch);
            d_attended.extend_from_slice(&scratch);
        }

        let mut d_qkv = vec![0.0; qkv.len()];
        let stride = time * width;
        let utterances = qkv
            .chunks_exact(3 * stride)
            .zip(d_attended.chunks_exact(stride));
        for (u, ((qkv, d_attended), d_qkv)) in utterances
            .zip(d_qkv.chunks_exact_mut(3 * stride))
            .enumerate()
        {
            for head in 0..self.n_heads {
                self.head_gradient(
                    qkv,
                    d_attended,
                    (u, head),
                    [&mut scratch, &mut d_projected],
                    d_qkv,
                );
            }
        }
        self.rotate(&mut d_qkv, true);

        let mut d_norm = NormGradient::zeros(norm);
        let mut d_map = AffineGradient::zeros(&qkv_map);
        let mut dx = Vec::with_capacity(x.len());
        let mut normed = vec![];
        for rows in row_chunks(count, 3 * width) {
            let range = rows.start * width..rows.end * width;
            let d_qkv = &d_qkv[3 * range.start..3 * range.end];
            let x = &x[range.clone()];
            normalise(x, norm, sized(&mut normed, x.len()));
            d_map.add(View::new(&normed, width), d_qkv);
            qkv_map.input_gradient(d_qkv, &mut scratch);
            d_norm.append(x, norm, &scratch, Some(&gradient[range]), &mut dx);
        }
        let d_weights = [d_norm.gamma, d_norm.beta, d_map.weight, d_map.bias];
        let d_weights = d_weights.into_iter().chain([d_out.weight, d_out.bias]);
        (dx, d_weights.collect())
    }
}

impl Attention {
    /// Gradients of one head's queries, keys and values, written into `d_qkv`. `scratch`: for two
    /// matrices of attention weights.
    fn head_gradient(
        &self,
        qkv: &[f32],
        d_attended: &[f32],
        (utterance, head): (usize, usize),
        scratch: [&mut Vec<f32>; 2],
        d_qkv: &mut [f32],
    ) {
        let Self { time, width, .. } = *self;
        let [weights, d_weights] = scratch;
        let row = self.mask_row(utterance, head);
        let d_attended = &d_attended[self.place(0, head)..];
        let d_attended = View::strided(d_attended, time, self.d_head(), width);
        let stride = 3 * width;

        self.weights(qkv, utterance, head, weights);
        d_weights.clear();
        d_weights.extend_from_slice(weights);
        drop_rows(self.masks[0], row, time, d_weights);
        let out = (&mut d_qkv[self.place(2, head)..], stride);
        let dropped = View::new(d_weights, time);
        self.multiply(out, dropped.transposed(), d_attended, 1.0);

        let values = self.head(qkv, 2, head);
        let out = (d_weights.as_mut_slice(), time);
        self.multiply(out, d_attended, values.transposed(), 1.0);
        drop_rows(self.masks[0], row, time, d_weights);
        softmax_gradient(weights, d_weights, time);
        let d_scores = View::new(d_weights, time);
        let scale = (self.d_head() as f64).powf(-0.5) as f32;
        let out = (&mut d_qkv[self.place(0, head)..], stride);
        self.multiply(out, d_scores, self.head(qkv, 1, head), scale);
        let out = (&mut d_qkv[self.place(1, head)..], stride);
        let queries = self.head(qkv, 0, head);
        self.multiply(out, d_scores.transposed(), queries, scale);
    }
}

vectorized! {
    /// Softmax of each row's first `keys` scores of `row`; weight 0 for the rest.
    fn softmax(scores: &mut [f32], row: usize, keys: usize) {
        for scores in scores.chunks_exact_mut(row) {
            let (scores, hidden) = scores.split_at_mut(keys);
            hidden.fill(0.0);
            let most = max(scores);
            for score in scores.iter_mut() {
                *score = exp(*score - most);
            }
            let share = 1.0 / sum([&*scores], |[score]| score);
            for score in scores {
                *score *= share;
            }
        }
    }
}

vectorized! {
    /// Gradient of the scores in place of that of the weights, row by row:
    /// `weights * (gradient - sum(weights * gradient))`.
    fn softmax_gradient(weights: &[f32], gradient: &mut [f32], row: usize) {
        for (weights, gradient) in weights.chunks_exact(row).zip(gradient.chunks_exact_mut(row)) {
            let mean = sum([weights, &*gradient], |[w, g]| w * g);
            for (gradient, weight) in gradient.iter_mut().zip(weights) {
                *gradient = weight * (*gradient - mean);
            }
        }
    }
}

vectorized! {
    /// Turns the pairs `i` and `i + d_head / 2` of the `2 * width` queries and keys of each frame.
    fn rotate(utterance: &mut [f32], angles: &Angles, width: usize, d_head: usize, back: bool) {
        let half = d_head / 2;
        let sign = if back { -1.0 } else { 1.0 };
        for (frame, qkv) in utterance.chunks_exact_mut(3 * width).enumerate() {
            let cos = &angles.cos[frame * half..][..half];
            let sin = &angles.sin[frame * half..][..half];
            for head in qkv[..2 * width].chunks_exact_mut(d_head) {
                let (first, second) = head.split_at_mut(half);
                for pair in 0..half {
                    let (a, b) = (first[pair], second[pair]);
                    let s = sign * sin[pair];
                    first[pair] = a * cos[pair] - b * s;
                    second[pair] = b * cos[pair] + a * s;
                }
            }
        }
    }
}
