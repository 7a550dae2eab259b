use std::io;
use std::path::PathBuf;

use crate::data::DataError;
use crate::evaluate::EvaluateError;
use crate::exit_status::{ExitStatus, HasExitStatus};
use crate::onnx_network::OnnxNetworkError;

/// Why there are no labels.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// The folder or manifest holds no audio.
    #[error("there is no audio to label")]
    Nothing,
    /// Nothing was heard that the options keep.
    #[error("no words were heard that may be kept: nothing is written")]
    NothingHeard,
    /// The manifest or folder cannot be read.
    #[error(transparent)]
    Source(#[from] DataError),
    /// The ONNX file cannot be run.
    #[error(transparent)]
    Onnx(#[from] OnnxNetworkError),
    /// A token file is of another network.
    #[error(
        "{path} has {tokens} tokens, and the file of --model has {classes} classes: name its own with --tokens"
    )]
    OtherTokens {
        /// The token file.
        path: PathBuf,
        /// Tokens in it.
        tokens: usize,
        /// Classes of the network.
        classes: usize,
    },
    /// The recogniser fails, or the user stops it.
    #[error(transparent)]
    Hear(#[from] EvaluateError),
    /// What an earlier call left is of other audio, another recogniser or other options.
    #[error(
        "{path} was left by a labelling of other audio, with another model or other options: \
         remove it to begin anew"
    )]
    OtherProgress {
        /// Where it stands.
        path: PathBuf,
    },
    /// The manifest cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line cannot be put into JSON.
    #[error("a label cannot be written")]
    Line {
        /// Why.
        source: io::Error,
    },
}

impl LabelError {
    pub(super) fn json(error: impl Into<io::Error>) -> Self {
        Self::Line {
            source: error.into(),
        }
    }
}

impl HasExitStatus for LabelError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Nothing | Self::NothingHeard | Self::OtherTokens { .. } => ExitStatus::Data,
            Self::Onnx(error) => error.exit_status(),
            Self::Source(error) => error.exit_status(),
            Self::Hear(error) => error.exit_status(),
            Self::OtherProgress { .. } => ExitStatus::Usage,
            Self::Write { .. } | Self::Line { .. } => ExitStatus::Failed,
        }
    }
}
