//! The frame that encoders put first: Xing or Info (a convention of encoders), with how many frames
//! follow and how much of their sound is the encoder's own delay and padding; or VBRI.

use super::header::FrameHeader;

/// Samples by which every decoder of layer III is late.
const DECODER_DELAY: u64 = 528 + 1;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct InfoTag {
    /// Frames of sound, without this one.
    pub frames: Option<u64>,
    /// Bytes from this frame's start to the end of the last.
    pub bytes: Option<u64>,
    /// Samples before the sound.
    pub delay: u64,
    /// Samples after it.
    pub padding: u64,
}

impl InfoTag {
    /// The tag of a frame, if it has one.
    pub fn find(frame: &[u8], header: &FrameHeader) -> Option<Self> {
        let word = |at: usize| {
            let bytes = frame.get(at..at + 4)?;
            Some(u64::from(u32::from_be_bytes(*bytes.as_array()?)))
        };
        if frame.get(36..40) == Some(b"VBRI") {
            return Some(Self {
                frames: word(50),
                bytes: word(46),
                ..Self::default()
            });
        }
        let start = header.head_bytes() + header.side_bytes();
        let name = frame.get(start..start + 4)?;
        if name != b"Xing" && name != b"Info" {
            return None;
        }
        let flags = word(start + 4)?;
        let mut position = start + 8;
        let mut field = |bit: u64, bytes: usize| {
            let at = position;
            let is_there = flags & bit != 0;
            position += if is_there { bytes } else { 0 };
            is_there.then(|| word(at)).flatten()
        };
        let (frames, bytes) = (field(1, 4), field(2, 4));
        field(4, 100);
        field(8, 4);
        let (delay, padding) = Self::trim(frame, position).unwrap_or_default();
        Some(Self {
            frames,
            bytes,
            delay,
            padding,
        })
    }

    /// Delay and padding of the encoder's own part, which begins with its name.
    fn trim(frame: &[u8], position: usize) -> Option<(u64, u64)> {
        let name = frame.get(position..position + 4)?;
        let fields = frame.get(position + 21..position + 24)?;
        if ![&b"LAME"[..], b"Lavf", b"Lavc"].contains(&name) {
            return None;
        }
        let delay = u64::from(fields[0]) << 4 | u64::from(fields[1]) >> 4;
        let padding = u64::from(fields[1] & 0x0f) << 8 | u64::from(fields[2]);
        Some((delay + DECODER_DELAY, padding.saturating_sub(DECODER_DELAY)))
    }
}
