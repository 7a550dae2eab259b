//! Audio files to mono PCM in `[-1, 1]`.
//!
//! WAV and NIST SPHERE hold plain samples and are read here; FLAC, Ogg Vorbis and MP3 are decoded by
//! symphonia. The kind of a file is decided by its content, never by its name. Memory is bounded
//! by the mono result: channels are mixed and rates converted block by block.

mod compressed;
mod error;
mod mp3_frames;
mod pcm;
mod sink;
mod sphere;
mod wav;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use shared_model::audio::SAMPLE_RATE_HZ;

pub use error::AudioFileError;
use error::{Problem, without_panic};
use sink::MonoSink;

/// The longest stretch of audio that is decoded in one piece.
pub const MAX_SECONDS: f64 = 4.0 * 3600.0;

/// What the header of a file says.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioInfo {
    /// `wav`, `sphere`, `flac`, `ogg` or `mp3`.
    pub container: &'static str,
    pub sample_rate_hz: u32,
    pub channels: usize,
    /// Absent where only decoding can tell (a streamed FLAC).
    pub duration_secs: Option<f64>,
}

/// Decodes a whole file to mono at its own rate.
///
/// # Errors
/// A file that is missing, no audio, without samples, or that ends before its header says.
pub fn decode_file(path: &Path) -> Result<(Vec<f32>, u32), AudioFileError> {
    let mut sink = MonoSink::at_source_rate();
    decode_into(path, 0.0, None, &mut sink)?;
    let rate_hz = sink.source_rate_hz();
    Ok((sink.into_samples(), rate_hz))
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
    let mut sink = MonoSink::at_rate(SAMPLE_RATE_HZ);
    decode_into(path, offset_secs, duration_secs, &mut sink)?;
    Ok(sink.into_samples())
}

/// Reads only what is needed to know rate, channels and duration.
pub fn read_info(path: &Path) -> Result<AudioInfo, AudioFileError> {
    let in_file = |problem: Problem| problem.in_file(path);
    let (mut file, kind, bytes) = open(path)?;
    without_panic(|| match kind {
        Kind::Wav => wav::read_layout(&mut file, bytes)?.info("wav"),
        Kind::Sphere => sphere::read_layout(&mut file, bytes)?.info("sphere"),
        Kind::Other => compressed::read_info(file, bytes),
    })
    .map_err(in_file)
}

fn decode_into(
    path: &Path,
    offset_secs: f64,
    duration_secs: Option<f64>,
    sink: &mut MonoSink,
) -> Result<(), AudioFileError> {
    let in_file = |problem: Problem| problem.in_file(path);
    let (mut file, kind, bytes) = open(path)?;
    without_panic(|| {
        match kind {
            Kind::Wav => {
                let layout = wav::read_layout(&mut file, bytes)?;
                layout.decode(file, offset_secs, duration_secs, sink)?;
            }
            Kind::Sphere => {
                let layout = sphere::read_layout(&mut file, bytes)?;
                layout.decode(file, offset_secs, duration_secs, sink)?;
            }
            Kind::Other => compressed::decode(file, bytes, offset_secs, duration_secs, sink)?,
        }
        sink.finish()
    })
    .map_err(in_file)
}

enum Kind {
    Wav,
    Sphere,
    Other,
}

/// Opens a regular, non-empty file and looks at its first bytes.
fn open(path: &Path) -> Result<(File, Kind, u64), AudioFileError> {
    let in_file = |problem: Problem| problem.in_file(path);
    let metadata = std::fs::metadata(path).map_err(|e| in_file(e.into()))?;
    if metadata.is_dir() {
        return Err(in_file(Problem::Folder));
    }
    if !metadata.is_file() {
        return Err(in_file(Problem::NotRegular));
    }
    if metadata.len() == 0 {
        return Err(in_file(Problem::Empty));
    }
    let mut file = File::open(path).map_err(|e| in_file(e.into()))?;
    let mut head = Vec::with_capacity(12);
    file.by_ref()
        .take(12)
        .read_to_end(&mut head)
        .and_then(|_| file.seek(SeekFrom::Start(0)))
        .map_err(|e| in_file(e.into()))?;
    let kind = if wav::is_wav(&head) {
        Kind::Wav
    } else if sphere::is_sphere(&head) {
        Kind::Sphere
    } else {
        Kind::Other
    };
    Ok((file, kind, metadata.len()))
}

#[cfg(test)]
mod tests;
