//! What a network is trained for: the forward and backward pass of one shard of a batch.

use std::time::Duration;

use burn::{module::Module, optim::GradientsParams, prelude::*, tensor::activation::log_softmax};
use shared_model::model::{BatchStats, CtcOutput, Mode, TrainContext};

use super::{
    contrast::Means,
    network::TrainableNetwork,
    shard::Shard,
    teacher::{TeacherOutput, last_hidden},
};
use crate::{
    clock::thread_time,
    config::{CtcConfig, DistillConfig, DistillWeights, Preset},
    loss::{
        Divergence, consistency_loss, ctc_loss_weighted, feature_loss, is_feasible, kl_loss,
        mean_weights, mse_log_posterior_loss, utterance_means,
    },
};

/// Sums over the whole batch that its shards are weighed by.
#[derive(Debug, Clone)]
pub(super) struct BatchTotals {
    /// Weight of each utterance's CTC loss in the batch's mean; by position in the batch.
    ctc_weights: Vec<f64>,
    /// Real encoder frames.
    frames: usize,
    /// Utterances whose transcript does not fit.
    pub infeasible: usize,
    /// Factor of everything: gradients are averaged over accumulated batches.
    scale: f64,
}

impl BatchTotals {
    /// Utterances without a transcript take no part in CTC.
    pub fn new(
        lengths: &[usize],
        targets: &[Vec<u32>],
        encoder_length: impl Fn(usize) -> usize,
        accumulate: usize,
    ) -> Self {
        let frames: Vec<usize> = lengths.iter().map(|&l| encoder_length(l)).collect();
        let infeasible = frames
            .iter()
            .zip(targets)
            .filter(|(frames, target)| !is_feasible(**frames, target))
            .count();
        Self {
            ctc_weights: mean_weights(&frames, targets),
            frames: frames.iter().sum(),
            infeasible,
            scale: 1.0 / accumulate.max(1) as f64,
        }
    }
}

/// One named term of a loss.
pub(super) enum Term {
    Host(f64),
    /// Not read back before it is needed.
    Device(Box<Tensor<1>>),
}

/// The forward pass of one shard, and what its backward pass begins with.
pub(super) struct ForwardPass {
    network: TrainableNetwork,
    /// With their weights.
    pub losses: Vec<Tensor<1>>,
    /// Factor of them all.
    scale: f64,
    /// What a contrastive loss wants to see, until it has seen it.
    pub means: Option<Means>,
    pub terms: Vec<(&'static str, Term)>,
    batch_stats: Vec<BatchStats>,
    ctc_time: Duration,
    spent: Duration,
}

/// What is left of a shard after its backward pass.
pub(super) struct ShardResult {
    pub gradients: GradientsParams,
    pub terms: Vec<(&'static str, Term)>,
    pub batch_stats: Vec<BatchStats>,
    /// Spent on CTC losses.
    pub ctc_time: Duration,
    /// Spent on all of it by its thread.
    pub spent: Duration,
}

impl ForwardPass {
    pub fn backward(self) -> ShardResult {
        let started = thread_time();
        let gradients = match self.losses.into_iter().reduce(|total, loss| total + loss) {
            Some(loss) => {
                GradientsParams::from_grads((loss * self.scale).backward(), &self.network)
            }
            None => GradientsParams::new(),
        };
        ShardResult {
            gradients,
            terms: self.terms,
            batch_stats: self.batch_stats,
            ctc_time: self.ctc_time,
            spent: self.spent + (thread_time() - started),
        }
    }
}

/// Step 1's question to a student.
pub(crate) struct Distillation {
    pub weights: DistillWeights,
    pub preset: Preset,
    /// Whether the teacher hears what training hides from the students.
    pub unmasked_teacher: bool,
}

impl Distillation {
    pub fn new(config: &DistillConfig) -> Self {
        Self {
            weights: config.loss.resolved(),
            preset: config.loss.preset,
            unmasked_teacher: config.unmasked_teacher,
        }
    }

    /// Whether student and teacher features are compared, so that their widths have to agree.
    pub fn compares_features(&self) -> bool {
        self.weights.clip > 0.0 || self.weights.feature > 0.0
    }

    /// Whether utterances are told from each other, so that shards wait for each other's means.
    pub fn contrasts(&self) -> bool {
        self.weights.clip > 0.0
    }
}

/// One shard of a batch for one network.
pub(super) struct ShardJob<'a> {
    pub shard: &'a Shard,
    pub totals: &'a BatchTotals,
    pub ctc: &'a CtcConfig,
    /// Of the agreement of two views.
    pub consistency_weight: f64,
    /// `None`: CTC alone.
    pub teacher: Option<(&'a Distillation, &'a TeacherOutput)>,
    /// Of dropout.
    pub seed: u64,
    /// Threads that the CTC loss may use.
    pub threads: usize,
    /// With autodiff.
    pub device: &'a Device,
}

/// Forward pass of one shard of a batch.
pub(super) fn forward_shard(network: TrainableNetwork, job: &ShardJob<'_>) -> ForwardPass {
    let ShardJob {
        shard,
        totals,
        ctc: ctc_config,
        consistency_weight,
        teacher,
        seed,
        threads,
        device,
    } = *job;
    let started = thread_time();
    // A graph of its own: clones share their leaves, and with them a lock.
    let network = network.fork(device);
    let mut context = TrainContext::new(seed);
    let inner = device.clone().inner();
    let mode = &mut Mode::Train(&mut context);
    let output = shard.forward(&network.model, true, &inner, mode);

    let mut losses: Vec<Tensor<1>> = vec![];
    let mut terms = vec![];
    let mut means = None;
    if let Some((distillation, teacher)) = teacher {
        let question = (distillation, teacher, totals.frames);
        means = distill(&network, &output, question, |name, weight, loss| {
            terms.push((name, Term::Device(Box::new(loss.clone().inner()))));
            losses.push(loss * weight);
        });
    }
    let mut ctc_time = Duration::ZERO;
    let ctc_weight = teacher.map_or(1.0, |(distillation, _)| distillation.weights.ctc);
    if ctc_weight > 0.0 {
        let ctc = CtcShard {
            shard,
            lengths: &output.lengths,
            weights: shard
                .indices
                .iter()
                .map(|&u| totals.ctc_weights[u])
                .collect(),
            threads,
        };
        let layers = intermediate_layers(ctc_config, output.hidden.len());
        let shared = if layers.is_empty() {
            0.0
        } else {
            ctc_config.intermediate_weight
        };
        if shard.views == 2 && consistency_weight > 0.0 {
            let log_probs = log_softmax(output.logits.clone(), 2);
            let loss = consistency_loss(log_probs, ctc.lengths, &ctc.weights);
            terms.push(("consistency", Term::Device(Box::new(loss.clone().inner()))));
            losses.push(loss * (ctc_weight * consistency_weight));
        }
        let (loss, value) = ctc.loss(output.logits.clone(), &mut ctc_time);
        terms.push(("ctc", Term::Host(value)));
        losses.push(loss * (ctc_weight * (1.0 - shared)));
        let mut intermediate = 0.0;
        for &layer in &layers {
            let logits = network.model.head(output.hidden[layer - 1].clone());
            let (loss, value) = ctc.loss(logits, &mut ctc_time);
            intermediate += value / layers.len() as f64;
            losses.push(loss * (ctc_weight * shared / layers.len() as f64));
        }
        if !layers.is_empty() {
            terms.push(("intermediate_ctc", Term::Host(intermediate)));
        }
    }

    ForwardPass {
        network,
        losses,
        scale: totals.scale,
        means,
        terms,
        batch_stats: context.batch_stats,
        ctc_time,
        spent: thread_time() - started,
    }
}

/// Blocks (1-based) with an intermediate CTC loss: the last block never is one.
fn intermediate_layers(ctc: &CtcConfig, n_layers: usize) -> Vec<usize> {
    if ctc.intermediate_weight <= 0.0 {
        return vec![];
    }
    let middle = [n_layers / 2];
    let layers: &[usize] = match ctc.intermediate_layers.as_slice() {
        [] => &middle,
        named => named,
    };
    layers
        .iter()
        .copied()
        .filter(|&layer| layer >= 1 && layer < n_layers)
        .collect()
}

struct CtcShard<'a> {
    shard: &'a Shard,
    /// Encoder frames.
    lengths: &'a [usize],
    weights: Vec<f64>,
    threads: usize,
}

impl CtcShard<'_> {
    fn loss(&self, logits: Tensor<3>, time: &mut Duration) -> (Tensor<1>, f64) {
        let started = thread_time();
        let loss = ctc_loss_weighted(
            log_softmax(logits, 2),
            self.lengths,
            &self.shard.targets,
            &self.weights,
            self.threads,
        );
        *time += thread_time() - started;
        (loss.loss, loss.value)
    }
}

/// Calls `add(name, weight, loss)` for every loss that has a weight and is a sum over frames; gives what
/// a contrastive loss has to see.
fn distill(
    network: &TrainableNetwork,
    output: &CtcOutput,
    (distillation, teacher, total_frames): (&Distillation, &TeacherOutput, usize),
    mut add: impl FnMut(&'static str, f64, Tensor<1>),
) -> Option<Means> {
    let weights = &distillation.weights;
    let lengths = &output.lengths;
    let logits = || (output.logits.clone(), teacher.logits.clone());
    if weights.mse > 0.0 {
        let (student, teacher) = logits();
        let loss = mse_log_posterior_loss(student, teacher, lengths, total_frames);
        add("mse", weights.mse, loss);
    }
    if weights.kl > 0.0 {
        let (student, teacher) = logits();
        let divergence = Divergence {
            temperature: weights.temperature,
            blank_weight: weights.kl_blank_weight,
        };
        let loss = kl_loss(student, teacher, lengths, total_frames, divergence);
        add("kl", weights.kl, loss);
    }
    if !distillation.compares_features() {
        return None;
    }
    let hidden = network.project(last_hidden(output));
    if weights.feature > 0.0 {
        let teacher = teacher.hidden.clone();
        let loss = feature_loss(hidden.clone(), teacher, lengths, total_frames);
        add("feature", weights.feature, loss);
    }
    distillation.contrasts().then(|| Means {
        student: utterance_means(hidden, lengths),
        teacher: utterance_means(teacher.hidden.clone(), lengths),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intermediate_losses_sit_at_the_middle_or_where_named() {
        let layers = |weight, named: &[usize], n_layers| {
            let ctc = CtcConfig {
                intermediate_weight: weight,
                intermediate_layers: named.to_vec(),
                ..CtcConfig::default()
            };
            intermediate_layers(&ctc, n_layers)
        };
        assert_eq!(layers(0.3, &[], 6), vec![3]);
        assert_eq!(layers(0.3, &[2, 4, 6, 9], 6), vec![2, 4]);
        assert!(layers(0.0, &[2], 6).is_empty());
        assert!(layers(0.3, &[], 1).is_empty());
    }

    #[test]
    fn weights_of_a_batch_leave_out_what_has_no_transcript_or_does_not_fit() {
        let targets = vec![vec![1, 2], vec![], vec![1, 1, 1], vec![3]];
        let totals = BatchTotals::new(&[40, 40, 8, 20], &targets, |l| l / 4, 2);
        assert_eq!(totals.ctc_weights, vec![0.25, 0.0, 0.0, 0.5]);
        assert_eq!(totals.frames, 27);
        assert_eq!(totals.infeasible, 1);
        assert_eq!(totals.scale, 0.5);
    }
}
