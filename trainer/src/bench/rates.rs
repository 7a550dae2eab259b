//! What a phase computes at: the rates that `fledge plan` reckons with.

use super::{Options, copying::Mirror, run, steady_step, subjects::phase_steps, synthetic_batch};
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
    let batch = synthetic_batch(recipe, vocab_size, options);
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
        // The first round fills the allocator's and the processor's caches.
        let steps = (0..=options.repeats).map(|round| run(&mut subject.group, &batch, round));
        let least = steps.skip(1).min_by_key(|measured| measured.usage.total);
        let Some(measured) = least else { continue };
        let update = measured.times.update.as_secs_f64();
        let passes = measured.usage.total.as_secs_f64() - update;
        let shared = exchange_cpu_secs(&mut subject.group, &batch, options)?;
        let trainers = &subject.group.trainers;
        let whole = trainers.iter().filter(|t| t.network.needs_whole_batch());
        rates.push(PhaseRate {
            phase: subject.group.phase,
            pass_cpu_per_audio_sec: passes.max(0.0) / batch.audio_secs,
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
