//! Audio files on disk, and inside tar files there, to mono PCM in `[-1, 1]`, by [`shared_model::audio_file`].

mod error;
mod member;
mod place;
mod spool;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::audio_file::{self as decoding, AudioBlocks, AudioSource, DecodedAudio, Stretch};

pub use decoding::{AudioInfo, AudioNotice};
pub use error::AudioFileError;
use error::{Problem, without_panic};
pub use member::Member;
pub(crate) use member::{BLOCK_BYTES, MAX_MEMBER_BYTES};
pub use place::{AudioPlace, read_members};

/// Extensions of audio files, likeliest first.
pub(crate) const AUDIO_EXTENSIONS: &[&str] = &[
    "wav", "flac", "mp3", "ogg", "opus", "m4a", "mp4", "webm", "mkv", "aac", "aiff", "aif", "caf",
];

/// Whether a file has the name of an audio file.
pub(crate) fn is_audio_name(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    let extension = extension.to_string_lossy().to_lowercase();
    extension == "sph" || AUDIO_EXTENSIONS.contains(&extension.as_str())
}

/// The longest stretch of audio that is decoded in one piece.
pub const MAX_SECONDS: f64 = 4.0 * 3600.0;
/// The longest stretch of audio that is decoded block by block.
pub const MAX_BLOCKS_SECONDS: f64 = 48.0 * 3600.0;

const WHOLE: Stretch = Stretch {
    offset_secs: 0.0,
    duration_secs: None,
    rate_hz: None,
    max_secs: MAX_SECONDS,
};

/// Decodes a whole file to mono at its own rate.
///
/// # Errors
/// A file that is missing, no audio, without samples, or that ends before its header says.
pub fn decode_file(path: &Path) -> Result<(Vec<f32>, u32), AudioFileError> {
    let audio = decode(path.into(), &WHOLE)?;
    Ok((audio.samples, audio.sample_rate_hz))
}

/// Decodes `duration_secs` (absent: all) from `offset_secs` on, to mono 16 kHz.
///
/// # Errors
/// As [`decode_file`], and a stretch that begins after the file's end.
pub fn decode_16k<'a>(
    place: impl Into<AudioPlace<'a>>,
    offset_secs: f64,
    duration_secs: Option<f64>,
) -> Result<Vec<f32>, AudioFileError> {
    Ok(decode_16k_with_notices(place, offset_secs, duration_secs)?.0)
}

/// As [`decode_16k`], of the bytes that were read from `place`.
///
/// # Errors
/// As [`decode_16k`].
pub fn decode_16k_of(
    bytes: &[u8],
    place: AudioPlace<'_>,
    offset_secs: f64,
    duration_secs: Option<f64>,
) -> Result<Vec<f32>, AudioFileError> {
    let stretch = stretch_16k(offset_secs, duration_secs);
    let source = || Ok(Box::new(Cursor::new(bytes)) as Box<dyn AudioSource + '_>);
    Ok(decode_from(source, place, &stretch)?.samples)
}

/// As [`decode_16k`], with what its user should know of the audio: each a sentence that begins with
/// the file's name.
///
/// # Errors
/// As [`decode_16k`].
pub fn decode_16k_with_notices<'a>(
    place: impl Into<AudioPlace<'a>>,
    offset_secs: f64,
    duration_secs: Option<f64>,
) -> Result<(Vec<f32>, Vec<String>), AudioFileError> {
    let place = place.into();
    let audio = decode(place, &stretch_16k(offset_secs, duration_secs))?;
    let notices = sentences(&place.name(), &audio.notices).collect();
    Ok((audio.samples, notices))
}

fn stretch_16k(offset_secs: f64, duration_secs: Option<f64>) -> Stretch {
    Stretch {
        offset_secs,
        duration_secs,
        rate_hz: Some(SAMPLE_RATE_HZ),
        ..WHOLE
    }
}

/// Reads only what is needed to know rate, channels and duration.
///
/// # Errors
/// As [`decode_file`].
pub fn read_info<'a>(place: impl Into<AudioPlace<'a>>) -> Result<AudioInfo, AudioFileError> {
    let place = place.into();
    let read = || {
        let mut file = place.open()?;
        Ok(without_panic(|| decoding::read_info(&mut file))?)
    };
    read().map_err(|problem: Problem| problem.in_file(&place.name()))
}

/// A whole file as mono 16 kHz, block by block: in memory that does not grow with its length.
pub struct FileBlocks {
    path: PathBuf,
    blocks: AudioBlocks<'static>,
}

impl FileBlocks {
    /// Opens a file, a pipe, or `-` for standard input. What cannot be sought in is first copied
    /// into an anonymous temporary file.
    ///
    /// # Errors
    /// As [`decode_file`], as far as the structure of the file can tell.
    pub fn open(path: &Path) -> Result<Self, AudioFileError> {
        Self::open_from(path.into(), WHOLE, AudioPlace::open_any)
    }

    /// Opens `duration_secs` (absent: all) from `offset_secs` on of audio on disk.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_stretch<'a>(
        place: impl Into<AudioPlace<'a>>,
        offset_secs: f64,
        duration_secs: Option<f64>,
    ) -> Result<Self, AudioFileError> {
        let stretch = Stretch {
            offset_secs,
            duration_secs,
            ..WHOLE
        };
        Self::open_from(place.into(), stretch, AudioPlace::open)
    }

    fn open_from<'a>(
        place: AudioPlace<'a>,
        stretch: Stretch,
        open: impl FnOnce(AudioPlace<'a>) -> Result<Box<dyn AudioSource>, Problem>,
    ) -> Result<Self, AudioFileError> {
        let stretch = Stretch {
            rate_hz: Some(SAMPLE_RATE_HZ),
            max_secs: MAX_BLOCKS_SECONDS,
            ..stretch
        };
        let path = place.name();
        let opened = || {
            let file = open(place)?;
            Ok(without_panic(|| AudioBlocks::open(file, &stretch))?)
        };
        let blocks = opened().map_err(|problem: Problem| problem.in_file(&path))?;
        Ok(Self { path, blocks })
    }

    /// What the header says.
    pub fn info(&self) -> &AudioInfo {
        self.blocks.info()
    }

    /// The next samples, never none; absent at the end.
    ///
    /// # Errors
    /// As [`decode_file`]. After an error there are no more blocks.
    pub fn next_block(&mut self) -> Result<Option<&[f32]>, AudioFileError> {
        let blocks = &mut self.blocks;
        without_panic(|| blocks.next_block())
            .map_err(|error| Problem::from(error).in_file(&self.path))
    }

    /// What its user should know, as far as it was decoded; each a sentence that begins with the
    /// file's name.
    pub fn notices(&self) -> impl Iterator<Item = String> {
        sentences(&self.path, self.blocks.notices())
    }
}

fn sentences(path: &Path, notices: &[AudioNotice]) -> impl Iterator<Item = String> {
    let path = path.display();
    notices
        .iter()
        .map(move |notice| format!("{path}: {notice}"))
}

fn decode(place: AudioPlace<'_>, stretch: &Stretch) -> Result<DecodedAudio, AudioFileError> {
    decode_from(|| place.open(), place, stretch)
}

/// Decodes what `open` gives, which is at `place`.
fn decode_from<'s>(
    open: impl FnOnce() -> Result<Box<dyn AudioSource + 's>, Problem>,
    place: AudioPlace<'_>,
    stretch: &Stretch,
) -> Result<DecodedAudio, AudioFileError> {
    let read = || {
        let mut file = open()?;
        Ok(without_panic(|| decoding::decode(&mut file, stretch))?)
    };
    read().map_err(|problem: Problem| problem.in_file(&place.name()))
}

#[cfg(test)]
mod tests;
