//! What a network is trained for: the forward and backward pass of one shard of a batch.

use std::time::Duration;

use burn::{module::Module, optim::GradientsParams, prelude::*, tensor::activation::log_softmax};
use shared_model::model::{BatchStats, CtcModel, CtcOutput, Mode, TrainContext};

use super::{network::TrainableNetwork, shard::Shard};
use crate::{
    clock::thread_time,
    config::{CtcConfig, DistillLossConfig, DistillWeights, Preset},
    loss::{
        Clip, clip_loss, consistency_loss, ctc_loss_weighted, feature_loss, is_feasible, kl_loss,
        mse_log_posterior_loss, utterance_means,
    },
};

/// What the teacher says about a shard of a batch; constants.
#[derive(Clone)]
pub(super) struct TeacherOutput {
    /// `[batch, time', vocab]`
    pub logits: Tensor<3>,
    /// Last block, `[batch, time', d_model]`
    pub hidden: Tensor<3>,
}

impl TeacherOutput {
    /// The frozen teacher's pass: evaluation mode, no autodiff.
    pub fn compute(teacher: &CtcModel, shard: &Shard, device: &Device) -> Self {
        let features = shard.teacher_features(device);
        let output = teacher.forward(features, &shard.lengths, &mut Mode::Eval);
        let hidden = last_hidden(&output);
        Self {
            logits: output.logits,
            hidden,
        }
    }

    /// Several shards as one; padded to the longest.
    pub fn merge(shards: Vec<Self>) -> Self {
        let time = shards.iter().map(|p| p.logits.dims()[1]).max().unwrap_or(0);
        let pad = |tensor: Tensor<3>| {
            let [batch, own, width] = tensor.dims();
            if own == time {
                return tensor;
            }
            let padding = Tensor::zeros([batch, time - own, width], &tensor.device());
            Tensor::cat(vec![tensor, padding], 1)
        };
        let (logits, hidden) = shards
            .into_iter()
            .map(|shard| (pad(shard.logits), pad(shard.hidden)))
            .unzip();
        Self {
            logits: Tensor::cat(logits, 0),
            hidden: Tensor::cat(hidden, 0),
        }
    }
}

fn last_hidden(output: &CtcOutput) -> Tensor<3> {
    // `ModelConfig::validate` wants at least one block.
    output.hidden[output.hidden.len() - 1].clone()
}

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
        let usable: Vec<bool> = frames
            .iter()
            .zip(targets)
            .map(|(&frames, target)| !target.is_empty() && is_feasible(frames, target))
            .collect();
        let count = usable.iter().filter(|&&u| u).count().max(1) as f64;
        let infeasible = frames
            .iter()
            .zip(targets)
            .filter(|(frames, target)| !is_feasible(**frames, target))
            .count();
        Self {
            ctc_weights: usable
                .iter()
                .zip(targets)
                .map(|(&usable, target)| {
                    if usable {
                        1.0 / (count * target.len() as f64)
                    } else {
                        0.0
                    }
                })
                .collect(),
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

/// The backward pass of one shard.
pub(super) struct ShardResult {
    pub gradients: GradientsParams,
    pub terms: Vec<(&'static str, Term)>,
    pub batch_stats: Vec<BatchStats>,
    /// Spent on CTC losses.
    pub ctc_time: Duration,
    /// Spent on all of it by its thread.
    pub spent: Duration,
}

/// Step 1's question to a student.
pub(crate) struct Distillation {
    pub weights: DistillWeights,
    pub preset: Preset,
}

impl Distillation {
    pub fn new(config: &DistillLossConfig) -> Self {
        Self {
            weights: config.resolved(),
            preset: config.preset,
        }
    }

    /// Whether student and teacher features are compared, so that their widths have to agree.
    pub fn compares_features(&self) -> bool {
        self.weights.clip > 0.0 || self.weights.feature > 0.0
    }

    /// Whether the loss of a batch is not the sum of its shards' losses.
    pub fn needs_whole_batch(&self) -> bool {
        self.weights.clip > 0.0
    }
}

/// One shard of a batch for one network.
pub(super) struct ShardJob<'a> {
    pub shard: &'a Shard,
    pub totals: &'a BatchTotals,
    pub ctc: &'a CtcConfig,
    /// `None`: CTC alone.
    pub teacher: Option<(&'a Distillation, &'a TeacherOutput)>,
    /// Of dropout.
    pub seed: u64,
    /// Threads that the CTC loss may use.
    pub threads: usize,
    /// With autodiff.
    pub device: &'a Device,
}

/// Forward and backward pass of one shard of a batch.
pub(super) fn train_shard(network: TrainableNetwork, job: &ShardJob<'_>) -> ShardResult {
    let ShardJob {
        shard,
        totals,
        ctc: ctc_config,
        teacher,
        seed,
        threads,
        device,
    } = *job;
    let started = thread_time();
    // A graph of its own: clones share their leaves, and with them a lock.
    let network = network.fork(device);
    let features = shard.features(&device.clone().inner());
    let mut context = TrainContext::new(seed);
    let output = network
        .model
        .forward(features, &shard.lengths, &mut Mode::Train(&mut context));

    let mut losses: Vec<Tensor<1>> = vec![];
    let mut terms = vec![];
    if let Some((distillation, teacher)) = teacher {
        distill(
            &network,
            &output,
            distillation,
            teacher,
            totals.frames,
            |name, weight, loss| {
                terms.push((name, Term::Device(Box::new(loss.clone().inner()))));
                losses.push(loss * weight);
            },
        );
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
        if shard.views == 2 && ctc_config.consistency_weight > 0.0 {
            let log_probs = log_softmax(output.logits.clone(), 2);
            let loss = consistency_loss(log_probs, ctc.lengths, &ctc.weights);
            terms.push(("consistency", Term::Device(Box::new(loss.clone().inner()))));
            losses.push(loss * (ctc_weight * ctc_config.consistency_weight));
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

    let gradients = match losses.into_iter().reduce(|total, loss| total + loss) {
        Some(loss) => GradientsParams::from_grads((loss * totals.scale).backward(), &network),
        None => GradientsParams::new(),
    };
    ShardResult {
        gradients,
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

/// Calls `add(name, weight, loss)` for every loss that has a weight.
fn distill(
    network: &TrainableNetwork,
    output: &CtcOutput,
    distillation: &Distillation,
    teacher: &TeacherOutput,
    total_frames: usize,
    mut add: impl FnMut(&'static str, f64, Tensor<1>),
) {
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
        let loss = kl_loss(student, teacher, lengths, total_frames, weights.temperature);
        add("kl", weights.kl, loss);
    }
    if !distillation.compares_features() {
        return;
    }
    let hidden = network.project(last_hidden(output));
    if weights.clip > 0.0 {
        let kind = match distillation.preset {
            Preset::Faithful => Clip::Dot,
            Preset::Improved => Clip::Cosine,
        };
        let student = utterance_means(hidden.clone(), lengths);
        let teacher = utterance_means(teacher.hidden.clone(), lengths);
        add("clip", weights.clip, clip_loss(student, teacher, kind));
    }
    if weights.feature > 0.0 {
        let loss = feature_loss(hidden, teacher.hidden.clone(), lengths, total_frames);
        add("feature", weights.feature, loss);
    }
}

#[cfg(test)]
mod tests {
    use shared_model::model::ModelConfig;

    use super::*;
    use crate::data::Batch;
    use crate::train::shard::split;

    #[test]
    fn the_teacher_answers_to_the_batch_without_masks_where_it_is_kept() {
        let config = ModelConfig {
            n_mels: 8,
            d_model: 16,
            n_layers: 1,
            n_heads: 2,
            d_ffn: 16,
            conv_kernel: 3,
            ..ModelConfig::default()
        };
        let device = Device::flex();
        let teacher = CtcModel::init(&config, 1, &device).expect("the shapes fit");
        let sound: Vec<f32> = (0..40 * 8).map(|i| (i as f32 * 0.37).sin()).collect();
        let silence = vec![0.0; sound.len()];
        let answer = |features: &[f32], unmasked: Option<&[f32]>| -> Vec<f32> {
            let batch = Batch {
                features: features.to_vec(),
                unmasked: unmasked.map(<[f32]>::to_vec),
                views: 1,
                time: 40,
                n_mels: 8,
                lengths: vec![40],
                targets: vec![vec![3]],
                utterance_ids: vec!["a".into()],
                audio_secs: 0.4,
            };
            let output = TeacherOutput::compute(&teacher, &split(&batch, 1)[0], &device);
            output.logits.into_data().iter().collect()
        };
        assert_eq!(answer(&silence, Some(&sound)), answer(&sound, None));
        assert_ne!(answer(&silence, Some(&sound)), answer(&silence, None));
    }

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
