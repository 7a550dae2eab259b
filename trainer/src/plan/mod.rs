//! What training on several machines would take: `fledge plan`.
//!
//! A step takes as long as the machine with most audio computes, plus the exchange. Audio is what the
//! recipe's own batches hold, padded and dealt out as training deals it; the rates of the passes, of the
//! update and of making batches are measured on this machine, by processor time. The exchange is the bytes of gradients
//! and weights over the network's bandwidth, and its calls over the latency, times a margin for what real
//! networks do worse, and what packing, copying and adding up cost a processor, which is measured, too.

#![warn(missing_docs)]

mod network;

pub use network::{Network, NetworkError};

use serde::Serialize;

use crate::{
    bench::PhaseRate,
    config::Recipe,
    data::{EpochPlan, RecipeData, Share, TrainingAudio, deal},
};

/// Times the exchange that bandwidth and latency alone give.
const MARGIN: f64 = 1.5;
/// Calls of a step whose time is latency: counts and contents of rows and summary, and the stop.
const SMALL_CALLS: f64 = 6.0;
/// Of gradients and of weights: every machine sends to each other.
const LARGE_CALLS: f64 = 2.0;
const BYTES_PER_NUMBER: f64 = 4.0;
/// Batch sizes that are tried, times the recipe's.
const LARGER: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Efficiency that is called good.
pub const GOOD_EFFICIENCY: f64 = 0.8;

/// The machines that training is planned for.
#[derive(Debug, Clone, Serialize)]
pub struct Machines {
    /// How many of them.
    pub nodes: usize,
    /// Processor cores of each; one process a machine.
    pub cores: usize,
    /// Between them.
    pub network: Network,
}

/// What a phase would take.
#[derive(Debug, Clone, Serialize)]
pub struct PhasePlan {
    /// `teach`, `distill` or `finetune`.
    pub phase: String,
    /// Machines.
    pub nodes: usize,
    /// Audio in a batch, seconds.
    pub batch_seconds: f32,
    /// Shards of a batch.
    pub shards: usize,
    /// Updates in an epoch.
    pub steps: usize,
    /// Mean utterances of a shard in a step.
    pub utterances_per_shard: f64,
    /// An epoch's seconds without validation.
    pub epoch_secs: f64,
    /// Share of these machines' time that one machine alone would need.
    pub efficiency: f64,
    /// Of a step: passes of a machine, the mean.
    pub passes_ms: f64,
    /// Of a step: the update.
    pub update_ms: f64,
    /// Of a step: reading audio, varying it and computing features, which the same cores do.
    pub data_ms: f64,
    /// Of a step: gradients and weights on their way.
    pub exchange_ms: f64,
    /// Of a step: for the machine with most audio, the mean.
    pub waiting_ms: f64,
}

/// What a recipe's data looks like in batches.
pub struct Planner<'a> {
    /// The recipe, with the tokens' number decided.
    pub recipe: &'a Recipe,
    /// Its data.
    pub data: &'a RecipeData,
    /// [`RecipeData::preparation_cpu_per_audio_sec`].
    pub preparation_cpu_per_audio_sec: f64,
}

/// Sums over the steps of an epoch.
#[derive(Default)]
struct Sums {
    steps: usize,
    utterances: usize,
    /// Of the machine with most of each step.
    longest: f64,
    mean: f64,
    /// Seconds of all utterances, without padding.
    audio_secs: f64,
}

impl Planner<'_> {
    /// What a phase would take, with batches `larger` times those of the recipe.
    pub fn phase(&self, rate: &PhaseRate, machines: &Machines, larger: usize) -> PhasePlan {
        let one = Machines {
            nodes: 1,
            ..machines.clone()
        };
        let alone = self.secs(rate, &one, larger).epoch_secs;
        let mut plan = self.secs(rate, machines, larger);
        plan.efficiency = alone / (plan.epoch_secs * machines.nodes as f64);
        plan
    }

    /// The smallest of some larger batches with which a phase is efficient.
    pub fn good_batch(&self, rate: &PhaseRate, machines: &Machines) -> Option<PhasePlan> {
        let tried = LARGER.iter();
        tried
            .map(|&larger| self.phase(rate, machines, larger))
            .find(|plan| plan.efficiency >= GOOD_EFFICIENCY)
    }

    fn secs(&self, rate: &PhaseRate, machines: &Machines, larger: usize) -> PhasePlan {
        let Machines { nodes, cores, .. } = *machines;
        let shards = match self.recipe.compute.shards {
            0 => nodes * cores,
            shards => shards.max(nodes),
        };
        let batch_seconds = self.recipe.data.batch_seconds * larger as f32;
        let sums = self.sums(rate, machines, shards, batch_seconds);
        let steps = sums.steps.max(1) as f64;
        let (passes, longest) = (sums.mean, sums.longest);
        let update = rate.update_cpu_secs / (nodes * cores) as f64;
        let exchange = exchange_secs(rate, machines);
        let data = self.preparation_cpu_per_audio_sec * sums.audio_secs / (nodes * cores) as f64;
        let epoch_secs = longest + data + steps * (update + exchange);
        PhasePlan {
            phase: rate.phase.to_string(),
            nodes,
            batch_seconds,
            shards,
            steps: sums.steps,
            utterances_per_shard: sums.utterances as f64 / (steps * shards as f64),
            epoch_secs,
            efficiency: 1.0,
            passes_ms: 1e3 * passes / steps,
            update_ms: 1e3 * update,
            data_ms: 1e3 * data / steps,
            exchange_ms: 1e3 * exchange,
            waiting_ms: 1e3 * (longest - passes) / steps,
        }
    }

    /// What machines compute, each core in turn, over the batches of an epoch.
    fn sums(
        &self,
        rate: &PhaseRate,
        machines: &Machines,
        shards: usize,
        batch_seconds: f32,
    ) -> Sums {
        let training = &rate.training;
        let plan = EpochPlan::new(rate.phase, training.gentle_epochs, training);
        let audio = match rate.hears_all {
            true => TrainingAudio::All,
            false => TrainingAudio::Transcribed,
        };
        let (secs, batches) = self.data.plan_in(batch_seconds, audio, plan);
        let pass_secs = |audio_secs: f64| {
            rate.pass_cpu_secs + rate.pass_cpu_per_audio_sec * audio_secs * plan.views as f64
        };
        let mut sums = Sums::default();
        for batches in batches.chunks(training.optim.accumulate.max(1)) {
            let mut of_nodes = vec![0.0; machines.nodes];
            for batch in batches {
                sums.utterances += batch.len();
                sums.audio_secs += batch
                    .iter()
                    .map(|&index| f64::from(secs[index]))
                    .sum::<f64>();
                let own = match rate.whole_batch_networks {
                    0 => node_secs(batch, &secs, shards, machines, &pass_secs),
                    networks => whole_secs(batch, &secs, networks, machines, &pass_secs),
                };
                // Machines wait for each other at the rows of every batch.
                let longest = own.iter().copied().fold(0.0, f64::max);
                sums.longest += longest;
                of_nodes
                    .iter_mut()
                    .zip(own)
                    .for_each(|(sum, own)| *sum += own);
            }
            let total: f64 = of_nodes.iter().sum();
            sums.mean += total / machines.nodes as f64;
            sums.steps += 1;
        }
        sums
    }
}

/// What each machine's cores compute of a batch one after the other: its longest core's.
///
/// - `pass_secs`: what a pass over so much padded audio takes.
fn node_secs(
    batch: &[usize],
    secs: &[f32],
    shards: usize,
    machines: &Machines,
    pass_secs: &dyn Fn(f64) -> f64,
) -> Vec<f64> {
    let lengths = batch
        .iter()
        .map(|&index| ((secs[index] * 1000.0) as usize).max(1));
    let lengths: Vec<usize> = lengths.collect();
    let mut padded = vec![(0, 0); shards];
    for (shard, length) in deal(&lengths, shards).into_iter().zip(lengths) {
        let (count, longest) = &mut padded[shard];
        *count += 1;
        *longest = length.max(*longest);
    }
    let of_shard = |shard: usize| match padded[shard] {
        (0, _) => 0.0,
        (count, longest) => pass_secs((count * longest) as f64 * 1e-3),
    };
    let nodes = (0..machines.nodes).map(|node| {
        let own = Share::of(node, machines.nodes, shards).own;
        let mut loads = vec![0.0f64; machines.cores];
        for shard in own {
            // The next free core takes the next shard.
            if let Some(least) = loads.iter_mut().min_by(|a, b| (**a).total_cmp(b)) {
                *least += of_shard(shard);
            }
        }
        loads.into_iter().fold(0.0, f64::max)
    });
    nodes.collect()
}

/// As [`node_secs`], of `networks` that are trained on whole batches: each on one core of one machine.
fn whole_secs(
    batch: &[usize],
    secs: &[f32],
    networks: usize,
    machines: &Machines,
    pass_secs: &dyn Fn(f64) -> f64,
) -> Vec<f64> {
    let longest = batch.iter().map(|&index| secs[index]).fold(0.0, f32::max);
    let padded = f64::from(longest) * batch.len() as f64;
    let mut of_machines = vec![0; machines.nodes];
    for network in 0..networks {
        of_machines[network % machines.nodes] += 1;
    }
    // The rate is that of all networks together.
    let each = pass_secs(padded) / networks as f64;
    let secs = of_machines.into_iter();
    secs.map(|own: usize| each * own.div_ceil(machines.cores) as f64)
        .collect()
}

/// Seconds that gradients and weights of a step are on their way.
fn exchange_secs(rate: &PhaseRate, machines: &Machines) -> f64 {
    let others = machines.nodes.saturating_sub(1) as f64;
    if others == 0.0 {
        return 0.0;
    }
    let both_ways = 2.0 * BYTES_PER_NUMBER * rate.parameters as f64;
    let bytes = both_ways * others / machines.nodes as f64;
    let rounds = (machines.nodes as f64).log2().ceil();
    let calls = LARGE_CALLS * others + SMALL_CALLS * rounds;
    let Network { latency_secs, .. } = machines.network;
    let on_their_way = bytes / machines.network.bytes_per_sec() + calls * latency_secs;
    MARGIN * on_their_way + rate.exchange_cpu_secs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Phase, TrainingConfig};

    fn machines(nodes: usize, cores: usize) -> Machines {
        Machines {
            nodes,
            cores,
            network: Network {
                gigabits_per_sec: 1.0,
                latency_secs: 0.0,
            },
        }
    }

    fn rate(parameters: usize, exchange_cpu_secs: f64) -> PhaseRate {
        PhaseRate {
            phase: Phase::Teach,
            pass_cpu_secs: 0.0,
            pass_cpu_per_audio_sec: 0.0,
            update_cpu_secs: 0.0,
            exchange_cpu_secs,
            whole_batch_networks: 0,
            parameters,
            training: TrainingConfig::default(),
            hears_all: false,
        }
    }

    /// Passes that take as long as their audio is.
    fn as_long(audio_secs: f64) -> f64 {
        audio_secs
    }

    #[test]
    fn networks_with_batch_norms_are_computed_by_one_core_each() {
        let secs = [4.0, 3.0, 2.0, 1.0];
        let all = [0, 1, 2, 3];
        // 16 s with padding, on one core of one machine.
        assert_eq!(
            whole_secs(&all, &secs, 1, &machines(3, 2), &as_long),
            [16.0, 0.0, 0.0]
        );
        // Three networks, each a third of the work.
        let third = 16.0 / 3.0;
        let two = whole_secs(&all, &secs, 3, &machines(2, 1), &as_long);
        assert_eq!(two, [2.0 * third, third]);
        assert_eq!(
            whole_secs(&all, &secs, 3, &machines(1, 4), &as_long),
            [third]
        );
    }

    #[test]
    fn the_exchange_is_all_gradients_to_their_owners_and_all_weights_back() {
        let copied = 7e-3;
        let million = rate(1_000_000, copied);
        assert_eq!(exchange_secs(&million, &machines(1, 2)), 0.0);
        // Of 4 MB, half goes and half comes, twice, at 0.11 GB/s.
        let two = exchange_secs(&million, &machines(2, 2));
        assert!((two - 1.5 * 4e6 / 0.11e9 - copied).abs() < 1e-9, "{two}");
        let mut slow = machines(4, 2);
        slow.network.latency_secs = 1e-3;
        let four = exchange_secs(&rate(0, 0.0), &slow);
        // Three others for each of two large calls, two rounds for each of six small ones.
        assert!((four - 1.5 * 18e-3).abs() < 1e-9, "{four}");
    }

    #[test]
    fn a_machine_takes_as_long_as_its_fullest_core() {
        let secs = [4.0, 3.0, 2.0, 1.0];
        let all = [0, 1, 2, 3];
        // Four shards of one utterance, in the order 4, 2, 3, 1 over the shards.
        assert_eq!(
            node_secs(&all, &secs, 4, &machines(2, 2), &as_long),
            [4.0, 3.0]
        );
        assert_eq!(
            node_secs(&all, &secs, 4, &machines(2, 1), &as_long),
            [6.0, 4.0]
        );
        // Two shards, 4 with 1 and 3 with 2, padded.
        assert_eq!(
            node_secs(&all, &secs, 2, &machines(2, 1), &as_long),
            [8.0, 6.0]
        );
        assert_eq!(
            node_secs(&all[..1], &secs, 2, &machines(2, 1), &as_long),
            [4.0, 0.0]
        );
        // One pass a shard, whatever it holds, and none where it holds nothing.
        let half_more = |audio_secs: f64| audio_secs + 0.5;
        assert_eq!(
            node_secs(&all[..3], &secs, 4, &machines(2, 2), &half_more),
            [4.5, 3.5]
        );
        assert_eq!(
            node_secs(&all[..1], &secs, 2, &machines(2, 1), &half_more),
            [4.5, 0.0]
        );
    }
}
