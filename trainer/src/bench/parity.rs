//! Whether a device trains as the CPU does: one pass and one step of a recipe's teacher, then some
//! steps of training side by side.

use serde::{Deserialize, Serialize};

use super::{
    steady_step,
    subjects::{Subject, phase_steps},
};
use crate::{
    config::Recipe,
    data::Batch,
    device::{AdapterCheckError, Agreement, OpenDevice, Trial, compare_with_cpu},
    exit_status::{ExitStatus, HasExitStatus},
    train::TrainError,
};

/// The greatest difference of a loss within the first steps that passes, relative to the CPU's.
/// Rounding grows from step to step; a wrong gradient takes another way from the second step on.
pub const LOSS_TOLERANCE: f64 = 1e-2;

/// A device beside the CPU.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Parity {
    /// Of the recipe's teacher, in one pass and one step of AdamW.
    pub teacher: Agreement,
    pub losses: Vec<StepLoss>,
    /// The greatest relative difference of a loss.
    pub greatest_loss_difference: f64,
}

/// The loss of one step on both: the sum of all losses of all networks, if it is finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepLoss {
    /// `teacher CTC`, ...
    pub step: String,
    /// From 1.
    pub number: usize,
    pub cpu: Option<f64>,
    pub device: Option<f64>,
}

impl StepLoss {
    /// Relative to the CPU's loss; the greatest number there is where a loss is not finite.
    pub fn difference(&self) -> f64 {
        match (self.cpu, self.device) {
            (Some(cpu), Some(device)) if cpu == device => 0.0,
            (Some(cpu), Some(device)) => ((device - cpu) / cpu).abs().min(f64::MAX),
            _ => f64::MAX,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error(transparent)]
    Device(#[from] AdapterCheckError),
}

impl HasExitStatus for ParityError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Train(error) => error.exit_status(),
            Self::Device(_) => ExitStatus::Device,
        }
    }
}

/// Compares `device` with the CPU on a recipe's networks with fresh weights: the teacher's pass over
/// the first batch, then a step of every phase for each batch.
///
/// # Errors
///
/// A network that cannot be built, or a device that fails on the way.
pub fn measure_parity(
    recipe: &Recipe,
    vocab_size: usize,
    device: &OpenDevice,
    batches: &[Batch],
) -> Result<Parity, ParityError> {
    // As on the device: a part of a batch has dropout of its own.
    let mut recipe = recipe.clone();
    recipe.compute.shards = 1;
    let cpu = OpenDevice::cpu("it is the reference");
    let references = phase_steps(&recipe, vocab_size, &cpu)?;
    let subjects = phase_steps(&recipe, vocab_size, device)?;
    let trial = Trial {
        config: recipe.fitted(&recipe.teacher.model, vocab_size),
        lengths: batches
            .first()
            .map(|batch| batch.lengths.clone())
            .unwrap_or_default(),
    };
    let teacher = compare_with_cpu(&trial, &device.device)?;
    if !teacher.worst().is_finite() {
        return Err(AdapterCheckError::Differs(teacher).into());
    }
    let mut losses = vec![];
    for (mut reference, mut subject) in references.into_iter().zip(subjects) {
        for (index, batch) in batches.iter().enumerate() {
            losses.push(StepLoss {
                step: subject.name.clone(),
                number: index + 1,
                cpu: loss(&mut reference, batch),
                device: loss(&mut subject, batch),
            });
        }
    }
    let differences = losses.iter().map(StepLoss::difference);
    Ok(Parity {
        teacher,
        greatest_loss_difference: differences.fold(0.0, f64::max),
        losses,
    })
}

fn loss(subject: &mut Subject, batch: &Batch) -> Option<f64> {
    let phase = subject.group.phase;
    let report = subject.group.step(&steady_step(phase, batch, 0));
    let losses = report.networks.iter().flat_map(|network| &network.losses);
    let sum: f64 = losses.map(|(_, loss)| loss).sum();
    sum.is_finite().then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_relative_to_the_cpu_and_greatest_without_a_number() {
        let difference = |cpu, device| {
            let step = "teacher CTC".to_owned();
            let loss = StepLoss {
                step,
                number: 1,
                cpu,
                device,
            };
            loss.difference()
        };
        assert_eq!(difference(Some(4.0), Some(5.0)), 0.25);
        assert_eq!(difference(Some(-4.0), Some(-5.0)), 0.25);
        assert_eq!(difference(Some(0.0), Some(0.0)), 0.0);
        assert_eq!(difference(Some(0.0), Some(1e-9)), f64::MAX);
        assert_eq!(difference(Some(4.0), None), f64::MAX);
        assert_eq!(difference(None, None), f64::MAX);
    }
}
