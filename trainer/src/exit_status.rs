//! The exit status of the process, and which error causes which.
//!
//! Every error that can end a command has its status beside its type; the errors of `shared-model`,
//! which knows of no process, have theirs here. A type without one does not compile where commands
//! give up, and a new variant has to choose.

use std::convert::Infallible;
use std::io;

use shared_model::bundle::BundleError;
use shared_model::decode::DecodeError;
use shared_model::features::FeatureError;
use shared_model::phrases::PhraseError;
use shared_model::recognizer::RecognizeError;
use shared_model::tokens::TokenError;
use shared_model::weights::WeightError;

/// What the process tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// What the system refuses: a full disk, a file that cannot be written.
    Failed = 1,
    /// Wrong arguments or a wrong recipe.
    Usage = 2,
    /// Unusable input: manifest, audio, text, model folder.
    Data = 3,
    /// The device asked for cannot be used.
    Device = 4,
    /// Training left the finite numbers.
    Diverged = 5,
    /// Ctrl-C: saved and stopped.
    Interrupted = 130,
}

/// An error that can end a command.
pub trait HasExitStatus: std::error::Error + Send + Sync + 'static {
    /// The status that the process ends with.
    fn exit_status(&self) -> ExitStatus;
}

impl HasExitStatus for Infallible {
    fn exit_status(&self) -> ExitStatus {
        match *self {}
    }
}

impl HasExitStatus for io::Error {
    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Failed
    }
}

/// Only what this program made itself is written as JSON.
impl HasExitStatus for serde_json::Error {
    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Failed
    }
}

impl HasExitStatus for BundleError {
    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Data
    }
}

impl HasExitStatus for DecodeError {
    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Data
    }
}

impl HasExitStatus for FeatureError {
    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Data
    }
}

impl HasExitStatus for PhraseError {
    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Data
    }
}

impl HasExitStatus for TokenError {
    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Data
    }
}

impl HasExitStatus for WeightError {
    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Data
    }
}

impl HasExitStatus for RecognizeError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Device(_) => ExitStatus::Device,
            _ => ExitStatus::Data,
        }
    }
}
