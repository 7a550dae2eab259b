//! Lengths of the front end's convolutions, each with kernel 3 and stride 2.

use super::{ModelConfig, SubsamplingPadding};

/// Frames after a convolution of `frames`: `ceil(L / 2)` with one frame of padding on each side,
/// `floor((L - 1) / 2)` without.
pub(crate) fn conv_length(frames: usize, is_padded: bool) -> usize {
    if is_padded {
        frames.div_ceil(2)
    } else {
        frames.saturating_sub(1) / 2
    }
}

impl ModelConfig {
    /// Of each convolution of the front end (kernel 3, stride 2): whether it is padded by a frame on
    /// each side.
    pub fn paddings(&self) -> impl Iterator<Item = bool> {
        let second = self.subsampling_padding == SubsamplingPadding::Same;
        let num_convs = if self.subsampling_factor == 8 { 3 } else { 2 };
        [true, second, true].into_iter().take(num_convs)
    }

    /// Frames after each convolution for `feature_frames` feature frames.
    pub(crate) fn conv_lengths(&self, feature_frames: usize) -> Vec<usize> {
        let mut frames = feature_frames;
        self.paddings()
            .map(|is_padded| {
                frames = conv_length(frames, is_padded);
                frames
            })
            .collect()
    }

    /// Encoder frames for `feature_frames` feature frames.
    ///
    /// Each convolution of the front end gives `ceil(L / 2)` frames, or `floor((L - 1) / 2)` where
    /// it has no padding. A batch whose longest utterance has no encoder frame at all still has
    /// one padded frame in its tensors.
    pub fn encoder_length(&self, feature_frames: usize) -> usize {
        self.paddings().fold(feature_frames, conv_length)
    }
}
