//! What a phase computes at: the rates that `fledge plan` reckons with.

use super::{Options, run, subjects::phase_steps, synthetic_batch};
use crate::{
    config::{Phase, Recipe, TrainingConfig},
    device::OpenDevice,
    train::TrainError,
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
        let trainers = &subject.group.trainers;
        rates.push(PhaseRate {
            phase: subject.group.phase,
            pass_cpu_per_audio_sec: passes.max(0.0) / batch.audio_secs,
            update_cpu_secs: update,
            parameters: trainers.iter().map(|trainer| trainer.parameters()).sum(),
            training,
            hears_all: subject.is_distillation,
        });
    }
    Ok(rates)
}
