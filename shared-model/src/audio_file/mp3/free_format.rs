//! Frames of free format as frames of a bit rate that the decoder knows.
//!
//! A frame's main data may begin in frames before it (the bit reservoir), counted back from its own
//! main data; so a frame cannot simply be padded. Each is given all its main data, and room.

use super::header::FrameHeader;

/// How far back main data may begin.
const MAX_RESERVOIR_BYTES: usize = 511;

#[derive(Default)]
pub(super) struct Repacker {
    /// The end of the main data so far.
    reservoir: Vec<u8>,
}

impl Repacker {
    pub fn reset(&mut self) {
        self.reservoir.clear();
    }

    /// Whether frames of this length can be repacked.
    pub fn has_room(header: &FrameHeader, frame_bytes: u64) -> bool {
        usize::try_from(frame_bytes).is_ok_and(|bytes| header.with_room(bytes).is_some())
    }

    /// The frame alone, at a bit rate of the table; absent where its main data are not all there.
    pub fn repack(&mut self, frame: &[u8], header: &FrameHeader) -> Option<Vec<u8>> {
        let main_at = header.head_bytes() + header.side_bytes();
        let mut side = frame.get(header.head_bytes()..main_at)?.to_vec();
        let main = &frame[main_at..];
        // The first 9 (MPEG-1) or 8 bits of side information.
        let back = if header.mpeg1 {
            usize::from(side[0]) << 1 | usize::from(side[1] >> 7)
        } else {
            usize::from(side[0])
        };
        side[0] = 0;
        side[1] &= if header.mpeg1 { 0x7f } else { 0xff };
        let is_whole = back <= self.reservoir.len();
        let before = self.reservoir.len() - back.min(self.reservoir.len());
        let data = [&self.reservoir[before..], main].concat();
        self.reservoir.extend_from_slice(main);
        let excess = self.reservoir.len().saturating_sub(MAX_RESERVOIR_BYTES);
        self.reservoir.drain(..excess);
        if !is_whole {
            return None;
        }
        let wanted = 4 + side.len() + data.len();
        // What does not fit is the padding of a reservoir that is not used up.
        let (mut word, length) = header
            .with_room(wanted)
            .unwrap_or_else(|| header.with_most_room());
        // Without a checksum: it would be another.
        word[1] |= 1;
        let mut packet = [&word[..], &side, &data].concat();
        packet.resize(length, 0);
        Some(packet)
    }
}
