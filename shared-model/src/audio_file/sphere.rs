//! NIST SPHERE headers (`.sph`, TED-LIUM): 1024 bytes of `key -type value` lines, then samples.

use super::bytes::Bytes;
use super::error::AudioFileError;
use super::pcm::{PcmDecoder, PcmLayout, SampleKind};

const MAX_HEADER_BYTES: u64 = 1 << 16;

pub(super) fn is_sphere(head: &[u8]) -> bool {
    head.starts_with(b"NIST_1A\n")
}

pub(super) fn open(mut bytes: Bytes<'_>, start: u64) -> Result<PcmDecoder<'_>, AudioFileError> {
    let layout = read_layout(&mut bytes, start)?;
    PcmDecoder::new(bytes, layout, "sphere", false)
}

fn read_layout(bytes: &mut Bytes<'_>, start: u64) -> Result<PcmLayout, AudioFileError> {
    let broken = |reason: &str| AudioFileError::Broken(reason.to_owned());
    let header_bytes: u64 = bytes
        .at(start, 16)?
        .get(8..16)
        .and_then(|b| std::str::from_utf8(b).ok())
        .and_then(|text| text.trim().parse().ok())
        .filter(|bytes| (16..=MAX_HEADER_BYTES).contains(bytes))
        .ok_or_else(|| broken("its SPHERE header has no size"))?;
    let header = bytes.at(start + 16, header_bytes as usize - 16)?;
    let header = String::from_utf8_lossy(header).into_owned();
    let value = |key: &str| {
        header
            .lines()
            .take_while(|line| line.trim() != "end_head")
            .map(|line| line.splitn(3, ' '))
            .find_map(|mut words| (words.next()? == key).then(|| words.nth(1).map(str::trim))?)
    };
    let number = |key: &str| value(key).and_then(|v| v.parse::<u64>().ok());
    let coding = value("sample_coding").unwrap_or("pcm");
    let width = number("sample_n_bytes").unwrap_or(2);
    let kind = match (coding, width) {
        ("pcm", 1) => SampleKind::U8,
        ("pcm", 2) => SampleKind::I16,
        ("pcm", 3) => SampleKind::I24,
        ("pcm", 4) => SampleKind::I32,
        ("alaw", 1) => SampleKind::ALaw,
        ("ulaw" | "mu-law", 1) => SampleKind::MuLaw,
        _ => {
            return Err(AudioFileError::Unsupported(format!(
                "SPHERE coding \"{coding}\" with {width} bytes a sample is not known; \
                 convert it with sph2pipe or sox"
            )));
        }
    };
    let channels = number("channel_count").unwrap_or(1).min(1000) as usize;
    let sample_rate_hz = number("sample_rate")
        .and_then(|rate| u32::try_from(rate).ok())
        .ok_or_else(|| broken("its SPHERE header has no sample_rate"))?;
    let there = bytes.len().saturating_sub(start + header_bytes);
    let declared = number("sample_count")
        .filter(|count| *count > 0)
        .map(|count| count.saturating_mul(channels as u64 * width));
    Ok(PcmLayout {
        kind,
        big_endian: value("sample_byte_format") == Some("10"),
        channels,
        sample_rate_hz,
        data_offset: start + header_bytes,
        data_bytes: declared.map_or(there, |declared| there.min(declared)),
        declared_bytes: declared,
    })
}
