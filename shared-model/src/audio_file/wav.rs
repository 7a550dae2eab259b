//! The RIFF/WAVE header. Sizes in it are often wrong (streamed files), so only the data chunk's is
//! used, and only where it can be meant.

use std::io::{Read, SeekFrom};

use super::Source;
use super::error::AudioFileError;
use super::pcm::{PcmLayout, SampleKind};

/// Sizes from here on are what programs write that cannot know the size yet.
const PLACEHOLDER_BYTES: u64 = 0x7fff_0000;
const MAX_CHUNKS: usize = 10_000;

pub(super) fn is_wav(head: &[u8]) -> bool {
    head.len() >= 12
        && (head.starts_with(b"RIFF") || head.starts_with(b"RF64"))
        && &head[8..12] == b"WAVE"
}

/// Walks the chunks up to the samples.
pub(super) fn read_layout(
    source: Source<'_>,
    file_bytes: u64,
) -> Result<PcmLayout, AudioFileError> {
    let mut position = 12;
    let mut format = None;
    let mut long_data_bytes = None;
    for _ in 0..MAX_CHUNKS {
        if position + 8 > file_bytes {
            break;
        }
        source.seek(SeekFrom::Start(position))?;
        let mut head = [0_u8; 8];
        source.read_exact(&mut head)?;
        let (id, size) = head.split_at(4);
        let size = u64::from(u32::from_le_bytes([size[0], size[1], size[2], size[3]]));
        let body = position + 8;
        match id {
            b"fmt " => {
                let mut bytes = Vec::new();
                source.take(size.min(64)).read_to_end(&mut bytes)?;
                format = Some(read_format(&bytes)?);
            }
            b"ds64" => {
                let mut bytes = Vec::new();
                source.take(size.min(64)).read_to_end(&mut bytes)?;
                long_data_bytes = bytes
                    .get(8..16)
                    .and_then(|b| b.try_into().ok())
                    .map(u64::from_le_bytes);
            }
            b"data" => {
                let (kind, channels, sample_rate_hz) = format
                    .ok_or_else(|| AudioFileError::Broken("samples before the format".into()))?;
                let declared = match long_data_bytes {
                    Some(long) if size == u64::from(u32::MAX) => long,
                    _ => size,
                };
                let there = file_bytes - body;
                let unknown = (declared >= PLACEHOLDER_BYTES && declared > there)
                    || (declared == 0 && there > 0 && !chunk_follows(source, body)?);
                return Ok(PcmLayout {
                    kind,
                    big_endian: false,
                    channels,
                    sample_rate_hz,
                    data_offset: body,
                    data_bytes: if unknown { there } else { there.min(declared) },
                    declared_bytes: (!unknown).then_some(declared),
                });
            }
            _ => {}
        }
        position = body.saturating_add(size).saturating_add(size & 1);
    }
    Err(AudioFileError::NoSamples)
}

/// Whether the bytes at `position` look like the name of a further chunk.
fn chunk_follows(source: Source<'_>, position: u64) -> Result<bool, AudioFileError> {
    source.seek(SeekFrom::Start(position))?;
    let mut id = Vec::new();
    source.take(4).read_to_end(&mut id)?;
    Ok(id.len() == 4 && id.iter().all(|b| b.is_ascii_alphanumeric() || *b == b' '))
}

/// Kind of samples, channels and rate of a `fmt ` chunk.
fn read_format(bytes: &[u8]) -> Result<(SampleKind, usize, u32), AudioFileError> {
    let short = |at: usize| {
        bytes
            .get(at..at + 2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
            .ok_or_else(|| AudioFileError::Broken("its format chunk is too short".into()))
    };
    let channels = usize::from(short(2)?);
    let sample_rate_hz = u32::from(short(4)?) | (u32::from(short(6)?) << 16);
    let block_bytes = usize::from(short(12)?);
    let bits = short(14)?;
    // The first two bytes of an extensible header's format GUID are the tag proper.
    let tag = match short(0)? {
        0xfffe => short(24)?,
        tag => tag,
    };
    if channels == 0 || block_bytes == 0 || block_bytes % channels != 0 {
        return Err(AudioFileError::Broken(format!(
            "{channels} channels in blocks of {block_bytes} bytes"
        )));
    }
    let kind = match (tag, block_bytes / channels) {
        (1, 1) => SampleKind::U8,
        (1, 2) => SampleKind::I16,
        (1, 3) => SampleKind::I24,
        (1, 4) => SampleKind::I32,
        (3, 4) => SampleKind::F32,
        (3, 8) => SampleKind::F64,
        (6, 1) => SampleKind::ALaw,
        (7, 1) => SampleKind::MuLaw,
        _ => {
            return Err(AudioFileError::Unsupported(format!(
                "wav codec {tag:#06x} with {bits} bits is not known (PCM, float, A-law and mu-law are)"
            )));
        }
    };
    Ok((kind, channels, sample_rate_hz))
}
