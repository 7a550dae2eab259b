//! What a training loop tells the world. Console, JSONL, CSV and TensorBoard consume the same events.

use serde::Serialize;

use crate::costs::PhaseCosts;

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TrainEvent {
    /// A part of the run begins (`teach`, `distill`, `finetune`).
    Started {
        phase: String,
        networks: Vec<String>,
        parameters: Vec<usize>,
        epochs: usize,
        steps_per_epoch: usize,
        resumed_at_step: usize,
    },
    Step {
        phase: String,
        step: usize,
        epoch: usize,
        total_steps: usize,
        learning_rate: f64,
        /// Named losses, `small/kl`.
        losses: Vec<(String, f64)>,
        gradient_norm: Vec<(String, f64)>,
        /// Since the phase began in this process.
        audio_secs_per_sec: f64,
        /// Share of time the model waited for data.
        data_wait_share: f64,
        eta_secs: f64,
        memory_bytes: u64,
        /// Utterances whose transcript does not fit their frames, left out of this step.
        infeasible: usize,
    },
    Validation {
        phase: String,
        network: String,
        step: usize,
        epoch: usize,
        loss: f64,
        wer: f64,
        cer: f64,
        blank_share: f64,
        samples: Vec<(String, String)>,
        is_best: bool,
    },
    Checkpoint {
        phase: String,
        step: usize,
        path: String,
    },
    Quarantined {
        path: String,
        reason: String,
    },
    Notice {
        message: String,
    },
    Warning {
        message: String,
    },
    Finished {
        phase: String,
        costs: PhaseCosts,
    },
}
