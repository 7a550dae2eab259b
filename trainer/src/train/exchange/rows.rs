//! What all processes have read of a batch.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{
    cluster::{ClusterError, Team},
    data::Batch,
};

/// The rows of a whole batch. Losses are means over all of it, and what one machine cannot read is
/// missing for all, so every process knows of all before it computes.
pub(in crate::train) struct Rows {
    /// Real feature frames.
    pub lengths: Vec<usize>,
    pub targets: Vec<Vec<u32>>,
    /// The shard of each; empty where nobody has dealt the batch.
    shards: Vec<usize>,
    /// This process's.
    pub own: Range<usize>,
    pub audio_secs: f64,
}

/// Those of one process.
#[derive(Serialize, Deserialize)]
struct OwnRows {
    lengths: Vec<usize>,
    targets: Vec<Vec<u32>>,
    shards: Vec<usize>,
    audio_secs: f64,
}

impl Rows {
    /// Of a batch that one process has as a whole.
    pub fn alone(batch: &Batch) -> Self {
        Self {
            own: 0..batch.lengths.len(),
            lengths: batch.lengths.clone(),
            targets: batch.targets.clone(),
            shards: batch.shards.clone(),
            audio_secs: batch.audio_secs,
        }
    }

    /// Of a batch of which each process has some rows.
    pub fn together(batch: &Batch, team: Team<'_>) -> Result<Self, ClusterError> {
        let own = OwnRows {
            lengths: batch.lengths.clone(),
            targets: batch.targets.clone(),
            shards: batch.shards.clone(),
            audio_secs: batch.audio_secs,
        };
        let all = team.gather(own)?;
        let before = all[..team.rank()].iter().map(|rows| rows.lengths.len());
        let start: usize = before.sum();
        let mut rows = Self {
            lengths: vec![],
            targets: vec![],
            shards: vec![],
            own: start..start + batch.lengths.len(),
            audio_secs: all.iter().map(|rows| rows.audio_secs).sum(),
        };
        for of_process in all {
            rows.lengths.extend(of_process.lengths);
            rows.targets.extend(of_process.targets);
            rows.shards.extend(of_process.shards);
        }
        Ok(rows)
    }

    /// The targets of all rows, shard by shard, as the shards themselves have them. The shards of a
    /// process follow those of the one before it: its rows stay where they are.
    pub fn targets_by_shard(&self) -> Vec<Vec<u32>> {
        let mut order: Vec<usize> = (0..self.targets.len()).collect();
        order.sort_by_key(|&row| self.shards.get(row));
        let targets = order.into_iter().map(|row| self.targets[row].clone());
        targets.collect()
    }

    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }
}
