//! What can be wrong with an audio file's bytes.

use std::io::{Error, ErrorKind};

use crate::audio::AudioError;

#[cfg(feature = "audio-file-native")]
const READ_HERE: &str = "wav, flac, ogg vorbis, mp3, sphere, opus, aac, alac, aiff, caf, webm";
#[cfg(not(feature = "audio-file-native"))]
const READ_HERE: &str = "wav, flac, ogg vorbis, mp3, sphere";

/// Why audio cannot be used; the words continue a sentence that begins with the file's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioFileError {
    #[error("is empty (0 bytes)")]
    Empty,
    #[error("has a header but no samples")]
    NoSamples,
    #[error("is not audio that can be read ({READ_HERE})")]
    Unrecognised,
    #[error(
        "holds {codec}, which is not read: convert it with `ffmpeg -i INPUT -c:a pcm_s16le OUTPUT.wav`"
    )]
    ForeignCodec { codec: String },
    #[error("cannot be decoded: {0}")]
    Unsupported(String),
    #[error("is broken: {0}")]
    Broken(String),
    #[error("is truncated: {got_secs:.2} of {expected_secs:.2} seconds are there")]
    Truncated { got_secs: f64, expected_secs: f64 },
    #[error("is truncated: it ends inside a frame, after {got_secs:.2} seconds")]
    CutShort { got_secs: f64 },
    #[error("is longer than {max_hours} hours: split it")]
    TooLong { max_hours: f64 },
    #[error("has {length_secs:.2} seconds; nothing is at {offset_secs:.2} s")]
    OffsetPastEnd { offset_secs: f64, length_secs: f64 },
    #[error(transparent)]
    Convert(#[from] AudioError),
    #[error("cannot be read: {0}")]
    Read(Error),
}

impl From<Error> for AudioFileError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::Broken("it ends too early".to_owned()),
            _ => Self::Read(error),
        }
    }
}
