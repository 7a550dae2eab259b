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

/// An error if these processes cannot train together.
pub(super) fn check(group: &TrainerGroup, team: Team<'_>) -> Result<(), TrainError> {
    let (size, shards) = (team.size(), group.compute.shards);
    if size == 1 || shards >= size {
        return Ok(());
    }
    Err(TrainError::Recipe(format!(
        "{size} processes cannot share the {shards} shards that this run has: start at most {shards}, or begin a run with compute.shards = {size} or a multiple of it"
    )))
}

/// A warning where networks are trained on whole batches: each is computed by one process.
pub(super) fn warn_of_whole_batches(group: &TrainerGroup, team: Team<'_>) -> Option<TrainEvent> {
    let trainers = group.trainers.iter();
    let whole = trainers.filter(|trainer| trainer.network.needs_whole_batch());
    let names: Vec<&str> = whole.map(|trainer| trainer.name.as_str()).collect();
    (team.size() > 1 && !names.is_empty()).then(|| TrainEvent::Warning {
        message: format!(
            "batch norms need whole batches: each of {} is computed by one process, and more processes than {} gain nothing for them; norm = \"layer\" is shared by all",
            names.join(", "),
            names.len()
        ),
    })
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
