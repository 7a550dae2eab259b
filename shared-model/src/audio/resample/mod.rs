//! Band-limited sample rate conversion, whole clips and live blocks.
//!
//! Recordings are converted by `rubato`. With the transforms that it plans it would be a sixth of a
//! browser's engine, which has recordings from a reader, at the right rate: there [`polyphase`] converts
//! what a microphone hears.

#[cfg(any(not(target_arch = "wasm32"), feature = "audio-file"))]
mod blocks;
#[cfg(any(test, all(target_arch = "wasm32", not(feature = "audio-file"))))]
mod polyphase;
#[cfg(test)]
mod tests;

#[cfg(any(not(target_arch = "wasm32"), feature = "audio-file"))]
pub use blocks::StreamResampler;
#[cfg(all(target_arch = "wasm32", not(feature = "audio-file")))]
pub use polyphase::StreamResampler;

use super::AudioError;

/// Filters are at least this many samples of the lower rate long, whatever that adds to the delay.
const MIN_FILTER_SAMPLES: usize = 160;

/// Converts a whole clip; no delay, `round(len * to / from)` samples out. NaN and infinite samples
/// count as 0.
///
/// # Errors
/// [`AudioError::SampleRate`] for a rate outside 1000 to 768000 Hz.
pub fn resample(samples: &[f32], from_hz: u32, to_hz: u32) -> Result<Vec<f32>, AudioError> {
    let mut stream = StreamResampler::new(from_hz, to_hz)?;
    let mut out = stream.push(samples)?;
    out.extend(stream.finish()?);
    Ok(out)
}

fn greatest_common_divisor(mut a: usize, mut b: usize) -> usize {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn check_rate(rate_hz: u32) -> Result<(), AudioError> {
    if (1_000..=768_000).contains(&rate_hz) {
        Ok(())
    } else {
        Err(AudioError::SampleRate(rate_hz))
    }
}
