//! Two systems on the same utterances: paired bootstrap (Bisani and Ney, "Bootstrap estimates for
//! confidence intervals in ASR performance evaluation", ICASSP 2004, section 4).

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

use super::bootstrap::{Interval, quantile};

/// What is drawn as one: an utterance, or all utterances of a speaker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PairedCounts {
    /// Words of the references.
    pub words: usize,
    /// Errors of the first system.
    pub first: usize,
    /// Errors of the second system.
    pub second: usize,
}

impl PairedCounts {
    /// Adds the counts of more utterances.
    pub fn add(&mut self, other: &Self) {
        self.words += other.words;
        self.first += other.first;
        self.second += other.second;
    }

    /// Error rate of the first less that of the second; 0 without words.
    fn difference(&self) -> f64 {
        match self.words {
            0 => 0.0,
            words => (self.first as f64 - self.second as f64) / words as f64,
        }
    }
}

/// How two systems differ. Rates are fractions; below 0 the first is better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// Error rate of the first less that of the second.
    pub difference: f64,
    /// 95 % percentile interval of the difference.
    pub interval: Interval,
    /// Two-sided: how probable a difference at least as far from 0 is if there is none. Samples
    /// without a difference count against one. Never below 2 / (resamples + 1).
    pub p_value: f64,
}

/// Draws units with replacement, the same ones for both systems; the same seed gives the same
/// result. Without units or resamples nothing is known: the p-value is 1.
pub fn paired_bootstrap(units: &[PairedCounts], resamples: usize, seed: u64) -> PairedDifference {
    let mut total = PairedCounts::default();
    units.iter().for_each(|unit| total.add(unit));
    let difference = total.difference();
    if units.is_empty() || resamples == 0 {
        return PairedDifference {
            difference,
            interval: Interval {
                low: difference,
                high: difference,
            },
            p_value: 1.0,
        };
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    // An index of fixed width keeps the result the same on 32-bit and 64-bit targets.
    let count = u32::try_from(units.len()).unwrap_or(u32::MAX);
    let mut differences: Vec<f64> = (0..resamples)
        .map(|_| {
            let mut drawn = PairedCounts::default();
            for _ in 0..units.len() {
                drawn.add(&units[rng.random_range(0..count) as usize]);
            }
            drawn.difference()
        })
        .collect();
    differences.sort_by(f64::total_cmp);
    let at_most = differences.iter().filter(|&&d| d <= 0.0).count();
    let at_least = differences.iter().filter(|&&d| d >= 0.0).count();
    let tail = (1 + at_most.min(at_least)) as f64 / (1 + resamples) as f64;
    PairedDifference {
        difference,
        interval: Interval {
            low: quantile(&differences, 0.025),
            high: quantile(&differences, 0.975),
        },
        p_value: (2.0 * tail).min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One word each: wrong in the first alone, in the second alone, in neither.
    fn units(first: usize, second: usize, neither: usize) -> Vec<PairedCounts> {
        let unit = |first, second| PairedCounts {
            words: 1,
            first,
            second,
        };
        [
            vec![unit(1, 0); first],
            vec![unit(0, 1); second],
            vec![unit(0, 0); neither],
        ]
        .concat()
    }

    #[test]
    fn the_p_value_is_that_of_the_normal_distribution() {
        // 30 against 15 of 400: variance (45 - 15 * 15 / 400) / 400^2, and samples without a
        // difference count against one, which is half a word: z = 14.5 / 6.666 = 2.175, and
        // 2 * Phi(-2.175) = 0.0296.
        let result = paired_bootstrap(&units(30, 15, 355), 20_000, 1);
        assert!((result.difference - 0.0375).abs() < 1e-12);
        assert!((result.p_value - 0.0296).abs() < 0.004, "{result:?}");
        let half = 1.96 * 6.666 / 400.0;
        assert!((result.interval.low - (0.0375 - half)).abs() < 0.003);
        assert!((result.interval.high - (0.0375 + half)).abs() < 0.003);
    }

    #[test]
    fn exchanging_the_systems_changes_the_sign_alone() {
        let forth = paired_bootstrap(&units(30, 15, 355), 4000, 7);
        let back = paired_bootstrap(&units(15, 30, 355), 4000, 7);
        assert_eq!(back.difference, -forth.difference);
        assert!((back.p_value - forth.p_value).abs() < 0.01);
    }

    #[test]
    fn equal_systems_differ_by_chance_and_no_resamples_tell_nothing() {
        assert_eq!(paired_bootstrap(&units(0, 0, 50), 500, 3).p_value, 1.0);
        let even = paired_bootstrap(&units(20, 20, 360), 4000, 3);
        assert!(even.p_value > 0.9, "{even:?}");
        assert_eq!(paired_bootstrap(&units(9, 0, 1), 0, 3).p_value, 1.0);
        assert_eq!(paired_bootstrap(&[], 100, 3).difference, 0.0);
    }

    #[test]
    fn drawing_speakers_is_wider_where_utterances_of_a_speaker_agree() {
        // Ten speakers of 40 words; the first system fails with three of them, the second with one.
        let speaker = |first, second| PairedCounts {
            words: 40,
            first,
            second,
        };
        let speakers = [
            vec![speaker(20, 0); 3],
            vec![speaker(0, 20); 1],
            vec![speaker(0, 0); 6],
        ]
        .concat();
        let by_speaker = paired_bootstrap(&speakers, 4000, 5);
        let by_word = paired_bootstrap(&units(60, 20, 320), 4000, 5);
        assert!((by_speaker.difference - by_word.difference).abs() < 1e-12);
        assert!(by_word.p_value < 0.001 && by_speaker.p_value > 0.2);
    }
}
