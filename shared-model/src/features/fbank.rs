//! One frame of mel features, and the batch form over a whole clip.

use super::{FeatureConfig, FeatureError, Features};

/// Computes features of 16 kHz samples. Windows, filters and FFT plan are made once.
pub struct FeatureExtractor {}

impl FeatureExtractor {
    pub fn new(config: &FeatureConfig) -> Result<Self, FeatureError> {
        let _ = config;
        unimplemented!()
    }
    /// Frames that a clip of `num_samples` gives.
    pub fn num_frames(&self, num_samples: usize) -> usize {
        let _ = num_samples;
        unimplemented!()
    }
    /// `samples`: mono 16 kHz PCM in `[-1, 1]`.
    pub fn extract(&self, samples: &[f32]) -> Features {
        let _ = samples;
        unimplemented!()
    }
}
