//! Everything that a phase needs to go on where it was, in one folder a step.
//!
//! A checkpoint is written under another name and renamed when it is whole and on the disk, so a
//! process killed at any moment leaves the one before.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use shared_model::weights::Weights;

use super::{CheckpointProblem, TrainError};
use crate::{
    config::Phase,
    costs::PhaseCosts,
    files::{remove_folder, write_atomically, write_folder_atomically},
    tensor_file,
};

const FORMAT_VERSION: u32 = 2;
const STATE: &str = "state.json";

/// Counters of a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PhaseState {
    pub format_version: u32,
    pub phase: Phase,
    /// Epochs that are over.
    pub epoch: usize,
    /// Batches of the current epoch that are over.
    pub batch_in_epoch: usize,
    /// Shards a batch is split into: sums depend on it, so a resumed run keeps it.
    pub shards: usize,
    pub costs: PhaseCosts,
    pub networks: Vec<NetworkState>,
}

/// Counters of one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetworkState {
    pub name: String,
    /// Optimiser steps, skipped ones included.
    pub step: usize,
    /// Steps skipped in a row because something was not finite.
    pub not_finite_in_a_row: usize,
    pub best: Option<Best>,
    /// Snapshots in the running mean of weights.
    pub averaged: usize,
}

/// The best validation so far. Counts, so that they compare exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Best {
    pub errors: usize,
    pub words: usize,
    /// The epoch it was measured after, 1-based.
    pub epoch: usize,
}

impl PhaseState {
    /// The state of a phase at its beginning.
    pub fn new(phase: Phase, shards: usize) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            phase,
            epoch: 0,
            batch_in_epoch: 0,
            shards,
            costs: PhaseCosts::default(),
            networks: vec![],
        }
    }

    pub fn max_step(&self) -> usize {
        self.networks.iter().map(|n| n.step).max().unwrap_or(0)
    }
}

/// The tensors of one network in a checkpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct NetworkTensors {
    pub weights: Weights,
    pub optimizer: Weights,
    pub average: Weights,
}

/// The checkpoints of one phase.
pub(super) struct Checkpoints {
    folder: PathBuf,
    keep_last: usize,
    /// Whether this process writes them.
    writes: bool,
}

impl Checkpoints {
    /// - `writes`: whether this process writes them; another may.
    pub fn new(folder: PathBuf, keep_last: usize, writes: bool) -> Result<Self, TrainError> {
        let checkpoints = Self {
            folder,
            keep_last: keep_last.max(1),
            writes,
        };
        if writes {
            checkpoints.io(fs::create_dir_all(&checkpoints.folder))?;
        }
        Ok(checkpoints)
    }

    fn io<T>(&self, result: io::Result<T>) -> Result<T, TrainError> {
        result.map_err(|e| TrainError::Checkpoint {
            path: self.folder.clone(),
            reason: e.into(),
        })
    }

    /// Writes a checkpoint and removes those that are too old.
    pub fn save(
        &self,
        state: &PhaseState,
        tensors: &[NetworkTensors],
    ) -> Result<PathBuf, TrainError> {
        let name = format!(
            "step-{:08}-{:04}-{:06}",
            state.max_step(),
            state.epoch,
            state.batch_in_epoch
        );
        let path = self.folder.join(&name);
        // The same counters mean the same weights: a resumed run may come by a second time.
        if !self.writes || path.exists() {
            return Ok(path);
        }
        let json = serde_json::to_vec_pretty(state).map_err(io::Error::other);
        let json = self.io(json)?;
        let written = write_folder_atomically(&path, |folder| {
            for (network, tensors) in state.networks.iter().zip(tensors) {
                for (kind, weights) in kinds(tensors) {
                    tensor_file::write(&file(folder, &network.name, kind), weights)?;
                }
            }
            write_atomically(&folder.join(STATE), &json)
        });
        self.io(written)?;
        let all = self.all()?;
        for old in &all[..all.len().saturating_sub(self.keep_last)] {
            self.io(remove_folder(old))?;
        }
        Ok(path)
    }

    /// The newest whole checkpoint, if there is one.
    pub fn load_newest(&self) -> Result<Option<(PhaseState, Vec<NetworkTensors>)>, TrainError> {
        let Some(path) = self.all()?.pop() else {
            return Ok(None);
        };
        let failed = |reason: CheckpointProblem| TrainError::Checkpoint {
            path: path.clone(),
            reason,
        };
        let json = fs::read(path.join(STATE)).map_err(|e| failed(e.into()))?;
        let state: PhaseState = serde_json::from_slice(&json).map_err(|e| failed(e.into()))?;
        if state.format_version != FORMAT_VERSION {
            let (found, expected) = (state.format_version, FORMAT_VERSION);
            return Err(failed(CheckpointProblem::Version { found, expected }));
        }
        let read = |network: &NetworkState| {
            let read = |kind| tensor_file::read(&file(&path, &network.name, kind));
            Ok(NetworkTensors {
                weights: read("weights")?,
                optimizer: read("optimizer")?,
                average: read("average")?,
            })
        };
        let tensors = state
            .networks
            .iter()
            .map(read)
            .collect::<Result<_, TrainError>>()?;
        Ok(Some((state, tensors)))
    }

    /// Keeps the best weights of a network beside the checkpoints.
    pub fn save_best(&self, network: &str, weights: &Weights) -> Result<(), TrainError> {
        if !self.writes {
            return Ok(());
        }
        Ok(tensor_file::write(
            &file(&self.folder, network, "best"),
            weights,
        )?)
    }

    pub fn load_best(&self, network: &str) -> Result<Weights, TrainError> {
        Ok(tensor_file::read(&file(&self.folder, network, "best"))?)
    }

    /// Whole checkpoints, oldest first.
    fn all(&self) -> Result<Vec<PathBuf>, TrainError> {
        let mut all = vec![];
        for entry in self.io(fs::read_dir(&self.folder))? {
            let path = self.io(entry)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("step-") && !name.ends_with(".partial") {
                all.push(path);
            }
        }
        all.sort();
        Ok(all)
    }
}

/// The files of a network.
fn kinds(tensors: &NetworkTensors) -> [(&'static str, &Weights); 3] {
    [
        ("weights", &tensors.weights),
        ("optimizer", &tensors.optimizer),
        ("average", &tensors.average),
    ]
}

fn file(folder: &Path, network: &str, kind: &str) -> PathBuf {
    folder.join(format!("{network}.{kind}.safetensors"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use shared_model::weights::WeightTensor;

    use super::*;

    fn tensors(value: f32) -> NetworkTensors {
        let weights = Weights::from([(
            "w".into(),
            WeightTensor {
                shape: vec![1],
                data: vec![value],
            },
        )]);
        NetworkTensors {
            weights: weights.clone(),
            optimizer: weights.clone(),
            average: weights,
        }
    }

    fn state(step: usize) -> PhaseState {
        let mut state = PhaseState::new(Phase::Teach, 2);
        state.networks.push(NetworkState {
            name: "teacher".into(),
            step,
            not_finite_in_a_row: 0,
            best: None,
            averaged: 0,
        });
        state
    }

    #[test]
    fn the_newest_is_loaded_and_only_the_last_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().join("teach"), 2, true).unwrap();
        assert!(checkpoints.load_newest().unwrap().is_none());
        for step in [5, 90, 100] {
            checkpoints
                .save(&state(step), &[tensors(step as f32)])
                .unwrap();
        }
        let (loaded, networks) = checkpoints.load_newest().unwrap().unwrap();
        assert_eq!(loaded, state(100));
        assert_eq!(networks[0].weights["w"].data, vec![100.0]);
        assert_eq!(checkpoints.all().unwrap().len(), 2);
    }

    #[test]
    fn half_written_checkpoints_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().into(), 2, true).unwrap();
        checkpoints.save(&state(5), &[tensors(5.0)]).unwrap();
        let partial = folder.path().join("step-00000009-0000-000000.partial");
        fs::create_dir(&partial).unwrap();
        fs::write(partial.join(STATE), "{").unwrap();
        let (loaded, _) = checkpoints.load_newest().unwrap().unwrap();
        assert_eq!(loaded.max_step(), 5);
        checkpoints.save(&state(9), &[tensors(9.0)]).unwrap();
        let (_, networks) = checkpoints.load_newest().unwrap().unwrap();
        assert_eq!(networks[0].weights["w"].data, vec![9.0]);
        assert!(!partial.exists());
    }

    #[test]
    fn a_damaged_checkpoint_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().into(), 2, true).unwrap();
        let path = checkpoints.save(&state(5), &[tensors(5.0)]).unwrap();
        fs::write(path.join(STATE), "{\"phase\"").unwrap();
        let error = checkpoints.load_newest().err().unwrap().to_string();
        assert!(error.contains("step-00000005"), "{error}");
    }
}
