//! Word and character error rates with the alignment behind them.

mod bootstrap;
mod calibration;
mod edit_distance;
mod paired;

pub use bootstrap::{Interval, bootstrap_interval};
pub use calibration::{
    ConfidenceBin, NUM_CONFIDENCE_BINS, confidence_bins, expected_calibration_error,
};
pub use edit_distance::{AlignedPair, align, count_errors};
pub use paired::{PairedCounts, PairedDifference, paired_bootstrap};

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Errors against a reference; add them up over utterances before dividing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ErrorCounts {
    /// Words or characters of the references.
    pub reference_len: usize,
    /// In the hypothesis only.
    pub insertions: usize,
    /// In the reference only.
    pub deletions: usize,
    /// Another in the hypothesis than in the reference.
    pub substitutions: usize,
}

impl ErrorCounts {
    /// All three kinds together.
    pub fn errors(&self) -> usize {
        self.insertions + self.deletions + self.substitutions
    }
    /// Errors / reference length, a fraction; 0 when both are empty, 1 per insertion counted
    /// against a length of 1 when only the reference is empty.
    pub fn rate(&self) -> f64 {
        if self.reference_len == 0 {
            self.errors() as f64
        } else {
            self.errors() as f64 / self.reference_len as f64
        }
    }
    /// Adds the counts of more utterances.
    pub fn add(&mut self, other: &ErrorCounts) {
        self.reference_len += other.reference_len;
        self.insertions += other.insertions;
        self.deletions += other.deletions;
        self.substitutions += other.substitutions;
    }
}

/// Word errors of one utterance (both texts normalised already).
pub fn word_errors(reference: &str, hypothesis: &str) -> ErrorCounts {
    let mut numbers = HashMap::new();
    let reference = number_words(reference, &mut numbers);
    let hypothesis = number_words(hypothesis, &mut numbers);
    count_errors(&reference, &hypothesis)
}

/// Numbers compare faster than words.
fn number_words<'a>(text: &'a str, numbers: &mut HashMap<&'a str, usize>) -> Vec<usize> {
    text.split_whitespace()
        .map(|word| {
            let next = numbers.len();
            *numbers.entry(word).or_insert(next)
        })
        .collect()
}

/// Character errors of one utterance, spaces included.
pub fn character_errors(reference: &str, hypothesis: &str) -> ErrorCounts {
    let reference: Vec<char> = reference.chars().collect();
    let hypothesis: Vec<char> = hypothesis.chars().collect();
    count_errors(&reference, &hypothesis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(counts: ErrorCounts) -> [usize; 4] {
        [
            counts.reference_len,
            counts.insertions,
            counts.deletions,
            counts.substitutions,
        ]
    }

    #[test]
    fn word_and_character_errors_of_a_sentence_counted_by_hand() {
        let (reference, hypothesis) = ("the cat sat on the mat", "the cat sit on mat now");
        assert_eq!(kinds(word_errors(reference, hypothesis)), [6, 1, 1, 1]);
        assert_eq!(kinds(character_errors("abc de", "abd dee")), [6, 1, 0, 1]);
        assert_eq!(word_errors("a b", "a b").rate(), 0.0);
    }

    #[test]
    fn rates_with_an_empty_reference_count_every_insertion() {
        assert_eq!(word_errors("", "a b").rate(), 2.0);
        assert_eq!(word_errors("", "").rate(), 0.0);
        assert_eq!(character_errors("ab", "").rate(), 1.0);
    }
}
