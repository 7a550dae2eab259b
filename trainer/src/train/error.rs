//! What stops training.

use std::{io, path::PathBuf};

use shared_model::weights::{SafetensorsError, WeightError};

use crate::{
    cluster::ClusterError,
    config::Phase,
    data::DataError,
    exit_status::{ExitStatus, HasExitStatus},
    onnx_network::OnnxNetworkError,
    run_folder::RunFolderError,
    tensor_file::TensorFileError,
};

/// Why training has stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// It was asked to stop, and everything is saved.
    #[error("stopped as asked at step {step} of {phase}; the same command continues from there")]
    Interrupted {
        /// The phase under way.
        phase: Phase,
        /// Its optimiser steps so far.
        step: usize,
    },
    /// A network learns nothing any more.
    #[error(
        "{phase}, step {step}: the loss of \"{network}\" was not a finite number {in_a_row} times in a row, last on {utterances}; lower its learning_rate or clip_norm"
    )]
    Diverged {
        /// The phase under way.
        phase: Phase,
        /// Its name.
        network: String,
        /// Its optimiser steps so far.
        step: usize,
        /// Steps that were skipped.
        in_a_row: usize,
        /// Some of the last batch.
        utterances: String,
    },
    /// Weights do not fit their configuration.
    #[error("network \"{network}\": {reason}")]
    Network {
        /// Its name.
        network: String,
        /// What does not fit.
        reason: WeightError,
    },
    /// A checkpoint cannot be written or read.
    #[error("checkpoint {path}: {reason}; delete it to fall back to an older one")]
    Checkpoint {
        /// Its folder or file.
        path: PathBuf,
        /// What is wrong.
        reason: CheckpointProblem,
    },
    /// A phase comes before the one that it needs.
    #[error("{phase} needs {missing}; run `fledge {run_first}` first")]
    Order {
        /// What was asked for.
        phase: Phase,
        /// What it works on.
        missing: String,
        /// The phase that makes it.
        run_first: Phase,
    },
    /// The recipe does not fit the models that it names.
    #[error("{0}")]
    Recipe(String),
    /// The folder of `distill.answers` cannot be used.
    #[error("{folder}, which distill.answers names, cannot be used as a folder")]
    Answers {
        /// As the recipe has it.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is nothing to learn from.
    #[error("there is no training batch: every utterance was filtered out")]
    NoBatches,
    /// The teacher in an ONNX file fails.
    #[error(transparent)]
    Onnx(#[from] OnnxNetworkError),
    /// The other processes cannot be reached, or do something else.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The data set gave up.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The run folder cannot be written or read.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
}

/// What is wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointProblem {
    /// What the system says.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Its counters are not what this program writes.
    #[error(transparent)]
    State(#[from] serde_json::Error),
    /// A file of its tensors is none.
    #[error(transparent)]
    Tensors(#[from] SafetensorsError),
    /// Another version of this program wrote it.
    #[error("format version {found} is not {expected}")]
    Version {
        /// Its format.
        found: u32,
        /// The only one that is read.
        expected: u32,
    },
    /// Its networks are not those of the recipe: how they differ.
    #[error("{0}")]
    Networks(String),
}

impl HasExitStatus for TrainError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Interrupted { .. } => ExitStatus::Interrupted,
            Self::Diverged { .. } => ExitStatus::Diverged,
            Self::Order { .. } | Self::Recipe(_) => ExitStatus::Usage,
            Self::Checkpoint { .. } | Self::Answers { .. } => ExitStatus::Failed,
            Self::NoBatches => ExitStatus::Data,
            Self::Network { reason, .. } => reason.exit_status(),
            Self::Onnx(error) => error.exit_status(),
            Self::Cluster(error) => error.exit_status(),
            Self::Data(error) => error.exit_status(),
            Self::Folder(error) => error.exit_status(),
        }
    }
}

impl From<TensorFileError> for TrainError {
    fn from(error: TensorFileError) -> Self {
        let (path, reason) = match error {
            TensorFileError::Io { path, source } => (path, source.into()),
            TensorFileError::Content { path, source } => (path, source.into()),
        };
        Self::Checkpoint { path, reason }
    }
}

/// Says which network an error is about.
pub(super) fn of_network(name: &str) -> impl FnOnce(WeightError) -> TrainError + use<> {
    let network = name.to_string();
    move |reason| TrainError::Network { network, reason }
}
