//! Audio files to mono PCM in `[-1, 1]`, from any seekable source of bytes.
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
#[cfg(test)]
mod tests;
mod wav;

use std::io::{Read, Seek, SeekFrom};

pub use error::AudioFileError;
use sink::MonoSink;

/// An open file, or bytes in memory behind a [`std::io::Cursor`].
pub trait AudioSource: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> AudioSource for T {}

type Source<'a> = &'a mut (dyn AudioSource + 'a);

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

/// Which part of a file to decode, and into what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    pub offset_secs: f64,
    /// Absent: to the end.
    pub duration_secs: Option<f64>,
    /// Rate of the result; absent: the file's own.
    pub rate_hz: Option<u32>,
    /// More than this is an error, found before memory is taken for it where the header says how
    /// long the file is.
    pub max_secs: f64,
}

/// Mono samples and their rate.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedAudio {
    pub samples: Vec<f32>,
    pub sample_rate_hz: u32,
}

/// Decodes a stretch.
///
/// # Errors
/// What is no audio, has no samples, ends before its header says, is longer than allowed, or has
/// nothing at the offset.
pub fn decode(
    source: &mut dyn AudioSource,
    stretch: &Stretch,
) -> Result<DecodedAudio, AudioFileError> {
    let (kind, num_bytes) = look(source)?;
    let mut sink = MonoSink::new(stretch.rate_hz, stretch.max_secs);
    let (offset_secs, duration_secs) = (stretch.offset_secs, stretch.duration_secs);
    match kind {
        Kind::Wav => {
            let layout = wav::read_layout(source, num_bytes)?;
            layout.decode(source, offset_secs, duration_secs, &mut sink)?;
        }
        Kind::Sphere => {
            let layout = sphere::read_layout(source, num_bytes)?;
            layout.decode(source, offset_secs, duration_secs, &mut sink)?;
        }
        Kind::Other => {
            compressed::decode(source, num_bytes, offset_secs, duration_secs, &mut sink)?;
        }
    }
    sink.finish()?;
    Ok(DecodedAudio {
        sample_rate_hz: sink.rate_hz(),
        samples: sink.into_samples(),
    })
}

/// Reads only what is needed to know rate, channels and duration.
///
/// # Errors
/// As [`decode`], as far as the header can tell.
pub fn read_info(source: &mut dyn AudioSource) -> Result<AudioInfo, AudioFileError> {
    let (kind, num_bytes) = look(source)?;
    match kind {
        Kind::Wav => wav::read_layout(source, num_bytes)?.info("wav"),
        Kind::Sphere => sphere::read_layout(source, num_bytes)?.info("sphere"),
        Kind::Other => compressed::read_info(source, num_bytes),
    }
}

enum Kind {
    Wav,
    Sphere,
    Other,
}

/// Looks at the first bytes, and how many there are.
fn look(source: Source<'_>) -> Result<(Kind, u64), AudioFileError> {
    let num_bytes = source.seek(SeekFrom::End(0))?;
    if num_bytes == 0 {
        return Err(AudioFileError::Empty);
    }
    source.seek(SeekFrom::Start(0))?;
    let mut head = Vec::with_capacity(12);
    source.take(12).read_to_end(&mut head)?;
    let kind = if wav::is_wav(&head) {
        Kind::Wav
    } else if sphere::is_sphere(&head) {
        Kind::Sphere
    } else {
        Kind::Other
    };
    Ok((kind, num_bytes))
}
