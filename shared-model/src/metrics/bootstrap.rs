//! Bootstrap over utterances (Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR
//! performance evaluation", ICASSP 2004).

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

use super::ErrorCounts;

/// A confidence interval of an error rate, as fractions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// 95 % percentile interval of the corpus error rate; the same seed gives the same interval.
///
/// Without utterances both ends are 0; without resamples both are the corpus error rate.
pub fn bootstrap_interval(utterances: &[ErrorCounts], resamples: usize, seed: u64) -> Interval {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let rate_of = |draw: &mut dyn FnMut(usize) -> usize| {
        let mut sum = ErrorCounts::default();
        for position in 0..utterances.len() {
            sum.add(&utterances[draw(position)]);
        }
        sum.rate()
    };
    if utterances.is_empty() || resamples == 0 {
        let rate = rate_of(&mut |position| position);
        return Interval {
            low: rate,
            high: rate,
        };
    }
    // An index of fixed width keeps the interval the same on 32-bit and 64-bit targets.
    let count = u32::try_from(utterances.len()).unwrap_or(u32::MAX);
    let mut rates: Vec<f64> = (0..resamples)
        .map(|_| rate_of(&mut |_| rng.random_range(0..count) as usize))
        .collect();
    rates.sort_by(f64::total_cmp);
    Interval {
        low: quantile(&rates, 0.025),
        high: quantile(&rates, 0.975),
    }
}

/// Linear between the two nearest of the sorted values.
pub(super) fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    let position = fraction * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utterance(reference_len: usize, substitutions: usize) -> ErrorCounts {
        ErrorCounts {
            reference_len,
            substitutions,
            ..ErrorCounts::default()
        }
    }

    #[test]
    fn the_interval_has_the_width_of_the_binomial_distribution() {
        // 400 one-word utterances, 100 wrong: standard error sqrt(0.25 * 0.75 / 400) = 0.02165.
        let utterances: Vec<_> = (0..400)
            .map(|i| utterance(1, usize::from(i % 4 == 0)))
            .collect();
        let interval = bootstrap_interval(&utterances, 4000, 7);
        assert!(
            (interval.low - (0.25 - 1.96 * 0.02165)).abs() < 0.005,
            "{interval:?}"
        );
        assert!(
            (interval.high - (0.25 + 1.96 * 0.02165)).abs() < 0.005,
            "{interval:?}"
        );
    }

    #[test]
    fn one_seed_gives_one_interval_and_equal_utterances_give_no_width() {
        let mixed: Vec<_> = (0..50).map(|i| utterance(i % 5 + 1, i % 2)).collect();
        assert_eq!(
            bootstrap_interval(&mixed, 200, 1),
            bootstrap_interval(&mixed, 200, 1)
        );
        assert_ne!(
            bootstrap_interval(&mixed, 200, 1),
            bootstrap_interval(&mixed, 200, 2)
        );
        let equal = bootstrap_interval(&[utterance(10, 1); 30], 100, 3);
        assert!((equal.low - 0.1).abs() < 1e-12 && (equal.high - 0.1).abs() < 1e-12);
    }

    #[test]
    fn nothing_to_draw_from_gives_a_point() {
        assert_eq!(
            bootstrap_interval(&[], 100, 0),
            Interval {
                low: 0.0,
                high: 0.0
            }
        );
        let point = bootstrap_interval(&[utterance(4, 1)], 0, 0);
        assert_eq!(
            point,
            Interval {
                low: 0.25,
                high: 0.25
            }
        );
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.5), 3.0);
        assert!((quantile(&[0.0, 1.0], 0.975) - 0.975).abs() < 1e-12);
    }
}
