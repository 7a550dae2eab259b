//! Parts of a batch, one for each thread.

use std::collections::BTreeMap;

use burn::prelude::*;
use sha2::{Digest, Sha256};
use shared_model::model::{CtcModel, CtcOutput, Mode};

use super::answers::bytes_of;
use crate::data::{Batch, SpecMask, deal};

/// Some utterances of a batch, padded to the longest of them.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    /// `[batch, time, n_mels]`, row-major.
    features: Vec<f32>,
    /// What training hides of each row.
    masks: Vec<SpecMask>,
    /// Rows of an utterance, one after the other.
    pub views: usize,
    time: usize,
    n_mels: usize,
    /// Real feature frames per row.
    pub lengths: Vec<usize>,
    pub targets: Vec<Vec<u32>>,
    /// Positions of the rows in the batch.
    pub indices: Vec<usize>,
    /// Among the shards of the whole batch.
    pub number: usize,
}

impl Shard {
    fn new(batch: &Batch, number: usize, indices: Vec<usize>) -> Self {
        let lengths: Vec<usize> = indices.iter().map(|&u| batch.lengths[u]).collect();
        let time = lengths.iter().copied().max().unwrap_or(0);
        let mut features = Vec::with_capacity(indices.len() * time * batch.n_mels);
        for &u in &indices {
            let start = u * batch.time * batch.n_mels;
            features.extend_from_slice(&batch.features[start..start + time * batch.n_mels]);
        }
        Self {
            features,
            masks: indices.iter().map(|&u| batch.masks[u].clone()).collect(),
            views: batch.views,
            time,
            n_mels: batch.n_mels,
            targets: indices.iter().map(|&u| batch.targets[u].clone()).collect(),
            lengths,
            indices,
            number,
        }
    }

    /// A whole batch.
    pub fn whole(batch: &Batch) -> Self {
        Self::new(batch, 0, (0..batch.lengths.len()).collect())
    }

    /// What `model` makes of the utterances; `masked`: without what training hides. The tensors are
    /// made on `device`.
    pub fn forward(
        &self,
        model: &CtcModel,
        masked: bool,
        device: &Device,
        mode: &mut Mode<'_>,
    ) -> CtcOutput {
        let features = self.tensor(self.features.clone(), device);
        if masked && self.masks.iter().any(|mask| !mask.is_empty()) {
            let visible = self.tensor(self.visible(), device);
            model.forward_masked(features, &self.lengths, visible, mode)
        } else {
            model.forward(features, &self.lengths, mode)
        }
    }

    /// `[batch, time, n_mels]`, row-major, nothing hidden.
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// Adds all that a network's answer to the shard depends on.
    pub fn digest(&self, hash: &mut Sha256) {
        hash.update(bytes_of(&self.features));
        let shape = (self.views, self.time, self.n_mels);
        hash.update(format!("{:?}", (&self.masks, shape, &self.lengths)));
    }

    /// `[batch, time, n_mels]`: 0 where something is hidden, 1 elsewhere.
    fn visible(&self) -> Vec<f32> {
        let row = self.time * self.n_mels;
        let mut visible = vec![1.0; self.masks.len() * row];
        for (row, mask) in visible.chunks_mut(row.max(1)).zip(&self.masks) {
            mask.hide(row, self.n_mels);
        }
        visible
    }

    fn tensor(&self, values: Vec<f32>, device: &Device) -> Tensor<3> {
        let shape = [self.lengths.len(), self.time, self.n_mels];
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// The shards of a batch that have rows, in order; a batch that nobody has dealt is dealt into at most
/// `num_shards`, all views of an utterance into one.
pub(super) fn split(batch: &Batch, num_shards: usize) -> Vec<Shard> {
    let views = batch.views.max(1);
    let mut rows: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    if batch.shards.is_empty() {
        let utterances = batch.lengths.iter().step_by(views).copied();
        let dealt = deal(&utterances.collect::<Vec<_>>(), num_shards);
        for (utterance, shard) in dealt.into_iter().enumerate() {
            let own = utterance * views..(utterance + 1) * views;
            rows.entry(shard).or_default().extend(own);
        }
    } else {
        for (row, &shard) in batch.shards.iter().enumerate() {
            rows.entry(shard).or_default().push(row);
        }
    }
    rows.into_iter()
        .map(|(number, rows)| Shard::new(batch, number, rows))
        .collect()
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
            masks: vec![SpecMask::default(); 3],
            shards: vec![],
            places: vec![],
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
        assert_eq!(shards[1].indices, vec![0, 2]);
        assert_eq!(shards[1].lengths, vec![1, 2]);
        assert_eq!(shards[1].targets, vec![vec![1], vec![]]);
        let values = |shard: &Shard| shard.features.clone();
        assert_eq!(values(&shards[0]), [11.0, 12.0, 13.0, 14.0, 15.0, 16.0]);
        let longest = [21.0, 22.0, 23.0, 24.0];
        let padded = [1.0, 2.0, 0.0, 0.0];
        assert_eq!(values(&shards[1]), [padded, longest].concat());
    }

    #[test]
    fn masks_go_with_their_rows() {
        let mut batch = batch();
        batch.masks[0].bands.push(1..2);
        batch.masks[1].frames.push(1..3);
        let shards = split(&batch, 2);
        assert_eq!(shards[0].visible(), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        let rows = [[1.0, 0.0, 1.0, 0.0], [1.0; 4]];
        assert_eq!(shards[1].visible(), rows.concat());
    }

    #[test]
    fn views_of_an_utterance_stay_together() {
        let lengths = vec![4, 4, 9, 9, 6, 6];
        let batch = Batch {
            features: vec![0.0; 6 * 9],
            masks: vec![SpecMask::default(); 6],
            shards: vec![],
            places: vec![],
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
        assert_eq!(shards[1].indices, vec![0, 1, 4, 5]);
        assert!(shards.iter().all(|shard| shard.views == 2));
    }

    #[test]
    fn a_batch_that_was_dealt_stays_so_and_shards_without_rows_are_left_out() {
        let mut batch = batch();
        batch.shards = vec![3, 0, 3];
        let shards = split(&batch, 8);
        let found = shards.iter().map(|s| (s.number, s.indices.clone()));
        assert_eq!(found.collect::<Vec<_>>(), [(0, vec![1]), (3, vec![0, 2])]);
    }

    #[test]
    fn more_parts_than_utterances_are_not_made() {
        assert_eq!(split(&batch(), 8).len(), 3);
    }

    #[test]
    fn a_whole_batch_keeps_its_order() {
        let whole = Shard::whole(&batch());
        assert_eq!(whole.indices, vec![0, 1, 2]);
        assert_eq!(whole.lengths, vec![1, 3, 2]);
        assert_eq!(whole.features, batch().features);
    }
}
