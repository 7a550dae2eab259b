//! `config.json`: everything but the weights and the tokens.

use serde::{Deserialize, Serialize};

use super::{
    BundleError, CardInfo,
    hash::sha256_hex,
    manifest::{CONFIG_FILE, TOKENS_FILE},
    read::check_version,
};
use crate::{
    audio::SAMPLE_RATE_HZ,
    decode::{BeamConfig, Calibrations},
    features::{FRAME_SHIFT_SECS, FeatureConfig, FeatureExtractor},
    model::ModelConfig,
    tokens::{BLANK_ID, Tokens},
};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    format_version: u64,
    pub architecture: ModelConfig,
    pub features: FeatureConfig,
    sample_rate_hz: u32,
    frame_shift_secs: f32,
    subsampling_factor: usize,
    blank_id: u32,
    tokens_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub beam: Option<BeamConfig>,
    /// Of the search over phones.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub phone_beam: Option<BeamConfig>,
    #[serde(skip_serializing_if = "Calibrations::is_empty", default)]
    pub confidence: Calibrations,
    /// What the card is written from, so that it can be written anew with new figures.
    pub card: CardInfo,
}

#[derive(Deserialize)]
struct Version {
    format_version: u64,
}

impl ConfigFile {
    pub(super) fn new(
        features: &FeatureConfig,
        model: &ModelConfig,
        beam: Option<&BeamConfig>,
        card: &CardInfo,
        tokens_txt: &[u8],
    ) -> Self {
        Self {
            format_version: super::FORMAT_VERSION,
            architecture: model.clone(),
            features: features.clone(),
            sample_rate_hz: SAMPLE_RATE_HZ,
            frame_shift_secs: FRAME_SHIFT_SECS,
            subsampling_factor: model.subsampling_factor,
            blank_id: BLANK_ID,
            tokens_sha256: sha256_hex(tokens_txt),
            beam: beam.cloned(),
            phone_beam: None,
            confidence: Calibrations::default(),
            card: card.clone(),
        }
    }

    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, BundleError> {
        let version: Version = serde_json::from_slice(bytes).map_err(malformed)?;
        check_version(CONFIG_FILE, version.format_version)?;
        serde_json::from_slice(bytes).map_err(malformed)
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>, BundleError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(malformed)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Whether the parts fit each other and what this build computes.
    pub(super) fn check(&self, tokens_txt: &[u8], tokens: &Tokens) -> Result<(), BundleError> {
        self.architecture.validate()?;
        FeatureExtractor::new(&self.features)?;
        let expect = |name: &str, found: f64, expected: f64| {
            if (found - expected).abs() <= 1e-6 {
                Ok(())
            } else {
                Err(content(format!("{name} is {found}, expected {expected}")))
            }
        };
        expect(
            "sample_rate_hz",
            self.sample_rate_hz.into(),
            SAMPLE_RATE_HZ.into(),
        )?;
        expect(
            "frame_shift_secs",
            self.frame_shift_secs.into(),
            FRAME_SHIFT_SECS.into(),
        )?;
        expect("blank_id", self.blank_id.into(), BLANK_ID.into())?;
        let architecture = &self.architecture;
        if self.subsampling_factor != architecture.subsampling_factor {
            return Err(content(format!(
                "subsampling_factor is {}, the architecture's is {}",
                self.subsampling_factor, architecture.subsampling_factor
            )));
        }
        if self.features.n_mels != architecture.n_mels {
            return Err(content(format!(
                "the features have {} mel bands, the architecture {}",
                self.features.n_mels, architecture.n_mels
            )));
        }
        if !self.confidence.is_finite() {
            return Err(content(
                "a weight of its confidence is no number".to_owned(),
            ));
        }
        let found = sha256_hex(tokens_txt);
        if found != self.tokens_sha256 {
            return Err(BundleError::Hash {
                file: TOKENS_FILE.into(),
                found,
                expected: self.tokens_sha256.chars().take(64).collect(),
            });
        }
        if tokens.len() != architecture.vocab_size {
            return Err(content(format!(
                "vocab_size is {}, {TOKENS_FILE} has {} tokens",
                architecture.vocab_size,
                tokens.len()
            )));
        }
        Ok(())
    }
}

fn malformed(error: serde_json::Error) -> BundleError {
    BundleError::Json {
        file: CONFIG_FILE,
        what: "configuration",
        error,
    }
}

fn content(reason: String) -> BundleError {
    BundleError::Content {
        file: CONFIG_FILE.into(),
        reason,
    }
}
