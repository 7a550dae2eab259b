//! What a frozen teacher says about a batch.

use burn::{prelude::*, tensor::Int};
use shared_model::model::{CtcModel, CtcOutput, Mode};

use super::shard::Shard;

/// The teacher's answer to a shard of a batch; constants.
#[derive(Clone)]
pub(super) struct TeacherOutput {
    /// `[batch, time', vocab]`
    pub logits: Tensor<3>,
    /// Last block, `[batch, time', d_model]`
    pub hidden: Tensor<3>,
}

impl TeacherOutput {
    /// The frozen teacher's pass: evaluation mode, no autodiff. `masked`: it hears no more than the
    /// students.
    pub fn compute(teacher: &CtcModel, shard: &Shard, masked: bool, device: &Device) -> Self {
        let output = shard.forward(teacher, masked, device, &mut Mode::Eval);
        let hidden = last_hidden(&output);
        Self {
            logits: output.logits,
            hidden,
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
        let join = |part: fn(&Self) -> &Tensor<3>| {
            let padded = answers.iter().map(|answer| padded(part(answer), time));
            let joined = Tensor::cat(padded.collect(), 0);
            let places = TensorData::new(places.clone(), [places.len()]);
            let places = Tensor::<1, Int>::from_data(places, &joined.device());
            joined.select(0, places)
        };
        Self {
            logits: join(|answer| &answer.logits),
            hidden: join(|answer| &answer.hidden),
        }
    }
}

/// `[batch, time, width]` with zeros after it, up to `time` frames.
fn padded(tensor: &Tensor<3>, time: usize) -> Tensor<3> {
    let [batch, own, width] = tensor.dims();
    if own == time {
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
            views: 1,
            time,
            n_mels: 8,
            lengths: lengths.to_vec(),
            targets: vec![vec![3]; lengths.len()],
            utterance_ids: vec![String::new(); lengths.len()],
            audio_secs: 0.4,
        }
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
            values(TeacherOutput::compute(&teacher, &shard, masked, &device).logits)
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
            .map(|s| TeacherOutput::compute(&teacher, s, true, &device));
        let joined = TeacherOutput::whole(&answers.collect::<Vec<_>>(), &shards);
        let whole = TeacherOutput::compute(&teacher, &Shard::whole(&batch), true, &device);
        for (got, want) in [(joined.logits, whole.logits), (joined.hidden, whole.hidden)] {
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
