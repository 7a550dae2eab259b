//! Sums over the paths of one prefix, and the best of them; natural log.

use super::tree::NONE;
use crate::{decode::TokenSpan, tokens::BLANK_ID};

/// What a prefix is worth by the sound alone.
#[derive(Clone, Copy)]
pub(super) struct Paths {
    /// Sum over paths that end with blank.
    pub(super) blank: f64,
    /// Sum over paths that end with the last token.
    pub(super) label: f64,
    /// Best path that ends with blank, and the link of its last token.
    pub(super) best_blank: (f64, u32),
    pub(super) best_label: LabelPath,
}

impl Paths {
    /// Of the empty prefix before the first frame.
    pub(super) const START: Self = Self {
        blank: 0.0,
        label: f64::NEG_INFINITY,
        best_blank: (0.0, NONE),
        best_label: LabelPath::IMPOSSIBLE,
    };

    pub(super) fn total(&self) -> f64 {
        log_add(self.blank, self.label)
    }
}

/// A path that is still in its last token.
#[derive(Clone, Copy)]
pub(super) struct LabelPath {
    pub(super) score: f64,
    /// Link of the token before.
    pub(super) previous: u32,
    pub(super) span: TokenSpan,
}

impl LabelPath {
    pub(super) const IMPOSSIBLE: Self = Self {
        score: f64::NEG_INFINITY,
        previous: NONE,
        span: TokenSpan {
            id: BLANK_ID,
            start_frame: 0,
            end_frame: 0,
            log_prob: f32::NEG_INFINITY,
        },
    };
}

/// Below this difference the smaller term is lost in rounding: exp(-37) is less than 2^-53.
const LOST_NATS: f64 = 37.0;

/// ln(exp(a) + exp(b)); either may be -inf.
pub(super) fn log_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    // Most sums are of a likely path and a hopeless one; the two functions cost more than the
    // rest of a search.
    if high - low < LOST_NATS {
        high + (low - high).exp().ln_1p()
    } else {
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_probabilities_are_exact_and_the_impossible_adds_nothing() {
        let (third, half) = ((1.0f64 / 3.0).ln(), 0.5f64.ln());
        assert!((log_add(third, half) - (5.0f64 / 6.0).ln()).abs() < 1e-15);
        assert_eq!(log_add(f64::NEG_INFINITY, half), half);
        assert_eq!(
            log_add(f64::NEG_INFINITY, f64::NEG_INFINITY),
            f64::NEG_INFINITY
        );
        assert_eq!(log_add(-1.0, -39.0), -1.0);
        let close = log_add(0.0, -36.0);
        assert!((close - (-36.0f64).exp()).abs() < 1e-18);
    }
}
