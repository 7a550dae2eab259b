//! FLAC's stream information and frame headers (RFC 9639 sections 8.2 and 9.1), and where a frame
//! ends: nothing says so but the checksum and the next header.

use crate::audio_file::bytes::Bytes;
use crate::audio_file::error::AudioFileError;

pub(in crate::audio_file) const STREAM_INFO_BYTES: usize = 34;

/// What the first metadata block says.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::audio_file) struct StreamInfo {
    /// The block as it is, for the decoder.
    pub block: [u8; STREAM_INFO_BYTES],
    /// Samples of one channel in each frame but the last, if that number is fixed.
    max_block: u64,
    pub sample_rate_hz: u32,
    pub channels: usize,
    bits: u32,
    /// Samples of one channel; absent where the encoder did not know.
    pub total: Option<u64>,
}

impl StreamInfo {
    pub fn parse(block: &[u8]) -> Result<Self, AudioFileError> {
        let block: [u8; STREAM_INFO_BYTES] = block
            .get(..STREAM_INFO_BYTES)
            .and_then(|block| block.try_into().ok())
            .ok_or(AudioFileError::NoSamples)?;
        // 20 bits of rate, 3 of channels, 5 of bits a sample, 36 of length.
        let fields = block[10..18]
            .iter()
            .fold(0_u64, |fields, byte| fields << 8 | u64::from(*byte));
        let total = fields & 0xf_ffff_ffff;
        let info = Self {
            max_block: u64::from(u16::from_be_bytes([block[2], block[3]])),
            sample_rate_hz: (fields >> 44) as u32,
            channels: (fields >> 41 & 7) as usize + 1,
            bits: (fields >> 36 & 31) as u32 + 1,
            total: (total > 0).then_some(total),
            block,
        };
        if !(1000..=768_000).contains(&info.sample_rate_hz) || info.max_block < 16 {
            return Err(AudioFileError::Broken(
                "its stream information makes no sense".into(),
            ));
        }
        Ok(info)
    }

    /// No frame is longer: samples as they are, and headers.
    fn max_frame_bytes(&self, samples: u64) -> usize {
        samples as usize * self.channels * (self.bits as usize + 1) / 8 + 64 + 8 * self.channels
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audio_file) struct FrameHeader {
    /// Number of its first sample.
    pub first: u64,
    pub samples: u64,
}

impl FrameHeader {
    pub fn end(&self) -> u64 {
        self.first + self.samples
    }

    /// A header that fits the stream.
    pub fn parse(head: &[u8], info: &StreamInfo) -> Option<Self> {
        let &[sync, strategy, sizes, format, ..] = head else {
            return None;
        };
        if sync != 0xff || strategy & 0xfe != 0xf8 || format & 1 != 0 {
            return None;
        }
        let (number, mut at) = coded_number(head.get(4..)?)?;
        at += 4;
        let mut take = |bytes: usize| {
            let value = head.get(at..at + bytes)?;
            at += bytes;
            Some(
                value
                    .iter()
                    .fold(0_u64, |v, byte| v << 8 | u64::from(*byte)),
            )
        };
        let samples = match sizes >> 4 {
            0 => return None,
            1 => 192,
            code @ 2..=5 => 576 << (code - 2),
            6 => take(1)? + 1,
            7 => take(2)? + 1,
            code => 256 << (code - 8),
        };
        let rate_hz = match sizes & 15 {
            0 => u64::from(info.sample_rate_hz),
            code @ 1..=11 => [
                88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000,
                96_000,
            ][usize::from(code) - 1],
            12 => take(1)? * 1000,
            13 => take(2)?,
            14 => take(2)? * 10,
            _ => return None,
        };
        let channels = match format >> 4 {
            count @ 0..=7 => usize::from(count) + 1,
            8..=10 => 2,
            _ => return None,
        };
        let bits = match format >> 1 & 7 {
            0 => info.bits,
            code => [8, 12, 0, 16, 20, 24, 32][usize::from(code) - 1],
        };
        let fits = rate_hz == u64::from(info.sample_rate_hz)
            && channels == info.channels
            && bits == info.bits
            && samples <= info.max_block;
        if !fits || crc8(&head[..at]) != *head.get(at)? {
            return None;
        }
        let is_fixed = strategy & 1 == 0;
        let first = if is_fixed {
            number.checked_mul(info.max_block)?
        } else {
            number
        };
        Some(Self { first, samples })
    }
}

/// A number coded like a character of UTF-8, and its length.
fn coded_number(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = match first.leading_ones() {
        0 => return Some((u64::from(first), 1)),
        ones @ 2..=7 => ones as usize,
        _ => return None,
    };
    let mut number = u64::from(first & (0x7f_u8 >> length));
    for byte in bytes.get(1..length)? {
        if byte >> 6 != 2 {
            return None;
        }
        number = number << 6 | u64::from(byte & 0x3f);
    }
    Some((number, length))
}

/// Longest frame header.
const MAX_HEADER_BYTES: usize = 16;

/// The header at `position`, if one is there.
pub(super) fn header_at(
    bytes: &mut Bytes<'_>,
    position: u64,
    info: &StreamInfo,
) -> Result<Option<FrameHeader>, AudioFileError> {
    Ok(FrameHeader::parse(
        bytes.at(position, MAX_HEADER_BYTES)?,
        info,
    ))
}

/// The first header in `from..to` that `fits`.
pub(super) fn find_header(
    bytes: &mut Bytes<'_>,
    info: &StreamInfo,
    (from, to): (u64, u64),
    fits: impl Fn(&FrameHeader) -> bool,
) -> Result<Option<(u64, FrameHeader)>, AudioFileError> {
    const WINDOW: usize = 1 << 14;
    let mut position = from;
    while position < to {
        let window = bytes.at(position, WINDOW + MAX_HEADER_BYTES)?;
        let starts = window.len().min(WINDOW);
        if starts == 0 {
            break;
        }
        for at in 0..starts {
            if window[at] == 0xff
                && let Some(header) = FrameHeader::parse(&window[at..], info)
                && position + (at as u64) < to
                && fits(&header)
            {
                return Ok(Some((position + at as u64, header)));
            }
        }
        position += starts as u64;
    }
    Ok(None)
}

/// Where a frame ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameEnd {
    pub position: u64,
    /// Bytes that hold all of it, and perhaps more.
    pub packet_bytes: usize,
    /// Its checksum is right.
    pub is_whole: bool,
}

/// The end of the frame at `position`: where its checksum comes out right and the next frame or the
/// end of the file is; or else where the next frame begins; or else where the checksum came out
/// right first (which may be by chance).
pub(super) fn frame_end(
    bytes: &mut Bytes<'_>,
    position: u64,
    header: FrameHeader,
    info: &StreamInfo,
) -> Result<FrameEnd, AudioFileError> {
    let most = info.max_frame_bytes(header.samples);
    let frame = bytes.at(position, most + MAX_HEADER_BYTES)?;
    let file_end = frame.len() < most + MAX_HEADER_BYTES;
    let (mut crc, mut right) = (0_u16, None);
    let end = |at: usize, packet_bytes, is_whole| FrameEnd {
        position: position + at as u64,
        packet_bytes,
        is_whole,
    };
    for at in 0..frame.len() {
        if at > 8
            && frame[at] == 0xff
            && let Some(next) = FrameHeader::parse(&frame[at..], info)
            && (crc == 0 || next.first == header.end())
        {
            return Ok(end(at, at, crc == 0));
        }
        crc = crc << 8 ^ CRC16[usize::from((crc >> 8) as u8 ^ frame[at])];
        if crc == 0 && at > 8 && right.is_none() {
            right = Some(at + 1);
        }
    }
    Ok(match right {
        _ if crc == 0 && file_end => end(frame.len(), frame.len(), true),
        Some(at) => end(at, frame.len(), true),
        None => end(8, frame.len(), false),
    })
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| {
            crc << 1 ^ if crc & 0x80 != 0 { 0x07 } else { 0 }
        })
    })
}

const CRC16: [u16; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = crc << 1 ^ if crc & 0x8000 != 0 { 0x8005 } else { 0 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};
