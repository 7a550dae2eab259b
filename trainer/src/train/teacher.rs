//! What a frozen teacher says about a batch.

use std::{cmp::Ordering, sync::Arc};

use burn::{
    prelude::*,
    tensor::{Int, activation::softmax},
};
use shared_model::{
    model::{CtcModel, CtcOutput, Mode},
    tokens::BLANK_ID,
};

use super::shard::Shard;
use crate::{loss::frame_mask, onnx_network::OnnxNetwork};

/// Posteriors below this count as equal to it, so that they have logarithms.
const POSTERIOR_FLOOR: f64 = 1e-10;

/// The teacher's answer to a shard of a batch; constants.
#[derive(Clone)]
pub(super) struct TeacherOutput {
    /// `[batch, time', vocab]`
    pub logits: Tensor<3>,
    /// `[batch, time', 41]` of a teacher with a phone head.
    pub phone_logits: Option<Tensor<3>>,
    /// Output of each block, or of the last alone, `[batch, time', d_model]`
    pub hidden: Vec<Tensor<3>>,
    /// Real frames of each utterance.
    pub lengths: Vec<usize>,
    /// Feature frames to one of these.
    pub subsampling_factor: usize,
}

/// A teacher that learns nothing any more (without autodiff).
#[derive(Clone)]
pub(crate) enum FrozenTeacher {
    /// One of our networks.
    Network(Box<CtcModel>),
    /// Somebody else's.
    Onnx(Arc<OnnxNetwork>),
}

impl FrozenTeacher {
    /// Our own network, if it is one.
    pub fn network(&self) -> Option<&CtcModel> {
        match self {
            Self::Network(network) => Some(network),
            Self::Onnx(_) => None,
        }
    }
}

/// What a teacher is asked about a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct TeacherQuestion {
    /// It hears no more than the students.
    pub masked: bool,
    /// The output of every block is wanted, not of the last alone.
    pub all_blocks: bool,
}

impl TeacherOutput {
    /// The frozen teacher's pass: evaluation mode, no autodiff.
    pub fn compute(
        teacher: &FrozenTeacher,
        shard: &Shard,
        question: TeacherQuestion,
        device: &Device,
    ) -> Self {
        match teacher {
            FrozenTeacher::Network(network) => Self::of_network(network, shard, question, device),
            FrozenTeacher::Onnx(network) => Self::of_onnx(network, shard, device),
        }
    }

    /// Posteriors alone, of features without masks.
    fn of_onnx(network: &OnnxNetwork, shard: &Shard, device: &Device) -> Self {
        let factor = network.subsampling_factor();
        let frames = shard.lengths.iter().map(|length| length.div_ceil(factor));
        let heard = network.log_probs(
            shard.features().to_vec(),
            &shard.lengths,
            frames.max().unwrap_or(0),
        );
        let shape = [shard.lengths.len(), heard.time, network.vocab_size()];
        Self {
            logits: Tensor::from_data(TensorData::new(heard.values, shape), device),
            phone_logits: None,
            hidden: vec![],
            lengths: heard.lengths,
            subsampling_factor: factor,
        }
    }

    /// The answer of one of our networks, in evaluation mode.
    pub fn of_network(
        teacher: &CtcModel,
        shard: &Shard,
        question: TeacherQuestion,
        device: &Device,
    ) -> Self {
        let output = shard.forward(teacher, question.masked, device, &mut Mode::Eval);
        let hidden = match question.all_blocks {
            true => output.hidden,
            false => vec![last_hidden(&output)],
        };
        Self {
            logits: output.logits,
            phone_logits: output.phone_logits,
            hidden,
            lengths: output.lengths,
            subsampling_factor: teacher.config().subsampling_factor,
        }
    }

    /// The answer in the frames of a student.
    ///
    /// - `factor`: the student's feature frames to an encoder frame.
    /// - `time`: the student's frames, padding included.
    pub fn in_frames_of(&self, factor: usize, time: usize) -> Self {
        let own = self.subsampling_factor;
        let (logits, hidden): (FrameRule, FrameRule) = if factor == own {
            if self.logits.dims()[1] == time {
                return self.clone();
            }
            (as_they_are, as_they_are)
        } else if factor > own {
            (pool_logits, pool_hidden)
        } else {
            (twice, twice)
        };
        let fit = |tensor: &Tensor<3>, rule: FrameRule| {
            let frames = rule(tensor.clone(), &self.lengths);
            padded(&frames, time).narrow(1, 0, time)
        };
        let lengths = self.lengths.iter().map(|&length| match factor.cmp(&own) {
            Ordering::Greater => length.div_ceil(2),
            Ordering::Equal => length.min(time),
            Ordering::Less => (2 * length).min(time),
        });
        Self {
            logits: fit(&self.logits, logits),
            phone_logits: self.phone_logits.as_ref().map(|own| fit(own, logits)),
            hidden: self.hidden.iter().map(|h| fit(h, hidden)).collect(),
            lengths: lengths.collect(),
            subsampling_factor: factor,
        }
    }

    /// The answer to a whole batch from those to its shards, in the order of the batch.
    pub fn whole(answers: &[Self], shards: &[Shard]) -> Self {
        let times = answers.iter().map(|answer| answer.logits.dims()[1]);
        let time = times.max().unwrap_or(0);
        let rows: Vec<usize> = shards.iter().flat_map(|s| s.indices.clone()).collect();
        let mut places = vec![0; rows.len()];
        for (place, &row) in rows.iter().enumerate() {
            places[row] = place as i32;
        }
        let join = |parts: Vec<&Tensor<3>>| {
            let padded = parts.into_iter().map(|part| padded(part, time));
            let joined = Tensor::cat(padded.collect(), 0);
            let places = TensorData::new(places.clone(), [places.len()]);
            let places = Tensor::<1, Int>::from_data(places, &joined.device());
            joined.select(0, places)
        };
        let mut lengths = vec![0; rows.len()];
        let own = answers.iter().flat_map(|answer| &answer.lengths);
        for (&row, &length) in rows.iter().zip(own) {
            lengths[row] = length;
        }
        let phones = answers.iter().map(|answer| answer.phone_logits.as_ref());
        let phones: Option<Vec<&Tensor<3>>> = phones.collect();
        let blocks = answers.first().map_or(0, |answer| answer.hidden.len());
        let hidden = (0..blocks).map(|b| join(answers.iter().map(|a| &a.hidden[b]).collect()));
        Self {
            logits: join(answers.iter().map(|answer| &answer.logits).collect()),
            phone_logits: phones.filter(|all| !all.is_empty()).map(&join),
            hidden: hidden.collect(),
            lengths,
            subsampling_factor: answers.first().map_or(0, |a| a.subsampling_factor),
        }
    }
}

/// From `[batch, time, width]` with real frames up to each length to other frames of the same.
type FrameRule = fn(Tensor<3>, &[usize]) -> Tensor<3>;

/// Logits of pairs of frames as those of one: a token is in the pair if it is in either frame, a blank
/// if it is in both. The mean would halve each of CTC's peaks. Frames behind the last count as blank.
fn pool_logits(logits: Tensor<3>, lengths: &[usize]) -> Tensor<3> {
    let [batch, time, vocab] = logits.dims();
    let pairs = time.div_ceil(2);
    let device = logits.device();
    let real = frame_mask(lengths, time, &device);
    let is_blank: Vec<f32> = (0..vocab)
        .map(|class| f32::from(class == BLANK_ID as usize))
        .collect();
    let is_blank = Tensor::<3>::from_data(TensorData::new(is_blank, [1, 1, vocab]), &device);
    // In every frame a blank is certain where nothing is real.
    let silence = (real.clone() - 1.0).neg() * is_blank.clone();
    let posteriors = softmax(logits, 2) * real + silence;
    let rest = Tensor::zeros([batch, 2 * pairs - time, vocab], &device) + is_blank.clone();
    let posteriors = match 2 * pairs - time {
        0 => posteriors,
        _ => Tensor::cat(vec![posteriors, rest], 1),
    };
    let pairs = posteriors.reshape([batch, pairs, 2, vocab]);
    let frame = |number: usize| -> Tensor<3> { pairs.clone().narrow(2, number, 1).squeeze_dim(2) };
    let both = frame(0) * frame(1);
    let either = frame(0) + frame(1) - both.clone();
    let pooled = either.clone() + (both - either) * is_blank;
    pooled.clamp_min(POSTERIOR_FLOOR).log()
}

/// Means of pairs of frames; of a pair that the utterance ends in, its one real frame.
fn pool_hidden(hidden: Tensor<3>, lengths: &[usize]) -> Tensor<3> {
    let [batch, time, width] = hidden.dims();
    let pairs = time.div_ceil(2);
    let real = frame_mask(lengths, time, &hidden.device());
    let sums = |tensor: Tensor<3>, width: usize| {
        let even = padded(&tensor, 2 * pairs).reshape([batch, pairs, 2, width]);
        even.sum_dim(2).squeeze_dim::<3>(2)
    };
    let counts = sums(real.clone(), 1).clamp_min(1.0);
    sums(hidden * real, width) / counts
}

/// The frames of a network that begins or ends an utterance otherwise.
fn as_they_are(frames: Tensor<3>, _: &[usize]) -> Tensor<3> {
    frames
}

/// Each frame twice, one after the other.
fn twice(frames: Tensor<3>, _: &[usize]) -> Tensor<3> {
    let [batch, time, width] = frames.dims();
    let repeated = frames.reshape([batch, time, 1, width]).repeat_dim(2, 2);
    repeated.reshape([batch, 2 * time, width])
}

/// `[batch, time, width]` with zeros after it, up to `time` frames.
fn padded(tensor: &Tensor<3>, time: usize) -> Tensor<3> {
    let [batch, own, width] = tensor.dims();
    if own >= time {
        return tensor.clone();
    }
    let padding = Tensor::zeros([batch, time - own, width], &tensor.device());
    Tensor::cat(vec![tensor.clone(), padding], 1)
}

/// What the head sees, `[batch, time', d_model]`.
pub(super) fn last_hidden(output: &CtcOutput) -> Tensor<3> {
    // `ModelConfig::validate` wants at least one block.
    output.hidden[output.hidden.len() - 1].clone()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use shared_model::model::ModelConfig;

    use super::*;
    use crate::data::{Batch, SpecMask};
    use crate::train::shard::split;

    fn teacher() -> CtcModel {
        let config = ModelConfig {
            n_mels: 8,
            d_model: 16,
            n_layers: 1,
            n_heads: 2,
            d_ffn: 16,
            conv_kernel: 3,
            ..ModelConfig::default()
        };
        CtcModel::init(&config, 1, &Device::flex()).unwrap()
    }

    /// Utterances of these lengths.
    fn batch(lengths: &[usize]) -> Batch {
        let time = lengths.iter().copied().max().unwrap();
        let mut features = vec![0.0; lengths.len() * time * 8];
        for (u, row) in features.chunks_mut(time * 8).enumerate() {
            for (i, value) in row[..lengths[u] * 8].iter_mut().enumerate() {
                *value = ((i + 31 * u) as f32 * 0.37).sin();
            }
        }
        Batch {
            features,
            masks: vec![SpecMask::default(); lengths.len()],
            shards: vec![],
            places: vec![],
            views: 1,
            time,
            n_mels: 8,
            lengths: lengths.to_vec(),
            targets: vec![vec![3]; lengths.len()],
            utterance_ids: vec![String::new(); lengths.len()],
            audio_secs: 0.4,
        }
    }

    fn question(masked: bool) -> TeacherQuestion {
        TeacherQuestion {
            masked,
            all_blocks: true,
        }
    }

    fn cube(values: &[f32], shape: [usize; 3]) -> Tensor<3> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
    }

    fn close(got: Vec<f32>, want: &[f32]) {
        assert_eq!(got.len(), want.len());
        let alike = got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(alike, "{got:?} instead of {want:?}");
    }

    /// Three real frames of four, logits whose posteriors can be written down.
    fn answer() -> TeacherOutput {
        let (sure, unsure) = ([0.0, -99.0, -99.0], [0.0, 0.0, -99.0]);
        let token = [-99.0, -99.0, 0.0];
        let logits = [unsure, sure, token, unsure].concat();
        TeacherOutput {
            logits: cube(&logits, [1, 4, 3]),
            phone_logits: None,
            hidden: vec![cube(&[1.0, 3.0, 5.0, 1e9], [1, 4, 1])],
            lengths: vec![3],
            subsampling_factor: 4,
        }
    }

    #[test]
    fn a_pair_of_frames_holds_the_tokens_of_both_and_is_blank_where_both_are() {
        let pooled = answer().in_frames_of(8, 2);
        let posteriors = values(softmax(pooled.logits, 2));
        // Of the second pair only its first frame is real.
        close(posteriors, &[0.5, 0.5, 0.0, 0.0, 0.0, 1.0]);
        close(values(pooled.hidden[0].clone()), &[2.0, 5.0]);
        assert_eq!(pooled.lengths, [2]);
        // Two tokens in one pair share it, and none of them is lost.
        let two = TeacherOutput {
            logits: cube(&[-99.0, 0.0, -99.0, -99.0, -99.0, 0.0], [1, 2, 3]),
            lengths: vec![2],
            ..answer()
        };
        let posteriors = values(softmax(two.in_frames_of(8, 1).logits, 2));
        close(posteriors, &[0.0, 0.5, 0.5]);
    }

    #[test]
    fn an_odd_frame_at_the_end_is_a_pair_of_its_own() {
        let mut odd = answer();
        odd.logits = odd.logits.narrow(1, 0, 3);
        odd.hidden = vec![odd.hidden[0].clone().narrow(1, 0, 3)];
        let pooled = odd.in_frames_of(8, 2);
        let posteriors = values(softmax(pooled.logits, 2));
        close(posteriors, &[0.5, 0.5, 0.0, 0.0, 0.0, 1.0]);
        close(values(pooled.hidden[0].clone()), &[2.0, 5.0]);
    }

    #[test]
    fn finer_frames_repeat_the_coarser_ones() {
        let coarse = TeacherOutput {
            subsampling_factor: 8,
            ..answer()
        };
        let fine = coarse.in_frames_of(4, 5);
        close(values(fine.hidden[0].clone()), &[1.0, 1.0, 3.0, 3.0, 5.0]);
        assert_eq!(fine.lengths, [5]);
        assert_eq!(fine.logits.dims(), [1, 5, 3]);
    }

    fn values(tensor: Tensor<3>) -> Vec<f32> {
        tensor.into_data().iter().collect()
    }

    #[test]
    fn it_hears_what_masks_hide_if_told_so() {
        let (teacher, device) = (teacher(), Device::flex());
        let mut batch = batch(&[40]);
        let answer = |batch: &Batch, masked| {
            let shard = Shard::whole(batch);
            let question = question(masked);
            values(TeacherOutput::of_network(&teacher, &shard, question, &device).logits)
        };
        let plain = answer(&batch, true);
        batch.masks[0].frames.push(5..30);
        assert_eq!(answer(&batch, false), plain);
        assert_ne!(answer(&batch, true), plain);
    }

    #[test]
    fn answers_to_shards_become_the_answer_to_the_batch() {
        let (teacher, device) = (teacher(), Device::flex());
        let batch = batch(&[12, 40, 20, 33, 8]);
        let shards = split(&batch, 3);
        let answers = shards
            .iter()
            .map(|s| TeacherOutput::of_network(&teacher, s, question(true), &device));
        let joined = TeacherOutput::whole(&answers.collect::<Vec<_>>(), &shards);
        let shard = Shard::whole(&batch);
        let whole = TeacherOutput::of_network(&teacher, &shard, question(true), &device);
        assert_eq!(joined.lengths, whole.lengths);
        let hidden = joined.hidden.into_iter().zip(whole.hidden);
        for (got, want) in hidden.chain([(joined.logits, whole.logits)]) {
            let [_, time, width] = want.dims();
            let (got, want) = (values(got), values(want));
            for (u, length) in batch.lengths.iter().enumerate() {
                let real = u * time * width..(u * time + length.div_ceil(4)) * width;
                for (a, b) in got[real.clone()].iter().zip(&want[real]) {
                    assert!((a - b).abs() < 1e-5, "utterance {u}: {a} {b}");
                }
            }
        }
    }
}
