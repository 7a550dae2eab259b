//! Evaluation or training.

use burn::prelude::*;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// What a forward pass may do besides computing: nothing in evaluation, dropout and the collection
/// of batch statistics in training.
pub enum Mode<'a> {
    /// Computes only; the same input gives the same output.
    Eval,
    /// As evaluation, and every affine map tells its name (`encoder.blocks.0.ffn1.up`) and what it is
    /// about to map, `[batch, time, d_in]`. Maps inside fused operations tell nothing: ask for
    /// composed ones.
    Observe(&'a mut dyn FnMut(&str, Tensor<3>)),
    /// Drops values at random, and gathers statistics.
    Train(&'a mut TrainContext),
}

impl Mode<'_> {
    /// The state of a training pass, if this is one. A browser trains nothing: what only training needs
    /// is left out of its modules.
    #[inline(always)]
    pub(crate) fn training(&mut self) -> Option<&mut TrainContext> {
        match self {
            Mode::Train(context) if cfg!(not(target_arch = "wasm32")) => Some(context),
            _ => None,
        }
    }
}

/// State of one training forward pass. The same seed gives the same dropout masks on every device.
pub struct TrainContext {
    /// Draws the seeds of dropout masks, one after another.
    pub rng: Xoshiro256PlusPlus,
    /// Statistics gathered by batch norms, to be merged into the running ones after the step.
    pub batch_stats: Vec<BatchStats>,
}

impl TrainContext {
    /// For a pass whose dropout follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            batch_stats: Vec::new(),
        }
    }
}

/// One batch norm's statistics over the real frames of a batch. They stay on the device until they
/// are merged, so that gathering them does not interrupt a GPU.
#[derive(Debug, Clone)]
pub struct BatchStats {
    /// The norm's name, `encoder.blocks.3.conv.norm`.
    pub name: String,
    /// `[channels]`
    pub mean: Tensor<1>,
    /// Biased variance, `[channels]`.
    pub variance: Tensor<1>,
    /// Real frames that were counted.
    pub num_frames: usize,
}
