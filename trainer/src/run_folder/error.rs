use std::{io, path::PathBuf};

use shared_model::tokens::TokenError;

use crate::{
    config::RecipeError,
    exit_status::{ExitStatus, HasExitStatus},
    tensor_file::TensorFileError,
};

/// A run folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunFolderError {
    /// A file or folder cannot be read or written.
    #[error("{path}: {reason}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Something else is in it.
    #[error(
        "{path} is not empty and not the folder of a run: choose another with --run, or empty it"
    )]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// Another process trains in it.
    #[error("{path} is in use by another fledge")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// What is to be done would not give what was begun.
    #[error(
        "{path} holds a run of another recipe: {difference}; choose another folder with --run, or start it anew with --fresh"
    )]
    OtherRecipe {
        /// The folder.
        path: PathBuf,
        /// Key, old and new value.
        difference: String,
    },
    /// A file in it is not what this program writes.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// `tokens.txt` is no token set.
    #[error("{path}")]
    Tokens {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TokenError,
    },
    /// `costs.json` is not what this program writes.
    #[error("{path}")]
    Costs {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// `resolved.toml` is no TOML.
    #[error("{path}: {}", .error.message())]
    Resolved {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; only its message fits into a line.
        error: toml::de::Error,
    },
    /// The weights of a finished phase cannot be read.
    #[error(transparent)]
    Weights(#[from] TensorFileError),
    /// Its recipe cannot be used.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
}

impl HasExitStatus for RunFolderError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Io { .. } | Self::InUse { .. } => ExitStatus::Failed,
            Self::OtherRecipe { .. } => ExitStatus::Usage,
            Self::NotARun { .. }
            | Self::Content { .. }
            | Self::Tokens { .. }
            | Self::Costs { .. }
            | Self::Resolved { .. }
            | Self::Weights(_) => ExitStatus::Data,
            Self::Recipe(error) => error.exit_status(),
        }
    }
}
