//! What stops training.

use std::path::PathBuf;

use shared_model::weights::WeightError;

use crate::{config::Phase, run_folder::RunFolderError, tensor_file::TensorFileError};

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    #[error("stopped as asked at step {step} of {phase}; the same command continues from there")]
    Interrupted { phase: String, step: usize },
    #[error(
        "{phase}, step {step}: the loss of \"{network}\" was not a finite number {in_a_row} times in a row, last on {utterances}; lower its learning_rate or clip_norm"
    )]
    Diverged {
        phase: String,
        network: String,
        step: usize,
        in_a_row: usize,
        utterances: String,
    },
    #[error("network \"{network}\": {source}")]
    Network {
        network: String,
        source: WeightError,
    },
    #[error("checkpoint {path}: {reason}; delete it to fall back to an older one")]
    Checkpoint { path: PathBuf, reason: String },
    #[error("{phase} needs {missing}; run `fledge {run_first}` first")]
    Order {
        phase: Phase,
        missing: String,
        run_first: Phase,
    },
    #[error("{0}")]
    Recipe(String),
    #[error("there is no training batch: every utterance was filtered out")]
    NoBatches,
    #[error(transparent)]
    Data(#[from] Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Folder(#[from] RunFolderError),
}

impl From<TensorFileError> for TrainError {
    fn from(error: TensorFileError) -> Self {
        Self::Checkpoint {
            path: error.path,
            reason: error.reason,
        }
    }
}
