//! A network of a phase with its optimiser, its mean of weights and its counters.

use std::{ops::Range, time::Duration};

use burn::{module::Module, optim::GradientsParams, prelude::*};
use shared_model::{
    model::{BatchStats, CtcModel, ModelConfig},
    weights::WeightError,
};

use super::{
    Compute, TrainError,
    average::Averaging,
    checkpoint::{Best, NetworkState, NetworkTensors},
    error::of_network,
    exit_head::{first_blocks, take_exit_heads},
    gradients::{self, OfShards},
    network::TrainableNetwork,
    objective::{ShardResult, Term, intermediate_layers},
    optimizer::{NetworkOptimizer, StepRate},
    pruning::PruningMask,
    schedule::learning_rate,
};
use crate::{
    config::{Phase, TrainingConfig},
    data::EpochPlan,
    device::read_back,
};

/// Skipped steps in a row that end a run.
pub(crate) const MAX_NOT_FINITE: usize = 10;

/// All that changes while a network learns.
pub(crate) struct NetworkTrainer {
    pub name: String,
    pub training: TrainingConfig,
    pub network: TrainableNetwork,
    pub total_steps: usize,
    /// Optimiser steps, skipped ones included.
    pub step: usize,
    /// Steps skipped in a row because something was not finite.
    pub not_finite_in_a_row: usize,
    /// The best validation so far.
    pub best: Option<Best>,
    /// Blocks (1-based) before the last that have losses of their own.
    pub intermediate_layers: Vec<usize>,
    exits: Vec<(String, ModelConfig)>,
    pruned: Option<PruningMask>,
    optimizer: NetworkOptimizer,
    average: Averaging,
    /// Gradients of the batches since the last step by shard, and how many batches.
    pending: OfShards,
    pending_batches: usize,
    pending_finite: bool,
    /// Named losses of the last batch, by shard.
    terms: Vec<Vec<(&'static str, Term)>>,
}

/// What is known of all gradients together before a step.
#[derive(Debug, Clone)]
pub(crate) struct StepSummary {
    /// Of the gradient of each parameter: sum of squares, 0 where there is none.
    pub squares: Vec<f32>,
    /// Whether the losses that the host has computed are finite.
    pub is_finite: bool,
    /// Named `network/loss`.
    pub losses: Vec<(String, f64)>,
}

impl Default for StepSummary {
    fn default() -> Self {
        Self {
            squares: vec![],
            is_finite: true,
            losses: vec![],
        }
    }
}

/// What a step says of one network.
#[derive(Debug, Clone, Default)]
pub(crate) struct NetworkReport {
    /// Named `network/loss`; empty until enough batches are together for an update.
    pub losses: Vec<(String, f64)>,
    pub gradient_norm: Option<f64>,
    pub learning_rate: Option<f64>,
    /// Processor time of its forward and backward passes and its update.
    pub spent: Duration,
}

impl NetworkTrainer {
    pub fn new(
        name: String,
        training: TrainingConfig,
        network: TrainableNetwork,
        total_steps: usize,
    ) -> Self {
        Self {
            optimizer: NetworkOptimizer::new(&training.optim, network.model.operations()),
            average: Averaging::default(),
            intermediate_layers: intermediate_layers(
                &training.ctc,
                &[],
                network.model.config().n_layers,
            ),
            exits: vec![],
            pruned: None,
            name,
            training,
            network,
            total_steps,
            step: 0,
            not_finite_in_a_row: 0,
            best: None,
            pending: OfShards::new(),
            terms: vec![],
            pending_batches: 0,
            pending_finite: true,
        }
    }

    /// Teaches the first blocks to be networks of their own, of these names and shapes.
    pub fn teach_exits(&mut self, exits: Vec<(String, ModelConfig)>) {
        let n_layers = self.network.model.config().n_layers;
        let depths: Vec<usize> = exits.iter().map(|(_, config)| config.n_layers).collect();
        self.intermediate_layers = intermediate_layers(&self.training.ctc, &depths, n_layers);
        self.exits = exits;
    }

    /// The networks of its first blocks that have losses of their own, as they are now; batch norms have
    /// the statistics of the whole network.
    ///
    /// # Errors
    /// A shape that is none of first blocks.
    pub fn exit_models(&self, compute: &Compute) -> Result<Vec<(String, CtcModel)>, TrainError> {
        let is_taught = |exit: &&(String, ModelConfig)| {
            let depth = exit.1.n_layers;
            self.intermediate_layers.contains(&depth)
        };
        let taught: Vec<_> = self.exits.iter().filter(is_taught).collect();
        if taught.is_empty() {
            return Ok(vec![]);
        }
        let mut whole = self.network.result();
        let heads = take_exit_heads(&mut whole);
        let n_layers = self.network.model.config().n_layers;
        let device = compute.device.clone().inner();
        let mut models = vec![];
        for (name, config) in taught {
            let model = first_blocks(&whole, n_layers, config.n_layers, &heads)
                .and_then(|weights| CtcModel::from_weights(config, &weights, &device))
                .map_err(of_network(name))?;
            models.push((name.clone(), model.with_operations(compute.operations)));
        }
        Ok(models)
    }

    /// Values of matrices that are 0 stay 0 from here on.
    pub fn keep_pruned(&mut self) {
        self.pruned = Some(PruningMask::of(&self.network.model));
    }

    pub fn parameters(&self) -> usize {
        self.network.model.config().num_parameters()
    }

    /// Whether epoch `epoch` (0-based) is one of this network's.
    pub fn takes_part(&self, epoch: usize) -> bool {
        epoch < self.training.epochs
    }

    /// What this network asks of the data in an epoch (0-based); `None` after its last.
    pub fn plan(&self, phase: Phase, epoch: usize) -> Option<EpochPlan> {
        let takes_part = self.takes_part(epoch);
        takes_part.then(|| EpochPlan::new(phase, epoch, &self.training))
    }

    /// No gradient waits for more batches.
    pub fn is_settled(&self) -> bool {
        self.pending_batches == 0
    }

    /// The counters that a checkpoint keeps.
    pub fn state(&self) -> NetworkState {
        NetworkState {
            name: self.name.clone(),
            step: self.step,
            not_finite_in_a_row: self.not_finite_in_a_row,
            best: self.best,
            averaged: self.average.count,
        }
    }

    pub fn tensors(&self) -> NetworkTensors {
        NetworkTensors {
            weights: self.network.weights(),
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
        let optimizer =
            NetworkOptimizer::new(&self.training.optim, self.network.model.operations())
                .with_state(&tensors.optimizer, &device.clone().inner())
                .ok_or(WeightError::Missing {
                    name: "state of the optimiser".into(),
                })?;
        Ok(Self {
            network: self.network.with_weights(tensors.weights, device)?,
            optimizer,
            step: state.step,
            not_finite_in_a_row: state.not_finite_in_a_row,
            best: state.best,
            average: Averaging {
                sums: tensors.average,
                count: state.averaged,
            },
            ..self
        })
    }

    /// Takes the shards of a batch in and steps when enough batches are together. The losses are
    /// read back in a step only, when the gradient's norm has to be waited for anyway. At most
    /// `threads` threads work.
    ///
    /// - `num_shards`: those of every batch, whether this one fills them or not.
    pub(super) fn absorb(
        &mut self,
        shards: Vec<ShardResult>,
        is_last_of_epoch: bool,
        num_shards: usize,
        threads: usize,
    ) -> NetworkReport {
        let spent = shards.iter().map(|shard| shard.spent).sum();
        let mut report = NetworkReport {
            spent,
            ..NetworkReport::default()
        };
        if self.take_in(shards, is_last_of_epoch, threads) {
            let total = self.sum_of(&(0..num_shards.max(1)), threads);
            let summary = self.summary(&total, threads);
            self.step_along(total, &summary, threads, &mut report);
        }
        report
    }

    /// Takes the shards of a batch in; whether enough batches are together for a step.
    pub(super) fn take_in(
        &mut self,
        shards: Vec<ShardResult>,
        is_last_of_epoch: bool,
        threads: usize,
    ) -> bool {
        let mut of_batch = OfShards::new();
        let mut stats = vec![];
        self.terms.clear();
        for shard in shards {
            of_batch.insert(shard.number, shard.gradients);
            stats.extend(shard.batch_stats);
            self.terms.push(shard.terms);
        }
        let host_finite = self.terms.iter().flatten().all(|(_, term)| match term {
            Term::Host(value) => value.is_finite(),
            Term::Device(_) => true,
        });
        // Networks with batch norms have one shard.
        self.update_batch_norms(&stats);
        gradients::add(&self.network, &mut self.pending, of_batch, threads);
        self.pending_batches += 1;
        self.pending_finite &= host_finite;
        self.pending_batches >= self.training.optim.accumulate.max(1) || is_last_of_epoch
    }

    /// Merges a batch's statistics into the running ones.
    pub(super) fn update_batch_norms(&mut self, stats: &[BatchStats]) {
        if !stats.is_empty() {
            self.network.model = self.network.model.clone().update_batch_norms(stats);
        }
    }

    /// The gradients of the shards of a node of the sum's tree, which wait no longer.
    pub(super) fn sum_of(&mut self, node: &Range<usize>, threads: usize) -> GradientsParams {
        gradients::sum(&self.network, &mut self.pending, node, threads)
    }

    /// What is to be known for a step along `gradients`.
    pub(super) fn summary(&mut self, gradients: &GradientsParams, threads: usize) -> StepSummary {
        StepSummary {
            squares: gradients::squares(&self.network, gradients, threads),
            is_finite: self.pending_finite,
            losses: read_terms(&self.name, std::mem::take(&mut self.terms)),
        }
    }

    /// A step of the weights that `gradients` has something for.
    pub(super) fn step_along(
        &mut self,
        gradients: GradientsParams,
        summary: &StepSummary,
        threads: usize,
        report: &mut NetworkReport,
    ) {
        let norm = gradients::norm(&summary.squares);
        report.gradient_norm = Some(norm);
        report.losses.clone_from(&summary.losses);
        let rate = learning_rate(&self.training.optim, self.step, self.total_steps);
        report.learning_rate = Some(rate);
        if norm.is_finite() && summary.is_finite {
            let clip = self.training.optim.clip_norm;
            let scale = if clip > 0.0 && norm > clip {
                clip / norm
            } else {
                1.0
            };
            let rate = StepRate {
                learning_rate: rate,
                scale,
                clip_value: self.training.optim.clip_value,
            };
            let network = self.network.clone();
            self.network = self.optimizer.step(network, gradients, rate, threads);
            if let Some(pruned) = &self.pruned {
                let model = self.network.model.clone();
                self.network.model = pruned.apply(model);
            }
            self.not_finite_in_a_row = 0;
        } else {
            self.not_finite_in_a_row += 1;
        }
        self.step += 1;
        self.discard_pending();
    }

    /// Forgets the optimiser's state of all weights but these.
    pub(super) fn keep_states_of<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        self.optimizer.keep(names);
    }

    /// Gives up gradients that wait for batches which will not come.
    pub fn discard_pending(&mut self) {
        self.pending.clear();
        self.pending_batches = 0;
        self.pending_finite = true;
    }

    /// Remembers the weights if this epoch is one of those whose mean is wanted. `epochs_done`
    /// counts this one.
    pub fn end_epoch(&mut self, epochs_done: usize) {
        let last = self.training.average_epochs.max(1);
        if epochs_done <= self.training.epochs && epochs_done + last > self.training.epochs {
            self.average.add(&self.network.result());
        }
    }

    /// The mean of the remembered weights, or the weights as they are, with heads of exits.
    pub fn averaged_weights(&self) -> shared_model::weights::Weights {
        let mean = self.average.mean();
        mean.unwrap_or_else(|| self.network.result())
    }

    /// A copy without autodiff.
    pub fn evaluation_model(&self) -> CtcModel {
        self.network.model.valid()
    }
}

/// Sums of equally named terms over the shards, one read-back in all.
fn read_terms(network: &str, shards: Vec<Vec<(&'static str, Term)>>) -> Vec<(String, f64)> {
    let mut names: Vec<&'static str> = vec![];
    let mut values: Vec<f64> = vec![];
    let mut on_device: Vec<(usize, Tensor<1>)> = vec![];
    for (name, term) in shards.into_iter().flatten() {
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
        let read = read_back(Tensor::cat(tensors, 0));
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
