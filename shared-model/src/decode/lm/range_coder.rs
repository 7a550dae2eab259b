//! An adaptive binary range coder (Martin 1979; the carry-propagating form with adaptive bits):
//! each bit costs about what its probability says, and probabilities follow what was coded.
//!
//! Writer and reader adapt alike, so a file needs no tables.

/// Probabilities of a 0 are in units of 1 / 4096.
const PROB_BITS: u32 = 12;
/// How fast a probability follows: it moves by 1/32 of the difference.
const ADAPT_SHIFT: u32 = 5;
/// The range is refilled below this, so that a bound never becomes 0.
const MIN_RANGE: u32 = 1 << 24;
/// Bytes that the reader looks ahead; the writer ends with them.
const TAIL_BYTES: usize = 5;

/// An adaptive bit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bit(u16);

impl Bit {
    const EVEN: Self = Self(1 << (PROB_BITS - 1));

    /// Of which a 1 has `one` of 4096, from 1 to 4095.
    pub(super) fn of_one(one: u16) -> Self {
        Self((1 << PROB_BITS) - one)
    }

    fn bound(self, range: u32) -> u32 {
        (range >> PROB_BITS) * u32::from(self.0)
    }

    fn adapt(&mut self, bit: bool) {
        if bit {
            self.0 -= self.0 >> ADAPT_SHIFT;
        } else {
            self.0 += ((1 << PROB_BITS) - self.0) >> ADAPT_SHIFT;
        }
    }
}

/// Either side of the coder: what codes a value reads it by the same steps.
pub(super) trait Coder {
    /// Writes `bit`, or reads and gives what was written.
    fn bit(&mut self, model: &mut Bit, bit: bool) -> bool;
}

pub(super) struct Encoder {
    low: u64,
    range: u32,
    /// The last byte that a carry may still change, then as many 0xff.
    cache: Option<u8>,
    num_carried: usize,
    bytes: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self {
            low: 0,
            range: u32::MAX,
            cache: None,
            num_carried: 0,
            bytes: Vec::new(),
        }
    }

    fn shift_low(&mut self) {
        let carry = (self.low >> 32) as u8;
        let top = (self.low >> 24) as u8;
        if top == 0xff && carry == 0 {
            self.num_carried += 1;
        } else {
            if let Some(cache) = self.cache {
                self.bytes.push(cache.wrapping_add(carry));
            }
            let carried = 0xffu8.wrapping_add(carry);
            self.bytes
                .extend(std::iter::repeat_n(carried, self.num_carried));
            self.num_carried = 0;
            self.cache = Some(top);
        }
        self.low = (self.low & 0x00ff_ffff) << 8;
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        for _ in 0..TAIL_BYTES {
            self.shift_low();
        }
        self.bytes
    }
}

impl Coder for Encoder {
    fn bit(&mut self, model: &mut Bit, bit: bool) -> bool {
        let bound = model.bound(self.range);
        if bit {
            self.low += u64::from(bound);
            self.range -= bound;
        } else {
            self.range = bound;
        }
        model.adapt(bit);
        while self.range < MIN_RANGE {
            self.range <<= 8;
            self.shift_low();
        }
        bit
    }
}

pub(super) struct Decoder<'a> {
    code: u32,
    range: u32,
    rest: &'a [u8],
    is_exhausted: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self {
            code: 0,
            range: u32::MAX,
            rest: bytes,
            is_exhausted: false,
        };
        for _ in 0..4 {
            decoder.code = decoder.code << 8 | decoder.next_byte();
        }
        decoder
    }

    fn next_byte(&mut self) -> u32 {
        match self.rest.split_first() {
            Some((&byte, rest)) => {
                self.rest = rest;
                u32::from(byte)
            }
            None => {
                self.is_exhausted = true;
                0
            }
        }
    }

    /// Whether more was read than is there: what was read then means nothing.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_exhausted
    }

    /// Bytes that nothing was read from, the writer's tail left out.
    pub(super) fn unread_bytes(&self) -> usize {
        self.rest.len().saturating_sub(TAIL_BYTES - 4)
    }
}

impl Coder for Decoder<'_> {
    fn bit(&mut self, model: &mut Bit, _: bool) -> bool {
        let bound = model.bound(self.range);
        let bit = self.code >= bound;
        if bit {
            self.code -= bound;
            self.range -= bound;
        } else {
            self.range = bound;
        }
        model.adapt(bit);
        while self.range < MIN_RANGE {
            self.range <<= 8;
            self.code = self.code << 8 | self.next_byte();
        }
        bit
    }
}

/// A byte, bit by bit from the highest, each bit's probability by the bits above it.
#[derive(Clone)]
pub(super) struct ByteModel([Bit; 256]);

impl Default for ByteModel {
    fn default() -> Self {
        Self([Bit::EVEN; 256])
    }
}

impl ByteModel {
    pub(super) fn code(&mut self, coder: &mut impl Coder, byte: u8) -> u8 {
        let mut node = 1;
        for shift in (0..8).rev() {
            let bit = coder.bit(&mut self.0[node], byte >> shift & 1 == 1);
            node = node << 1 | usize::from(bit);
        }
        node as u8
    }
}

const LENGTH_BITS: usize = 5;
/// Bits below the highest that are modelled by those above them; the rest is noise.
const MODELLED_BITS: usize = 6;

/// A number: how many bits it has, then those below the highest. Small and frequent values are
/// cheap.
#[derive(Clone)]
pub(super) struct NumberModel {
    length: [Bit; 1 << LENGTH_BITS],
    below: Vec<[Bit; 1 << MODELLED_BITS]>,
    noise: [Bit; 32],
}

impl Default for NumberModel {
    fn default() -> Self {
        Self {
            length: [Bit::EVEN; 1 << LENGTH_BITS],
            below: vec![[Bit::EVEN; 1 << MODELLED_BITS]; 1 << LENGTH_BITS],
            noise: [Bit::EVEN; 32],
        }
    }
}

impl NumberModel {
    /// Values up to `u32::MAX - 1`.
    pub(super) fn code(&mut self, coder: &mut impl Coder, value: u32) -> u32 {
        let value = value.saturating_add(1);
        let num_below = value.ilog2() as usize;
        let mut node = 1;
        for shift in (0..LENGTH_BITS).rev() {
            let bit = coder.bit(&mut self.length[node], num_below >> shift & 1 == 1);
            node = node << 1 | usize::from(bit);
        }
        let num_below = node - (1 << LENGTH_BITS);
        let (mut read, mut node) = (1u32, 1);
        for at in 0..num_below {
            let bit = value >> (num_below - 1 - at) & 1 == 1;
            let bit = if at < MODELLED_BITS {
                let bit = coder.bit(&mut self.below[num_below][node], bit);
                node = node << 1 | usize::from(bit);
                bit
            } else {
                coder.bit(&mut self.noise[num_below - 1 - at], bit)
            };
            read = read << 1 | u32::from(bit);
        }
        read - 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(
            numbers in prop::collection::vec(
                prop_oneof![0u32..4, 0u32..1000, Just(u32::MAX - 1), any::<u32>().prop_map(|n| n.min(u32::MAX - 1))],
                0..300,
            ),
            bytes in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut encoder = Encoder::new();
            let (mut number, mut byte) = (NumberModel::default(), ByteModel::default());
            for &value in &numbers {
                number.code(&mut encoder, value);
            }
            for &value in &bytes {
                byte.code(&mut encoder, value);
            }
            let written = encoder.finish();
            let mut decoder = Decoder::new(&written);
            let (mut number, mut byte) = (NumberModel::default(), ByteModel::default());
            for &value in &numbers {
                prop_assert_eq!(number.code(&mut decoder, 0), value);
            }
            for &value in &bytes {
                prop_assert_eq!(byte.code(&mut decoder, 0), value);
            }
            prop_assert!(!decoder.is_exhausted());
            prop_assert_eq!(decoder.unread_bytes(), 0);
        }
    }

    #[test]
    fn a_run_of_the_same_value_costs_next_to_nothing_and_noise_its_bits() {
        let mut encoder = Encoder::new();
        let mut model = NumberModel::default();
        for _ in 0..100_000 {
            model.code(&mut encoder, 3);
        }
        let bytes = encoder.finish().len();
        // 7 bits at the lowest cost of 0.011 bits each.
        assert!(bytes < 1200, "{bytes}");

        let mut encoder = Encoder::new();
        let mut model = NumberModel::default();
        let mut state = 1u32;
        for _ in 0..100_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            model.code(&mut encoder, (state >> 24) + 255);
        }
        let bytes = encoder.finish().len();
        assert!((100_000..104_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn reading_past_the_end_is_noticed() {
        let mut decoder = Decoder::new(&[0x12, 0x34]);
        assert!(decoder.is_exhausted());
        let mut model = ByteModel::default();
        model.code(&mut decoder, 0);
        assert!(Decoder::new(&[0; 10]).unread_bytes() > 0);
    }
}
