//! Audio files on disk to mono PCM in `[-1, 1]`, by [`shared_model::audio_file`].

mod error;

use std::fs::File;
use std::path::Path;

use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::audio_file::{self as decoding, DecodedAudio, Stretch};

pub use decoding::AudioInfo;
pub use error::AudioFileError;
use error::{Problem, without_panic};

/// The longest stretch of audio that is decoded in one piece.
pub const MAX_SECONDS: f64 = 4.0 * 3600.0;

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
    let stretch = Stretch {
        offset_secs,
        duration_secs,
        rate_hz: Some(SAMPLE_RATE_HZ),
        ..WHOLE
    };
    Ok(decode(path, &stretch)?.samples)
}

/// Reads only what is needed to know rate, channels and duration.
pub fn read_info(path: &Path) -> Result<AudioInfo, AudioFileError> {
    let read = || {
        let mut file = open(path)?;
        Ok(without_panic(|| decoding::read_info(&mut file))?)
    };
    read().map_err(|problem: Problem| problem.in_file(path))
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

#[cfg(test)]
mod tests;
