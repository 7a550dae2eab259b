//! Parts of a batch, one for each thread.

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

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
