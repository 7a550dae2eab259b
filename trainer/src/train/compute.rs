//! Where and how networks compute while they learn.

use burn::prelude::Device;
use shared_model::model::CpuOperations;

use crate::config::ComputeConfig;

/// Where and how networks compute while they learn.
pub(crate) struct Compute {
    /// With autodiff.
    pub device: Device,
    pub operations: CpuOperations,
    /// Threads that may work at once.
    pub threads: usize,
    /// Shards that a batch is split into.
    pub shards: usize,
}

impl Compute {
    /// - `device`: without autodiff.
    pub fn new(device: &Device, is_gpu: bool, config: &ComputeConfig) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (threads, shards) = match (is_gpu, config.shards) {
            // A graphics card has its own parallelism, and one queue of work.
            (true, _) => (1, 1),
            (false, 0) => (cores, cores),
            (false, shards) => (cores.max(shards), shards),
        };
        Self {
            device: device.clone().autodiff(),
            operations: config.operations(),
            threads,
            shards,
        }
    }
}
