//! Reading and checking a model folder.

use super::{BundleError, Files, Manifest};
use crate::{features::FeatureConfig, model::ModelConfig, tokens::Tokens, weights::Weights};

/// Newest `config.json` format this build reads and the one it writes.
pub const FORMAT_VERSION: u64 = 1;

/// A checked model folder, ready to become a network.
#[derive(Debug, Clone)]
pub struct LoadedModel {
    pub features: FeatureConfig,
    pub model: ModelConfig,
    pub tokens: Tokens,
    /// Expanded to f32.
    pub weights: Weights,
    pub manifest: Manifest,
    /// Decoder settings tuned for this model, if the folder has them.
    pub beam: Option<crate::decode::BeamConfig>,
}

/// Checks sizes, hashes, shapes and values of everything; never panics on any bytes.
pub fn read_model(files: &Files) -> Result<LoadedModel, BundleError> {
    let _ = files;
    unimplemented!()
}
