//! Bits whose probability is mixed from what several contexts say (Mahoney, "Adaptive weighing of
//! context models for lossless data compression", 2005).
//!
//! Each context has a probability for each decision, which follows what was coded in it; a small
//! logistic regression, which learns beside, weighs them. All of it is in whole numbers, so that what
//! one machine writes every other reads.

use super::range_coder::{Bit, Coder};

/// Probabilities are in units of 1 / 4096, logits in units of 1 / 256 nat.
const PROB_BITS: u32 = 12;
const LOGIT_UNIT: f64 = 256.0;
const MAX_LOGIT: i32 = 2047;
/// Weights are in units of 1 / 65536.
const WEIGHT_BITS: u32 = 16;
const LEARNING_RATE: i32 = 10;
/// Slots of one context's table.
const TABLE_BITS: u32 = 17;
/// A probability moves by less the more was seen in its slot, up to this.
const MAX_SEEN: u8 = 62;

/// By how much is seen: the share of the difference by which a probability moves, 1 / (seen + 1.5), in
/// units of 1 / 65536.
const SHARES: [i64; MAX_SEEN as usize + 1] = {
    let mut shares = [0; MAX_SEEN as usize + 1];
    let mut seen = 0;
    while seen < shares.len() {
        shares[seen] = (2 << 16) / (2 * seen as i64 + 3);
        seen += 1;
    }
    shares
};

/// What was seen of one decision in one context.
#[derive(Clone, Copy)]
struct Slot {
    /// Probability of a 1, in units of 1 / 65536.
    one: u16,
    seen: u8,
}

impl Slot {
    const UNSEEN: Self = Self {
        one: 1 << 15,
        seen: 0,
    };

    fn adapt(&mut self, bit: bool) {
        let target = if bit { i32::from(u16::MAX) } else { 0 };
        let difference = i64::from(target - i32::from(self.one));
        let step = (difference * SHARES[usize::from(self.seen)]) >> 16;
        self.one = (i64::from(self.one) + step) as u16;
        self.seen = (self.seen + 1).min(MAX_SEEN);
    }
}

/// Codes bits, each in `N` contexts.
pub(super) struct MixedBits<const N: usize> {
    slots: Vec<Slot>,
    /// By set of weights.
    weights: Vec<[i32; N]>,
    /// By probability.
    logits: Vec<i32>,
    /// By logit, from `-MAX_LOGIT`.
    probabilities: Vec<u16>,
}

impl<const N: usize> MixedBits<N> {
    pub(super) fn new(num_sets: usize) -> Self {
        let one = f64::from(1 << PROB_BITS);
        let logit = |prob: u32| {
            let prob = (f64::from(prob) + 0.5) / one;
            ((prob / (1.0 - prob)).ln() * LOGIT_UNIT).round() as i32
        };
        let probability = |logit: i32| {
            let prob = one / (1.0 + (-f64::from(logit) / LOGIT_UNIT).exp());
            (prob.round() as u16).clamp(1, (1 << PROB_BITS) - 1)
        };
        Self {
            slots: vec![Slot::UNSEEN; N << TABLE_BITS],
            weights: vec![[(2 << WEIGHT_BITS) / (N as i32 + 1); N]; num_sets],
            logits: (0..1 << PROB_BITS).map(logit).collect(),
            probabilities: (-MAX_LOGIT..=MAX_LOGIT).map(probability).collect(),
        }
    }

    /// Writes `bit`, or reads and gives what was written. `decision`: which bit of a value it is;
    /// `set`: the weights that count.
    pub(super) fn code(
        &mut self,
        coder: &mut impl Coder,
        contexts: &[u32; N],
        decision: u32,
        set: usize,
        bit: bool,
    ) -> bool {
        let slots: [usize; N] =
            std::array::from_fn(|at| at << TABLE_BITS | slot(contexts[at], decision));
        let logits = slots.map(|slot| self.logits[usize::from(self.slots[slot].one >> 4)]);
        let weights = &mut self.weights[set];
        let terms = weights.iter().zip(&logits);
        let sum: i64 = terms
            .map(|(&w, &logit)| i64::from(w) * i64::from(logit))
            .sum();
        let logit = (sum >> WEIGHT_BITS).clamp(-i64::from(MAX_LOGIT), i64::from(MAX_LOGIT));
        let one = self.probabilities[(logit + i64::from(MAX_LOGIT)) as usize];
        let bit = coder.bit(&mut Bit::of_one(one), bit);
        let target = if bit { 1 << PROB_BITS } else { 0 };
        let error = (target - i32::from(one)) * LEARNING_RATE;
        for (weight, logit) in weights.iter_mut().zip(logits) {
            // Below 2^12 times 2^16.
            *weight = weight.saturating_add((logit * error + (1 << 15)) >> 16);
        }
        for slot in slots {
            self.slots[slot].adapt(bit);
        }
        bit
    }
}

fn slot(context: u32, decision: u32) -> usize {
    let mixed = (context ^ decision.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0x9e37_79b1);
    ((mixed ^ mixed >> 15).wrapping_mul(0x2c1b_3c6d) >> (32 - TABLE_BITS)) as usize
}

/// One number of what a decision depends on.
pub(super) fn context(parts: &[u32]) -> u32 {
    let mix = |mixed: u32, &part: &u32| (mixed ^ part).wrapping_mul(0x0100_0193).rotate_left(11);
    parts.iter().fold(0x811c_9dc5, mix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::lm::range_coder::{Decoder, Encoder};

    /// What 20,000 bits take that the second context tells and the first does not.
    #[test]
    fn what_one_of_the_contexts_tells_costs_next_to_nothing_and_is_read_back() {
        let told = |at: u32| at.wrapping_mul(0x9e37_79b1) >> 31;
        let bits: Vec<bool> = (0..20_000).map(|at| told(at) == 1).collect();
        let contexts = |at: u32| [7, told(at)];
        let mut encoder = Encoder::new();
        let mut mixed = MixedBits::new(1);
        for (at, &bit) in (0..).zip(&bits) {
            mixed.code(&mut encoder, &contexts(at), 0, 0, bit);
        }
        let written = encoder.finish();
        assert!(written.len() < 60, "{} bytes", written.len());
        let mut decoder = Decoder::new(&written);
        let mut mixed = MixedBits::new(1);
        for (at, &bit) in (0..).zip(&bits) {
            assert_eq!(mixed.code(&mut decoder, &contexts(at), 0, 0, false), bit);
        }
        assert!(!decoder.is_exhausted());
    }

    #[test]
    fn no_rounding_of_the_tables_hangs_by_a_machine_s_last_digit() {
        let far = |value: f64| (value.fract() - 0.5).abs() > 1e-9;
        for prob in 0..1 << PROB_BITS {
            let prob = (f64::from(prob) + 0.5) / f64::from(1 << PROB_BITS);
            assert!(far(((prob / (1.0 - prob)).ln() * LOGIT_UNIT).abs()));
        }
        for logit in -MAX_LOGIT..=MAX_LOGIT {
            let odds = (-f64::from(logit) / LOGIT_UNIT).exp();
            assert!(far(f64::from(1 << PROB_BITS) / (1.0 + odds)), "{logit}");
        }
    }
}
