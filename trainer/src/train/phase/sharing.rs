//! What processes can train together, and whether it pays.

use super::{PhaseRun, TrainerGroup};
use crate::{
    cluster::Team,
    data::EpochPlan,
    event::TrainEvent,
    train::{TrainError, exchange::Rows},
};

/// Utterances of a shard from which on its computing outweighs the exchange on usual networks.
const GOOD_SHARD: f64 = 8.0;
/// Batches after which the size of shards is judged.
const BATCHES_TO_JUDGE: usize = 10;

/// An error if these networks cannot be trained by several processes.
pub(super) fn check(group: &TrainerGroup, team: Team<'_>) -> Result<(), TrainError> {
    let (size, shards) = (team.size(), group.compute.shards);
    if size == 1 {
        return Ok(());
    }
    let whole = group
        .trainers
        .iter()
        .find(|t| t.network.needs_whole_batch());
    let reason = if let Some(trainer) = whole {
        format!(
            "\"{}\" has batch norms, whose statistics are of whole batches: {size} processes cannot share them; set its norm to layer, or train it with one process",
            trainer.name
        )
    } else if group.distillation().is_some_and(|d| d.contrasts()) {
        format!(
            "distill.loss.clip compares the utterances of a whole batch: {size} processes cannot share it; set it to 0, or run this phase with one process"
        )
    } else if shards < size {
        format!(
            "{size} processes cannot share the {shards} shards that this run has: start at most {shards}, or begin a run with compute.shards = {size} or a multiple of it"
        )
    } else {
        return Ok(());
    };
    Err(TrainError::Recipe(reason))
}

/// Utterances of the first batches.
#[derive(Default)]
pub(super) struct ShardSizes {
    batches: usize,
    utterances: usize,
}

impl ShardSizes {
    /// Counts a batch; gives a warning, once, if shards are too small for several processes to gain.
    pub fn add(
        &mut self,
        rows: &Rows,
        plan: EpochPlan,
        group: &TrainerGroup,
    ) -> Option<TrainEvent> {
        self.batches += 1;
        self.utterances += rows.lengths.len() / plan.views.max(1);
        if self.batches != BATCHES_TO_JUDGE {
            return None;
        }
        let accumulate = group.trainers.iter().map(|t| t.training.optim.accumulate);
        let accumulate = accumulate.max().unwrap_or(1).max(1);
        let shards = group.compute.shards;
        let each = (self.utterances * accumulate) as f64 / (self.batches * shards) as f64;
        (each < GOOD_SHARD).then(|| TrainEvent::Warning {
            message: format!(
                "a step has {each:.1} utterances for each of {shards} shards: below {GOOD_SHARD:.0}, processes mostly wait for each other; data.batch_seconds or accumulate {:.0} times as large would help (`fledge plan` says more)",
                (GOOD_SHARD / each).ceil()
            ),
        })
    }
}

impl PhaseRun {
    /// Asks all processes what the phase has cost them.
    pub(super) fn ask_costs(&mut self, team: Team<'_>) -> Result<(), TrainError> {
        let all = team.gather(self.state.costs.clone())?;
        let mut all = all.into_iter();
        self.all_costs = all.next().unwrap_or_default();
        for other in all {
            self.all_costs.add_processors_of(&other);
        }
        Ok(())
    }
}
