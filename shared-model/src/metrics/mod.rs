//! Word and character error rates with the alignment behind them.

mod bootstrap;
mod edit_distance;

pub use bootstrap::{Interval, bootstrap_interval};
pub use edit_distance::{AlignedPair, align};

use serde::{Deserialize, Serialize};

/// Errors against a reference; add them up over utterances before dividing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ErrorCounts {
    pub reference_len: usize,
    pub insertions: usize,
    pub deletions: usize,
    pub substitutions: usize,
}

impl ErrorCounts {
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
    pub fn add(&mut self, other: &ErrorCounts) {
        self.reference_len += other.reference_len;
        self.insertions += other.insertions;
        self.deletions += other.deletions;
        self.substitutions += other.substitutions;
    }
}

/// Word errors of one utterance (both texts normalised already).
pub fn word_errors(reference: &str, hypothesis: &str) -> ErrorCounts {
    let _ = (reference, hypothesis);
    unimplemented!()
}

/// Character errors of one utterance, spaces included.
pub fn character_errors(reference: &str, hypothesis: &str) -> ErrorCounts {
    let _ = (reference, hypothesis);
    unimplemented!()
}
