//! Feature normalisation, the first layer of the network.

use burn::prelude::*;

use crate::nn::{host, mask::FrameMask};

/// Added to a band's variance. Far below the variance of speech (log-mel bands have 4 to 10), far
/// above what rounding leaves of a constant band.
pub const NORMALIZATION_EPSILON: f64 = 1e-3;

/// `(x - mean) / sqrt(variance + epsilon)` with each band's mean and (biased) variance over the
/// utterance's real frames. `[batch, time, n_mels]`, zero in padded frames before and after.
pub(super) fn by_utterance(x: Tensor<3>, mask: &FrameMask) -> Tensor<3> {
    let mean = band_means(x.clone(), mask);
    let centred = mask.zero_padding(x - mean);
    let variance = band_means(centred.clone() * centred.clone(), mask);
    centred * (variance + NORMALIZATION_EPSILON).sqrt().recip()
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
