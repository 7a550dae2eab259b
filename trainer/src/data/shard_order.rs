//! The order in which an epoch reads the tar files of a corpus (*shards*): several at a time (a
//! *window*), whose utterances are shuffled together.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{EpochPlan, Example};

/// Which utterances lie in which shard.
pub(crate) struct ShardOrder {
    shards: Vec<Shard>,
    /// Utterances in files of their own.
    loose: Vec<usize>,
    window_bytes: u64,
}

#[derive(Default)]
struct Shard {
    utterances: Vec<usize>,
    bytes: u64,
}

impl ShardOrder {
    /// `None` where no utterance lies in a shard. `window_bytes`: of audio that is shuffled together.
    pub fn of(examples: &[Example], window_bytes: u64) -> Option<Self> {
        let mut numbers: HashMap<&Path, usize> = HashMap::new();
        let mut order = Self {
            shards: vec![],
            loose: vec![],
            window_bytes: window_bytes.max(1),
        };
        for (index, example) in examples.iter().enumerate() {
            let utterance = &example.utterance;
            let Some(member) = &utterance.member else {
                order.loose.push(index);
                continue;
            };
            let next = order.shards.len();
            let number = *numbers.entry(&utterance.audio_path).or_insert(next);
            if number == next {
                order.shards.push(Shard::default());
            }
            order.shards[number].utterances.push(index);
            order.shards[number].bytes += member.bytes;
        }
        (!order.shards.is_empty()).then_some(order)
    }

    /// The utterances below `count` in the windows of an epoch: shards in an order that follows from
    /// seed, phase and epoch, as many at a time as a window holds. What lies in files of its own is
    /// spread over all windows.
    pub fn windows(&self, seed: u64, plan: EpochPlan, count: usize) -> Vec<Vec<usize>> {
        let seed = plan.seed(seed, u64::from_le_bytes(*b"shards\0\0"));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut order: Vec<&Shard> = self.shards.iter().collect();
        order.shuffle(&mut rng);
        let mut windows: Vec<Vec<usize>> = vec![];
        let mut bytes = self.window_bytes;
        for shard in order {
            if bytes >= self.window_bytes {
                windows.push(vec![]);
                bytes = 0;
            }
            bytes += shard.bytes;
            if let Some(window) = windows.last_mut() {
                window.extend(shard.utterances.iter().filter(|&&index| index < count));
            }
        }
        // A few utterances alone would make poor batches.
        if bytes < self.window_bytes / 2
            && windows.len() > 1
            && let Some(rest) = windows.pop()
            && let Some(last) = windows.last_mut()
        {
            last.extend(rest);
        }
        let mut loose: Vec<usize> = self.loose.iter().copied().filter(|&i| i < count).collect();
        loose.shuffle(&mut rng);
        let num_windows = windows.len();
        for (place, index) in loose.into_iter().enumerate() {
            windows[place % num_windows].push(index);
        }
        for window in &mut windows {
            window.sort_unstable();
        }
        windows
    }
}
