//! Mono PCM in `[-1, 1]`: sample rate conversion, down-mixing and level.

mod level;
mod resample;

pub use level::{LevelFollower, level_gain};
pub use resample::{StreamResampler, resample};

/// The rate of everything inside Fledge.
pub const SAMPLE_RATE_HZ: u32 = 16_000;

/// Audio that cannot be converted.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum AudioError {
    #[error("sample rate {0} Hz is outside 1000 to 768000 Hz")]
    SampleRate(u32),
    #[error("{0} channels: expected 1 to 32")]
    Channels(usize),
    #[error("resampling failed: {0}")]
    Resample(String),
}

/// Mean of all channels of interleaved samples; a last incomplete group of samples is dropped.
pub fn downmix(interleaved: &[f32], channels: usize) -> Result<Vec<f32>, AudioError> {
    let _ = (interleaved, channels);
    unimplemented!()
}
