//! Where and how networks compute while they learn.

use burn::prelude::Device;
use shared_model::model::Operations;

use crate::{cluster::Team, config::ComputeConfig, parallel::own_cores};

/// Where and how networks compute while they learn.
pub(crate) struct Compute {
    /// With autodiff.
    pub device: Device,
    pub operations: Operations,
    /// Threads that may work at once.
    pub threads: usize,
    /// Shards that a batch is split into.
    pub shards: usize,
}

impl Compute {
    /// - `device`: without autodiff.
    /// - `team`: the processes that share the shards.
    pub fn new(device: &Device, is_gpu: bool, config: &ComputeConfig, team: Team<'_>) -> Self {
        let cores = own_cores();
        let (threads, shards) = match (is_gpu, config.shards) {
            // A graphics card has its own parallelism, and one queue of work.
            (true, _) if team.size() == 1 => (1, 1),
            (true, shards) => (1, shards.max(team.size())),
            (false, 0) => (cores, cores),
            (false, shards) if team.size() == 1 => (cores.max(shards), shards),
            (false, shards) => (cores, shards),
        };
        Self {
            device: device.clone().autodiff(),
            operations: config.operations(),
            threads,
            shards,
        }
    }
}
