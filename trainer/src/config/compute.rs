//! What computes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared_model::model::Operations;

/// How training is computed. Rounding depends on every value, so a run keeps those that it began
/// with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ComputeConfig {
    /// Shards that a batch is split into on the CPU, one thread each (0: as many as there are cores
    /// when the run begins). Processes of MPI share them: results depend on their number alone, so
    /// that any number of processes up to it gives the same weights.
    pub shards: usize,
    /// Whether the CPU computes branches of the network as one operation each instead of as
    /// compositions; the same up to rounding.
    pub fused: bool,
    /// Whether fused operations round the factors of matrix products to bf16 where the processor
    /// multiplies it (Intel AMX, AVX-512 with bf16); sums stay f32. Elsewhere it changes nothing.
    pub bf16: bool,
}

impl ComputeConfig {
    /// How the CPU computes networks that are trained.
    pub fn operations(&self) -> Operations {
        match (self.fused, self.bf16) {
            (false, _) => Operations::Composed,
            (true, false) => Operations::Fused,
            (true, true) => Operations::FusedBf16,
        }
    }

    /// Decides the number of shards where the recipe leaves it to the machine.
    ///
    /// - `begun_with`: the number that the run has had so far.
    /// - `cores`: of all machines together.
    pub fn settle_shards(&mut self, begun_with: Option<usize>, cores: usize) {
        if self.shards == 0 {
            self.shards = begun_with.unwrap_or(cores);
        }
    }
}

impl Default for ComputeConfig {
    fn default() -> Self {
        Self {
            shards: 0,
            fused: true,
            bf16: false,
        }
    }
}
