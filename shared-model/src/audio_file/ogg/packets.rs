//! From pages to packets of one logical stream.

use super::page::Page;
use crate::audio_file::bytes::Bytes;
use crate::audio_file::error::AudioFileError;

/// No codec has longer packets; a stream of pages that never end one would fill the memory.
const MAX_PACKET_BYTES: usize = 1 << 24;

/// Puts packets together that go over several pages.
#[derive(Debug, Default)]
pub(super) struct Packets {
    /// The beginning of a packet that the next page continues.
    begun: Option<Vec<u8>>,
}

impl Packets {
    /// Forgets what was begun: the page that continues it is lost.
    pub fn reset(&mut self) {
        self.begun = None;
    }

    /// The packets that end on a page.
    pub fn of_page(
        &mut self,
        bytes: &mut Bytes<'_>,
        page: &Page,
    ) -> Result<Vec<Vec<u8>>, AudioFileError> {
        let mut packets = Vec::new();
        for (index, (at, length, is_end)) in page.parts().into_iter().enumerate() {
            let part = bytes.at(at, length)?;
            let is_continuation = index == 0 && page.is_continued;
            let mut packet = match self.begun.take() {
                Some(begun) if is_continuation => begun,
                // Its beginning is lost.
                None if is_continuation => continue,
                _ => Vec::with_capacity(length),
            };
            packet.extend_from_slice(part);
            if packet.len() > MAX_PACKET_BYTES {
                continue;
            }
            if is_end {
                packets.push(packet);
            } else {
                self.begun = Some(packet);
            }
        }
        Ok(packets)
    }
}
