//! A page on this machine that asks for phrases, records each from the microphone, plays it and takes
//! it again. It answers this machine alone, and no page but its own.

mod answer;
mod takes;
#[cfg(test)]
mod tests;

pub use takes::{PromptState, TakeError, Takes};

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shared_model::phrases::PhraseError;

use crate::evaluate::{PhraseFile, PhraseFileError};
use crate::exit_status::{ExitStatus, HasExitStatus};
use crate::serve::{Connections, ServeError};

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The list cannot be used.
    #[error(transparent)]
    Phrases(#[from] PhraseFileError),
    /// It gives no sentence.
    #[error("{path}: no sentence can be made of the list")]
    NothingToSay {
        /// The list.
        path: PathBuf,
    },
    /// The folder cannot be made.
    #[error("{path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The port cannot be listened on.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl HasExitStatus for RecordError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Phrases(error) => error.exit_status(),
            Self::NothingToSay { .. } => ExitStatus::Data,
            Self::Folder { .. } => ExitStatus::Failed,
            Self::Serve(error) => error.exit_status(),
        }
    }
}

/// The page and what it records.
pub struct RecordServer {
    connections: Connections,
    takes: Arc<Takes>,
}

/// `count` sentences of a list to be recorded, the same for the same list and seed.
///
/// # Errors
/// A list that cannot be read, or gives no sentence.
pub fn prompts(phrases: &Path, count: usize, seed: u64) -> Result<Vec<String>, RecordError> {
    let file = PhraseFile::read(phrases)?;
    let in_list = |source: PhraseError| PhraseFileError::Content {
        path: phrases.to_owned(),
        source,
    };
    let prompts = file.list.sentences(count, seed).map_err(in_list)?;
    if prompts.is_empty() {
        return Err(RecordError::NothingToSay {
            path: phrases.to_owned(),
        });
    }
    Ok(prompts)
}

impl RecordServer {
    /// Takes the port (0: any free one) of this machine alone.
    ///
    /// # Errors
    /// The folder cannot be made or the port not be taken.
    pub fn bind(folder: &Path, prompts: &[String], port: u16) -> Result<Self, RecordError> {
        let takes = Takes::new(folder, prompts).map_err(|source| RecordError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        Ok(Self {
            connections: Connections::bind("127.0.0.1", port)?,
            takes: Arc::new(takes),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.connections.address()
    }

    /// Answers until the process ends.
    ///
    /// # Errors
    /// What the system says of the address.
    pub fn run(&self) -> io::Result<()> {
        let takes = Arc::clone(&self.takes);
        let port = self.address()?.port();
        self.connections
            .run(move |stream| answer::answer(stream, &takes, port))
    }
}
