//! Audio files on disk to mono PCM in `[-1, 1]`, by [`shared_model::audio_file`].

mod error;
mod spool;

use std::fs::File;
use std::path::{Path, PathBuf};

use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::audio_file::{self as decoding, AudioBlocks, DecodedAudio, Stretch};

pub use decoding::{AudioInfo, AudioNotice};
pub use error::AudioFileError;
use error::{Problem, without_panic};

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
    let audio = decode(path, &WHOLE)?;
    Ok((audio.samples, audio.sample_rate_hz))
}

/// Decodes `duration_secs` (absent: all) from `offset_secs` on, to mono 16 kHz.
///
/// # Errors
/// As [`decode_file`], and a stretch that begins after the file's end.
pub fn decode_16k(
    path: &Path,
    offset_secs: f64,
    duration_secs: Option<f64>,
) -> Result<Vec<f32>, AudioFileError> {
    Ok(decode_16k_with_notices(path, offset_secs, duration_secs)?.0)
}

/// As [`decode_16k`], with what its user should know of the audio: each a sentence that begins with
/// the file's name.
///
/// # Errors
/// As [`decode_16k`].
pub fn decode_16k_with_notices(
    path: &Path,
    offset_secs: f64,
    duration_secs: Option<f64>,
) -> Result<(Vec<f32>, Vec<String>), AudioFileError> {
    let stretch = Stretch {
        offset_secs,
        duration_secs,
        rate_hz: Some(SAMPLE_RATE_HZ),
        ..WHOLE
    };
    let audio = decode(path, &stretch)?;
    Ok((audio.samples, sentences(path, &audio.notices).collect()))
}

/// Reads only what is needed to know rate, channels and duration.
///
/// # Errors
/// As [`decode_file`].
pub fn read_info(path: &Path) -> Result<AudioInfo, AudioFileError> {
    let read = || {
        let mut file = open(path)?;
        Ok(without_panic(|| decoding::read_info(&mut file))?)
    };
    read().map_err(|problem: Problem| problem.in_file(path))
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
        Self::open_from(path, WHOLE, open_any)
    }

    /// Opens `duration_secs` (absent: all) from `offset_secs` on of a file on disk.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_stretch(
        path: &Path,
        offset_secs: f64,
        duration_secs: Option<f64>,
    ) -> Result<Self, AudioFileError> {
        let stretch = Stretch {
            offset_secs,
            duration_secs,
            ..WHOLE
        };
        Self::open_from(path, stretch, open)
    }

    fn open_from(
        path: &Path,
        stretch: Stretch,
        open: impl FnOnce(&Path) -> Result<File, Problem>,
    ) -> Result<Self, AudioFileError> {
        let stretch = Stretch {
            rate_hz: Some(SAMPLE_RATE_HZ),
            max_secs: MAX_BLOCKS_SECONDS,
            ..stretch
        };
        let opened = || {
            let file = open(path)?;
            Ok(without_panic(|| AudioBlocks::open(file, &stretch))?)
        };
        let blocks = opened().map_err(|problem: Problem| problem.in_file(path))?;
        let path = path.to_owned();
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

fn decode(path: &Path, stretch: &Stretch) -> Result<DecodedAudio, AudioFileError> {
    let read = || {
        let mut file = open(path)?;
        Ok(without_panic(|| decoding::decode(&mut file, stretch))?)
    };
    read().map_err(|problem: Problem| problem.in_file(path))
}

/// Opens a regular file.
fn open(path: &Path) -> Result<File, Problem> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(Problem::Folder);
    }
    if !metadata.is_file() {
        return Err(Problem::NotRegular);
    }
    Ok(File::open(path)?)
}

/// Opens a regular file, or a copy of what a pipe or standard input gives.
fn open_any(path: &Path) -> Result<File, Problem> {
    if path.as_os_str() == "-" {
        return spool::spool(std::io::stdin().lock());
    }
    match open(path) {
        Err(Problem::NotRegular) => spool::spool(File::open(path)?),
        opened => opened,
    }
}

#[cfg(test)]
mod tests;
