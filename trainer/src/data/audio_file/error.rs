//! What can be wrong with an audio file.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;

use shared_model::audio::AudioError;

/// An audio file that cannot be used: which, and why.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}", path = path.display())]
pub struct AudioFileError {
    pub path: PathBuf,
    #[source]
    problem: Problem,
}

impl AudioFileError {
    /// The reason without the path.
    pub fn reason(&self) -> String {
        self.problem.to_string()
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("no such file")]
    Missing,
    #[error("is a folder, expected an audio file")]
    Folder,
    #[error("is not a regular file")]
    NotRegular,
    #[error("is empty (0 bytes)")]
    Empty,
    #[error("has a header but no samples")]
    NoSamples,
    #[error("is not audio that can be read (wav, flac, ogg vorbis, mp3, sphere)")]
    Unrecognised,
    #[error("cannot be decoded: {0}")]
    Unsupported(String),
    #[error("is broken: {0}")]
    Broken(String),
    #[error("is truncated: {got_secs:.2} of {expected_secs:.2} seconds are there")]
    Truncated { got_secs: f64, expected_secs: f64 },
    #[error("is truncated: it ends inside a frame, after {got_secs:.2} seconds")]
    CutShort { got_secs: f64 },
    #[error("is longer than {0} hours: split it")]
    TooLong(f64),
    #[error("has {length_secs:.2} seconds; nothing is at {offset_secs:.2} s")]
    OffsetPastEnd { offset_secs: f64, length_secs: f64 },
    #[error(transparent)]
    Convert(#[from] AudioError),
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            std::io::ErrorKind::UnexpectedEof => Self::Broken("it ends too early".to_owned()),
            _ => Self::Read(error),
        }
    }
}

impl Problem {
    pub fn in_file(self, path: &Path) -> AudioFileError {
        AudioFileError {
            path: path.to_owned(),
            problem: self,
        }
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder on untrusted bytes; a panic inside it becomes a typed error and prints nothing.
pub(super) fn without_panic<T>(decode: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                previous(info);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(decode));
    QUIET.set(outer);
    result.unwrap_or_else(|_| Err(Problem::Broken("the decoder gave up on it".to_owned())))
}
