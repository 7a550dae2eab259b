//! Least-cost alignment of two sequences.

use super::ErrorCounts;

/// One column of an alignment: a match or substitution (both), deletion (reference only) or
/// insertion (hypothesis only); indices into the two sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlignedPair {
    pub reference: Option<usize>,
    pub hypothesis: Option<usize>,
}

pub fn align<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> (ErrorCounts, Vec<AlignedPair>) {
    let _ = (reference, hypothesis);
    unimplemented!()
}
