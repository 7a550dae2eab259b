//! Feature normalisation, the first layer of the network.

use burn::prelude::*;

use crate::{
    kernels::operations::Operations,
    nn::{
        fusion,
        host::{self, ALONE},
        mask::FrameMask,
    },
};

/// Added to a band's variance. Far below the variance of speech (log-mel bands have 4 to 10), far
/// above what rounding leaves of a constant band.
pub const NORMALIZATION_EPSILON: f64 = 1e-3;

/// `(x - mean) / sqrt(variance + epsilon)` with each band's mean and (biased) variance over the
/// utterance's real frames. `[batch, time, n_mels]`, zero in padded frames before and after.
pub(super) fn by_utterance(x: Tensor<3>, mask: &FrameMask, operations: Operations) -> Tensor<3> {
    if fusion::are_tried(operations)
        && let Some(y) = fusion::normalize(&x, mask, NORMALIZATION_EPSILON, operations)
    {
        return y;
    }
    if ALONE {
        return by_utterance_on_host(x, mask);
    }
    let mean = band_means(x.clone(), mask);
    let centred = mask.zero_padding(x - mean);
    let variance = band_means(centred.clone() * centred.clone(), mask);
    centred * (variance + NORMALIZATION_EPSILON).sqrt().recip()
}

/// As [`by_utterance`], read from the device and written back.
fn by_utterance_on_host(x: Tensor<3>, mask: &FrameMask) -> Tensor<3> {
    let [_, time, n_mels] = x.dims();
    host::changed(x, |values| {
        let utterances = values.chunks_mut((time * n_mels).max(1));
        for (values, &length) in utterances.zip(mask.lengths()) {
            let real = &mut values[..length.min(time) * n_mels];
            let share = 1.0 / length.clamp(1, time.max(1)) as f32;
            for band in 0..n_mels {
                let of_band = || (band..real.len()).step_by(n_mels);
                let mean = of_band().map(|at| real[at]).sum::<f32>() * share;
                let squares = of_band().map(|at| (real[at] - mean) * (real[at] - mean));
                let variance = squares.sum::<f32>() * share;
                let scale = 1.0 / (variance + NORMALIZATION_EPSILON as f32).sqrt();
                for at in of_band() {
                    real[at] = (real[at] - mean) * scale;
                }
            }
        }
    })
}

/// Mean of each band over the utterance's real frames, `[batch, 1, n_mels]`. `x` is zero in padded
/// frames.
pub(super) fn band_means(x: Tensor<3>, mask: &FrameMask) -> Tensor<3> {
    let [batch, time, _] = x.dims();
    let shares: Vec<f32> = mask
        .lengths()
        .iter()
        .map(|&length| 1.0 / length.clamp(1, time.max(1)) as f32)
        .collect();
    let shares = host::tensor(shares, [batch, 1, 1], &x.device());
    x.sum_dim(1) * shares
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;

    #[test]
    fn on_the_host_each_band_is_normalised_as_by_the_device() {
        let device = Device::flex();
        let values = [1.0, 8.0, 2.0, 8.0, 6.0, 8.5, 4.0, -3.0, 0.0, 0.0, 0.0, 0.0];
        let x = Tensor::<3>::from_data(TensorData::new(values.to_vec(), [2, 3, 2]), &device);
        let mask = FrameMask::new(vec![3, 1], 3, &device);
        let by_device = host::values(by_utterance(x.clone(), &mask, Operations::Composed));
        let on_host = host::values(by_utterance_on_host(x, &mask));
        // Band 0 of the first: mean 3, variance (4 + 1 + 9) / 3.
        let scale = 1.0 / (14.0f32 / 3.0 + 1e-3).sqrt();
        for (at, value) in [(0, -2.0), (2, -1.0), (4, 3.0)] {
            assert!((on_host[at] - value * scale).abs() < 1e-5, "{on_host:?}");
        }
        for (a, b) in on_host.iter().zip(&by_device) {
            assert!((a - b).abs() < 1e-4, "{on_host:?} {by_device:?}");
        }
    }
}
