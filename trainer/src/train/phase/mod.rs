//! The training loop: any number of networks over the same batches.

mod assembly;
mod dealt;
mod meeting;
mod sharing;
mod step;
mod together;
mod validation;

use std::{collections::HashMap, ops::Range, sync::atomic::Ordering, time::Instant};

use shared_model::weights::Weights;

use super::{
    CheckpointProblem, Compute, RunContext, TrainError,
    checkpoint::{Checkpoints, NetworkTensors, PhaseState},
    exchange::{Exchange, Rows, checkpoint_from_first, one_state},
    network_trainer::{MAX_NOT_FINITE, NetworkTrainer},
    progress::{Progress, resident_bytes},
    teacher::FrozenTeacher,
};
pub(crate) use assembly::{Goal, NetworkSpec};
use sharing::ShardSizes;
pub(crate) use step::{StepReport, StepTimes, TrainStep, TrainerGroup};

use crate::{
    cluster::Team,
    config::{Phase, TrainingConfig},
    costs::{Meter, PhaseCosts},
    data::{Batch, EpochPlan, Share},
    event::TrainEvent,
    run_folder::RunFolder,
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

    fn check_teacher(&self) -> Result<(), TrainError> {
        match self.group.goal.teacher() {
            Some(FrozenTeacher::Onnx(teacher)) => {
                teacher.failure().map_or(Ok(()), |e| Err(e.into()))
            }
            _ => Ok(()),
        }
    }

    fn check_finite(&self, batch: &Batch) -> Result<(), TrainError> {
        let diverged = |trainer: &&NetworkTrainer| trainer.not_finite_in_a_row >= MAX_NOT_FINITE;
        match self.group.trainers.iter().find(diverged) {
            None => Ok(()),
            Some(trainer) => Err(TrainError::Diverged {
                phase: self.group.phase,
                network: trainer.name.clone(),
                step: trainer.step,
                in_a_row: trainer.not_finite_in_a_row,
                utterances: name_some(&batch.utterance_ids),
            }),
        }
    }

    fn step_event(&self, epoch: usize, report: StepReport) -> TrainEvent {
        let trainers = &self.group.trainers;
        // Of those that were updated, the network with most steps to do stands for the phase.
        let updated = (0..trainers.len()).filter(|&i| report.networks[i].learning_rate.is_some());
        let longest = updated.max_by_key(|&i| trainers[i].total_steps);
        let longest = longest.unwrap_or(0);
        TrainEvent::Step {
            phase: self.group.phase.to_string(),
            step: trainers[longest].step,
            epoch: epoch + 1,
            total_steps: trainers[longest].total_steps,
            learning_rate: report.networks[longest].learning_rate.unwrap_or_default(),
            gradient_norm: self
                .group
                .names()
                .zip(&report.networks)
                .filter_map(|(name, network)| Some((name.to_owned(), network.gradient_norm?)))
                .collect(),
            infeasible: report.infeasible,
            losses: report.networks.into_iter().flat_map(|n| n.losses).collect(),
            audio_secs_per_sec: self.progress.audio_secs_per_sec(),
            data_wait_share: self.progress.data_wait_share(),
            eta_secs: self.progress.eta_secs(),
            memory_bytes: resident_bytes(),
            team: self.progress.team_times(),
        }
    }

    fn save(&mut self, folder: &RunFolder, team: Team<'_>) -> Result<TrainEvent, TrainError> {
        self.state.costs.add_training(self.meter.lap());
        self.state.networks = self.group.trainers.iter().map(|t| t.state()).collect();
        let mut tensors: Vec<NetworkTensors> =
            self.group.trainers.iter().map(|t| t.tensors()).collect();
        for tensors in &mut tensors {
            tensors.optimizer = one_state(team, std::mem::take(&mut tensors.optimizer))?;
        }
        self.ask_costs(team)?;
        let state = PhaseState {
            costs: self.all_costs.clone(),
            ..self.state.clone()
        };
        let path = self.checkpoints.save(&state, &tensors)?;
        folder.store_costs(self.group.phase, &state.costs)?;
        self.last_saved_step = self.group.max_step();
        Ok(TrainEvent::Checkpoint {
            phase: self.group.phase.to_string(),
            step: self.last_saved_step,
            path: path.display().to_string(),
        })
    }

    fn interrupted(&self) -> TrainError {
        TrainError::Interrupted {
            phase: self.group.phase,
            step: self.group.max_step(),
        }
    }
}

/// The first few names.
fn name_some(ids: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut names = ids[..ids.len().min(SHOWN)].join(", ");
    if ids.len() > SHOWN {
        names.push_str(&format!(" and {} more", ids.len() - SHOWN));
    }
    names
}

/// A seed that depends on nothing but its arguments (FNV-1a).
pub(super) fn derive_seed(seed: u64, names: &[&str], numbers: &[usize]) -> u64 {
    let names = names.iter().flat_map(|name| name.bytes().chain([0xFF]));
    let numbers = numbers.iter().flat_map(|&n| (n as u64).to_le_bytes());
    let bytes = seed.to_le_bytes().into_iter().chain(names).chain(numbers);
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_in_every_argument() {
        let base = derive_seed(1, &["teach", "a"], &[0, 1, 2]);
        assert_eq!(base, derive_seed(1, &["teach", "a"], &[0, 1, 2]));
        for other in [
            derive_seed(2, &["teach", "a"], &[0, 1, 2]),
            derive_seed(1, &["teac", "ha"], &[0, 1, 2]),
            derive_seed(1, &["teach", "b"], &[0, 1, 2]),
            derive_seed(1, &["teach", "a"], &[0, 2, 1]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn long_lists_of_utterances_are_cut() {
        let ids: Vec<String> = (0..7).map(|i| format!("u{i}")).collect();
        assert_eq!(name_some(&ids), "u0, u1, u2, u3, u4 and 2 more");
        assert_eq!(name_some(&ids[..1]), "u0");
    }
}
