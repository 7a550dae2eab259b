//! Band-limited sample rate conversion (rubato), whole clips and live blocks.

use super::AudioError;

/// Converts a whole clip; no delay, `round(len * to / from)` samples out.
pub fn resample(samples: &[f32], from_hz: u32, to_hz: u32) -> Result<Vec<f32>, AudioError> {
    let _ = (samples, from_hz, to_hz);
    unimplemented!()
}

/// Converts live audio block by block; equals [`resample`] up to the filter's edges.
pub struct StreamResampler {}

impl StreamResampler {
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, AudioError> {
        let _ = (from_hz, to_hz);
        unimplemented!()
    }
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>, AudioError> {
        let _ = samples;
        unimplemented!()
    }
    /// The samples still held back by the filter; the resampler is fresh afterwards.
    pub fn finish(&mut self) -> Result<Vec<f32>, AudioError> {
        unimplemented!()
    }
}
