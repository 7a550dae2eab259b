//! Waveform to mel features: Kaldi-compatible log-mel, or the paper's raw mel power.

mod fbank;
mod frame;
mod mel;
mod stream;

pub use fbank::FeatureExtractor;
pub use stream::FeatureStream;

use serde::{Deserialize, Serialize};

/// Frames are 10 ms apart in both front ends.
pub const FRAME_SHIFT_SECS: f32 = 0.010;

/// Frames a second of both front ends.
pub const FRAMES_PER_SEC: f64 = 100.0;

/// Which front end a model was trained with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FrontEnd {
    /// `kaldi-native-fbank` as icefall and sherpa-onnx use it: 25 ms Povey window, 512-point FFT,
    /// pre-emphasis 0.97, DC removal, no dither, `snip_edges` false, natural log of mel power.
    #[default]
    Kaldi,
    /// The paper's: 20 ms Hann window, 1024-point FFT, 80 HTK mel filters 0-8000 Hz of the power
    /// spectrum, centred frames, no logarithm.
    Paper,
}

/// What a network listens to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct FeatureConfig {
    /// Window, filters and scale.
    pub front_end: FrontEnd,
    /// Mel bands per frame.
    pub n_mels: usize,
    /// Lower edge of the first band, Hz. The paper's bands always span 0 to 8000 Hz.
    pub low_hz: f32,
    /// Upper edge of the last band, Hz; zero or negative counts from the Nyquist frequency. The
    /// paper's bands always span 0 to 8000 Hz.
    pub high_hz: f32,
    /// Whether clips are brought to one working level first: they are unless this is false. The paper's
    /// features are of audio as it is.
    #[serde(skip_serializing_if = "is_true")]
    pub level_gain: bool,
}

/// Model folders from before the choice have no such key, and say the same without it.
fn is_true(value: &bool) -> bool {
    *value
}

impl Default for FeatureConfig {
    fn default() -> Self {
        Self {
            front_end: FrontEnd::Kaldi,
            n_mels: 80,
            low_hz: 20.0,
            high_hz: -400.0,
            level_gain: true,
        }
    }
}

/// Features of one utterance, `[num_frames, n_mels]`, row-major.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    /// Frame after frame.
    pub data: Vec<f32>,
    /// Mel bands a frame.
    pub n_mels: usize,
}

impl Features {
    /// Whole frames in the data.
    pub fn num_frames(&self) -> usize {
        self.data.len().checked_div(self.n_mels).unwrap_or(0)
    }
    /// Features of one frame, `[n_mels]`.
    ///
    /// # Panics
    /// Past the last frame.
    pub fn frame(&self, index: usize) -> &[f32] {
        &self.data[index * self.n_mels..(index + 1) * self.n_mels]
    }
}

/// Everything that a front end's frames are computed with, for programs that compute them elsewhere.
///
/// Frame `t` is made of `window.len()` samples from sample `t * shift - lead` on. Beyond its ends a
/// clip is mirrored. The mean is taken away and the samples are pre-emphasised, where there is a
/// pre-emphasis; then come the window, zeros up to `fft_size`, the power spectrum, the bands and,
/// where there is a floor, the natural logarithm of what is above it.
#[derive(Debug, Clone, PartialEq)]
pub struct FrontEndParts {
    /// `[window]`
    pub window: Vec<f32>,
    /// Samples of the Fourier transform.
    pub fft_size: usize,
    /// Samples between frames.
    pub shift: usize,
    /// A clip of `n` samples gives `(n + count_offset) / shift` frames, rounded down; without samples
    /// there are none.
    pub count_offset: usize,
    /// Samples that the first frame begins before the clip.
    pub lead: usize,
    /// Whether the mirrored clip repeats its first and last sample.
    pub repeats_edges: bool,
    /// How much of the sample before is taken away, the mean of the frame being taken away first. The
    /// first sample stands for the one before it.
    pub pre_emphasis: Option<f32>,
    /// Least power of a band before the logarithm; without one the features are the power itself.
    pub log_floor: Option<f32>,
    /// Of each mel band: the first bin of the power spectrum, and the weights from there on.
    pub bands: Vec<(usize, Vec<f32>)>,
}

/// Features that cannot be computed.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum FeatureError {
    /// A number of mel bands that is out of range.
    #[error("n_mels is {0}: expected 8 to 256")]
    NumMels(usize),
    /// Edges that leave no band.
    #[error("mel bands from {low_hz} Hz to {high_hz} Hz: expected 0 <= low < high <= 8000")]
    Band {
        /// Lower edge of the first band.
        low_hz: f32,
        /// Upper edge of the last band.
        high_hz: f32,
    },
}
