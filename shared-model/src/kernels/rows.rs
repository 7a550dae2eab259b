//! Layer norm and dropout of rows.

use super::{
    drop_mask::DropMask,
    elementwise::{self, sum},
    vectorize::vectorized,
};

/// Scale, shift and epsilon of a layer norm; `[channels]`.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
    pub epsilon: f32,
}

/// Mean and inverse standard deviation of a row.
#[inline(always)]
fn moments(x: &[f32], epsilon: f32) -> (f32, f32) {
    let share = 1.0 / x.len() as f32;
    let mean = sum([x], |[x]| x) * share;
    let variance = sum([x], |[x]| (x - mean) * (x - mean)) * share;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// Makes room for `len` more values. The loops write to slices: within [`Vec::extend`] they would
/// not be compiled for wide vectors.
pub(crate) fn grown(out: &mut Vec<f32>, len: usize) -> &mut [f32] {
    let start = out.len();
    out.resize(start + len, 0.0);
    &mut out[start..]
}

/// Makes `out` as long as `len`, whatever it holds.
pub(crate) fn sized(out: &mut Vec<f32>, len: usize) -> &mut [f32] {
    out.resize(len, 0.0);
    out
}

vectorized! {
    /// `out`: the normalised rows of `x`.
    pub(crate) fn normalise(x: &[f32], norm: Norm<'_>, out: &mut [f32]) {
        let channels = norm.gamma.len();
        let (gamma, beta) = (&norm.gamma[..channels], &norm.beta[..channels]);
        for (x, out) in x.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            let (mean, inverse_std) = moments(x, norm.epsilon);
            for c in 0..channels {
                out[c] = (x[c] - mean) * inverse_std * gamma[c] + beta[c];
            }
        }
    }
}

/// Gradients of a norm's scale and shift, summed over rows.
pub(crate) struct NormGradient {
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
}

impl NormGradient {
    pub(crate) fn zeros(norm: Norm<'_>) -> Self {
        Self {
            gamma: vec![0.0; norm.gamma.len()],
            beta: vec![0.0; norm.beta.len()],
        }
    }

    /// Appends the gradient of rows `x`, plus that of the way around the norm, if there is one.
    pub(crate) fn append(
        &mut self,
        x: &[f32],
        norm: Norm<'_>,
        gradient: &[f32],
        around: Option<&[f32]>,
        out: &mut Vec<f32>,
    ) {
        let out = grown(out, x.len());
        if let Some(around) = around {
            out.copy_from_slice(around);
        }
        add_gradient(x, norm, gradient, self, out);
    }
}

vectorized! {
    /// With `n` the normalised row and `h = gradient * gamma`:
    /// `out += (h - mean(h) - n * mean(h * n)) / std`.
    fn add_gradient(
        x: &[f32],
        norm: Norm<'_>,
        gradient: &[f32],
        sums: &mut NormGradient,
        out: &mut [f32],
    ) {
        let gamma = norm.gamma;
        let channels = gamma.len();
        let share = 1.0 / channels as f32;
        let (d_gamma, d_beta) = (&mut sums.gamma[..channels], &mut sums.beta[..channels]);
        let rows = x.chunks_exact(channels).zip(gradient.chunks_exact(channels));
        for ((x, gradient), out) in rows.zip(out.chunks_exact_mut(channels)) {
            let (mean, inverse_std) = moments(x, norm.epsilon);
            for c in 0..channels {
                d_gamma[c] += gradient[c] * ((x[c] - mean) * inverse_std);
                d_beta[c] += gradient[c];
            }
            let mean_scaled = sum([gradient, gamma], |[g, gamma]| g * gamma) * share;
            let mean_product = sum([gradient, gamma, x], |[g, gamma, x]| {
                g * gamma * ((x - mean) * inverse_std)
            }) * share;
            for c in 0..channels {
                let normalised = (x[c] - mean) * inverse_std;
                out[c] +=
                    (gradient[c] * gamma[c] - mean_scaled - normalised * mean_product) * inverse_std;
            }
        }
    }
}

vectorized! {
    /// `out = x + scale * y`
    pub(crate) fn residual(x: &[f32], y: &[f32], scale: f32, out: &mut [f32]) {
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out = x + scale * y;
        }
    }
}

vectorized! {
    /// `out = scale * x`
    pub(crate) fn scaled(x: &[f32], scale: f32, out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = scale * x;
        }
    }
}

vectorized! {
    /// `out = silu(x)`
    pub(crate) fn silu(x: &[f32], out: &mut [f32]) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = elementwise::silu(x);
        }
    }
}

vectorized! {
    /// `out = silu(x)` and `slope = d silu / dx`.
    pub(crate) fn silu_with_slope(x: &[f32], out: &mut [f32], slope: &mut [f32]) {
        for ((out, slope), &x) in out.iter_mut().zip(slope).zip(x) {
            (*out, *slope) = elementwise::silu_with_slope(x);
        }
    }
}

vectorized! {
    /// `x *= y`
    pub(crate) fn times(x: &mut [f32], y: &[f32]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x *= y;
        }
    }
}

/// Dropout of rows of `channels` values, the first of which is row `first` of its mask.
pub(crate) fn drop_rows(mask: Option<DropMask>, first: usize, channels: usize, x: &mut [f32]) {
    if let Some(mask) = mask {
        times_mask(mask, first, channels, x);
    }
}

vectorized! {
    fn times_mask(mask: DropMask, first: usize, channels: usize, x: &mut [f32]) {
        for (index, row) in x.chunks_exact_mut(channels).enumerate() {
            mask.apply(first + index, row);
        }
    }
}
