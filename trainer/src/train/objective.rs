//! What a network is trained for: the forward and backward pass of one shard of a batch.

use std::{collections::BTreeSet, ops::Range, time::Duration};

use burn::{module::Module, optim::GradientsParams, prelude::*, tensor::activation::log_softmax};
use shared_model::model::{BatchStats, CtcOutput, Mode, TrainContext};

use super::{
    contrast::Means, initial::evenly_spaced, network::TrainableNetwork,
    phone_targets::PhoneTargets, shard::Shard, teacher::TeacherOutput,
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
    /// Weight of each row's CTC loss in the batch's mean; by position among this process's rows.
    ctc_weights: Vec<f64>,
    /// What its phone head learns, if it has one.
    phones: Option<PhoneTargets>,
    /// Real encoder frames.
    frames: usize,
    /// Utterances whose transcript does not fit.
    pub infeasible: usize,
    /// Factor of everything: gradients are averaged over accumulated batches.
    scale: f64,
}

impl BatchTotals {
    /// Utterances without a transcript take no part in CTC.
    ///
    /// - `lengths`, `targets`: of all rows of the batch.
    /// - `own`: the rows of this process.
    pub fn new(
        (lengths, targets): (&[usize], &[Vec<u32>]),
        own: Range<usize>,
        encoder_length: impl Fn(usize) -> usize,
        accumulate: usize,
    ) -> Self {
        let frames: Vec<usize> = lengths.iter().map(|&l| encoder_length(l)).collect();
        let infeasible = frames
            .iter()
            .zip(targets)
            .filter(|(frames, target)| !is_feasible(**frames, target))
            .count();
        let mut weights = mean_weights(&frames, targets);
        Self {
            ctc_weights: weights.drain(own).collect(),
            phones: None,
            frames: frames.iter().sum(),
            infeasible,
            scale: 1.0 / accumulate.max(1) as f64,
        }
    }

    /// For a network with a phone head.
    pub fn with_phones(self, phones: PhoneTargets) -> Self {
        Self {
            phones: Some(phones),
            ..self
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
    /// Of the shard.
    number: usize,
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
    /// Among the shards of the batch.
    pub number: usize,
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
            number: self.number,
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

    /// Blocks (0-based) of a student and of its teacher whose features are compared, as pairs; the last
    /// of both are one.
    pub fn compared_layers(&self, student: usize, teacher: usize) -> Vec<(usize, usize)> {
        let count = self
            .weights
            .feature_layers
            .clamp(1, student.min(teacher).max(1));
        let students = evenly_spaced(count, student);
        students
            .into_iter()
            .zip(evenly_spaced(count, teacher))
            .collect()
    }

    /// Whether blocks before the last are compared.
    pub fn compares_inner_layers(&self) -> bool {
        self.weights.feature > 0.0 && self.weights.feature_layers > 1
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
    /// Blocks (1-based) before the last that have losses of their own.
    pub intermediate_layers: &'a [usize],
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
    let started = thread_time();
    // A graph of its own: clones share their leaves, and with them a lock.
    let network = network.fork(job.device);
    let mut context = TrainContext::new(job.seed);
    let inner = job.device.clone().inner();
    let mode = &mut Mode::Train(&mut context);
    let output = job.shard.forward(&network.model, true, &inner, mode);

    let mut losses = Losses::default();
    let mut means = None;
    if let Some((distillation, teacher)) = job.teacher {
        let [_, time, _] = output.logits.dims();
        let factor = network.model.config().subsampling_factor;
        let teacher = teacher.in_frames_of(factor, time);
        let question = (distillation, &teacher, job.totals.frames);
        means = distill(&network, &output, question, &mut losses);
    }
    let ctc_weight = job
        .teacher
        .map_or(1.0, |(distillation, _)| distillation.weights.ctc);
    if ctc_weight > 0.0 {
        transcripts(&network, &output, job, ctc_weight, &mut losses);
    }
    ForwardPass {
        network,
        number: job.shard.number,
        losses: losses.weighed,
        scale: job.totals.scale,
        means,
        terms: losses.terms,
        batch_stats: context.batch_stats,
        ctc_time: losses.ctc_time,
        spent: thread_time() - started,
    }
}

/// The losses of a shard so far.
#[derive(Default)]
struct Losses {
    weighed: Vec<Tensor<1>>,
    terms: Vec<(&'static str, Term)>,
    ctc_time: Duration,
}

impl Losses {
    fn add(&mut self, name: &'static str, weight: f64, loss: Tensor<1>) {
        let term = Term::Device(Box::new(loss.clone().inner()));
        self.terms.push((name, term));
        self.weighed.push(loss * weight);
    }
}

/// The losses that transcripts ask for, `weight` times.
fn transcripts(
    network: &TrainableNetwork,
    output: &CtcOutput,
    job: &ShardJob<'_>,
    weight: f64,
    losses: &mut Losses,
) {
    let ShardJob { shard, totals, .. } = *job;
    let of_row = |&row: &usize| totals.ctc_weights[row];
    let ctc = CtcShard {
        targets: &shard.targets,
        lengths: &output.lengths,
        weights: shard.indices.iter().map(of_row).collect(),
        threads: job.threads,
    };
    let layers = job.intermediate_layers;
    let shared = match layers {
        [] => 0.0,
        _ => job.ctc.intermediate_weight,
    };
    let consistency = match shard.views {
        2 => job.consistency_weight,
        _ => 0.0,
    };
    let phones = output.phone_logits.as_ref().zip(totals.phones.as_ref());
    let of_phones = phones.map_or(0.0, |_| job.ctc.phone_weight);
    let last_block = |share: f64| LastBlock {
        ctc: weight * (1.0 - shared) * share,
        consistency: weight * consistency * share,
    };
    let names = ["ctc", "consistency"];
    ctc.of_last_block(&output.logits, names, last_block(1.0 - of_phones), losses);
    if let Some((logits, phones)) = phones {
        let (targets, weights) = phones.of(&shard.indices);
        let ctc = CtcShard {
            targets: &targets,
            weights,
            ..ctc
        };
        let names = ["phone_ctc", "phone_consistency"];
        ctc.of_last_block(logits, names, last_block(of_phones), losses);
    }
    if !layers.is_empty() {
        intermediate(network, output, job, (&ctc, weight, shared), losses);
    }
}

/// The losses of blocks before the last, `weight` times; CTC has the share `shared`.
fn intermediate(
    network: &TrainableNetwork,
    output: &CtcOutput,
    job: &ShardJob<'_>,
    (ctc, weight, shared): (&CtcShard<'_>, f64, f64),
    losses: &mut Losses,
) {
    let (layers, totals) = (job.intermediate_layers, job.totals);
    let each = 1.0 / layers.len() as f64;
    let (mut intermediate, mut agreement) = (0.0, None);
    for &layer in layers {
        let logits = network.logits_at(layer, output.hidden[layer - 1].clone());
        let (loss, value) = ctc.loss(logits.clone(), &mut losses.ctc_time);
        intermediate += value * each;
        losses.weighed.push(loss * (weight * shared * each));
        if job.ctc.intermediate_kl_weight > 0.0 {
            // A constant: the whole network teaches its first blocks and learns nothing from them.
            let whole = output.logits.clone().inner();
            let loss = kl_loss(logits, whole, ctc.lengths, totals.frames, Divergence::PLAIN) * each;
            agreement = Some(agreement.map_or(loss.clone(), |sum: Tensor<1>| sum + loss));
        }
    }
    losses
        .terms
        .push(("intermediate_ctc", Term::Host(intermediate)));
    if let Some(loss) = agreement {
        losses.add(
            "intermediate_kl",
            weight * job.ctc.intermediate_kl_weight,
            loss,
        );
    }
}

/// Blocks (1-based) with losses of their own: those that are named, and `exits`; the middle one where
/// there are none of either. The last block never is one.
pub(super) fn intermediate_layers(ctc: &CtcConfig, exits: &[usize], n_layers: usize) -> Vec<usize> {
    if ctc.intermediate_weight <= 0.0 {
        return vec![];
    }
    let named = ctc.intermediate_layers.iter().chain(exits).copied();
    let mut layers: BTreeSet<usize> = named.collect();
    if layers.is_empty() {
        layers.insert(n_layers / 2);
    }
    layers.retain(|&layer| layer >= 1 && layer < n_layers);
    layers.into_iter().collect()
}

/// Weights of the losses at the last block.
struct LastBlock {
    ctc: f64,
    /// Of the agreement of two views; 0 where there are none.
    consistency: f64,
}

struct CtcShard<'a> {
    targets: &'a [Vec<u32>],
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
            self.targets,
            &self.weights,
            self.threads,
        );
        *time += thread_time() - started;
        (loss.loss, loss.value)
    }

    /// Adds the losses of a head on the last block, and the names of its CTC and its agreement.
    fn of_last_block(
        &self,
        logits: &Tensor<3>,
        [name, agreement]: [&'static str; 2],
        weights: LastBlock,
        losses: &mut Losses,
    ) {
        if weights.consistency > 0.0 {
            let log_probs = log_softmax(logits.clone(), 2);
            let loss = consistency_loss(log_probs, self.lengths, &self.weights);
            losses.add(agreement, weights.consistency, loss);
        }
        let (loss, value) = self.loss(logits.clone(), &mut losses.ctc_time);
        losses.terms.push((name, Term::Host(value)));
        losses.weighed.push(loss * weights.ctc);
    }
}

/// Adds every loss that has a weight and is a sum over frames; gives what a contrastive loss has to
/// see.
fn distill(
    network: &TrainableNetwork,
    output: &CtcOutput,
    (distillation, teacher, total_frames): (&Distillation, &TeacherOutput, usize),
    losses: &mut Losses,
) -> Option<Means> {
    let weights = &distillation.weights;
    let lengths = &output.lengths;
    let logits = || (output.logits.clone(), teacher.logits.clone());
    if weights.mse > 0.0 {
        let (student, teacher) = logits();
        let loss = mse_log_posterior_loss(student, teacher, lengths, total_frames);
        losses.add("mse", weights.mse, loss);
    }
    if weights.kl > 0.0 {
        let (own, others) = logits();
        let divergence = Divergence {
            temperature: weights.temperature,
            blank_weight: weights.kl_blank_weight,
            spike_frames: weights.kl_spike_frames,
        };
        let loss = kl_loss(own, others, lengths, total_frames, divergence);
        losses.add("kl", weights.kl, loss);
        let phones = output
            .phone_logits
            .as_ref()
            .zip(teacher.phone_logits.as_ref());
        if let Some((own, others)) = phones {
            let (own, others) = (own.clone(), others.clone());
            let loss = kl_loss(own, others, lengths, total_frames, divergence);
            losses.add("phone_kl", weights.kl, loss);
        }
    }
    if !distillation.compares_features() {
        return None;
    }
    // Where the last block alone is compared, the teacher's is the only one that there is.
    let pairs = distillation.compared_layers(output.hidden.len(), teacher.hidden.len());
    let mut features = vec![];
    for (number, &(own, others)) in pairs.iter().enumerate() {
        let student = network.project(output.hidden[own].clone(), number);
        features.push((student, teacher.hidden[others].clone()));
    }
    if weights.feature > 0.0 {
        let of_block = |(student, teacher): &(Tensor<3>, Tensor<3>)| {
            feature_loss(student.clone(), teacher.clone(), lengths, total_frames)
        };
        let sum = features.iter().map(of_block).reduce(|sum, loss| sum + loss);
        if let Some(sum) = sum {
            losses.add("feature", weights.feature, sum / features.len() as f64);
        }
    }
    let (student, teacher) = features.pop()?;
    distillation.contrasts().then(|| Means {
        student: utterance_means(student, lengths),
        teacher: utterance_means(teacher, lengths),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intermediate_losses_sit_at_the_middle_or_where_named() {
        let with_exits = |weight, named: &[usize], exits: &[usize], n_layers| {
            let ctc = CtcConfig {
                intermediate_weight: weight,
                intermediate_layers: named.to_vec(),
                ..CtcConfig::default()
            };
            intermediate_layers(&ctc, exits, n_layers)
        };
        let layers = |weight, named, n_layers| with_exits(weight, named, &[], n_layers);
        assert_eq!(layers(0.3, &[], 6), vec![3]);
        assert_eq!(layers(0.3, &[2, 4, 6, 9], 6), vec![2, 4]);
        assert!(layers(0.0, &[2], 6).is_empty());
        assert!(layers(0.3, &[], 1).is_empty());
        assert_eq!(with_exits(0.3, &[], &[4, 2], 6), vec![2, 4]);
        assert_eq!(with_exits(0.3, &[3, 4], &[4, 2], 6), vec![2, 3, 4]);
        assert!(with_exits(0.0, &[], &[2], 6).is_empty());
    }

    #[test]
    fn weights_of_a_batch_leave_out_what_has_no_transcript_or_does_not_fit() {
        let targets = [vec![1, 2], vec![], vec![1, 1, 1], vec![3]];
        let rows = (&[40, 40, 8, 20][..], &targets[..]);
        let totals = BatchTotals::new(rows, 0..4, |l| l / 4, 2);
        assert_eq!(totals.ctc_weights, vec![0.25, 0.0, 0.0, 0.5]);
        let own = BatchTotals::new(rows, 2..4, |l| l / 4, 2);
        assert_eq!(own.ctc_weights, vec![0.0, 0.5]);
        assert_eq!(own.frames, totals.frames);
        assert_eq!(totals.frames, 27);
        assert_eq!(totals.infeasible, 1);
        assert_eq!(totals.scale, 0.5);
    }
}
