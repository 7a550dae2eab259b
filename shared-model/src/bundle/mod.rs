//! The model folder: bytes in, a checked model out; and back.
//!
//! `model.safetensors` (f32 or f16) or `model-q8.safetensors` (int8 with a scale per output
//! channel), `config.json`, `tokens.txt`, `manifest.json`, `README.md` and, where one is stored, the
//! language model `lm.bin`. The manifest holds size and SHA-256 of every other file and a digest
//! of itself.
//!
//! ```
//! use shared_model::bundle::{Files, read_model};
//!
//! let mut files = Files::new();
//! for entry in std::fs::read_dir("../www/models/english-tiny")? {
//!     let entry = entry?;
//!     let name = entry.file_name().to_string_lossy().into_owned();
//!     files.insert(name, std::fs::read(entry.path())?);
//! }
//! let model = read_model(&files)?;
//! assert_eq!(model.manifest.parameters, model.model.num_parameters() as u64);
//! assert_eq!(model.tokens.len(), model.model.vocab_size);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub use hash::sha256_hex;
pub use limits::max_bytes;
pub use manifest::{
    CARD_FILE, CONFIG_FILE, Evaluation, FileEntry, LM_FILE, MANIFEST_FILE, Manifest, TOKENS_FILE,
};
pub use quantize::Precision;
pub use read::{FORMAT_VERSION, LoadedModel, read_model};
pub use write::{
    ModelParts, TunedDecoder, with_calibrations, with_decoder, with_evaluations, write_model,
};

use std::collections::BTreeMap;

use crate::weights::SafetensorsError;

/// Files of a model folder by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What is wrong with a model folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file that must be there is not.
    #[error("{file} is missing from the model folder")]
    MissingFile {
        /// Its name.
        file: String,
    },
    /// A file is longer or shorter than the manifest says.
    #[error(
        "{file} has {found} bytes, the manifest says {expected}: it was cut short or changed; fetch or export it again"
    )]
    Size {
        /// Its name.
        file: String,
        /// Its bytes.
        found: u64,
        /// Its bytes by the manifest.
        expected: u64,
    },
    /// A file has the manifest's size but not its content.
    #[error(
        "{file} has SHA-256 {found}, the manifest says {expected}: it was changed; fetch or export it again"
    )]
    Hash {
        /// Its name.
        file: String,
        /// SHA-256 of its bytes.
        found: String,
        /// SHA-256 by the manifest.
        expected: String,
    },
    /// A file says what cannot be.
    #[error("{file}: {reason}")]
    Content {
        /// Its name.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is not the JSON that it should be.
    #[error("{file}: not a {what}: {error}")]
    Json {
        /// Its name.
        file: &'static str,
        /// What it should be.
        what: &'static str,
        /// Where it is something else.
        error: serde_json::Error,
    },
    /// The weights make no file, or the file of the weights is none.
    #[error("{file}: {error}")]
    Tensors {
        /// Its name.
        file: &'static str,
        /// What is wrong with it.
        error: SafetensorsError,
    },
    /// A file is over its limit ([`max_bytes`]).
    #[error("{file} is {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Its name.
        file: String,
        /// Its size.
        bytes: u64,
        /// The most it may have.
        limit: u64,
    },
    /// A newer format than this build knows.
    #[error("{file} has format version {found}, this build reads versions 1 to {supported}")]
    Version {
        /// The file that says so.
        file: String,
        /// Its version.
        found: u64,
        /// The newest that is read.
        supported: u64,
    },
    /// Weights and architecture do not agree.
    #[error(transparent)]
    Weights(#[from] crate::weights::WeightError),
    /// `tokens.txt` cannot be used.
    #[error(transparent)]
    Tokens(#[from] crate::tokens::TokenError),
    /// The features cannot be computed.
    #[error(transparent)]
    Features(#[from] crate::features::FeatureError),
}
