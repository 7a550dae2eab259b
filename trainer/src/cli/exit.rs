//! Exit codes, and the one line that an error gets.

use std::fmt;
use std::io;

use crate::fault::one_line;
use crate::run_folder::RunFolderError;

/// What the process tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
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

/// An error with the exit code it causes; put around errors whose type does not tell.
#[derive(Debug)]
pub struct Failure {
    status: ExitStatus,
    message: String,
}

impl Failure {
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Usage, message)
    }
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Data, message)
    }
    /// Everything has been told already; only the code is left.
    pub fn told(status: ExitStatus) -> Self {
        Self::new(status, "")
    }
    pub fn new(status: ExitStatus, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The code of an error, from the first error of its chain whose type tells.
pub fn status_of(error: &anyhow::Error) -> ExitStatus {
    error
        .chain()
        .find_map(typed_status)
        .unwrap_or(ExitStatus::Failed)
}

fn typed_status(error: &(dyn std::error::Error + 'static)) -> Option<ExitStatus> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return Some(failure.status);
    }
    if error.is::<crate::config::RecipeError>() {
        return Some(ExitStatus::Usage);
    }
    if error.is::<crate::device::DeviceError>() {
        return Some(ExitStatus::Device);
    }
    if error.is::<crate::model_folder::ModelFolderError>()
        || error.is::<shared_model::bundle::BundleError>()
        || error.is::<shared_model::decode::DecodeError>()
        || error.is::<crate::data::DataError>()
        || error.is::<crate::data::AudioFileError>()
        || error.is::<crate::evaluate::DecoderFileError>()
    {
        return Some(ExitStatus::Data);
    }
    if let Some(error) = error.downcast_ref::<crate::language_model::LmError>() {
        return match error {
            crate::language_model::LmError::Order { .. }
            | crate::language_model::LmError::CutOffs { .. } => Some(ExitStatus::Usage),
            _ => Some(ExitStatus::Data),
        };
    }
    if let Some(error) = error.downcast_ref::<RunFolderError>() {
        return run_folder_status(error);
    }
    if let Some(error) = error.downcast_ref::<crate::train::TrainError>() {
        return match error {
            crate::train::TrainError::Folder(error) => run_folder_status(error),
            crate::train::TrainError::Interrupted { .. } => Some(ExitStatus::Interrupted),
            crate::train::TrainError::Diverged { .. } => Some(ExitStatus::Diverged),
            crate::train::TrainError::Order { .. } | crate::train::TrainError::Recipe(_) => {
                Some(ExitStatus::Usage)
            }
            crate::train::TrainError::NoBatches => Some(ExitStatus::Data),
            _ => None,
        };
    }
    match error.downcast_ref::<crate::evaluate::EvaluateError>() {
        Some(crate::evaluate::EvaluateError::Stopped) => Some(ExitStatus::Interrupted),
        Some(
            crate::evaluate::EvaluateError::Decode(_)
            | crate::evaluate::EvaluateError::Empty
            | crate::evaluate::EvaluateError::TooManyBroken { .. },
        ) => Some(ExitStatus::Data),
        _ => None,
    }
}

fn run_folder_status(error: &RunFolderError) -> Option<ExitStatus> {
    match error {
        RunFolderError::OtherRecipe { .. } | RunFolderError::Recipe(_) => Some(ExitStatus::Usage),
        RunFolderError::NotARun { .. } | RunFolderError::Content { .. } => Some(ExitStatus::Data),
        _ => None,
    }
}

/// Whether the reader of standard output went away (`fledge ... | head`), which is no error.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// The chain of an error in one line. A cause that its context already quotes is not repeated.
pub fn error_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = one_line(&cause.to_string());
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_chain_is_one_line_without_repetition() {
        let cause = io::Error::other("no such\nfile");
        let error = Err::<(), _>(cause)
            .context("cannot read x: no such file")
            .context("evaluation stopped")
            .expect_err("built as an error");
        assert_eq!(
            error_line(&error),
            "evaluation stopped: cannot read x: no such file"
        );
        assert_eq!(status_of(&error), ExitStatus::Failed);
    }

    #[test]
    fn a_typed_cause_decides_the_code_through_context() {
        let error = anyhow::Error::new(Failure::data("empty")).context("while reading");
        assert_eq!(status_of(&error), ExitStatus::Data);
        let error = anyhow::Error::new(crate::device::DeviceError::NotBuilt { choice: "wgpu" });
        assert_eq!(status_of(&error.context("opening")), ExitStatus::Device);
    }

    #[test]
    fn a_closed_pipe_is_recognised() {
        let error = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("out");
        assert!(is_closed_pipe(&error));
        assert!(!is_closed_pipe(&anyhow::anyhow!("other")));
    }
}
