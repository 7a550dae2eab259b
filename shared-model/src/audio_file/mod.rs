//! Audio files to mono PCM in `[-1, 1]`, from any seekable source of bytes.
//!
//! The kind of a file is decided by its content, never by its name. Files are taken apart here
//! (WAV, SPHERE, MP3, FLAC, Ogg), so that damage, tags and odd headers cost no more than they must;
//! packets of MP3, FLAC and Vorbis are decoded by symphonia. With the feature `audio-file-all`,
//! Opus and the other containers that symphonia knows (MP4, Matroska, AIFF, CAF, ADTS) are read,
//! too.
//!
//! [`AudioBlocks`](crate::audio_file::AudioBlocks) decodes in bounded memory,
//! [`decode`](crate::audio_file::decode()) into one piece.

mod blocks;
mod bytes;
mod codec;
#[cfg(feature = "audio-file-all")]
mod container;
mod decoder;
mod error;
mod flac;
mod mixer;
mod mono;
mod mp3;
mod notice;
mod ogg;
#[cfg(feature = "audio-file-all")]
mod opus;
mod pcm;
mod sphere;
mod tags;
#[cfg(test)]
mod tests;
mod wav;

pub use blocks::AudioBlocks;
use bytes::Bytes;
pub use decoder::{AudioInfo, AudioSource};
use decoder::{Block, Decoder, Source};
pub use error::AudioFileError;
pub use notice::AudioNotice;

/// Which part of a file to decode, and into what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// Where it begins.
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
    /// One channel, in `[-1, 1]`.
    pub samples: Vec<f32>,
    /// As asked for, or the file's own.
    pub sample_rate_hz: u32,
    /// What its user should know of it.
    pub notices: Vec<AudioNotice>,
}

/// Decodes a stretch into one piece.
///
/// # Errors
/// What is no audio, has no samples, ends before its header says, is longer than allowed, or has
/// nothing at the offset.
pub fn decode(
    source: &mut dyn AudioSource,
    stretch: &Stretch,
) -> Result<DecodedAudio, AudioFileError> {
    let mut blocks = AudioBlocks::open(source, stretch)?;
    let mut samples = Vec::new();
    // Space for no more than the longest that is allowed: a longer file was refused.
    samples.reserve_exact(blocks.expected_samples().unwrap_or(0));
    while let Some(block) = blocks.next_block()? {
        samples.extend_from_slice(block);
    }
    Ok(DecodedAudio {
        samples,
        sample_rate_hz: blocks.sample_rate_hz(),
        notices: blocks.notices().to_vec(),
    })
}

/// Reads only what is needed to know rate, channels and duration: the verdict and the duration of
/// [`decode`], without decoding.
///
/// # Errors
/// As [`decode`], as far as the structure of the file can tell.
pub fn read_info(source: &mut dyn AudioSource) -> Result<AudioInfo, AudioFileError> {
    Ok(open(Box::new(source))?.info())
}

/// Bytes that containers begin with which are not read here.
fn is_foreign_container(head: &[u8]) -> bool {
    let form = |kind: &[u8]| head.starts_with(kind);
    head.get(4..8) == Some(b"ftyp")
        || form(b"\x1a\x45\xdf\xa3")
        || form(b"FORM")
        || form(b"caff")
        || form(b"RIFF")
}

/// AAC in its plainest wrapping: twelve set bits, and the layer of no MPEG audio.
fn is_adts(head: &[u8]) -> bool {
    matches!(head, [0xff, second, ..] if second & 0xf6 == 0xf0)
}

/// Decides by the first bytes after tags what the file is.
fn open<'s>(source: Source<'s>) -> Result<Box<dyn Decoder + 's>, AudioFileError> {
    let mut bytes = Bytes::new(source)?;
    if bytes.len() == 0 {
        return Err(AudioFileError::Empty);
    }
    let start = tags::skip_leading(&mut bytes)?;
    let head = bytes.at(start, 16)?.to_vec();
    if wav::is_wav(&head) {
        return Ok(Box::new(wav::open(bytes, start)?));
    }
    if sphere::is_sphere(&head) {
        return Ok(Box::new(sphere::open(bytes, start)?));
    }
    if head.starts_with(b"fLaC") {
        return Ok(Box::new(flac::open(bytes, start)?));
    }
    if head.starts_with(b"OggS") {
        return Ok(Box::new(ogg::open(bytes, start)?));
    }
    if is_foreign_container(&head) {
        return open_foreign(bytes, start);
    }
    // A first header of MP3 with a wrong bit looks like AAC, but what follows it does not.
    match mp3::open(bytes, start)? {
        Ok(mp3) => Ok(Box::new(mp3)),
        Err(bytes) if is_adts(&head) => open_foreign(bytes, start),
        Err(_) => Err(AudioFileError::Unrecognised),
    }
}

#[cfg(feature = "audio-file-all")]
fn open_foreign<'s>(bytes: Bytes<'s>, start: u64) -> Result<Box<dyn Decoder + 's>, AudioFileError> {
    Ok(Box::new(container::open(bytes, start)?))
}

#[cfg(not(feature = "audio-file-all"))]
fn open_foreign<'s>(_: Bytes<'s>, _: u64) -> Result<Box<dyn Decoder + 's>, AudioFileError> {
    Err(AudioFileError::Unrecognised)
}
