//! The loops of the gradients, over contiguous slices whose last axis is the channels.

use super::kernels::{LANES, Size, sigmoid, vectorized};

vectorized! {
    /// `grad * d silu / dx`.
    pub(super) fn silu_backward(x: &[f32], grad: &[f32]) -> Vec<f32> {
        x.iter()
            .zip(grad)
            .map(|(&x, &grad)| {
                let s = sigmoid(x);
                grad * s * (1.0 + x * (1.0 - s))
            })
            .collect()
    }
}

vectorized! {
    /// Gradient of [`super::kernels::glu`]'s input.
    pub(super) fn glu_backward(x: &[f32], grad: &[f32], channels: usize) -> Vec<f32> {
        let mut dx = vec![0.0; x.len()];
        for ((dx, x), grad) in dx
            .chunks_exact_mut(2 * channels)
            .zip(x.chunks_exact(2 * channels))
            .zip(grad.chunks_exact(channels))
        {
            let (value, gate) = x.split_at(channels);
            let (d_value, d_gate) = dx.split_at_mut(channels);
            for c in 0..channels {
                let s = sigmoid(gate[c]);
                d_value[c] = grad[c] * s;
                d_gate[c] = grad[c] * value[c] * s * (1.0 - s);
            }
        }
        dx
    }
}

vectorized! {
    /// Gradients of [`super::kernels::depthwise`]'s weight and bias.
    pub(super) fn depthwise_weight_backward(
        x: &[f32],
        grad: &[f32],
        kernel: usize,
        size: Size,
    ) -> (Vec<f32>, Vec<f32>) {
        let Size { time, channels } = size;
        let mut d_weight = vec![0.0; kernel * channels];
        let mut d_bias = vec![0.0; channels];
        let stride = time * channels;
        for (x, grad) in x.chunks_exact(stride).zip(grad.chunks_exact(stride)) {
            for grad in grad.chunks_exact(channels) {
                for (sum, grad) in d_bias.iter_mut().zip(grad) {
                    *sum += grad;
                }
            }
            let half = kernel / 2;
            for tap in 0..kernel {
                // Frames whose tap meets a real frame.
                let frames = half.saturating_sub(tap)..time.min((time + half).saturating_sub(tap));
                let d_weight = &mut d_weight[tap * channels..][..channels];
                let mut start = 0;
                while start + LANES <= channels {
                    let mut sums = [0.0f32; LANES];
                    for frame in frames.clone() {
                        let x = &x[(frame + tap - half) * channels + start..][..LANES];
                        let grad = &grad[frame * channels + start..][..LANES];
                        for lane in 0..LANES {
                            sums[lane] += x[lane] * grad[lane];
                        }
                    }
                    for (d_weight, sum) in d_weight[start..].iter_mut().zip(&sums) {
                        *d_weight += sum;
                    }
                    start += LANES;
                }
                for c in start..channels {
                    for frame in frames.clone() {
                        let x = x[(frame + tap - half) * channels + c];
                        d_weight[c] += x * grad[frame * channels + c];
                    }
                }
            }
        }
        (d_weight, d_bias)
    }
}

/// The kernel that carries gradients back through [`super::kernels::depthwise`]: its taps in reverse order.
pub(super) fn reversed_taps(weight: &[f32], channels: usize) -> Vec<f32> {
    weight.rchunks_exact(channels).flatten().copied().collect()
}

/// Sum in eight lanes: the order that a vector unit can keep.
#[inline(always)]
fn sum(values: impl ExactSizeIterator<Item = f32>) -> f32 {
    let mut lanes = [0.0f32; 8];
    for (index, value) in values.enumerate() {
        lanes[index % 8] += value;
    }
    lanes.iter().sum()
}

/// Gradients of a layer norm.
pub(super) struct NormGradients {
    pub x: Vec<f32>,
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
}

vectorized! {
    /// Gradients of layer norm over rows of `gamma.len()` channels. With `n` the normalised row
    /// and `h = grad * gamma`: `dx = (h - mean(h) - n * mean(h * n)) / std`.
    pub(super) fn norm_backward(x: &[f32], gamma: &[f32], grad: &[f32], epsilon: f32) -> NormGradients {
        let channels = gamma.len();
        let share = 1.0 / channels as f32;
        let mut gradients = NormGradients {
            x: vec![0.0; x.len()],
            gamma: vec![0.0; channels],
            beta: vec![0.0; channels],
        };
        let mut normalised = vec![0.0; channels];
        let mut scaled = vec![0.0; channels];
        for ((dx, x), grad) in gradients
            .x
            .chunks_exact_mut(channels)
            .zip(x.chunks_exact(channels))
            .zip(grad.chunks_exact(channels))
        {
            let mean = sum(x.iter().copied()) * share;
            let variance = sum(x.iter().map(|x| (x - mean) * (x - mean))) * share;
            let inverse_std = 1.0 / (variance + epsilon).sqrt();
            for c in 0..channels {
                normalised[c] = (x[c] - mean) * inverse_std;
                scaled[c] = grad[c] * gamma[c];
                gradients.gamma[c] += grad[c] * normalised[c];
                gradients.beta[c] += grad[c];
            }
            let mean_scaled = sum(scaled.iter().copied()) * share;
            let mean_product = sum(scaled.iter().zip(&normalised).map(|(h, n)| h * n)) * share;
            for c in 0..channels {
                dx[c] = (scaled[c] - mean_scaled - normalised[c] * mean_product) * inverse_std;
            }
        }
        gradients
    }
}
