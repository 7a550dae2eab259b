//! Depthwise convolution over the frames of an utterance, zeros around.

use super::vectorize::vectorized;

/// Channels that are summed at once; they stay in registers.
const LANES: usize = 32;

/// The taps of an odd kernel that meet a real frame at `frame`, and the frame of the first.
#[inline(always)]
fn taps(frame: usize, time: usize, kernel: usize) -> (std::ops::Range<usize>, usize) {
    let half = kernel / 2;
    let first = half.saturating_sub(frame);
    let last = kernel.min(time + half - frame);
    (first..last, frame + first - half)
}

vectorized! {
    /// `y[t] = bias + sum_j weight[j] * x[t + j - kernel / 2]`: `[time, channels]` with `weight`
    /// `[kernel, channels]`.
    pub(crate) fn depthwise(x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
        let channels = bias.len();
        let (time, kernel) = (x.len() / channels, weight.len() / channels);
        for (frame, y) in y.chunks_exact_mut(channels).enumerate() {
            let (taps, first) = taps(frame, time, kernel);
            let mut start = 0;
            while start + LANES <= channels {
                let mut sums = [0.0f32; LANES];
                sums.copy_from_slice(&bias[start..start + LANES]);
                for (at, tap) in taps.clone().enumerate() {
                    let x = &x[(first + at) * channels + start..][..LANES];
                    let weight = &weight[tap * channels + start..][..LANES];
                    for lane in 0..LANES {
                        sums[lane] += x[lane] * weight[lane];
                    }
                }
                y[start..start + LANES].copy_from_slice(&sums);
                start += LANES;
            }
            for c in start..channels {
                let products = taps.clone().enumerate().map(|(at, tap)| {
                    x[(first + at) * channels + c] * weight[tap * channels + c]
                });
                y[c] = bias[c] + products.sum::<f32>();
            }
        }
    }
}

vectorized! {
    /// Adds an utterance's gradients of weight and bias.
    pub(crate) fn add_weight_gradient(
        x: &[f32],
        gradient: &[f32],
        d_weight: &mut [f32],
        d_bias: &mut [f32],
    ) {
        let channels = d_bias.len();
        let (time, kernel) = (x.len() / channels, d_weight.len() / channels);
        for gradient in gradient.chunks_exact(channels) {
            for (sum, gradient) in d_bias.iter_mut().zip(gradient) {
                *sum += gradient;
            }
        }
        let half = kernel / 2;
        for (tap, d_weight) in d_weight.chunks_exact_mut(channels).enumerate() {
            // Frames whose tap meets a real frame.
            let frames = half.saturating_sub(tap)..time.min((time + half).saturating_sub(tap));
            let mut start = 0;
            while start + LANES <= channels {
                let mut sums = [0.0f32; LANES];
                for frame in frames.clone() {
                    let x = &x[(frame + tap - half) * channels + start..][..LANES];
                    let gradient = &gradient[frame * channels + start..][..LANES];
                    for lane in 0..LANES {
                        sums[lane] += x[lane] * gradient[lane];
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
                    d_weight[c] += x * gradient[frame * channels + c];
                }
            }
        }
    }
}

/// The kernel that carries gradients back through [`depthwise`]: its taps in reverse order.
pub(crate) fn reversed_taps(weight: &[f32], channels: usize) -> Vec<f32> {
    weight.rchunks_exact(channels).flatten().copied().collect()
}
