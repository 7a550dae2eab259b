//! Lists of phrases on disk, bound to a model.

use std::path::{Path, PathBuf};

use shared_model::bundle::LoadedModel;
use shared_model::phrases::{MAX_LIST_BYTES, PhraseDecoder, PhraseError, PhraseList};

use crate::exit_status::{ExitStatus, HasExitStatus};

/// A list of phrases that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhraseFileError {
    /// It cannot be read or written.
    #[error("{path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is over the limit.
    #[error("{path} is {bytes} bytes, more than the limit of {MAX_LIST_BYTES}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// It is not UTF-8.
    #[error("{path}: not UTF-8 text")]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// Its content cannot be used.
    #[error("{path}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        source: PhraseError,
    },
}

impl HasExitStatus for PhraseFileError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::File { .. } | Self::TooLarge { .. } | Self::NotText { .. } => ExitStatus::Data,
            Self::Content { source, .. } => source.exit_status(),
        }
    }
}

/// A list, and the text that it was read from.
pub struct PhraseFile {
    /// Where it is.
    pub path: PathBuf,
    /// As it is on disk.
    pub text: String,
    /// What it says.
    pub list: PhraseList,
}

impl PhraseFile {
    /// Reads a list of either form.
    ///
    /// # Errors
    /// A file that cannot be read or is no list of phrases.
    pub fn read(path: &Path) -> Result<Self, PhraseFileError> {
        let failed = |source| PhraseFileError::File {
            path: path.to_owned(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(failed)?.len();
        if bytes > MAX_LIST_BYTES as u64 {
            return Err(PhraseFileError::TooLarge {
                path: path.to_owned(),
                bytes,
            });
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        let text = String::from_utf8(bytes).map_err(|_| PhraseFileError::NotText {
            path: path.to_owned(),
        })?;
        let list = PhraseList::parse(&text).map_err(|source| PhraseFileError::Content {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            text,
            list,
        })
    }

    /// What hears the list with a model, by the stored threshold unless one is given.
    ///
    /// # Errors
    /// Words that the model cannot write, and whatever else a graph shows.
    pub fn decoder(
        &self,
        loaded: &LoadedModel,
        threshold: Option<f32>,
        inside_speech: bool,
    ) -> Result<PhraseDecoder, PhraseFileError> {
        let id = loaded.manifest.weights_id();
        let config = self.list.config(&id, threshold, inside_speech);
        PhraseDecoder::new(&self.list, &loaded.tokens, config).map_err(|source| {
            PhraseFileError::Content {
                path: self.path.clone(),
                source,
            }
        })
    }
}
