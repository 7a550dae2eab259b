//! Writing a model folder.

use super::{BundleError, CardInfo, Evaluation, Files, Precision};
use crate::{
    decode::BeamConfig, features::FeatureConfig, model::ModelConfig, tokens::Tokens,
    weights::Weights,
};

/// Everything a model folder is made of.
pub struct ModelParts<'a> {
    pub features: &'a FeatureConfig,
    pub model: &'a ModelConfig,
    pub tokens: &'a Tokens,
    pub weights: &'a Weights,
    pub beam: Option<&'a BeamConfig>,
    pub precision: Precision,
    pub evaluations: &'a [Evaluation],
    pub card: &'a CardInfo,
}

/// The files of the folder; reading them back gives the same model (int8: the quantised one).
pub fn write_model(parts: &ModelParts<'_>) -> Result<Files, BundleError> {
    let _ = parts;
    unimplemented!()
}
