//! Training: a teacher with CTC, step 1 (EncRL) for all students at once, step 2 for each.
//!
//! One loop ([`phase`]) serves all three: any number of networks over the same batches, each with
//! its own optimiser and schedule. On the CPU a batch is split into shards; shards and networks are
//! spread over threads and their gradients added in a fixed order, so that the result depends on
//! the number of shards but not on timing. Processes of a [`Team`](crate::cluster::Team) share the
//! shards and add in the same order, so that it does not depend on their number either.

#![warn(missing_docs)]

mod answers;
mod average;
mod batch_norm;
mod checkpoint;
mod compute;
mod contrast;
mod corpus_stats;
mod error;
mod exchange;
mod exit_head;
mod gradients;
mod initial;
mod network;
mod network_trainer;
mod objective;
mod optimizer;
mod phase;
mod phases;
mod phone_targets;
mod progress;
mod pruning;
mod run_context;
mod schedule;
mod seed;
mod shard;
mod start;
mod sum_tree;
mod teacher;
#[cfg(test)]
mod tests;
mod validate;

pub use error::{CheckpointProblem, TrainError};
pub use phases::{
    TEACHER, TrainedFamily, TrainedNetwork, distill, finetune, finished_networks, run, teach,
    trained_before,
};
pub use run_context::RunContext;
pub use schedule::learning_rate;
pub use validate::Validation;

pub(crate) use compute::Compute;
pub(crate) use initial::random_weights;
pub(crate) use objective::Distillation;
pub(crate) use phase::{Goal, NetworkSpec, StepTimes, TrainStep, TrainerGroup};
pub(crate) use teacher::FrozenTeacher;
