//! What a decoder of one kind of file is given, and what it gives.

use std::io::{Read, Seek};

use super::{error::AudioFileError, notice::Notices};

/// An open file, or bytes in memory behind a [`std::io::Cursor`].
pub trait AudioSource: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> AudioSource for T {}

pub(super) type Source<'s> = Box<dyn AudioSource + 's>;

/// What the header of a file says.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioInfo {
    /// `wav`, `sphere`, `flac`, `ogg` or `mp3`; with the feature
    /// `audio-file-all` `adts`, `mp4`, `matroska`, `aiff` or `caf`, too.
    pub container: &'static str,
    /// As the file says.
    pub sample_rate_hz: u32,
    /// As the file says.
    pub channels: usize,
    /// Absent where only decoding can tell.
    pub duration_secs: Option<f64>,
}

/// Interleaved frames of one format.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub samples: Vec<f32>,
    pub channels: usize,
    pub rate_hz: u32,
}

/// An opened file of one kind. What it gives is without holes: damage is silence.
pub(super) trait Decoder {
    fn info(&self) -> AudioInfo;

    /// Goes to a place at or before `secs` and gives the frames before it. Only before the first
    /// [`Decoder::next`].
    fn skip_to(&mut self, _secs: f64) -> Result<u64, AudioFileError> {
        Ok(0)
    }

    /// Puts the next frames into `block`; false at the end.
    fn next(&mut self, block: &mut Block, notices: &mut Notices) -> Result<bool, AudioFileError>;
}
