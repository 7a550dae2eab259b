//! Bootstrap over utterances.

use serde::{Deserialize, Serialize};

use super::ErrorCounts;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// 95 % percentile interval of the corpus error rate; the same seed gives the same interval.
pub fn bootstrap_interval(utterances: &[ErrorCounts], resamples: usize, seed: u64) -> Interval {
    let _ = (utterances, resamples, seed);
    unimplemented!()
}
