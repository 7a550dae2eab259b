//! The RIFF/WAVE header. Sizes in it are often wrong (streamed files, careless programs), so each is
//! used only where it can be meant; what follows the header decides.

use super::bytes::Bytes;
use super::error::AudioFileError;
use super::pcm::{PcmDecoder, PcmLayout, SampleKind};

/// Sizes from here on are what programs write that cannot know the size yet.
const PLACEHOLDER_BYTES: u64 = 0x7fff_0000;
const MAX_CHUNKS: usize = 10_000;
/// How far the samples are looked for behind a chunk whose size is wrong.
const MAX_SEARCHED_BYTES: u64 = 1 << 20;
/// Chunks that stand before and after samples.
const KNOWN_CHUNKS: [&[u8; 4]; 24] = [
    b"fmt ", b"data", b"ds64", b"fact", b"LIST", b"bext", b"iXML", b"id3 ", b"ID3 ", b"JUNK",
    b"junk", b"PAD ", b"FLLR", b"PEAK", b"cue ", b"smpl", b"inst", b"cart", b"axml", b"chna",
    b"afsp", b"DISP", b"_PMX", b"minf",
];

pub(super) fn is_wav(head: &[u8]) -> bool {
    head.len() >= 12
        && [b"RIFF", b"RF64", b"BW64"].contains(&head[..4].as_array().unwrap_or(b"    "))
        && &head[8..12] == b"WAVE"
}

pub(super) fn open(mut bytes: Bytes<'_>, start: u64) -> Result<PcmDecoder<'_>, AudioFileError> {
    let layout = read_layout(&mut bytes, start)?;
    PcmDecoder::new(bytes, layout, "wav", true)
}

/// Walks the chunks up to the samples.
fn read_layout(bytes: &mut Bytes<'_>, start: u64) -> Result<PcmLayout, AudioFileError> {
    let mut position = start + 12;
    let mut format = None;
    let mut long_data_bytes = None;
    for _ in 0..MAX_CHUNKS {
        if position + 8 > bytes.len() {
            break;
        }
        let (id, size) = chunk_head(bytes, position)?;
        let body = position + 8;
        match &id {
            b"fmt " => format = Some(read_format(bytes.at(body, size.min(64) as usize)?)?),
            b"ds64" => long_data_bytes = Some(u64::from_le_bytes(bytes.array(body + 8)?)),
            b"data" => {
                let format = format
                    .ok_or_else(|| AudioFileError::Broken("samples before the format".into()))?;
                let declared = match long_data_bytes {
                    Some(long) if size == u64::from(u32::MAX) => long,
                    _ => size,
                };
                return data_layout(bytes, format, body, declared);
            }
            _ => {}
        }
        position = next_chunk(bytes, body, size)?;
    }
    Err(AudioFileError::NoSamples)
}

struct Format {
    kind: SampleKind,
    channels: usize,
    sample_rate_hz: u32,
}

fn data_layout(
    bytes: &mut Bytes<'_>,
    format: Format,
    body: u64,
    declared: u64,
) -> Result<PcmLayout, AudioFileError> {
    let there = bytes.len() - body;
    let is_unknown = (declared >= PLACEHOLDER_BYTES && declared > there)
        || (declared == 0 && there > 0 && !chunks_follow(bytes, body)?);
    Ok(PcmLayout {
        kind: format.kind,
        big_endian: false,
        channels: format.channels,
        sample_rate_hz: format.sample_rate_hz,
        data_offset: body,
        data_bytes: if is_unknown {
            there
        } else {
            there.min(declared)
        },
        declared_bytes: (!is_unknown).then_some(declared),
    })
}

fn chunk_head(bytes: &mut Bytes<'_>, position: u64) -> Result<([u8; 4], u64), AudioFileError> {
    let [a, b, c, d, size @ ..]: [u8; 8] = bytes.array(position)?;
    Ok(([a, b, c, d], u64::from(u32::from_le_bytes(size))))
}

/// Whether the rest of the file is chunks up to its very end: samples may begin with letters, but
/// their sizes would not fit.
fn chunks_follow(bytes: &mut Bytes<'_>, mut position: u64) -> Result<bool, AudioFileError> {
    for _ in 0..MAX_CHUNKS {
        if position + 8 > bytes.len() {
            break;
        }
        let (id, size) = chunk_head(bytes, position)?;
        let is_name = id.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
        position += 8 + size;
        if !is_name || position > bytes.len() + 1 {
            return Ok(false);
        }
        position += size & 1;
    }
    // A byte of padding may be missing or too much.
    Ok(position.abs_diff(bytes.len()) <= 2)
}

/// Where the chunk after a body of `size` bytes begins. Odd bodies are padded, but not by every
/// program; and a size that leads nowhere is not believed.
fn next_chunk(bytes: &mut Bytes<'_>, body: u64, size: u64) -> Result<u64, AudioFileError> {
    let end = body.saturating_add(size);
    let padded = end.saturating_add(size & 1);
    let mut is_known = |position: u64| -> Result<bool, AudioFileError> {
        let name: [u8; 4] = bytes.array(position)?;
        Ok(KNOWN_CHUNKS.contains(&&name))
    };
    if is_known(padded)? {
        return Ok(padded);
    }
    for near in [end, end + 1] {
        if is_known(near)? {
            return Ok(near);
        }
    }
    let name: [u8; 4] = bytes.array(padded)?;
    if name.iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
        return Ok(padded);
    }
    let to = (body + MAX_SEARCHED_BYTES).min(bytes.len());
    let found = [
        bytes.find(b"fmt ", body, to)?,
        bytes.find(b"data", body, to)?,
    ];
    Ok(found.into_iter().flatten().min().unwrap_or(padded))
}

/// Kind of samples, channels and rate of a `fmt ` chunk. The bits of a sample decide; block align
/// and byte rate follow from them and are not believed.
fn read_format(bytes: &[u8]) -> Result<Format, AudioFileError> {
    let short = |at: usize| {
        bytes
            .get(at..at + 2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
            .ok_or_else(|| AudioFileError::Broken("its format chunk is too short".into()))
    };
    let channels = usize::from(short(2)?);
    let sample_rate_hz = u32::from(short(4)?) | (u32::from(short(6)?) << 16);
    let block_bytes = usize::from(short(12)?);
    let bits = usize::from(short(14).unwrap_or(0));
    // The first two bytes of an extensible header's format GUID are the tag proper.
    let tag = match short(0)? {
        0xfffe => short(24)?,
        tag => tag,
    };
    if channels == 0 {
        return Err(AudioFileError::Broken("it has no channels".into()));
    }
    let by_block = block_bytes / channels;
    let by_bits = match bits {
        1..=64 => bits.div_ceil(8),
        _ => by_block,
    };
    let kind = match (tag, by_bits) {
        (1, 1) => SampleKind::U8,
        (1, 2) => SampleKind::I16,
        (1, 3) => SampleKind::I24,
        (1, 4) => SampleKind::I32,
        (3, 8) => SampleKind::F64,
        (3, _) => SampleKind::F32,
        (6, _) => SampleKind::ALaw,
        (7, _) => SampleKind::MuLaw,
        _ => {
            let codec = foreign_codec(tag, bits);
            return Err(AudioFileError::ForeignCodec { codec });
        }
    };
    Ok(Format {
        kind,
        channels,
        sample_rate_hz,
    })
}

/// Names of RFC 2361.
fn foreign_codec(tag: u16, bits: usize) -> String {
    let name = match tag {
        0x02 => "Microsoft ADPCM",
        0x11 => "IMA ADPCM",
        0x16 | 0x40 | 0x45 | 0x64 | 0x85 => "G.72x ADPCM",
        0x20 => "Yamaha ADPCM",
        0x31 => "GSM 6.10",
        0x22 => "TrueSpeech",
        0x42 => "G.723.1",
        0x50 => "MPEG audio of layer 1 or 2",
        0x55 => "MP3",
        0x161..=0x163 => "Windows Media Audio",
        0xff | 0x1600 | 0x1601 | 0x1610 => "AAC",
        0x2000 => "AC-3",
        _ => return format!("the wav codec {tag:#06x} with {bits} bits a sample"),
    };
    format!("{name} in a wav")
}
