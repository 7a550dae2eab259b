//! What ends a command: the one line that it gets, and its exit status.

use std::error::Error;
use std::fmt;
use std::io;

use crate::exit_status::{ExitStatus, HasExitStatus};
use crate::fault::{error_line, one_line};

/// What every command gives.
pub type CliResult<T> = Result<T, Failure>;

/// A command's end that is not its success.
#[derive(Debug)]
pub struct Failure {
    status: ExitStatus,
    /// What was being done, or all there is to say; empty where everything has been told.
    message: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A message with its status and no error behind it.
    pub fn new(status: ExitStatus, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            cause: None,
        }
    }
    /// Wrong arguments.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Usage, message)
    }
    /// Unusable input.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Data, message)
    }
    /// Everything has been told already; only the status is left.
    pub fn told(status: ExitStatus) -> Self {
        Self::new(status, "")
    }
    /// An error, and what was being done when it came.
    pub fn while_doing<E: HasExitStatus>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self {
            message: what,
            ..Self::from(error)
        }
    }

    /// The status that the process ends with.
    pub fn exit_status(&self) -> ExitStatus {
        self.status
    }

    /// Whether the reader of standard output went away (`fledge ... | head`), which is no error.
    pub fn is_closed_pipe(&self) -> bool {
        let mut next = self.cause.as_deref().map(|cause| cause as &dyn Error);
        while let Some(cause) = next {
            let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
            if kind == Some(io::ErrorKind::BrokenPipe) {
                return true;
            }
            next = cause.source();
        }
        false
    }
}

impl<E: HasExitStatus> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            status: error.exit_status(),
            message: String::new(),
            cause: Some(Box::new(error)),
        }
    }
}

/// One line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = self.cause.as_deref().map(|cause| error_line(cause));
        match cause {
            Some(cause) if self.message.is_empty() => f.write_str(&cause),
            Some(cause) => write!(f, "{}: {cause}", one_line(&self.message)),
            None => f.write_str(&one_line(&self.message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceError;
    use crate::model_folder::ModelFolderError;

    #[test]
    fn a_failure_is_one_line_of_what_was_done_and_every_cause() {
        let error = ModelFolderError::File {
            path: "m/config.json".into(),
            source: io::Error::other("no such\nfile"),
        };
        let failure = Failure::while_doing("evaluation\nstopped")(error);
        assert_eq!(
            failure.to_string(),
            "evaluation stopped: m/config.json: no such file"
        );
        assert_eq!(failure.exit_status(), ExitStatus::Data);
    }

    #[test]
    fn the_error_decides_the_status() {
        let failure = Failure::from(DeviceError::NotBuilt { choice: "wgpu" });
        assert_eq!(failure.exit_status(), ExitStatus::Device);
        assert_eq!(Failure::usage("x").exit_status(), ExitStatus::Usage);
        assert_eq!(Failure::told(ExitStatus::Data).to_string(), "");
    }

    #[test]
    fn a_closed_pipe_is_recognised() {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(Failure::from(closed()).is_closed_pipe());
        let error = ModelFolderError::File {
            path: "x".into(),
            source: closed(),
        };
        assert!(Failure::while_doing("out")(error).is_closed_pipe());
        assert!(!Failure::from(io::Error::other("full")).is_closed_pipe());
        assert!(!Failure::usage("other").is_closed_pipe());
    }
}
