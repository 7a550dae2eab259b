//! What can be wrong with an audio file's bytes.

use std::io::{Error, ErrorKind};

use crate::audio::AudioError;

#[cfg(feature = "audio-file-all")]
const READ_HERE: &str = "wav, flac, ogg vorbis, mp3, sphere, opus, aac, alac, aiff, caf, webm";
#[cfg(not(feature = "audio-file-all"))]
const READ_HERE: &str = "wav, flac, ogg vorbis, mp3, sphere";

/// Why audio cannot be used; the words continue a sentence that begins with the file's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioFileError {
    /// Not a single byte.
    #[error("is empty (0 bytes)")]
    Empty,
    /// A kind of file that is read, with nothing to hear in it.
    #[error("has a header but no samples")]
    NoSamples,
    /// No kind of file that is read.
    #[error("is not audio that can be read ({READ_HERE})")]
    Unrecognised,
    /// A kind of file that is read, with an encoding that is not.
    #[error(
        "holds {codec}, which is not read: convert it with `ffmpeg -i INPUT -c:a pcm_s16le OUTPUT.wav`"
    )]
    ForeignCodec {
        /// Its name.
        codec: String,
    },
    /// What about it no decoder here knows.
    #[error("cannot be decoded: {0}")]
    Unsupported(String),
    /// What about it cannot be.
    #[error("is broken: {0}")]
    Broken(String),
    /// It ends before its header says.
    #[error("is truncated: {got_secs:.2} of {expected_secs:.2} seconds are there")]
    Truncated {
        /// What is there.
        got_secs: f64,
        /// What the header promises.
        expected_secs: f64,
    },
    /// Its last frame has no end.
    #[error("is truncated: it ends inside a frame, after {got_secs:.2} seconds")]
    CutShort {
        /// What is there.
        got_secs: f64,
    },
    /// More than [`super::Stretch::max_secs`].
    #[error("is longer than {max_hours} hours: split it")]
    TooLong {
        /// The most that is taken.
        max_hours: f64,
    },
    /// A stretch that begins behind the end.
    #[error("has {length_secs:.2} seconds; nothing is at {offset_secs:.2} s")]
    OffsetPastEnd {
        /// Where the stretch would begin.
        offset_secs: f64,
        /// How long the file is.
        length_secs: f64,
    },
    /// A rate or a number of channels that is not converted.
    #[error(transparent)]
    Convert(#[from] AudioError),
    /// What the source of the bytes says.
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
