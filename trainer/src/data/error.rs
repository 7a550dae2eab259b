//! What can go wrong between a manifest and a batch.

use std::path::PathBuf;

use shared_model::audio::AudioError;
use shared_model::features::FeatureError;
use shared_model::tokens::TokenError;

use super::AudioFileError;

/// Data that cannot be used. Every message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    #[error("cannot read manifest {path}: {source}")]
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
    #[error("cannot write {path}: {source}")]
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
    #[error("cannot read token file {path}: {source}")]
    ReadTokens {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("token file {path}: {source}")]
    TokenFile { path: PathBuf, source: TokenError },
    #[error("cannot make {size} word pieces: {reason}")]
    WordPieces { size: usize, reason: String },
    #[error("a data thread stopped: {0}")]
    Worker(String),
}
