//! How a network is trained in one phase.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OptimConfig;

/// Training of networks on transcripts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Times that all training utterances are heard (0, for students alone: not at all).
    pub epochs: usize,
    /// First epochs in which audio varies in speed and loudness alone. CTC finds its alignments
    /// sooner where nothing is masked; masks and noise count afterwards.
    pub gentle_epochs: usize,
    /// The final weights are the mean of those after each of this many last epochs (0 or 1: the
    /// last alone).
    pub average_epochs: usize,
    /// How CTC is computed.
    pub ctc: CtcConfig,
    /// From gradients to weights.
    pub optim: OptimConfig,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 30,
            gentle_epochs: 0,
            average_epochs: 5,
            ctc: CtcConfig::default(),
            optim: OptimConfig::default(),
        }
    }
}

/// What is added to CTC at the last block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CtcConfig {
    /// Share of the loss that CTC at `intermediate_layers` has, in equal parts (0: none).
    pub intermediate_weight: f64,
    /// Blocks (1-based) that get a CTC loss of their own, beside the network's exits; empty: the
    /// exits, or the middle block where there are none.
    pub intermediate_layers: Vec<usize>,
    /// Weight of KL(last block || such a block) of posteriors, the mean over the blocks that have a
    /// CTC loss of their own (0: none). The last block is not pulled: it teaches the others.
    pub intermediate_kl_weight: f64,
    /// Whether students that are exits of this network get a CTC head of their own, which begins as a
    /// copy of the network's; they share it otherwise.
    pub own_exit_heads: bool,
    /// CR-CTC (Yao et al., 2024): batches hold two independently masked views of each utterance,
    /// and a frame's posteriors in one view are pulled towards those in the other by this much of
    /// their divergence, beside the CTC losses of both (0: one view, no such term; the paper: 0.2).
    /// A batch is twice as large with two views.
    pub consistency_weight: f64,
    /// Steps over which `consistency_weight` grows from 0 in a line (0: it is there at once; the
    /// paper's recipe: 2000). Early posteriors are noise, on which views need not agree.
    pub consistency_warmup_steps: usize,
    /// Share of the last block's CTC loss, and of the agreement of two views, that phones have in a
    /// network with `model.phone_head`, 0 to 1; characters have the rest. At 0 the phone head learns
    /// nothing.
    pub phone_weight: f64,
}

impl Default for CtcConfig {
    fn default() -> Self {
        Self {
            intermediate_weight: 0.0,
            intermediate_layers: vec![],
            intermediate_kl_weight: 0.0,
            own_exit_heads: false,
            consistency_weight: 0.0,
            consistency_warmup_steps: 0,
            phone_weight: 0.5,
        }
    }
}

impl CtcConfig {
    /// Weight of the consistency of two views at a step, counted from 0.
    pub fn consistency_weight_at(&self, step: usize) -> f64 {
        let share = (step + 1) as f64 / self.consistency_warmup_steps.max(1) as f64;
        self.consistency_weight * share.min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consistency_grows_in_a_line_and_stays() {
        let weight = |consistency_warmup_steps, step| {
            let ctc = CtcConfig {
                consistency_weight: 0.2,
                consistency_warmup_steps,
                ..CtcConfig::default()
            };
            ctc.consistency_weight_at(step)
        };
        assert_eq!([weight(0, 0), weight(1, 0), weight(1, 9)], [0.2; 3]);
        assert_eq!(weight(200, 0), 0.001);
        assert_eq!(weight(200, 99), 0.1);
        assert_eq!([weight(200, 199), weight(200, 5000)], [0.2; 2]);
    }
}
