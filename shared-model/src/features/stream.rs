//! The streaming form: push samples, take the frames that are already settled.

use super::{FeatureConfig, FeatureError, Features};

/// Gives the same frames as [`super::FeatureExtractor`], as soon as each can be known.
pub struct FeatureStream {}

impl FeatureStream {
    pub fn new(config: &FeatureConfig) -> Result<Self, FeatureError> {
        let _ = config;
        unimplemented!()
    }
    /// New frames after these samples (possibly none).
    pub fn push(&mut self, samples: &[f32]) -> Features {
        let _ = samples;
        unimplemented!()
    }
    /// The last frames, with the clip's end reflected; the stream is fresh afterwards.
    pub fn finish(&mut self) -> Features {
        unimplemented!()
    }
}
