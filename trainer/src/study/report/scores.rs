//! Error rates with their intervals, and differences with their p-values.

use std::collections::BTreeMap;

use shared_model::metrics::{
    ErrorCounts, Interval, PairedCounts, bootstrap_interval, paired_bootstrap,
};

use super::super::{KnownTest, Record, TestRecord};
use super::{
    collect::{FinishedArm, FinishedCell},
    results::{ArmComparison, Score, Side},
};
use crate::evaluate::BOOTSTRAP_SEED;

pub(super) struct Scorer<'a> {
    tests: &'a [(String, KnownTest)],
    resamples: usize,
}

/// An utterance, errors of all seeds together.
#[derive(Debug, Clone, Copy)]
struct Unit<'a> {
    test: usize,
    speaker: &'a str,
    words: usize,
    errors: usize,
}

impl<'a> Scorer<'a> {
    pub fn new(tests: &'a [(String, KnownTest)], resamples: usize) -> Self {
        Self { tests, resamples }
    }

    /// A network on each test, and on all of them.
    pub fn scores(&self, arm: &FinishedArm<'_>, network: &str) -> (Vec<(String, Score)>, Score) {
        let units = self.units(arm.cells.iter(), network);
        let by_test = self
            .tests
            .iter()
            .enumerate()
            .filter_map(|(index, (name, _))| {
                let own: Vec<Unit<'_>> =
                    units.iter().filter(|u| u.test == index).copied().collect();
                let score = self.score(arm, network, &own, &[name.as_str()]);
                (!own.is_empty()).then(|| (name.clone(), score))
            });
        let names: Vec<&str> = self.tests.iter().map(|(name, _)| name.as_str()).collect();
        let pooled = self.score(arm, network, &units, &names);
        (by_test.collect(), pooled)
    }

    /// The utterances of all tests, in one order for all arms.
    fn units<'c>(
        &self,
        cells: impl Iterator<Item = &'c FinishedCell<'c>>,
        network: &str,
    ) -> Vec<Unit<'a>> {
        let mut units: Vec<Unit<'a>> = vec![];
        for (test, (_, known)) in self.tests.iter().enumerate() {
            units.extend(known.utterances.iter().map(|utterance| Unit {
                test,
                speaker: utterance.speaker.as_deref().unwrap_or(&utterance.id),
                words: 0,
                errors: 0,
            }));
        }
        for cell in cells {
            let mut rest = units.as_mut_slice();
            for (name, known) in self.tests {
                let (own, after) = rest.split_at_mut(known.utterances.len());
                rest = after;
                let measured = test_of(cell.record, network, name);
                let errors = measured.into_iter().flat_map(|test| &test.errors);
                for ((unit, utterance), errors) in own.iter_mut().zip(&known.utterances).zip(errors)
                {
                    unit.words += utterance.words;
                    unit.errors += errors;
                }
            }
        }
        units
    }

    fn score(
        &self,
        arm: &FinishedArm<'_>,
        network: &str,
        units: &[Unit<'_>],
        tests: &[&str],
    ) -> Score {
        let (words, errors) = units.iter().fold((0, 0), |sum, unit| {
            (sum.0 + unit.words, sum.1 + unit.errors)
        });
        let measured = |cell: &FinishedCell<'_>| -> Vec<TestRecord> {
            let tests = tests.iter();
            tests
                .filter_map(|test| test_of(cell.record, network, test).cloned())
                .collect()
        };
        let by_seed: Vec<Vec<TestRecord>> = arm.cells.iter().map(measured).collect();
        let wer_by_seed: Vec<f64> = by_seed
            .iter()
            .map(|tests| sum(tests, |test| test.words).rate())
            .collect();
        let all: Vec<TestRecord> = by_seed.into_iter().flatten().collect();
        let losses: Vec<f64> = all.iter().filter_map(|test| test.ctc_loss).collect();
        let counts: Vec<ErrorCounts> = units.iter().map(|u| counts(u.words, u.errors)).collect();
        Score {
            wer: errors as f64 / words.max(1) as f64,
            by_utterance: bootstrap_interval(&counts, self.resamples, BOOTSTRAP_SEED),
            by_speaker: self.by_speaker(units),
            seed_deviation: deviation(&wer_by_seed),
            wer_by_seed,
            cer: sum(&all, |test| test.characters).rate(),
            ctc_loss: mean(&losses),
        }
    }

    fn by_speaker(&self, units: &[Unit<'_>]) -> Option<Interval> {
        let mut speakers: BTreeMap<&str, ErrorCounts> = BTreeMap::new();
        for unit in units {
            let own = speakers.entry(unit.speaker).or_default();
            own.add(&counts(unit.words, unit.errors));
        }
        let counts: Vec<ErrorCounts> = speakers.into_values().collect();
        (counts.len() > 1).then(|| bootstrap_interval(&counts, self.resamples, BOOTSTRAP_SEED))
    }

    fn compare(
        &self,
        ours: &FinishedArm<'_>,
        baseline: &FinishedArm<'_>,
        network: &str,
    ) -> Option<ArmComparison> {
        let pairs: Vec<(&FinishedCell<'_>, &FinishedCell<'_>)> = ours
            .cells
            .iter()
            .filter_map(|own| {
                let same = baseline.cells.iter().find(|cell| cell.seed == own.seed);
                Some((own, same?))
            })
            .filter(|(own, other)| {
                own.record.network(network).is_some() && other.record.network(network).is_some()
            })
            .collect();
        let own = self.units(pairs.iter().map(|pair| pair.0), network);
        let other = self.units(pairs.iter().map(|pair| pair.1), network);
        let units: Vec<PairedCounts> = own
            .iter()
            .zip(&other)
            .map(|(own, other)| PairedCounts {
                words: own.words,
                first: own.errors,
                second: other.errors,
            })
            .collect();
        let mut speakers: BTreeMap<&str, PairedCounts> = BTreeMap::new();
        for (unit, counts) in own.iter().zip(&units) {
            speakers.entry(unit.speaker).or_default().add(counts);
        }
        let speakers: Vec<PairedCounts> = speakers.into_values().collect();
        let draw = |units: &[PairedCounts]| paired_bootstrap(units, self.resamples, BOOTSTRAP_SEED);
        let by_utterance = draw(&units);
        let by_seed = pairs.iter().map(|(own, other)| {
            self.pooled_wer(own.record, network) - self.pooled_wer(other.record, network)
        });
        (!pairs.is_empty()).then(|| ArmComparison {
            network: network.to_owned(),
            ours: ours.name.clone(),
            baseline: baseline.name.clone(),
            seeds: pairs.iter().map(|(own, _)| own.seed).collect(),
            adjusted_p: by_utterance.p_value,
            by_utterance,
            by_speaker: (speakers.len() > 1).then(|| draw(&speakers)),
            by_seed: by_seed.collect(),
        })
    }

    fn pooled_wer(&self, record: &Record, network: &str) -> f64 {
        let tests = self.tests.iter();
        let tests: Vec<TestRecord> = tests
            .filter_map(|(test, _)| test_of(record, network, test).cloned())
            .collect();
        sum(&tests, |test| test.words).rate()
    }
}

/// Each of ours against each baseline, by network.
pub(super) fn compare_arms(arms: &[FinishedArm<'_>], scorer: &Scorer<'_>) -> Vec<ArmComparison> {
    let on = |side: Side| arms.iter().filter(move |arm| arm.side == side);
    let mut comparisons = vec![];
    for ours in on(Side::Ours) {
        for baseline in on(Side::Baseline) {
            for network in &ours.networks {
                comparisons.extend(scorer.compare(ours, baseline, network));
            }
        }
    }
    let p_values: Vec<f64> = comparisons.iter().map(|c| c.by_utterance.p_value).collect();
    for (comparison, adjusted) in comparisons.iter_mut().zip(holm(&p_values)) {
        comparison.adjusted_p = adjusted;
    }
    comparisons
}

/// Holm's step-down adjustment: the probability that any of them is wrong stays below the level.
fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut greatest: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        let own = p_values[index] * (p_values.len() - rank) as f64;
        greatest = greatest.max(own.min(1.0));
        adjusted[index] = greatest;
    }
    adjusted
}

fn test_of<'a>(record: &'a Record, network: &str, test: &str) -> Option<&'a TestRecord> {
    record.network(network)?.tests.get(test)
}

fn sum(tests: &[TestRecord], kind: impl Fn(&TestRecord) -> ErrorCounts) -> ErrorCounts {
    let mut total = ErrorCounts::default();
    tests.iter().for_each(|test| total.add(&kind(test)));
    total
}

/// Which kind of error they are makes no difference to a rate.
fn counts(reference_len: usize, errors: usize) -> ErrorCounts {
    ErrorCounts {
        reference_len,
        substitutions: errors,
        ..ErrorCounts::default()
    }
}

pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Of a sample; `None` of fewer than two.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holms_adjustment_is_that_of_the_textbook() {
        // Times 4, 3, 2, 1, and never below the one before.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        let wanted = [0.03, 0.06, 0.06, 0.02];
        for (got, want) in adjusted.iter().zip(wanted) {
            assert!((got - want).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let close = |got: Option<f64>, want: f64| (got.unwrap_or(-1.0) - want).abs() < 1e-12;
        assert!(close(deviation(&[1.0, 2.0, 3.0]), 1.0));
        assert_eq!(deviation(&[1.0]), None);
    }
}
