//! Parts of a batch, one for each thread.

use burn::prelude::*;

use crate::data::Batch;

/// Some utterances of a batch, padded to the longest of them.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    /// `[batch, time, n_mels]`, row-major.
    features: Vec<f32>,
    /// The same before the masks, if the batch has it.
    unmasked: Option<Vec<f32>>,
    /// Rows of an utterance, one after the other.
    pub views: usize,
    time: usize,
    n_mels: usize,
    /// Real feature frames per row.
    pub lengths: Vec<usize>,
    pub targets: Vec<Vec<u32>>,
    /// Positions of the rows in the batch.
    pub indices: Vec<usize>,
}

impl Shard {
    fn new(batch: &Batch, indices: Vec<usize>) -> Self {
        let lengths: Vec<usize> = indices.iter().map(|&u| batch.lengths[u]).collect();
        let time = lengths.iter().copied().max().unwrap_or(0);
        let own = |all: &[f32]| {
            let mut own = Vec::with_capacity(indices.len() * time * batch.n_mels);
            for &u in &indices {
                let start = u * batch.time * batch.n_mels;
                own.extend_from_slice(&all[start..start + time * batch.n_mels]);
            }
            own
        };
        Self {
            features: own(&batch.features),
            unmasked: batch.unmasked.as_deref().map(own),
            views: batch.views,
            time,
            n_mels: batch.n_mels,
            targets: indices.iter().map(|&u| batch.targets[u].clone()).collect(),
            lengths,
            indices,
        }
    }

    /// `[batch, time, n_mels]` on `device`.
    pub fn features(&self, device: &Device) -> Tensor<3> {
        self.tensor(&self.features, device)
    }

    /// As [`Self::features`], without masks if the batch keeps them so.
    pub fn teacher_features(&self, device: &Device) -> Tensor<3> {
        self.tensor(self.unmasked.as_ref().unwrap_or(&self.features), device)
    }

    fn tensor(&self, values: &[f32], device: &Device) -> Tensor<3> {
        let shape = [self.lengths.len(), self.time, self.n_mels];
        Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
    }
}

/// Deals a batch out into at most `num_shards` shards of about equal length: the longest utterances go
/// first, each with all its views to the shard that is shortest so far.
pub(super) fn split(batch: &Batch, num_shards: usize) -> Vec<Shard> {
    let views = batch.views.max(1);
    let mut order: Vec<usize> = (0..batch.lengths.len()).step_by(views).collect();
    order.sort_by_key(|&u| std::cmp::Reverse(batch.lengths[u]));
    let mut dealt = vec![(0, vec![]); num_shards.clamp(1, order.len().max(1))];
    for utterance in order {
        if let Some((frames, own)) = dealt.iter_mut().min_by_key(|(frames, _)| *frames) {
            *frames += batch.lengths[utterance];
            own.extend(utterance..utterance + views);
        }
    }
    dealt
        .into_iter()
        .map(|(_, own)| Shard::new(batch, own))
        .collect()
}

/// The utterances of several shards as one, in the order of the shards.
pub(super) fn merge(batch: &Batch, shards: &[Shard]) -> Shard {
    let indices = shards.iter().flat_map(|p| p.indices.clone()).collect();
    Shard::new(batch, indices)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let lengths = vec![1, 3, 2];
        let mut features = vec![0.0; 3 * 3 * 2];
        for (u, &length) in lengths.iter().enumerate() {
            for i in 0..length * 2 {
                features[u * 6 + i] = (10 * u + i) as f32 + 1.0;
            }
        }
        Batch {
            unmasked: Some(features.iter().map(|value| -value).collect()),
            views: 1,
            features,
            time: 3,
            n_mels: 2,
            lengths,
            targets: vec![vec![1], vec![2, 2], vec![]],
            utterance_ids: vec!["a".into(), "b".into(), "c".into()],
            audio_secs: 0.06,
        }
    }

    #[test]
    fn every_utterance_is_in_one_part_with_its_features() {
        let batch = batch();
        let shards = split(&batch, 2);
        assert_eq!(shards[0].indices, vec![1]);
        assert_eq!(shards[1].indices, vec![2, 0]);
        assert_eq!(shards[1].lengths, vec![2, 1]);
        assert_eq!(shards[1].targets, vec![vec![], vec![1]]);
        let values = |shard: &Shard| -> Vec<f32> {
            shard.features(&Device::flex()).into_data().iter().collect()
        };
        assert_eq!(values(&shards[0]), [11.0, 12.0, 13.0, 14.0, 15.0, 16.0]);
        let longest = [21.0, 22.0, 23.0, 24.0];
        let padded = [1.0, 2.0, 0.0, 0.0];
        assert_eq!(values(&shards[1]), [longest, padded].concat());
    }

    #[test]
    fn the_teacher_hears_what_no_mask_hides_where_the_batch_keeps_it() {
        let heard = |batch: &Batch| -> Vec<f32> {
            let shard = &split(batch, 2)[0];
            shard
                .teacher_features(&Device::flex())
                .into_data()
                .iter()
                .collect()
        };
        let mut batch = batch();
        assert_eq!(heard(&batch), [-11.0, -12.0, -13.0, -14.0, -15.0, -16.0]);
        batch.unmasked = None;
        assert_eq!(heard(&batch), [11.0, 12.0, 13.0, 14.0, 15.0, 16.0]);
    }

    #[test]
    fn views_of_an_utterance_stay_together() {
        let lengths = vec![4, 4, 9, 9, 6, 6];
        let batch = Batch {
            features: vec![0.0; 6 * 9],
            unmasked: None,
            views: 2,
            time: 9,
            n_mels: 1,
            targets: vec![vec![]; 6],
            utterance_ids: vec![String::new(); 6],
            audio_secs: 0.38,
            lengths,
        };
        let shards = split(&batch, 2);
        assert_eq!(shards[0].indices, vec![2, 3]);
        assert_eq!(shards[1].indices, vec![4, 5, 0, 1]);
        assert!(shards.iter().all(|shard| shard.views == 2));
    }

    #[test]
    fn parts_are_about_equally_long() {
        let lengths = vec![8, 7, 6, 5, 4, 3, 1];
        let batch = Batch {
            features: vec![0.0; 7 * 8],
            unmasked: None,
            views: 1,
            time: 8,
            n_mels: 1,
            targets: vec![vec![]; 7],
            utterance_ids: vec![String::new(); 7],
            audio_secs: 0.34,
            lengths,
        };
        let frames = |shard: &Shard| shard.lengths.iter().sum::<usize>();
        let shards = split(&batch, 2);
        assert_eq!(shards.iter().map(frames).collect::<Vec<_>>(), [17, 17]);
    }

    #[test]
    fn more_parts_than_utterances_are_not_made() {
        assert_eq!(split(&batch(), 8).len(), 3);
    }

    #[test]
    fn merged_parts_follow_the_order_of_the_parts() {
        let batch = batch();
        let merged = merge(&batch, &split(&batch, 2));
        assert_eq!(merged.indices, vec![1, 2, 0]);
        assert_eq!(merged.lengths, vec![3, 2, 1]);
    }
}
