//! Two systems on the same utterances: which is better, how surely, and where.

mod columns;
mod comparison;
mod error;
mod leads;
mod pairs;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use shared_model::metrics::{ErrorCounts, PairedCounts, bootstrap_interval, paired_bootstrap};

pub use comparison::{
    Column, Comparison, DifferingUtterance, SpeakerRates, SystemRate, Wins, WordsRight,
};
pub use error::CompareError;
use pairs::{Pair, pair_up};

use crate::evaluate::{BOOTSTRAP_SEED, Hypothesis};

/// Compares two systems.
///
/// - `resamples`: of each bootstrap.
///
/// # Errors
/// Files of other utterances or references.
pub fn compare(
    first: &[Hypothesis],
    second: &[Hypothesis],
    resamples: usize,
) -> Result<Comparison, CompareError> {
    let pairs = pair_up(first, second)?;
    let words: usize = pairs.iter().map(|p| p.errors[0].reference_len).sum();
    if words == 0 {
        return Err(CompareError::NoText);
    }
    let units: Vec<PairedCounts> = pairs.iter().map(Pair::counts).collect();
    let mut speakers: BTreeMap<&str, PairedCounts> = BTreeMap::new();
    for pair in &pairs {
        // Utterances without a speaker are not one speaker's.
        if let Some(speaker) = pair.speaker {
            speakers.entry(speaker).or_default().add(&pair.counts());
        }
    }
    let are_known = speakers.len() > 1 && pairs.iter().all(|pair| pair.speaker.is_some());
    let by_speaker = are_known.then(|| {
        let units: Vec<PairedCounts> = speakers.values().copied().collect();
        paired_bootstrap(&units, resamples, BOOTSTRAP_SEED)
    });
    let rate = |system: usize| {
        let counts: Vec<ErrorCounts> = pairs.iter().map(|pair| pair.errors[system]).collect();
        let interval = bootstrap_interval(&counts, resamples, BOOTSTRAP_SEED);
        let errors: usize = counts.iter().map(ErrorCounts::errors).sum();
        SystemRate {
            wer: errors as f64 / words as f64,
            wer_low: interval.low,
            wer_high: interval.high,
        }
    };
    let aligned: Vec<Vec<Column>> = pairs.iter().map(Pair::columns).collect();
    Ok(Comparison {
        words,
        utterances: pairs.len(),
        first: rate(0),
        second: rate(1),
        by_utterance: paired_bootstrap(&units, resamples, BOOTSTRAP_SEED),
        by_speaker,
        wins: leads::wins(&units),
        words_right: leads::words_right(&aligned),
        speakers: leads::speaker_rates(&speakers),
        differing: leads::differing(&pairs, aligned),
    })
}
