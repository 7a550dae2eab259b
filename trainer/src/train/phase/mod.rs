//! The training loop: any number of networks over the same batches.

mod assembly;
mod dealt;
mod failure;
mod meeting;
mod report;
mod sharing;
mod step;
mod together;
mod validation;

use std::{collections::HashMap, ops::Range, sync::atomic::Ordering, time::Instant};

use shared_model::weights::Weights;

use super::{
    CheckpointProblem, Compute, RunContext, TrainError,
    checkpoint::{Checkpoints, PhaseState},
    exchange::{Exchange, Rows, checkpoint_from_first},
    network_trainer::NetworkTrainer,
    progress::Progress,
};
pub(crate) use assembly::{Goal, NetworkSpec};
use sharing::ShardSizes;
pub(crate) use step::{StepReport, StepTimes, TrainStep, TrainerGroup};

use crate::{
    config::{Phase, TrainingConfig},
    costs::{Meter, PhaseCosts},
    data::{EpochPlan, Share},
    event::TrainEvent,
};

/// A phase of a run under way.
pub(super) struct PhaseRun {
    group: TrainerGroup,
    checkpoints: Checkpoints,
    /// Where it is; what its networks have to say of themselves is put in when it is saved.
    state: PhaseState,
    epochs: usize,
    last_saved_step: usize,
    progress: Progress,
    meter: Meter,
    /// Who has what among the processes that train together.
    exchange: Exchange,
    shard_sizes: ShardSizes,
    /// Those of `state` and of the other processes, when it was last asked.
    all_costs: PhaseCosts,
}

impl PhaseRun {
    /// Begins a phase, or goes on from its newest checkpoint.
    pub fn open(
        phase: Phase,
        goal: Goal,
        specs: Vec<NetworkSpec>,
        context: &mut RunContext<'_>,
    ) -> Result<Self, TrainError> {
        let meter = Meter::start();
        let folder = context.folder.checkpoints(phase);
        let team = context.team;
        let keep_last = context.recipe.checkpoint.keep_last;
        let checkpoints = Checkpoints::new(folder, keep_last, team.is_first())?;
        let epochs = specs.iter().map(|spec| spec.training.epochs).max();
        let epochs = epochs.unwrap_or(0);
        let audio = goal.audio();
        let mut batches: HashMap<EpochPlan, usize> = HashMap::new();
        for spec in &specs {
            let training = &spec.training;
            for plan in (0..training.epochs).map(|e| EpochPlan::new(phase, e, training)) {
                batches
                    .entry(plan)
                    .or_insert_with(|| context.source.batches_in_epoch(audio, plan));
            }
        }
        if epochs > 0 && batches.values().all(|&b| b == 0) {
            return Err(TrainError::NoBatches);
        }
        let steps = |training: &TrainingConfig| {
            let plans = (0..training.epochs).map(|epoch| EpochPlan::new(phase, epoch, training));
            let per_step = training.optim.accumulate.max(1);
            plans.map(|plan| batches[&plan].div_ceil(per_step)).sum()
        };
        let config = &context.recipe.compute;
        let compute = Compute::new(&context.device, context.is_gpu, config, team);
        let seed = context.recipe.seed;
        let mut group = TrainerGroup::assemble(phase, goal, specs, compute, seed, steps)?;
        group.phones.clone_from(&context.phones);
        let mut state = PhaseState::new(phase, group.compute.shards);
        if let Some((saved, tensors)) = checkpoint_from_first(team, || checkpoints.load_newest())? {
            group = group
                .restore(&saved, tensors)
                .map_err(|error| match error {
                    TrainError::Recipe(reason) => TrainError::Checkpoint {
                        path: context.folder.checkpoints(phase),
                        reason: CheckpointProblem::Networks(reason),
                    },
                    other => other,
                })?;
            state = saved;
        }
        sharing::check(&group, team)?;
        if let Some(warning) = sharing::warn_of_whole_batches(&group, team) {
            (context.events)(warning);
        }
        let networks = group.trainers.iter().map(|trainer| &trainer.network);
        let exchange = Exchange::new(team, group.compute.shards, networks);
        if !team.is_first() {
            // What was spent before is in the account of process 0.
            state.costs = PhaseCosts::default();
        }
        if team.link().is_some() {
            for (network, trainer) in group.trainers.iter_mut().enumerate() {
                trainer.keep_states_of(exchange.owned_names(network));
            }
        }
        let in_epoch = |epoch| -> usize { group.plans(epoch).iter().map(|p| batches[p]).sum() };
        let left: usize = (state.epoch..epochs).map(in_epoch).sum();
        (context.events)(TrainEvent::Started {
            phase: phase.to_string(),
            networks: group.names().map(str::to_owned).collect(),
            parameters: group.trainers.iter().map(|t| t.parameters()).collect(),
            epochs,
            steps_per_epoch: batches.values().copied().max().unwrap_or(0),
            resumed_at_step: group.max_step(),
        });
        Ok(Self {
            last_saved_step: group.max_step(),
            progress: Progress::new(left.saturating_sub(state.batch_in_epoch)),
            shard_sizes: ShardSizes::default(),
            all_costs: state.costs.clone(),
            exchange,
            group,
            checkpoints,
            state,
            epochs,
            meter,
        })
    }

    /// Trains every network to its last epoch; gives the final weights in their order.
    pub fn run(mut self, context: &mut RunContext<'_>) -> Result<Vec<Weights>, TrainError> {
        for epoch in self.state.epoch..self.epochs {
            self.train_epoch(epoch, context)?;
            for trainer in &mut self.group.trainers {
                if trainer.takes_part(epoch) {
                    trainer.end_epoch(epoch + 1);
                }
            }
            self.state.epoch = epoch + 1;
            self.state.batch_in_epoch = 0;
            self.validate_epoch(epoch, context)?;
            let event = self.save(context.folder, context.team)?;
            (context.events)(event);
            if context.is_gpu {
                self.group.compute.device.memory_cleanup();
            }
            if context.team.any(context.stop.load(Ordering::SeqCst))? {
                return Err(self.interrupted());
            }
        }
        self.finish(context)
    }

    /// One epoch: the batches of each plan, one plan after the other.
    fn train_epoch(
        &mut self,
        epoch: usize,
        context: &mut RunContext<'_>,
    ) -> Result<(), TrainError> {
        let mut before = 0;
        for plan in self.group.plans(epoch) {
            let audio = self.group.goal.audio();
            let end = before + context.source.batches_in_epoch(audio, plan);
            if self.state.batch_in_epoch < end {
                self.train_plan(plan, before..end, context)?;
            }
            before = end;
        }
        Ok(())
    }

    /// The networks that ask for `plan`, over its batches, which are these of the epoch's.
    fn train_plan(
        &mut self,
        plan: EpochPlan,
        numbers: Range<usize>,
        context: &mut RunContext<'_>,
    ) -> Result<(), TrainError> {
        let audio = self.group.goal.audio();
        let skip = self.state.batch_in_epoch - numbers.start;
        // The iterator borrows the source for the whole epoch, the rest of the context is free.
        let RunContext {
            source,
            events,
            stop,
            recipe,
            folder,
            team,
            ..
        } = context;
        let team = *team;
        let share = Share::of(team.rank(), team.size(), self.group.compute.shards);
        let mut batches = source.epoch(audio, plan, skip, &share)?;
        loop {
            let asked = Instant::now();
            let Some(batch) = batches.next() else { break };
            self.progress.waited(asked.elapsed());
            let batch = batch?;
            let rows = Rows::together(&batch, team)?;
            if rows.is_empty() {
                // All of it was found broken.
                self.state.batch_in_epoch += 1;
                continue;
            }
            let is_last = self.state.batch_in_epoch + 1 >= numbers.end;
            let step = TrainStep {
                batch: &batch,
                plan,
                batch_in_epoch: self.state.batch_in_epoch - numbers.start,
                is_last_of_epoch: is_last,
                run_seed: recipe.seed,
            };
            let report = match team.link() {
                None => self.group.step(&step),
                Some(link) => {
                    if let Some(event) = self.shard_sizes.add(&rows, plan, &self.group) {
                        events(event);
                    }
                    self.group
                        .step_together(&step, &rows, &self.exchange, link)?
                }
            };
            self.state.batch_in_epoch += 1;
            self.progress.batch(rows.audio_secs);
            if let Some(times) = report.team {
                self.progress.team(times);
            }
            let spent = report.networks.iter().map(|network| network.spent);
            let costs = &mut self.state.costs;
            costs.add_step(
                report.wall,
                report.times.teacher,
                self.group.names().zip(spent),
            );
            self.check_teacher()?;
            self.check_finite(&batch)?;
            if report.is_update() {
                events(self.step_event(plan.epoch, report));
            }
            if !self.group.trainers.iter().all(NetworkTrainer::is_settled) {
                continue;
            }
            let since = self.group.max_step() - self.last_saved_step;
            let due = recipe.checkpoint.every_steps > 0
                && since >= recipe.checkpoint.every_steps
                && !is_last;
            let stopping = team.any(stop.load(Ordering::SeqCst))?;
            if due || stopping {
                let event = self.save(folder, team)?;
                events(event);
            }
            if stopping {
                return Err(self.interrupted());
            }
        }
        drop(batches);
        for trainer in &mut self.group.trainers {
            trainer.discard_pending();
        }
        for (path, reason) in team.gather(source.take_quarantined())?.concat() {
            folder.quarantine(&path, &reason)?;
            events(TrainEvent::Quarantined { path, reason });
        }
        Ok(())
    }
}
