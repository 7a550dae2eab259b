//! Learning of one network, checkpoints and export.

use serde::{Deserialize, Serialize};
use shared_model::{bundle::Precision, model::CpuOperations};

/// Learning of one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimConfig {
    pub epochs: usize,
    /// First epochs in which audio varies in speed and loudness alone. CTC finds its alignments
    /// sooner where nothing is masked; masks and noise count afterwards.
    pub gentle_epochs: usize,
    pub rule: OptimRule,
    /// Peak learning rate.
    pub learning_rate: f64,
    pub schedule: Schedule,
    /// Steps of linear warm-up.
    pub warmup_steps: usize,
    pub beta1: f32,
    pub beta2: f32,
    pub epsilon: f32,
    pub weight_decay: f32,
    /// Greatest global gradient norm (0: no clipping).
    pub clip_norm: f64,
    /// Batches whose gradients are summed before a step.
    pub accumulate: usize,
    /// Weight of the CTC loss at `intermediate_ctc_layers`, shared equally (0: off).
    pub intermediate_ctc_weight: f64,
    /// Blocks (1-based) that get an intermediate CTC loss; empty: the middle one.
    pub intermediate_ctc_layers: Vec<usize>,
    /// CR-CTC (Yao et al., 2024): batches hold two independently masked views of each utterance, and
    /// a frame's posteriors in one view are pulled towards those in the other by this much of their
    /// divergence, beside the CTC losses of both (0: one view, no such term; the paper: 0.2).
    /// A batch is twice as large with two views.
    pub consistency_weight: f64,
    /// The final weights are the mean of this many last epochs' (0 or 1: the last alone).
    pub average_epochs: usize,
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self {
            epochs: 30,
            gentle_epochs: 0,
            rule: OptimRule::AdamW,
            learning_rate: 1e-3,
            schedule: Schedule::Cosine,
            warmup_steps: 200,
            beta1: 0.9,
            beta2: 0.98,
            epsilon: 1e-9,
            weight_decay: 1e-2,
            clip_norm: 5.0,
            accumulate: 1,
            intermediate_ctc_weight: 0.0,
            intermediate_ctc_layers: vec![],
            consistency_weight: 0.0,
            average_epochs: 5,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimRule {
    /// Loshchilov and Hutter, 2019.
    AdamW,
    /// Orthogonal steps of matrices (Jordan et al., 2024), AdamW of everything else, both at
    /// `learning_rate` and `weight_decay`.
    Muon,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Linear warm-up, then half a cosine down to 1 % of the peak.
    Cosine,
    /// Linear warm-up, then inverse square root (Vaswani et al., 2017).
    Noam,
    Constant,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Optimiser steps between checkpoints (0: only at the ends of epochs).
    pub every_steps: usize,
    /// Checkpoints kept besides the best.
    pub keep_last: usize,
    /// Epochs between measurements of dev WER.
    pub validate_every_epochs: usize,
    /// Parts that a batch is split into on the CPU, one thread each (0: as many as there are cores).
    pub shards: usize,
    /// Whether the CPU computes parts of the network as one operation each instead of as
    /// compositions; the same up to rounding.
    pub fused: bool,
    /// Whether fused operations round the factors of matrix products to bf16 where the processor
    /// multiplies it (Intel AMX, AVX-512 with bf16); sums stay f32. Elsewhere it changes nothing.
    pub bf16: bool,
}

impl CheckpointConfig {
    /// How the CPU computes networks that are trained.
    pub fn operations(&self) -> CpuOperations {
        match (self.fused, self.bf16) {
            (false, _) => CpuOperations::Composed,
            (true, false) => CpuOperations::Fused,
            (true, true) => CpuOperations::FusedBf16,
        }
    }
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            every_steps: 200,
            keep_last: 2,
            validate_every_epochs: 1,
            shards: 0,
            fused: true,
            bf16: false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExportConfig {
    pub precision: Precision,
    pub license: String,
    /// Lines for the card: data sets with licence and hours.
    pub data: Vec<String>,
    pub limits: Vec<String>,
}

impl Default for ExportConfig {
    fn default() -> Self {
        Self {
            precision: Precision::Int8,
            license: String::new(),
            data: vec![],
            limits: vec![],
        }
    }
}
