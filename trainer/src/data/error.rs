//! What can go wrong between a manifest and a batch.

use std::path::PathBuf;

use shared_model::audio::AudioError;
use shared_model::features::FeatureError;
use shared_model::tokens::TokenError;

use super::AudioFileError;
use crate::exit_status::{ExitStatus, HasExitStatus};

/// Data that cannot be used. Every message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    #[error("cannot read manifest {path}")]
    ReadManifest {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("manifest {path} is a folder, expected a JSONL file")]
    ManifestIsFolder { path: PathBuf },
    #[error("manifest {path} line {line}: {reason}")]
    ManifestLine {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error("manifest {path} has no utterances")]
    EmptyManifest { path: PathBuf },
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("no training utterances are left: {dropped}")]
    NothingLeft { dropped: String },
    #[error("{broken} of {total} utterances cannot be read, more than 1 %; the last one: {last}")]
    TooManyBroken {
        broken: usize,
        total: usize,
        last: String,
    },
    #[error(transparent)]
    AudioFile(#[from] AudioFileError),
    #[error(transparent)]
    Audio(#[from] AudioError),
    #[error(transparent)]
    Features(#[from] FeatureError),
    #[error(transparent)]
    Tokens(#[from] TokenError),
    #[error("cannot read token file {path}")]
    ReadTokens {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("token file {path}")]
    TokenFile { path: PathBuf, source: TokenError },
    #[error("cannot make {size} word pieces: {reason}")]
    WordPieces { size: usize, reason: String },
    #[error("cannot make {size} word pieces")]
    TrainWordPieces {
        size: usize,
        source: tokenizers::Error,
    },
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
            | Self::EmptyManifest { .. }
            | Self::NothingLeft { .. }
            | Self::TooManyBroken { .. }
            | Self::AudioFile(_)
            | Self::Audio(_)
            | Self::Features(_)
            | Self::Tokens(_)
            | Self::ReadTokens { .. }
            | Self::TokenFile { .. }
            | Self::WordPieces { .. }
            | Self::TrainWordPieces { .. } => ExitStatus::Data,
        }
    }
}
