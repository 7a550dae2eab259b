//! What can be wrong with an audio file.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;

use shared_model::audio_file as decoding;

use crate::exit_status::{ExitStatus, HasExitStatus};

/// An audio file that cannot be used: which, and why.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}", path = path.display())]
pub struct AudioFileError {
    /// The file as it was named.
    pub path: PathBuf,
    problem: Problem,
}

impl AudioFileError {
    /// The reason without the path.
    pub fn reason(&self) -> String {
        self.problem.to_string()
    }
}

impl HasExitStatus for AudioFileError {
    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Data
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
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
    #[error("cannot be copied from its pipe: {0}")]
    Spool(std::io::Error),
    #[error("gives more than {max_gb} GB: save it to a file and split it")]
    TooLarge { max_gb: u64 },
    #[error("is not where its manifest says: write the manifest anew")]
    NotThere,
    #[error("the tar file ends before it does")]
    CutOff,
    #[error("has more than {max_mb} MB, the most that is read from a tar file")]
    LargeMember { max_mb: u64 },
    #[error("holds {codec}, which is not read: convert it with `{command}`")]
    ForeignCodec { codec: String, command: String },
    #[error(transparent)]
    Audio(#[from] decoding::AudioFileError),
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Read(error),
        }
    }
}

impl Problem {
    pub fn in_file(self, path: &Path) -> AudioFileError {
        let problem = match self {
            Self::Audio(decoding::AudioFileError::ForeignCodec { codec }) => Self::ForeignCodec {
                codec,
                command: conversion(path),
            },
            other => other,
        };
        AudioFileError {
            path: path.to_owned(),
            problem,
        }
    }
}

/// The command that makes a WAV of plain samples beside a file.
fn conversion(path: &Path) -> String {
    let quoted = |path: &Path| {
        let text = path.to_string_lossy();
        let is_plain = |c: char| c.is_alphanumeric() || "/._-+,=:@%".contains(c);
        if text.chars().all(is_plain) && !text.starts_with('-') {
            text.into_owned()
        } else {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
    };
    let output = path.with_extension("pcm.wav");
    format!(
        "ffmpeg -i {} -c:a pcm_s16le {}",
        quoted(path),
        quoted(&output)
    )
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder on untrusted bytes; a panic inside it becomes a typed error and prints nothing.
pub(super) fn without_panic<T>(
    decode: impl FnOnce() -> Result<T, decoding::AudioFileError>,
) -> Result<T, decoding::AudioFileError> {
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
    result.unwrap_or_else(|_| {
        let reason = "the decoder gave up on it".to_owned();
        Err(decoding::AudioFileError::Broken(reason))
    })
}
