//! What a training loop tells the world. Console, JSONL, CSV and TensorBoard consume the same events.

use serde::Serialize;

use crate::costs::PhaseCosts;

/// Behind a network's name in [`TrainEvent::Validation`]: the mean of its last epochs' weights.
pub const AVERAGE: &str = "/average";

/// Where the time of a step goes that several processes make, milliseconds; together it is the step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct TeamTimes {
    /// Passes and updates, the mean over the processes.
    pub compute_ms: f64,
    /// Gradients and weights on their way.
    pub exchange_ms: f64,
    /// For the process that computes longest, the mean over the processes.
    pub waiting_ms: f64,
}

/// Something that happened in training.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TrainEvent {
    /// A phase begins or goes on.
    Started {
        /// `teach`, `distill` or `finetune`.
        phase: String,
        /// Their names.
        networks: Vec<String>,
        /// Of each network.
        parameters: Vec<usize>,
        /// Of the network that has most.
        epochs: usize,
        /// Batches of the longest epoch.
        steps_per_epoch: usize,
        /// Optimiser steps that an earlier process has made.
        resumed_at_step: usize,
    },
    /// The networks were updated.
    Step {
        /// `teach`, `distill` or `finetune`.
        phase: String,
        /// Optimiser steps so far.
        step: usize,
        /// The epoch under way, 1-based.
        epoch: usize,
        /// Optimiser steps that the phase will have.
        total_steps: usize,
        /// Of the network with most steps.
        learning_rate: f64,
        /// Named losses, `small/kl`.
        losses: Vec<(String, f64)>,
        /// Euclidean norm of all gradients of a network, before clipping.
        gradient_norm: Vec<(String, f64)>,
        /// Since the phase began in this process.
        audio_secs_per_sec: f64,
        /// Share of time the model waited for data.
        data_wait_share: f64,
        /// Until the phase ends, at the rate so far.
        eta_secs: f64,
        /// Of this process, resident.
        memory_bytes: u64,
        /// Utterances whose transcript does not fit their frames, left out of this step.
        infeasible: usize,
        /// Where several processes train together: a step's time, the mean since the phase began in
        /// this process.
        #[serde(skip_serializing_if = "Option::is_none")]
        team: Option<TeamTimes>,
    },
    /// A network was measured on the development set, greedy.
    Validation {
        /// `teach`, `distill` or `finetune`.
        phase: String,
        /// Its name; with [`AVERAGE`] behind it, the mean of its last epochs' weights.
        network: String,
        /// Its optimiser steps so far.
        step: usize,
        /// The epoch that has ended, 1-based.
        epoch: usize,
        /// CTC loss per label, mean over utterances.
        loss: f64,
        /// Word error rate; 1 is 100 %.
        wer: f64,
        /// Character error rate.
        cer: f64,
        /// Phone error rate against each word's first pronunciation, spaces between words counted as
        /// phones; of networks with a phone head.
        #[serde(skip_serializing_if = "Option::is_none")]
        per: Option<f64>,
        /// Share of frames whose best class is blank.
        blank_share: f64,
        /// Reference and hypothesis of some utterances.
        samples: Vec<(String, String)>,
        /// Whether it has never made fewer word errors.
        is_best: bool,
        /// Processor seconds that the phase has spent on training so far, all networks together.
        training_cpu_secs: f64,
        /// Those of this network alone.
        network_cpu_secs: f64,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// `teach`, `distill` or `finetune`.
        phase: String,
        /// Optimiser steps so far.
        step: usize,
        /// Its folder.
        path: String,
    },
    /// A file was found broken and is left out from now on.
    Quarantined {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Worth knowing.
    Notice {
        /// One sentence.
        message: String,
    },
    /// Worth acting on.
    Warning {
        /// One sentence.
        message: String,
    },
    /// A phase has ended.
    Finished {
        /// `teach`, `distill` or `finetune`.
        phase: String,
        /// Over all processes that worked on it.
        costs: PhaseCosts,
    },
}
