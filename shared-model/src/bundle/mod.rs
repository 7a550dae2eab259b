//! The model folder: bytes in, a checked model out; and back.
//!
//! `model.safetensors` (f32 or f16) or `model-q8.safetensors` (int8 with a scale per output
//! channel), `config.json`, `tokens.txt`, `manifest.json`, `README.md` and, where one is stored, the
//! language model `lm.bin`. The manifest holds size and SHA-256 of every other file and a digest
//! of itself.

mod card;
mod config;
mod hash;
mod limits;
mod manifest;
mod quantize;
mod read;
mod shapes;
mod tensor_file;
#[cfg(test)]
mod tests;
mod write;

pub use card::CardInfo;
pub use limits::{MAX_WEIGHTS_BYTES, max_bytes};
pub use manifest::{
    CARD_FILE, CONFIG_FILE, Evaluation, FileEntry, LM_FILE, MANIFEST_FILE, Manifest, TOKENS_FILE,
};
pub use quantize::Precision;
pub use read::{FORMAT_VERSION, LoadedModel, read_model};
pub use write::{ModelParts, with_decoder, with_evaluations, write_model};

use std::collections::BTreeMap;

/// Files of a model folder by name.
pub type Files = BTreeMap<String, Vec<u8>>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    #[error("{file} is missing from the model folder")]
    MissingFile { file: String },
    #[error(
        "{file} has {found} bytes, the manifest says {expected}: it was cut short or changed; fetch or export it again"
    )]
    Size {
        file: String,
        found: u64,
        expected: u64,
    },
    #[error(
        "{file} has SHA-256 {found}, the manifest says {expected}: it was changed; fetch or export it again"
    )]
    Hash {
        file: String,
        found: String,
        expected: String,
    },
    #[error("{file}: {reason}")]
    Content { file: String, reason: String },
    #[error("{file} is {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        file: String,
        bytes: u64,
        limit: u64,
    },
    #[error("{file} has format version {found}, this build reads versions 1 to {supported}")]
    Version {
        file: String,
        found: u64,
        supported: u64,
    },
    #[error(transparent)]
    Weights(#[from] crate::weights::WeightError),
    #[error(transparent)]
    Tokens(#[from] crate::tokens::TokenError),
    #[error(transparent)]
    Features(#[from] crate::features::FeatureError),
}
