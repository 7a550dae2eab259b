//! A walk over the frame headers of an MP3 file. It gives the exact length without decoding, and
//! finds files that were cut short: the stream itself has no end mark.
//!
//! Header layout: ISO/IEC 11172-3 section 2.4.1.3 and 13818-3; the Xing/Info tag is a convention of
//! encoders.

use std::io::{BufReader, Read, Seek, SeekFrom};

use super::Source;
use super::error::AudioFileError;

/// What the walk found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mp3Scan {
    pub sample_rate_hz: u32,
    pub channels: usize,
    /// Whole frames of audio, without the tag frame.
    pub frames: u64,
    pub samples_per_frame: u64,
    /// Frames that the Xing/Info tag promises.
    pub declared_frames: Option<u64>,
    /// The last frame is not all there, or the tag's number of bytes is not.
    pub is_cut: bool,
}

impl Mp3Scan {
    pub fn secs(&self, frames: u64) -> f64 {
        (frames * self.samples_per_frame) as f64 / f64::from(self.sample_rate_hz)
    }

    /// An error for a file that ends early.
    pub fn check(&self) -> Result<(), AudioFileError> {
        match self.declared_frames {
            Some(declared)
                if declared > self.frames + 1 || (declared > self.frames && self.is_cut) =>
            {
                Err(AudioFileError::Truncated {
                    got_secs: self.secs(self.frames),
                    expected_secs: self.secs(declared),
                })
            }
            None if self.is_cut => Err(AudioFileError::CutShort {
                got_secs: self.secs(self.frames),
            }),
            _ if self.frames == 0 => Err(AudioFileError::NoSamples),
            _ => Ok(()),
        }
    }
}

struct FrameHeader {
    mpeg1: bool,
    mono: bool,
    has_crc: bool,
    sample_rate_hz: u32,
    frame_bytes: u64,
}

impl FrameHeader {
    /// Layer III headers only.
    fn parse(word: [u8; 4]) -> Option<Self> {
        const KBIT_MPEG1: [u64; 15] = [
            0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
        ];
        const KBIT_MPEG2: [u64; 15] =
            [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
        let [sync, b, c, d] = word;
        let version = (b >> 3) & 3;
        if sync != 0xff || b & 0xe0 != 0xe0 || version == 1 || (b >> 1) & 3 != 1 {
            return None;
        }
        let mpeg1 = version == 3;
        let base_hz = *[44_100_u32, 48_000, 32_000].get(usize::from((c >> 2) & 3))?;
        let sample_rate_hz = match version {
            3 => base_hz,
            2 => base_hz / 2,
            _ => base_hz / 4,
        };
        let table = if mpeg1 { &KBIT_MPEG1 } else { &KBIT_MPEG2 };
        let kbit = *table.get(usize::from(c >> 4)).filter(|kbit| **kbit > 0)?;
        let slots = if mpeg1 { 144_000 } else { 72_000 };
        Some(Self {
            mpeg1,
            mono: d >> 6 == 3,
            has_crc: b & 1 == 0,
            sample_rate_hz,
            frame_bytes: slots * kbit / u64::from(sample_rate_hz) + u64::from((c >> 1) & 1),
        })
    }

    fn is_like(&self, other: &Self) -> bool {
        self.mpeg1 == other.mpeg1 && self.sample_rate_hz == other.sample_rate_hz
    }

    /// Where the Xing/Info tag would be, from the frame's start.
    fn tag_offset(&self) -> usize {
        let side = match (self.mpeg1, self.mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        };
        4 + side + if self.has_crc { 2 } else { 0 }
    }
}

/// Walks from the first frame to the end. Tags before, between and after frames are stepped over.
pub(super) fn scan(source: Source<'_>, file_bytes: u64) -> Result<Mp3Scan, AudioFileError> {
    let mut reader = BufReader::with_capacity(1 << 16, source);
    reader.seek(SeekFrom::Start(0))?;
    let mut position = 0_u64;
    let mut first: Option<FrameHeader> = None;
    let mut tag = XingTag::default();
    let mut first_position = 0;
    let (mut frames, mut is_cut, mut lost) = (0_u64, false, 0_u64);
    while position + 4 <= file_bytes {
        let mut word = [0_u8; 4];
        reader.read_exact(&mut word)?;
        let header = FrameHeader::parse(word)
            .filter(|header| first.as_ref().is_none_or(|first| first.is_like(header)));
        let Some(header) = header else {
            let skip = tag_bytes(&mut reader, word, file_bytes - position)?;
            lost += u64::from(skip == 1);
            position += skip;
            reader.seek(SeekFrom::Start(position))?;
            continue;
        };
        let end = position + header.frame_bytes;
        if end > file_bytes {
            // A stray sync pattern in trailing junk is not a frame that was cut.
            is_cut = lost < 4 || frames == 0;
            break;
        }
        let body = header.frame_bytes - 4;
        if frames == 0 && first.is_none() {
            let mut bytes = vec![0_u8; body as usize];
            reader.read_exact(&mut bytes)?;
            if !follows_frame(&mut reader, &header, file_bytes - end)? {
                position += 1;
                reader.seek(SeekFrom::Start(position))?;
                continue;
            }
            let found = XingTag::find(&bytes, header.tag_offset() - 4);
            first_position = position;
            frames = u64::from(found.is_none());
            tag = found.unwrap_or_default();
            first = Some(header);
        } else {
            reader.seek_relative(body as i64)?;
            frames += 1;
        }
        lost = 0;
        position = end;
    }
    let first = first.ok_or(AudioFileError::Unrecognised)?;
    if let Some(bytes) = tag.bytes {
        is_cut |= first_position + bytes > file_bytes;
    }
    Ok(Mp3Scan {
        sample_rate_hz: first.sample_rate_hz,
        channels: if first.mono { 1 } else { 2 },
        frames,
        samples_per_frame: if first.mpeg1 { 1152 } else { 576 },
        declared_frames: tag.frames,
        is_cut,
    })
}

/// Whether a like frame (or the end of the file, or a tag) comes next. Leaves the reader in place.
fn follows_frame(
    reader: &mut BufReader<Source<'_>>,
    header: &FrameHeader,
    bytes_left: u64,
) -> Result<bool, AudioFileError> {
    if bytes_left < 4 {
        return Ok(true);
    }
    let mut word = [0_u8; 4];
    reader.read_exact(&mut word)?;
    reader.seek_relative(-4)?;
    Ok(
        FrameHeader::parse(word).is_some_and(|next| header.is_like(&next))
            || &word[..3] == b"TAG"
            || &word == b"APET",
    )
}

/// Length of the tag that begins with `word`, or 1 for a byte of junk.
fn tag_bytes(
    reader: &mut BufReader<Source<'_>>,
    word: [u8; 4],
    bytes_left: u64,
) -> Result<u64, AudioFileError> {
    if &word[..3] == b"ID3" {
        let mut rest = Vec::new();
        reader.take(6).read_to_end(&mut rest)?;
        if let &[_, flags, a, b, c, d] = rest.as_slice() {
            let size = [a, b, c, d]
                .iter()
                .fold(0_u64, |size, byte| (size << 7) | u64::from(byte & 0x7f));
            let footer = if flags & 0x10 != 0 { 10 } else { 0 };
            return Ok(10 + size + footer);
        }
    }
    if &word[..3] == b"TAG" && bytes_left <= 128 {
        return Ok(bytes_left);
    }
    if &word == b"APET" || &word == b"LYRI" {
        // These stand at the end, after the last frame.
        return Ok(bytes_left);
    }
    Ok(1)
}

#[derive(Debug, Default)]
struct XingTag {
    frames: Option<u64>,
    bytes: Option<u64>,
}

impl XingTag {
    fn find(body: &[u8], offset: usize) -> Option<Self> {
        let tag = body.get(offset..)?;
        if !tag.starts_with(b"Xing") && !tag.starts_with(b"Info") {
            return None;
        }
        let word = |at: usize| {
            tag.get(at..at + 4)
                .map(|b| u64::from(u32::from_be_bytes([b[0], b[1], b[2], b[3]])))
        };
        let flags = word(4)?;
        let has_frames = flags & 1 != 0;
        Some(Self {
            frames: has_frames.then(|| word(8)).flatten(),
            bytes: (flags & 2 != 0)
                .then(|| word(if has_frames { 12 } else { 8 }))
                .flatten(),
        })
    }
}
