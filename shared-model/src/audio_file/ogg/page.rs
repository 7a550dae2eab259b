//! Ogg's pages (RFC 3533 section 6).

use crate::audio_file::bytes::Bytes;
use crate::audio_file::error::AudioFileError;

const HEADER_BYTES: usize = 27;
/// Header, 255 sizes, and 255 segments of 255 bytes.
const MAX_PAGE_BYTES: usize = HEADER_BYTES + 255 + 255 * 255;

/// A page whose checksum is right.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page {
    pub position: u64,
    pub end: u64,
    /// Its first packet began on the page before.
    pub is_continued: bool,
    pub is_first: bool,
    pub is_last: bool,
    /// Place of the last packet that ends here; absent where none does, or where nobody counted.
    pub granule: Option<u64>,
    pub serial: u32,
    pub sequence: u32,
    /// Lengths of the segments.
    pub lacing: Vec<u8>,
    body: u64,
}

impl Page {
    /// The parts of packets that are here, and whether each ends here.
    pub fn parts(&self) -> Vec<(u64, usize, bool)> {
        let (mut parts, mut at, mut length) = (Vec::new(), self.body, 0_usize);
        for segment in &self.lacing {
            length += usize::from(*segment);
            if *segment < 255 {
                parts.push((at, length, true));
                at += length as u64;
                length = 0;
            }
        }
        if self.lacing.last() == Some(&255) {
            parts.push((at, length, false));
        }
        parts
    }

    fn parse(head: &[u8], position: u64) -> Option<Self> {
        let fixed: &[u8; HEADER_BYTES] = head.get(..HEADER_BYTES)?.as_array()?;
        if !fixed.starts_with(b"OggS\0") {
            return None;
        }
        let word = |at: usize| {
            u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]])
        };
        let granule = u64::from(word(6)) | u64::from(word(10)) << 32;
        let body = position + HEADER_BYTES as u64 + u64::from(fixed[26]);
        let lacing = head.get(HEADER_BYTES..HEADER_BYTES + usize::from(fixed[26]))?;
        let length: u64 = lacing.iter().map(|segment| u64::from(*segment)).sum();
        Some(Self {
            position,
            end: body + length,
            is_continued: fixed[5] & 1 != 0,
            is_first: fixed[5] & 2 != 0,
            is_last: fixed[5] & 4 != 0,
            granule: (granule < 1 << 62).then_some(granule),
            serial: word(14),
            sequence: word(18),
            lacing: lacing.to_vec(),
            body,
        })
    }
}

/// What is at a place in a file.
pub(super) enum Found {
    Page(Page),
    /// A page whose end is beyond the end of the file.
    Cut,
    /// Something else up to here.
    Junk(u64),
    End,
}

/// The page at `position`, or how far to go to the next.
pub(super) fn page_at(bytes: &mut Bytes<'_>, position: u64) -> Result<Found, AudioFileError> {
    if position >= bytes.len() {
        return Ok(Found::End);
    }
    let file_bytes = bytes.len();
    let found = bytes.at(position, MAX_PAGE_BYTES)?;
    let begins_page = found.starts_with(b"OggS\0") || b"OggS\0".starts_with(found);
    let is_near_end = found.len() < MAX_PAGE_BYTES;
    match Page::parse(found, position) {
        Some(page) if page.end <= file_bytes => {
            if is_intact(&found[..(page.end - position) as usize]) {
                return Ok(Found::Page(page));
            }
            // Where the next page is in its place, only the body is damaged.
            let next: [u8; 5] = bytes.array(page.end)?;
            if next == *b"OggS\0" || page.end == file_bytes {
                return Ok(Found::Junk(page.end));
            }
        }
        Some(_) if next_page(bytes, position + 1)?.is_none() => return Ok(Found::Cut),
        None if begins_page && is_near_end => return Ok(Found::Cut),
        _ => {}
    }
    let next = next_page(bytes, position + 1)?;
    Ok(Found::Junk(next.unwrap_or(file_bytes)))
}

/// The granule in the header of a damaged page, if that names the stream.
pub(super) fn claimed(
    bytes: &mut Bytes<'_>,
    position: u64,
    serial: u32,
) -> Result<Option<u64>, AudioFileError> {
    let page = Page::parse(bytes.at(position, HEADER_BYTES + 255)?, position);
    let page = page.filter(|page| page.serial == serial);
    Ok(page.and_then(|page| page.granule))
}

/// The next place that looks like a page.
fn next_page(bytes: &mut Bytes<'_>, from: u64) -> Result<Option<u64>, AudioFileError> {
    let to = bytes.len();
    Ok(bytes.find(b"OggS\0", from, to)?)
}

/// Compares the checksum, which is taken with zeros in its own place.
fn is_intact(page: &[u8]) -> bool {
    let Some((head, rest)) = page.split_at_checked(22) else {
        return false;
    };
    let Some((stored, body)) = rest.split_first_chunk::<4>() else {
        return false;
    };
    let crc = [head, &[0; 4], body]
        .into_iter()
        .flatten()
        .fold(0_u32, |crc, byte| {
            crc << 8 ^ CRC32[usize::from((crc >> 24) as u8 ^ byte)]
        });
    crc == u32::from_le_bytes(*stored)
}

const CRC32: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = crc << 1 ^ if crc & (1 << 31) != 0 { 0x04c1_1db7 } else { 0 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};
