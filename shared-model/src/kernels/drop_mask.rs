//! Masks of dropout that are a function of a seed, so that they are the same on every device and
//! whatever part of a mask is asked for.

/// Which elements one dropout keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DropMask {
    seed: (u32, u32),
    /// Elements whose 16 random bits are below this are dropped.
    dropped: u32,
    /// What is kept is multiplied by this. It follows the rounded share, so the mean is exact.
    factor: f32,
}

impl DropMask {
    /// Of MurmurHash3's final mixing.
    pub(crate) const FACTORS: [u32; 2] = [0x85EB_CA6B, 0xC2B2_AE35];

    /// Drops with probability `p`, rounded to a multiple of `2^-16`.
    pub(crate) fn new(p: f64, seed: u64) -> Self {
        let dropped = ((p * 65536.0).round() as u32).min(65535);
        Self {
            seed: (seed as u32, (seed >> 32) as u32),
            dropped,
            factor: 65536.0 / (65536 - dropped) as f32,
        }
    }

    /// Both halves of the seed.
    pub(crate) fn seed(&self) -> [u32; 2] {
        [self.seed.0, self.seed.1]
    }

    /// Elements whose 16 bits are below this are dropped.
    pub(crate) fn dropped(&self) -> u32 {
        self.dropped
    }

    /// What is kept is multiplied by this.
    pub(crate) fn factor(&self) -> f32 {
        self.factor
    }

    /// Multiplies row `row` of what the mask belongs to by its factors.
    #[inline(always)]
    pub(crate) fn apply(&self, row: usize, values: &mut [f32]) {
        // A random word decides an element of each half.
        let half = values.len().div_ceil(2);
        let first_word = (row as u32).wrapping_mul(half as u32);
        let (low, high) = values.split_at_mut(half);
        let factor = |bits: u32| {
            if bits >= self.dropped {
                self.factor
            } else {
                0.0
            }
        };
        let pairs = high.len();
        for index in 0..pairs {
            let word = self.word(first_word.wrapping_add(index as u32));
            low[index] *= factor(word & 0xFFFF);
            high[index] *= factor(word >> 16);
        }
        for (index, value) in low.iter_mut().enumerate().skip(pairs) {
            let word = self.word(first_word.wrapping_add(index as u32));
            *value *= factor(word & 0xFFFF);
        }
    }

    /// MurmurHash3's final mixing of a counter, with the seed's halves before and within it.
    #[inline(always)]
    fn word(&self, counter: u32) -> u32 {
        let mut word = counter ^ self.seed.0;
        word ^= word >> 16;
        word = word.wrapping_mul(Self::FACTORS[0]) ^ self.seed.1;
        word ^= word >> 13;
        word = word.wrapping_mul(Self::FACTORS[1]);
        word ^ (word >> 16)
    }

    /// The factors of `rows` rows of `channels`.
    pub(crate) fn factors(&self, rows: usize, channels: usize) -> Vec<f32> {
        let mut factors = vec![1.0; rows * channels];
        for (row, values) in factors.chunks_exact_mut(channels.max(1)).enumerate() {
            self.apply(row, values);
        }
        factors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_share_and_mean_are_right() {
        for seed in 0..20 {
            let factors = DropMask::new(0.3, seed * 0x9E37_79B9_7F4A_7C15).factors(301, 667);
            let count = factors.len() as f64;
            let kept = factors.iter().filter(|f| **f > 0.0).count() as f64 / count;
            let mean = factors.iter().map(|f| f64::from(*f)).sum::<f64>() / count;
            assert!((kept - 0.7).abs() < 0.005, "{kept}");
            assert!((mean - 1.0).abs() < 0.007, "{mean}");
        }
    }

    #[test]
    fn neighbours_halves_rows_and_masks_are_not_correlated() {
        let channels = 512;
        let mask = DropMask::new(0.5, 7).factors(400, channels);
        let other = DropMask::new(0.5, 8).factors(400, channels);
        let sign = |value: f32| if value > 0.0 { 1.0 } else { -1.0 };
        for (name, shift) in [("neighbour", 1), ("half", channels / 2), ("row", channels)] {
            let pairs = mask.iter().zip(&mask[shift..]);
            let count = (mask.len() - shift) as f64;
            let correlation = pairs.map(|(a, b)| sign(*a) * sign(*b)).sum::<f64>() / count;
            assert!(correlation.abs() < 0.01, "{name}: {correlation}");
        }
        let pairs = mask.iter().zip(&other);
        let correlation = pairs.map(|(a, b)| sign(*a) * sign(*b)).sum::<f64>();
        assert!(
            correlation.abs() / (mask.len() as f64) < 0.01,
            "{correlation}"
        );
    }

    #[test]
    fn masks_repeat_for_the_same_seed_and_in_parts() {
        let draw = |seed| DropMask::new(0.5, seed).factors(3, 21);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1), draw(1 << 32));
        let mut last_row = vec![1.0; 21];
        DropMask::new(0.5, 1).apply(2, &mut last_row);
        assert_eq!(draw(1)[42..], last_row);
    }
}
