//! The training loop: any number of networks over the same batches.

mod measure;
mod team;

use std::{sync::atomic::Ordering, time::Instant};

use shared_model::{
    model::{CtcModel, ModelConfig},
    weights::Weights,
};

use super::{
    RunContext, TrainError, TrainingAudio,
    checkpoint::{Checkpoints, NetworkState, NetworkTensors, PhaseState},
    learner::{BatchOutcome, Learner, MAX_NOT_FINITE},
    network::Trainee,
    objective::Distillation,
    progress::{Progress, resident_bytes},
};
pub(super) use team::{PartTimes, Team};

use crate::{
    config::OptimConfig,
    data::{Batch, Pass},
    event::TrainEvent,
};

/// What the networks of a phase learn from.
pub(super) enum Goal {
    /// Transcripts.
    Ctc,
    /// A frozen teacher (without autodiff).
    Distill {
        teacher: Box<CtcModel>,
        distillation: Distillation,
    },
}

impl Goal {
    fn audio(&self) -> TrainingAudio {
        match self {
            Self::Ctc => TrainingAudio::Transcribed,
            Self::Distill { .. } => TrainingAudio::All,
        }
    }
}

/// A network to be trained.
pub(super) struct Candidate {
    pub name: String,
    pub config: ModelConfig,
    pub initial: Weights,
    pub optim: OptimConfig,
}

/// A phase of a run: `teach`, `distill` or `finetune`.
pub(super) struct Phase {
    pub name: &'static str,
    pub goal: Goal,
    pub candidates: Vec<Candidate>,
}

impl Phase {
    /// Trains, or goes on training, every candidate; gives the final weights in their order.
    pub fn run(self, context: &mut RunContext<'_>) -> Result<Vec<Weights>, TrainError> {
        let checkpoints = Checkpoints::new(
            context.folder.checkpoints(self.name),
            context.recipe.checkpoint.keep_last,
        )?;
        let mut session = Session::open(self, checkpoints, context)?;
        session.train(context)?;
        session.finish(context)
    }
}

/// Threads that may work at once, and parts that a batch is split into. `shards`: the recipe's.
pub(super) fn threads_and_shards(is_gpu: bool, shards: usize) -> (usize, usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    match (is_gpu, shards) {
        // A graphics card has its own parallelism, and one queue of work.
        (true, _) => (1, 1),
        (false, 0) => (cores, cores),
        (false, shards) => (cores.max(shards), shards),
    }
}

/// A pass for all networks of a phase: gentle, or with two views, while one of them asks for it.
fn pass<'a>(epoch: usize, networks: impl Iterator<Item = &'a OptimConfig> + Clone) -> Pass {
    let mut training = networks.filter(|optim| epoch < optim.epochs);
    Pass {
        epoch,
        gentle: training.clone().any(|optim| epoch < optim.gentle_epochs),
        two_views: training.any(|optim| optim.consistency_weight > 0.0),
    }
}

/// A phase under way.
struct Session {
    team: Team,
    checkpoints: Checkpoints,
    epochs: usize,
    last_saved_step: usize,
    progress: Progress,
}

impl Session {
    fn open(
        phase: Phase,
        checkpoints: Checkpoints,
        context: &mut RunContext<'_>,
    ) -> Result<Self, TrainError> {
        let device = context.device.clone().autodiff();
        let (threads, shards) =
            threads_and_shards(context.is_gpu, context.recipe.checkpoint.shards);
        let operations = context.recipe.checkpoint.operations();
        let saved = checkpoints.load_newest()?;
        let names: Vec<String> = phase.candidates.iter().map(|c| c.name.clone()).collect();
        let (state, mut tensors) = match saved {
            Some((state, tensors)) => {
                let saved: Vec<&String> = state.networks.iter().map(|n| &n.name).collect();
                if !saved.iter().copied().eq(&names) {
                    return Err(TrainError::Checkpoint {
                        path: context.folder.checkpoints(phase.name),
                        reason: format!("it is of the networks {saved:?}, not {names:?}"),
                    });
                }
                (state, tensors)
            }
            None => (PhaseState::new(phase.name, shards, &names), vec![]),
        };
        let project_to = match &phase.goal {
            Goal::Distill {
                teacher,
                distillation,
            } if distillation.compares_features() => Some(teacher.config().d_model),
            _ => None,
        };
        let audio = phase.goal.audio();
        let epochs = phase.candidates.iter().map(|c| c.optim.epochs).max();
        let epochs = epochs.unwrap_or(0);
        let batches: Vec<usize> = (0..epochs)
            .map(|epoch| {
                let pass = pass(epoch, phase.candidates.iter().map(|c| &c.optim));
                context.source.batches_in_epoch(audio, pass)
            })
            .collect();
        if epochs > 0 && batches.iter().all(|&b| b == 0) {
            return Err(TrainError::NoBatches);
        }
        let mut learners = vec![];
        for (index, candidate) in phase.candidates.into_iter().enumerate() {
            let failed = |source| TrainError::Network {
                network: candidate.name.clone(),
                source,
            };
            let project_to = project_to.filter(|&width| width != candidate.config.d_model);
            let seed = derive_seed(context.recipe.seed, &[phase.name, &candidate.name], &[]);
            let trainee = Trainee::new(
                &candidate.config,
                &candidate.initial,
                project_to,
                seed,
                &device,
            )
            .map_err(failed)?
            .with_operations(operations);
            let per_step = candidate.optim.accumulate.max(1);
            let steps = batches[..candidate.optim.epochs]
                .iter()
                .map(|b| b.div_ceil(per_step))
                .sum();
            let name = candidate.name.clone();
            let mut learner = Learner::new(name, candidate.optim.clone(), trainee, steps);
            if let Some(tensors) = tensors.get_mut(index) {
                let tensors = std::mem::take(tensors);
                learner = learner
                    .restore(&state.networks[index], tensors, &device)
                    .map_err(failed)?;
            }
            learners.push(learner);
        }
        let left: usize = batches.iter().skip(state.epoch).sum();
        (context.events)(TrainEvent::Started {
            phase: phase.name.into(),
            networks: names,
            parameters: learners.iter().map(Learner::parameters).collect(),
            epochs,
            steps_per_epoch: batches.iter().copied().max().unwrap_or(0),
            resumed_at_step: state.max_step(),
        });
        Ok(Self {
            last_saved_step: state.max_step(),
            progress: Progress::new(left.saturating_sub(state.batch_in_epoch)),
            team: Team {
                phase: phase.name,
                goal: phase.goal,
                learners,
                state,
                threads,
                device,
            },
            checkpoints,
            epochs,
        })
    }

    fn train(&mut self, context: &mut RunContext<'_>) -> Result<(), TrainError> {
        for epoch in self.team.state.epoch..self.epochs {
            self.train_epoch(epoch, context)?;
            for learner in &mut self.team.learners {
                let index = self
                    .team
                    .state
                    .networks
                    .iter()
                    .position(|n| n.name == learner.name);
                if let (true, Some(index)) = (learner.takes_part(epoch), index) {
                    learner.end_epoch(epoch + 1, &mut self.team.state.networks[index]);
                }
            }
            self.team.state.epoch = epoch + 1;
            self.team.state.batch_in_epoch = 0;
            self.validate_epoch(epoch, context)?;
            self.save(context)?;
            if context.is_gpu {
                self.team.device.memory_cleanup();
            }
            self.stop_if_asked(context)?;
        }
        Ok(())
    }

    fn train_epoch(
        &mut self,
        epoch: usize,
        context: &mut RunContext<'_>,
    ) -> Result<(), TrainError> {
        let pass = pass(epoch, self.team.learners.iter().map(|l| &l.optim));
        let audio = self.team.goal.audio();
        let expected = context.source.batches_in_epoch(audio, pass);
        let skip = self.team.state.batch_in_epoch;
        if skip >= expected {
            return Ok(());
        }
        // The iterator borrows the source for the whole epoch, the rest of the context is free.
        let RunContext {
            source,
            events,
            stop,
            recipe,
            ..
        } = context;
        let mut batches = source.epoch(audio, pass, skip)?;
        loop {
            let asked = Instant::now();
            let Some(batch) = batches.next() else { break };
            self.progress.waited(asked.elapsed());
            let batch = batch?;
            if batch.lengths.is_empty() {
                // All of it was found broken.
                self.team.state.batch_in_epoch += 1;
                continue;
            }
            let is_last = self.team.state.batch_in_epoch + 1 >= expected;
            let (outcomes, infeasible) = self.team.train_batch(&batch, epoch, is_last, recipe.seed);
            self.team.state.batch_in_epoch += 1;
            self.progress.batch(batch.audio_secs);
            self.check_finite(&batch)?;
            if outcomes
                .iter()
                .any(|outcome| outcome.learning_rate.is_some())
            {
                events(self.step_event(epoch, outcomes, infeasible));
            }
            if !self.team.learners.iter().all(Learner::is_settled) {
                continue;
            }
            let since = self.team.state.max_step() - self.last_saved_step;
            let due = recipe.checkpoint.every_steps > 0
                && since >= recipe.checkpoint.every_steps
                && !is_last;
            let stopping = stop.load(Ordering::SeqCst);
            if due || stopping {
                let event = self.save_now()?;
                events(event);
            }
            if stopping {
                return Err(self.interrupted());
            }
        }
        drop(batches);
        self.team
            .learners
            .iter_mut()
            .for_each(Learner::discard_pending);
        for (path, reason) in source.take_quarantined() {
            context.folder.quarantine(&path, &reason)?;
            (context.events)(TrainEvent::Quarantined { path, reason });
        }
        Ok(())
    }

    fn check_finite(&self, batch: &Batch) -> Result<(), TrainError> {
        let diverged = |network: &&NetworkState| network.not_finite_in_a_row >= MAX_NOT_FINITE;
        match self.team.state.networks.iter().find(diverged) {
            None => Ok(()),
            Some(network) => Err(TrainError::Diverged {
                phase: self.team.phase.into(),
                network: network.name.clone(),
                step: network.step,
                in_a_row: network.not_finite_in_a_row,
                utterances: name_some(&batch.utterance_ids),
            }),
        }
    }

    fn step_event(
        &self,
        epoch: usize,
        outcomes: Vec<BatchOutcome>,
        infeasible: usize,
    ) -> TrainEvent {
        // The network with most steps to do stands for the phase.
        let longest =
            (0..self.team.learners.len()).max_by_key(|&i| self.team.learners[i].total_steps);
        let longest = longest.unwrap_or(0);
        let names = self
            .team
            .learners
            .iter()
            .map(|learner| learner.name.clone());
        TrainEvent::Step {
            phase: self.team.phase.into(),
            step: self.team.state.networks[longest].step,
            epoch: epoch + 1,
            total_steps: self.team.learners[longest].total_steps,
            learning_rate: outcomes[longest].learning_rate.unwrap_or_default(),
            gradient_norm: names
                .zip(&outcomes)
                .filter_map(|(name, outcome)| Some((name, outcome.gradient_norm?)))
                .collect(),
            losses: outcomes.into_iter().flat_map(|o| o.losses).collect(),
            audio_secs_per_sec: self.progress.audio_secs_per_sec(),
            data_wait_share: self.progress.data_wait_share(),
            eta_secs: self.progress.eta_secs(),
            memory_bytes: resident_bytes(),
            infeasible,
        }
    }

    fn save_now(&mut self) -> Result<TrainEvent, TrainError> {
        let tensors: Vec<NetworkTensors> =
            self.team.learners.iter().map(Learner::tensors).collect();
        let path = self.checkpoints.save(&self.team.state, &tensors)?;
        self.last_saved_step = self.team.state.max_step();
        Ok(TrainEvent::Checkpoint {
            phase: self.team.phase.into(),
            step: self.last_saved_step,
            path: path.display().to_string(),
        })
    }

    fn save(&mut self, context: &mut RunContext<'_>) -> Result<(), TrainError> {
        let event = self.save_now()?;
        (context.events)(event);
        Ok(())
    }

    fn stop_if_asked(&self, context: &RunContext<'_>) -> Result<(), TrainError> {
        if context.stop.load(Ordering::SeqCst) {
            return Err(self.interrupted());
        }
        Ok(())
    }

    fn interrupted(&self) -> TrainError {
        TrainError::Interrupted {
            phase: self.team.phase.into(),
            step: self.team.state.max_step(),
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
