use std::io;
use std::path::PathBuf;

use crate::exit_status::{ExitStatus, HasExitStatus};

/// Why a folder is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// It is not there or cannot be looked into.
    #[error("{folder} cannot be served")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file where a folder should be.
    #[error("{folder} cannot be served: it is a file, give the folder of a built site")]
    NotAFolder {
        /// The file.
        folder: PathBuf,
    },
    /// Another program listens there.
    #[error("port {port} is in use by another program; stop it or choose another with --port")]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// The address cannot be used.
    #[error("cannot listen on {host}:{port}")]
    Listen {
        /// Name or address.
        host: String,
        /// The port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
}

impl HasExitStatus for ServeError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Folder { .. } | Self::NotAFolder { .. } => ExitStatus::Usage,
            Self::PortInUse { .. } | Self::Listen { .. } => ExitStatus::Failed,
        }
    }
}
