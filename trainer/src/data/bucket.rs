//! Which utterances share a batch.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::EpochPlan;

/// The largest number of utterances in a batch, whatever their length.
const MAX_BATCH: usize = 512;
/// Lengths are compared up to this relative error, so that neighbours change between epochs.
const LENGTH_JITTER: f32 = 0.08;

/// Batches of one epoch as indices into `secs`. Utterances of like length share a batch;
/// `longest * count <= batch_secs` in each (one longer than that is alone). The order of batches,
/// and who meets whom, follow from seed, phase and epoch. The first batch of a phase is the largest
/// one, so that a run which does not fit into memory fails at once.
pub fn plan_epoch(secs: &[f32], batch_secs: f32, seed: u64, plan: EpochPlan) -> Vec<Vec<usize>> {
    let everything = vec![(0..secs.len()).collect()];
    plan_windows(secs, everything, batch_secs, seed, plan).concat()
}

/// As [`plan_epoch`], of utterances that come one window after the other: the batches of each.
pub fn plan_windows(
    secs: &[f32],
    windows: Vec<Vec<usize>>,
    batch_secs: f32,
    seed: u64,
    plan: EpochPlan,
) -> Vec<Vec<Vec<usize>>> {
    let seed = plan.seed(seed, u64::from_le_bytes(*b"batches\0"));
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut windows: Vec<Vec<Vec<usize>>> = windows
        .into_iter()
        .map(|window| mixed(window, secs, batch_secs, &mut rng))
        .collect();
    if plan.epoch == 0
        && let Some(batches) = windows.first_mut()
    {
        let largest = (0..batches.len()).max_by(|&a, &b| {
            padded_secs(&batches[a], secs).total_cmp(&padded_secs(&batches[b], secs))
        });
        if let Some(largest) = largest {
            batches.swap(0, largest);
        }
    }
    windows
}

/// Batches of these utterances in a random order.
fn mixed(
    utterances: Vec<usize>,
    secs: &[f32],
    batch_secs: f32,
    rng: &mut Xoshiro256PlusPlus,
) -> Vec<Vec<usize>> {
    let mut order: Vec<(f32, usize)> = utterances
        .into_iter()
        .map(|index| {
            let jitter = 1.0 + rng.random_range(-LENGTH_JITTER..=LENGTH_JITTER);
            (secs[index] * jitter, index)
        })
        .collect();
    order.shuffle(rng);
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut batches = fill(order.into_iter().map(|(_, index)| index), secs, batch_secs);
    batches.shuffle(rng);
    batches
}

/// Batches in order of length, for evaluation.
pub fn plan_sorted(secs: &[f32], batch_secs: f32) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..secs.len()).collect();
    order.sort_by(|&a, &b| secs[a].total_cmp(&secs[b]));
    fill(order.into_iter(), secs, batch_secs)
}

/// Audio of a batch with its padding, seconds.
fn padded_secs(batch: &[usize], secs: &[f32]) -> f32 {
    let longest = batch.iter().map(|&i| secs[i]).fold(0.0, f32::max);
    longest * batch.len() as f32
}

fn fill(order: impl Iterator<Item = usize>, secs: &[f32], batch_secs: f32) -> Vec<Vec<usize>> {
    let mut batches = Vec::new();
    let mut batch: Vec<usize> = Vec::new();
    let mut longest = 0.0_f32;
    for index in order {
        let with = longest.max(secs[index]);
        let too_large = with * (batch.len() + 1) as f32 > batch_secs || batch.len() >= MAX_BATCH;
        if too_large && !batch.is_empty() {
            batches.push(std::mem::take(&mut batch));
            longest = secs[index];
        } else {
            longest = with;
        }
        batch.push(index);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Phase;

    fn lengths() -> Vec<f32> {
        (0..500)
            .map(|i| 0.5 + (i * 37 % 160) as f32 * 0.1)
            .collect()
    }

    fn plan(epoch: usize) -> EpochPlan {
        EpochPlan {
            epoch,
            ..EpochPlan::plain()
        }
    }

    #[test]
    fn every_utterance_is_in_one_batch_and_padding_is_counted() {
        let secs = lengths();
        let batches = plan_epoch(&secs, 60.0, 7, plan(3));
        let mut all: Vec<usize> = batches.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..secs.len()).collect::<Vec<_>>());
        assert!(batches.iter().all(|b| padded_secs(b, &secs) <= 60.0));
        let real: f32 = secs.iter().sum();
        let padded: f32 = batches.iter().map(|b| padded_secs(b, &secs)).sum();
        assert!(padded < 1.25 * real, "{padded} of {real}");
    }

    #[test]
    fn batches_follow_from_seed_phase_and_epoch_alone() {
        let secs = lengths();
        let distill = EpochPlan {
            phase: Phase::Distill,
            ..plan(3)
        };
        assert_ne!(
            plan_epoch(&secs, 60.0, 7, plan(3)),
            plan_epoch(&secs, 60.0, 7, distill)
        );
        assert_eq!(
            plan_epoch(&secs, 60.0, 7, plan(3)),
            plan_epoch(&secs, 60.0, 7, plan(3))
        );
        assert_ne!(
            plan_epoch(&secs, 60.0, 7, plan(3)),
            plan_epoch(&secs, 60.0, 7, plan(4))
        );
        assert_ne!(
            plan_epoch(&secs, 60.0, 7, plan(3)),
            plan_epoch(&secs, 60.0, 8, plan(3))
        );
    }

    #[test]
    fn the_very_first_batch_is_the_largest() {
        let secs = lengths();
        let batches = plan_epoch(&secs, 60.0, 7, plan(0));
        let first = padded_secs(&batches[0], &secs);
        assert!(batches.iter().all(|b| padded_secs(b, &secs) <= first));
    }

    #[test]
    fn windows_are_batched_one_after_the_other_and_one_of_all_is_an_epoch() {
        let secs = lengths();
        let all: Vec<usize> = (0..secs.len()).collect();
        let one = plan_windows(&secs, vec![all], 60.0, 7, plan(0));
        assert_eq!(one, [plan_epoch(&secs, 60.0, 7, plan(0))]);
        let odd_first = [1, 0].map(|rest| (0..500).filter(|i| i % 2 == rest).collect());
        let two = plan_windows(&secs, odd_first.to_vec(), 60.0, 7, plan(2));
        for (batches, rest) in two.iter().zip([1, 0]) {
            let found: Vec<usize> = batches.concat();
            assert_eq!(found.len(), 250);
            assert!(found.iter().all(|index| index % 2 == rest));
        }
    }

    #[test]
    fn an_utterance_longer_than_a_batch_is_alone() {
        assert_eq!(plan_sorted(&[1.0, 90.0, 1.0], 60.0), [vec![0, 2], vec![1]]);
        assert!(plan_epoch(&[], 60.0, 1, plan(0)).is_empty());
    }
}
