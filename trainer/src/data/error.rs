//! What can go wrong between a manifest and a batch.

use std::path::PathBuf;

use shared_model::audio::AudioError;
use shared_model::features::FeatureError;
use shared_model::tokens::TokenError;

use super::{AudioFileError, ShardError};
use crate::exit_status::{ExitStatus, HasExitStatus};

/// Data that cannot be used. Every message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A manifest, or a corpus that one is made of, cannot be read.
    #[error("cannot read manifest {path}")]
    ReadManifest {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A folder where a manifest should be.
    #[error("manifest {path} is a folder, expected a JSONL file")]
    ManifestIsFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A tar file of a corpus cannot be used.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// A line of a manifest is not an utterance.
    #[error("manifest {path} line {line}: {reason}")]
    ManifestLine {
        /// The manifest.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A manifest of blank lines.
    #[error("manifest {path} has no utterances")]
    EmptyManifest {
        /// The manifest.
        path: PathBuf,
    },
    /// A manifest or list cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The filter leaves nothing to train on.
    #[error("no training utterances are left: {dropped}")]
    NothingLeft {
        /// How many were left out for which reason.
        dropped: String,
    },
    /// So much audio is unreadable that training would hide a broken corpus.
    #[error("{broken} of {total} utterances cannot be read, more than 1 %; the last one: {last}")]
    TooManyBroken {
        /// Utterances that cannot be read.
        broken: usize,
        /// Utterances of the data set.
        total: usize,
        /// File and reason of the last of them.
        last: String,
    },
    /// An audio file cannot be used.
    #[error(transparent)]
    AudioFile(#[from] AudioFileError),
    /// Samples cannot be brought to 16 kHz.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The settings of the features cannot be met.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// A transcript cannot be spelt, or a token set cannot be made.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// The token file of a recipe cannot be read.
    #[error("cannot read token file {path}")]
    ReadTokens {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The token file of a recipe is not one.
    #[error("token file {path}")]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TokenError,
    },
    /// The pronunciations of a recipe cannot be used.
    #[error("cannot use the pronunciations in {path}: {reason}")]
    Pronunciations {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The training texts do not give as many word pieces as were asked for.
    #[error("cannot make {size} word pieces: {reason}")]
    WordPieces {
        /// Pieces asked for, blank included.
        size: usize,
        /// What is in the way.
        reason: String,
    },
    /// The library that learns word pieces gives up.
    #[error("cannot make {size} word pieces")]
    TrainWordPieces {
        /// Pieces asked for, blank included.
        size: usize,
        /// What it says.
        source: tokenizers::Error,
    },
    /// A thread that prepares batches panicked; its message.
    #[error("a data thread stopped: {0}")]
    Worker(String),
}

impl HasExitStatus for DataError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Write { .. } | Self::Worker(_) => ExitStatus::Failed,
            Self::ReadManifest { .. }
            | Self::ManifestIsFolder { .. }
            | Self::ManifestLine { .. }
            | Self::Shard(_)
            | Self::EmptyManifest { .. }
            | Self::NothingLeft { .. }
            | Self::TooManyBroken { .. }
            | Self::AudioFile(_)
            | Self::Audio(_)
            | Self::Features(_)
            | Self::Tokens(_)
            | Self::ReadTokens { .. }
            | Self::TokenFile { .. }
            | Self::Pronunciations { .. }
            | Self::WordPieces { .. }
            | Self::TrainWordPieces { .. } => ExitStatus::Data,
        }
    }
}
