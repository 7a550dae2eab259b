//! Mono PCM in `[-1, 1]`: sample rate conversion, down-mixing and level.

pub(crate) mod fft;
pub mod level;
mod resample;

pub use level::level_gain;
pub use resample::{StreamResampler, resample};

/// The rate of everything inside Fledge.
pub const SAMPLE_RATE_HZ: u32 = 16_000;

/// Audio that cannot be converted.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum AudioError {
    /// A rate in Hz that no audio has.
    #[error("sample rate {0} Hz is outside 1000 to 768000 Hz")]
    SampleRate(u32),
    /// A number of channels that is not mixed.
    #[error("{0} channels: expected 1 to 32")]
    Channels(usize),
    /// What the resampler says.
    #[error("resampling failed: {0}")]
    Resample(String),
}

/// A sample of this size is no audio; larger ones would overflow in the power spectrum.
pub const LARGEST_SAMPLE: f32 = 1e6;

/// The sample itself, 0 for NaN and infinities, and no more than a large bound.
pub(crate) fn usable_sample(sample: f32) -> f32 {
    if sample.is_finite() {
        sample.clamp(-LARGEST_SAMPLE, LARGEST_SAMPLE)
    } else {
        0.0
    }
}

/// Mean of samples, of which there are a multiple of eight.
pub(crate) fn mean(samples: &[f32]) -> f32 {
    // Eight sums side by side keep the processor's vector lanes busy.
    let mut sums = [0.0f32; 8];
    for group in samples.chunks_exact(8) {
        for (sum, sample) in sums.iter_mut().zip(group) {
            *sum += sample;
        }
    }
    sums.iter().sum::<f32>() / samples.len() as f32
}

/// Mean of all channels of interleaved samples; a last incomplete group of samples is dropped.
/// NaN and infinite samples count as 0.
///
/// # Errors
/// [`AudioError::Channels`] unless there are 1 to 32 channels.
pub fn downmix(interleaved: &[f32], channels: usize) -> Result<Vec<f32>, AudioError> {
    if !(1..=32).contains(&channels) {
        return Err(AudioError::Channels(channels));
    }
    let mean =
        |group: &[f32]| group.iter().map(|&s| usable_sample(s)).sum::<f32>() / channels as f32;
    Ok(interleaved.chunks_exact(channels).map(mean).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn downmixing_takes_the_mean_of_whole_groups() {
        assert_eq!(downmix(&[1.0, 0.0, -0.5, 0.5, 0.9], 2).unwrap(), [0.5, 0.0]);
        assert_eq!(downmix(&[0.25, -1.0], 1).unwrap(), [0.25, -1.0]);
        assert_eq!(
            downmix(&[f32::NAN, 0.5, f32::INFINITY, 0.0], 2).unwrap(),
            [0.25, 0.0]
        );
        assert_eq!(downmix(&[], 3).unwrap(), [0.0f32; 0]);
    }

    #[test]
    fn impossible_channel_counts_are_refused() {
        assert_eq!(downmix(&[0.0], 0), Err(AudioError::Channels(0)));
        assert_eq!(downmix(&[0.0], 33), Err(AudioError::Channels(33)));
    }
}
