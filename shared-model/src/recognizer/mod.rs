//! PCM in, words out.

mod live;
mod long;

pub use live::{LiveConfig, LiveEvent, LiveRecognizer};

use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    bundle::LoadedModel,
    decode::{BeamDecoder, Word},
    model::CtcModel,
};

/// How posteriors become words.
pub enum Decoder {
    Greedy,
    Beam(BeamDecoder),
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecognizeError {
    #[error(transparent)]
    Bundle(#[from] crate::bundle::BundleError),
    #[error(transparent)]
    Weights(#[from] crate::weights::WeightError),
    #[error(transparent)]
    Features(#[from] crate::features::FeatureError),
    #[error("the device failed: {0}")]
    Device(String),
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Transcript {
    pub text: String,
    pub words: Vec<Word>,
}

/// A loaded model with its features and decoder on one device.
pub struct Recognizer {
    #[allow(dead_code)]
    model: CtcModel,
}

impl Recognizer {
    pub fn new(
        loaded: &LoadedModel,
        decoder: Decoder,
        device: &Device,
    ) -> Result<Self, RecognizeError> {
        let _ = (loaded, decoder, device);
        unimplemented!()
    }
    /// For a network in training: the same path as a loaded one.
    pub fn from_model(
        model: CtcModel,
        features: &crate::features::FeatureConfig,
        tokens: crate::tokens::Tokens,
        decoder: Decoder,
        device: &Device,
    ) -> Result<Self, RecognizeError> {
        let _ = (model, features, tokens, decoder, device);
        unimplemented!()
    }
    /// Transcribes 16 kHz mono samples of any length; more than a window is cut into overlapping
    /// windows stitched on frame times.
    pub async fn transcribe(&self, samples: &[f32]) -> Result<Transcript, RecognizeError> {
        let _ = samples;
        unimplemented!()
    }
    /// As [`Self::transcribe`]; `progress(done_secs, total_secs)` after each window, false stops
    /// and gives what there is so far.
    pub async fn transcribe_with_progress(
        &self,
        samples: &[f32],
        progress: &mut dyn FnMut(f32, f32) -> bool,
    ) -> Result<Transcript, RecognizeError> {
        let _ = (samples, progress);
        unimplemented!()
    }
    /// Log-probabilities `[num_frames, vocab]` of one window of samples, row-major, natural log.
    pub async fn log_probs(&self, samples: &[f32]) -> Result<Vec<f32>, RecognizeError> {
        let _ = samples;
        unimplemented!()
    }
}
