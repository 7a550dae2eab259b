//! What a phase computes at: the rates that `fledge plan` reckons with.

use super::{
    Measured, Options, copying::Mirror, run, steady_step, subjects::phase_steps, synthetic_batch,
};
use crate::{
    cluster::ClusterError,
    config::{Phase, Recipe, TrainingConfig},
    data::Batch,
    device::OpenDevice,
    train::{TrainError, TrainerGroup},
};

/// Rates of a phase, by processor time.
#[derive(Debug, Clone)]
pub struct PhaseRate {
    /// Which phase.
    pub phase: Phase,
    /// A pass over a shard, beside what its audio takes; all networks together.
    pub pass_cpu_secs: f64,
    /// Passes over a second of padded audio, all networks together.
    pub pass_cpu_per_audio_sec: f64,
    /// An update of all networks.
    pub update_cpu_secs: f64,
    /// Beside passes and its part of the update: what a process spends on the exchange of a step with
    /// another one.
    pub exchange_cpu_secs: f64,
    /// Networks that are trained on whole batches, each by one process.
    pub whole_batch_networks: usize,
    /// Of all networks.
    pub parameters: usize,
    /// Of the first network.
    pub training: TrainingConfig,
    /// Whether it learns from audio without a transcript, too.
    pub hears_all: bool,
}

/// Measures the phases of a recipe on the CPU, those with epochs.
///
/// - `vocab_size`: of all networks.
///
/// # Errors
/// A recipe whose networks cannot be built.
pub fn phase_rates(
    recipe: &Recipe,
    vocab_size: usize,
    options: Options,
) -> Result<Vec<PhaseRate>, TrainError> {
    let cpu = OpenDevice::cpu("its processor time is measured");
    let batch_of = |utterances| {
        let options = Options {
            utterances,
            ..options
        };
        synthetic_batch(recipe, vocab_size, options)
    };
    let mut rates = vec![];
    for mut subject in phase_steps(recipe, vocab_size, &cpu)? {
        let training = match subject.group.phase {
            Phase::Teach if !recipe.needs_teacher() || recipe.teacher.from.is_some() => continue,
            Phase::Teach => recipe.teach.clone(),
            Phase::Distill => recipe.distill.training(),
            Phase::Finetune => recipe.finetune.clone(),
        };
        if training.epochs == 0 {
            continue;
        }
        let shards = subject.group.compute.shards;
        // A batch with one utterance a shard, and one with several: what passes take that have little to do.
        let few = batch_of(shards);
        let batch = batch_of(options.utterances.max(4 * shards));
        let group = &mut subject.group;
        let (Some(least), Some(measured)) = (
            least_step(group, &few, options),
            least_step(group, &batch, options),
        ) else {
            continue;
        };
        let update = measured.times.update.as_secs_f64();
        let passes = |measured: &Measured| {
            (measured.usage.total.saturating_sub(measured.times.update)).as_secs_f64()
        };
        let (pass_cpu_secs, pass_cpu_per_audio_sec) = line(
            (few.audio_secs, passes(&least)),
            (batch.audio_secs, passes(&measured)),
        );
        let shared = exchange_cpu_secs(&mut subject.group, &batch, options)?;
        let trainers = &subject.group.trainers;
        let whole = trainers.iter().filter(|t| t.network.needs_whole_batch());
        rates.push(PhaseRate {
            phase: subject.group.phase,
            pass_cpu_secs: pass_cpu_secs / shards as f64,
            pass_cpu_per_audio_sec,
            update_cpu_secs: update,
            exchange_cpu_secs: (shared - update / 2.0).max(0.0),
            whole_batch_networks: whole.count(),
            parameters: trainers.iter().map(|trainer| trainer.parameters()).sum(),
            training,
            hears_all: subject.is_distillation,
        });
    }
    Ok(rates)
}

/// The step that takes the least processor time, of those after the first, which fills the allocator's and the
/// processor's caches.
fn least_step(group: &mut TrainerGroup, batch: &Batch, options: Options) -> Option<Measured> {
    let steps = (0..=options.repeats).map(|round| run(group, batch, round));
    steps.skip(1).min_by_key(|measured| measured.usage.total)
}

/// Value at 0 and slope of the line through two points, neither below 0.
fn line((x, y): (f64, f64), (further, higher): (f64, f64)) -> (f64, f64) {
    let slope = (higher - y) / (further - x);
    let start = y - slope * x;
    if slope >= 0.0 && start >= 0.0 {
        (start, slope)
    } else {
        (0.0, higher / further)
    }
}

/// Processor time of the exchange of a step and of half of its update, the least of some.
fn exchange_cpu_secs(
    group: &mut TrainerGroup,
    batch: &Batch,
    options: Options,
) -> Result<f64, TrainError> {
    let mirror = Mirror::open().map_err(|error| ClusterError::Call {
        rank: 0,
        what: "measuring the exchange",
        reason: error.to_string(),
    })?;
    let mut least = f64::INFINITY;
    for round in 0..=options.repeats {
        let step = steady_step(group.phase, batch, round);
        let spent = group.exchange_cpu(&step, &mirror)?;
        least = least.min(spent.as_secs_f64());
    }
    Ok(least)
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn what_a_pass_takes_without_audio_is_found_from_two_batches() {
        // 3 ms and 2 ms a second.
        assert_eq!(line((1.0, 5.0), (4.0, 11.0)), (3.0, 2.0));
        // More audio in less than its share of the time, as a busy machine may measure it.
        assert_eq!(line((1.0, 5.0), (4.0, 24.0)), (0.0, 6.0));
        assert_eq!(line((1.0, 5.0), (4.0, 4.0)), (0.0, 1.0));
    }
}
