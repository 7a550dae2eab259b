//! Tags around sound: ID3, APE and Lyrics3. They are stepped over, never read.

use super::bytes::Bytes;
use super::error::AudioFileError;

const MAX_LEADING_TAGS: usize = 100;
/// Lyrics3 has its length at its end only.
const MAX_LYRICS_BYTES: u64 = 1 << 20;
/// How much between two frames is looked through for signs of a tag.
const MAX_SEARCHED_BYTES: u64 = 1 << 20;

/// The first byte that is of no tag.
pub(super) fn skip_leading(bytes: &mut Bytes<'_>) -> Result<u64, AudioFileError> {
    let mut position = 0;
    for _ in 0..MAX_LEADING_TAGS {
        let head = bytes.at(position, 8)?;
        if !head.starts_with(b"ID3") && !head.starts_with(b"APETAGEX") {
            break;
        }
        match tag_bytes(bytes, position)? {
            Some(length) if position + length < bytes.len() => position += length,
            _ => break,
        }
    }
    Ok(position)
}

/// Length of the tag that begins at `position`, if one does.
pub(super) fn tag_bytes(
    bytes: &mut Bytes<'_>,
    position: u64,
) -> Result<Option<u64>, AudioFileError> {
    let head: [u8; 32] = bytes.array(position)?;
    Ok(match &head {
        [b'I', b'D', b'3', major, minor, flags, a, b, c, d, ..]
            if *major < 0xff && *minor < 0xff && (a | b | c | d) & 0x80 == 0 =>
        {
            // ID3v2.4 section 3.1: seven bits a byte, without header and footer.
            let size = [a, b, c, d]
                .iter()
                .fold(0_u64, |size, byte| (size << 7) | u64::from(**byte));
            Some(10 + size + if flags & 0x10 != 0 { 10 } else { 0 })
        }
        head if head.starts_with(b"3DI") => Some(10),
        head if head.starts_with(b"APETAGEX") => {
            // APEv2: items and footer are counted, the header is not.
            let word = |at: usize| {
                u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
            };
            let is_header = word(20) & (1 << 29) != 0;
            Some(32 + if is_header { u64::from(word(12)) } else { 0 })
        }
        head if head.starts_with(b"TAG+") => Some(227),
        head if head.starts_with(b"TAG") => Some(128),
        head if head.starts_with(b"LYRICSBEGIN") => {
            let to = (position + MAX_LYRICS_BYTES).min(bytes.len());
            let end = match bytes.find(b"LYRICS200", position, to)? {
                None => bytes.find(b"LYRICSEND", position, to)?,
                found => found,
            };
            end.map(|end| end + 9 - position)
        }
        _ => None,
    })
}

/// Whether a stretch of a file that is no sound holds the remains of a tag (an APE tag of version 1
/// has its name at the end only).
pub(super) fn holds_tag(bytes: &mut Bytes<'_>, from: u64, to: u64) -> Result<bool, AudioFileError> {
    let to = to.min(from + MAX_SEARCHED_BYTES);
    for name in [&b"APETAGEX"[..], b"LYRICS200", b"LYRICSEND"] {
        if bytes.find(name, from, to)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
