//! One network of a phase with its optimiser and what is remembered between steps.

use burn::{module::Module, optim::GradientsParams, prelude::*};
use shared_model::weights::WeightError;

use super::{
    average::Averaging,
    checkpoint::{NetworkState, NetworkTensors},
    gradients,
    network::{Trainee, merge_batch_stats},
    objective::{PartResult, Term},
    optimizer::{NetworkOptimizer, StepRate},
    schedule::learning_rate,
};
use crate::config::OptimConfig;

/// Skipped steps in a row that end a run.
pub(super) const MAX_NOT_FINITE: usize = 10;

pub(super) struct Learner {
    pub name: String,
    pub optim: OptimConfig,
    pub trainee: Trainee,
    pub total_steps: usize,
    optimizer: NetworkOptimizer,
    average: Averaging,
    /// Gradients of the batches since the last step, and how many.
    pending: Option<GradientsParams>,
    pending_batches: usize,
    pending_finite: bool,
}

/// What a batch did to a network.
#[derive(Debug, Clone, Default)]
pub(super) struct BatchOutcome {
    pub losses: Vec<(String, f64)>,
    pub gradient_norm: Option<f64>,
    pub learning_rate: Option<f64>,
}

impl Learner {
    pub fn new(name: String, optim: OptimConfig, trainee: Trainee, total_steps: usize) -> Self {
        Self {
            optimizer: NetworkOptimizer::new(&optim, trainee.model.operations()),
            average: Averaging::default(),
            name,
            optim,
            trainee,
            total_steps,
            pending: None,
            pending_batches: 0,
            pending_finite: true,
        }
    }

    pub fn parameters(&self) -> usize {
        self.trainee.model.config().num_parameters()
    }

    /// Whether epoch `epoch` (0-based) is one of this network's.
    pub fn takes_part(&self, epoch: usize) -> bool {
        epoch < self.optim.epochs
    }

    /// No gradient waits for more batches.
    pub fn is_settled(&self) -> bool {
        self.pending_batches == 0
    }

    pub fn tensors(&self) -> NetworkTensors {
        NetworkTensors {
            weights: self.trainee.weights(),
            optimizer: self.optimizer.state(),
            average: self.average.sums.clone(),
        }
    }

    /// Goes on from a checkpoint. `device` has autodiff.
    pub fn restore(
        self,
        state: &NetworkState,
        tensors: NetworkTensors,
        device: &Device,
    ) -> Result<Self, WeightError> {
        let optimizer = NetworkOptimizer::new(&self.optim, self.trainee.model.operations())
            .with_state(&tensors.optimizer, &device.clone().inner())
            .ok_or(WeightError::Missing {
                name: "state of the optimiser".into(),
            })?;
        Ok(Self {
            trainee: self.trainee.with_weights(tensors.weights, device)?,
            optimizer,
            average: Averaging {
                sums: tensors.average,
                count: state.averaged,
            },
            ..self
        })
    }

    /// Takes the parts of a batch in and steps when enough batches are together. The losses are
    /// read back in a step only, when the gradient's norm has to be waited for anyway. At most
    /// `threads` threads work.
    pub fn absorb(
        &mut self,
        parts: Vec<PartResult>,
        state: &mut NetworkState,
        is_last_of_epoch: bool,
        threads: usize,
    ) -> BatchOutcome {
        let mut outcome = BatchOutcome::default();
        let (mut all_gradients, mut all_stats, mut all_terms) = (vec![], vec![], vec![]);
        all_gradients.extend(self.pending.take());
        for part in parts {
            all_gradients.push(part.gradients);
            all_stats.push(part.batch_stats);
            all_terms.push(part.terms);
        }
        let host_finite = all_terms.iter().flatten().all(|(_, term)| match term {
            Term::Host(value) => value.is_finite(),
            Term::Device(_) => true,
        });
        let stats = merge_batch_stats(all_stats);
        if !stats.is_empty() {
            self.trainee.model = self.trainee.model.clone().update_batch_norms(&stats);
        }
        let total = gradients::sum(&self.trainee, all_gradients, threads);
        self.pending_batches += 1;
        self.pending_finite &= host_finite;
        if self.pending_batches < self.optim.accumulate.max(1) && !is_last_of_epoch {
            self.pending = Some(total);
            return outcome;
        }

        let norm = gradients::norm(&self.trainee, &total, threads);
        outcome.gradient_norm = Some(norm);
        outcome.losses = read_terms(&self.name, all_terms);
        let rate = learning_rate(&self.optim, state.step, self.total_steps);
        outcome.learning_rate = Some(rate);
        if norm.is_finite() && self.pending_finite {
            let clip = self.optim.clip_norm;
            let scale = if clip > 0.0 && norm > clip {
                clip / norm
            } else {
                1.0
            };
            let rate = StepRate {
                learning_rate: rate,
                scale,
            };
            let trainee = self.trainee.clone();
            self.trainee = self.optimizer.step(trainee, total, rate, threads);
            state.not_finite_in_a_row = 0;
        } else {
            state.not_finite_in_a_row += 1;
        }
        state.step += 1;
        self.pending_batches = 0;
        self.pending_finite = true;
        outcome
    }

    /// Gives up gradients that wait for batches which will not come.
    pub fn discard_pending(&mut self) {
        self.pending = None;
        self.pending_batches = 0;
        self.pending_finite = true;
    }

    /// Remembers the weights if this epoch is one of those whose mean is wanted. `epochs_done`
    /// counts this one.
    pub fn end_epoch(&mut self, epochs_done: usize, state: &mut NetworkState) {
        let last = self.optim.average_epochs.max(1);
        if epochs_done <= self.optim.epochs && epochs_done + last > self.optim.epochs {
            self.average.add(&self.trainee.model.weights());
            state.averaged = self.average.count;
        }
    }

    /// The mean of the remembered weights, or the weights as they are.
    pub fn averaged_weights(&self) -> shared_model::weights::Weights {
        self.average
            .mean()
            .unwrap_or_else(|| self.trainee.model.weights())
    }

    /// A copy without autodiff.
    pub fn evaluation_model(&self) -> shared_model::model::CtcModel {
        self.trainee.model.valid()
    }
}

/// Sums of equally named terms over the parts, one read-back in all.
fn read_terms(network: &str, parts: Vec<Vec<(&'static str, Term)>>) -> Vec<(String, f64)> {
    let mut names: Vec<&'static str> = vec![];
    let mut values: Vec<f64> = vec![];
    let mut on_device: Vec<(usize, Tensor<1>)> = vec![];
    for (name, term) in parts.into_iter().flatten() {
        let index = names.iter().position(|n| *n == name).unwrap_or_else(|| {
            names.push(name);
            values.push(0.0);
            names.len() - 1
        });
        match term {
            Term::Host(value) => values[index] += value,
            Term::Device(tensor) => on_device.push((index, *tensor)),
        }
    }
    if !on_device.is_empty() {
        let (indices, tensors): (Vec<usize>, Vec<Tensor<1>>) = on_device.into_iter().unzip();
        let read = Tensor::cat(tensors, 0).into_data();
        for (index, value) in indices.into_iter().zip(read.iter::<f32>()) {
            values[index] += f64::from(value);
        }
    }
    names
        .iter()
        .map(|name| format!("{network}/{name}"))
        .zip(values)
        .collect()
}
