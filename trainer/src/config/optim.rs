//! Optimisation of one network.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// From gradients to weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptimConfig {
    /// What a step does.
    pub rule: OptimRule,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// How the learning rate changes from step to step.
    pub schedule: Schedule,
    /// Steps of linear warm-up; a run shorter than twice as many gets half of its steps for it.
    pub warmup_steps: usize,
    /// Decay of the mean of gradients.
    pub beta1: f32,
    /// Decay of the mean of squared gradients.
    pub beta2: f32,
    /// Added to the root of the mean of squared gradients.
    pub epsilon: f32,
    /// Decoupled weight decay: a step takes this share of the weights, times the learning rate.
    pub weight_decay: f32,
    /// Greatest global gradient norm (0: no clipping).
    pub clip_norm: f64,
    /// Greatest size of each value of a gradient (0: no clipping), instead of `clip_norm`.
    pub clip_value: f64,
    /// Batches to a step: its gradient is the sum of theirs divided by this number, also where an
    /// epoch ends with fewer.
    pub accumulate: usize,
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self {
            rule: OptimRule::AdamW,
            learning_rate: 1e-3,
            schedule: Schedule::Cosine,
            warmup_steps: 200,
            beta1: 0.9,
            beta2: 0.98,
            epsilon: 1e-9,
            weight_decay: 1e-2,
            clip_norm: 5.0,
            clip_value: 0.0,
            accumulate: 1,
        }
    }
}

/// What an optimiser step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimRule {
    /// Loshchilov and Hutter, 2019.
    AdamW,
    /// Orthogonal steps of matrices (Jordan et al., 2024), AdamW of everything else, both at
    /// `learning_rate` and `weight_decay`.
    Muon,
}

/// How the learning rate changes from step to step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Linear warm-up, then half a cosine down to 1 % of the peak.
    Cosine,
    /// Linear warm-up, then inverse square root (Vaswani et al., 2017).
    Noam,
    /// Linear warm-up, then the peak.
    Constant,
}
