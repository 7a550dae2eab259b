//! Headers of MPEG audio frames, layer III: ISO/IEC 11172-3 section 2.4.1.3 and 13818-3, and the
//! halved rates of "MPEG 2.5".

const KBIT_MPEG1: [u64; 15] = [
    0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
];
const KBIT_MPEG2: [u64; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub word: [u8; 4],
    pub sample_rate_hz: u32,
    pub mpeg1: bool,
    pub mono: bool,
}

impl FrameHeader {
    pub fn parse(word: &[u8]) -> Option<Self> {
        let &[sync, b, c, d] = word.get(..4)?.as_array()?;
        let version = (b >> 3) & 3;
        let is_layer_3 = (b >> 1) & 3 == 1;
        // A bit rate of 15 and an emphasis of 2 do not exist.
        if sync != 0xff || b < 0xe0 || version == 1 || !is_layer_3 || c >> 4 == 15 || d & 3 == 2 {
            return None;
        }
        let base_hz = *[44_100_u32, 48_000, 32_000].get(usize::from((c >> 2) & 3))?;
        Some(Self {
            word: [sync, b, c, d],
            sample_rate_hz: match version {
                3 => base_hz,
                2 => base_hz / 2,
                _ => base_hz / 4,
            },
            mpeg1: version == 3,
            mono: d >> 6 == 3,
        })
    }

    pub fn channels(&self) -> usize {
        if self.mono { 1 } else { 2 }
    }

    /// Samples of one channel.
    pub fn samples(&self) -> u64 {
        if self.mpeg1 { 1152 } else { 576 }
    }

    fn rate_index(&self) -> usize {
        usize::from(self.word[2] >> 4)
    }

    fn padding(&self) -> u64 {
        u64::from((self.word[2] >> 1) & 1)
    }

    pub fn is_free(&self) -> bool {
        self.rate_index() == 0
    }

    pub fn has_crc(&self) -> bool {
        self.word[1] & 1 == 0
    }

    fn bytes_at(&self, rate_index: usize) -> u64 {
        let (table, slots) = if self.mpeg1 {
            (&KBIT_MPEG1, 144_000)
        } else {
            (&KBIT_MPEG2, 72_000)
        };
        slots * table[rate_index.min(14)] / u64::from(self.sample_rate_hz)
    }

    /// Length of the frame with its header; `free_bytes` is that of free format, without padding.
    pub fn frame_bytes(&self, free_bytes: u64) -> u64 {
        let bytes = match self.rate_index() {
            0 => free_bytes,
            index => self.bytes_at(index),
        };
        bytes + self.padding()
    }

    /// Whether both may be of one stream: version, layer and sample rate are the same, and a free
    /// bit rate stays one.
    pub fn is_like(&self, other: &Self) -> bool {
        self.mpeg1 == other.mpeg1
            && self.sample_rate_hz == other.sample_rate_hz
            && self.is_free() == other.is_free()
    }

    /// Bytes of side information, which follow header and checksum.
    pub fn side_bytes(&self) -> usize {
        match (self.mpeg1, self.mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        }
    }

    /// Header and checksum.
    pub fn head_bytes(&self) -> usize {
        if self.has_crc() { 6 } else { 4 }
    }

    /// This header with a bit rate whose frame has at least `bytes`, without padding; and its
    /// length.
    pub fn with_room(&self, bytes: usize) -> Option<([u8; 4], usize)> {
        let index = (1..15).find(|index| self.bytes_at(*index) >= bytes as u64)?;
        Some(self.at_rate(index))
    }

    /// As [`Self::with_room`], at the highest bit rate.
    pub fn with_most_room(&self) -> ([u8; 4], usize) {
        self.at_rate(14)
    }

    fn at_rate(&self, index: usize) -> ([u8; 4], usize) {
        let mut word = self.word;
        word[2] = (index as u8) << 4 | (word[2] & 0x0d);
        (word, self.bytes_at(index) as usize)
    }
}
