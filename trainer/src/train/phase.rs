//! The training loop: any number of networks over the same batches.

use std::{sync::atomic::Ordering, time::Instant};

use burn::prelude::*;
use shared_model::{
    model::{CtcModel, ModelConfig},
    weights::Weights,
};

use super::{
    RunContext, TrainError,
    checkpoint::{Best, Checkpoints, NetworkState, NetworkTensors, PhaseState},
    learner::{BatchOutcome, Learner, MAX_NOT_FINITE},
    network::Trainee,
    objective::{BatchTotals, Distillation, PartJob, PartResult, TeacherOutput, train_part},
    parallel::{Task, run_all},
    part::{merge, split},
    progress::{Progress, resident_bytes},
    validate::{Validation, validate},
};
use crate::{config::OptimConfig, data::Batch, event::TrainEvent};

/// A network that writes nothing but blanks after this share of its steps is stuck.
const BLANK_WARNING_AFTER: f64 = 0.2;
const BLANK_WARNING_SHARE: f64 = 0.999;

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

/// A phase under way.
struct Session {
    phase: &'static str,
    goal: Goal,
    learners: Vec<Learner>,
    state: PhaseState,
    checkpoints: Checkpoints,
    epochs: usize,
    /// Threads that may work at once.
    threads: usize,
    /// With autodiff.
    device: Device,
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
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // A graphics card has its own parallelism, and one queue of work.
        let (threads, shards) = match (context.is_gpu, context.recipe.checkpoint.shards) {
            (true, _) => (1, 1),
            (false, 0) => (cores, cores),
            (false, shards) => (cores.max(shards), shards),
        };
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
        let epochs = phase.candidates.iter().map(|c| c.optim.epochs).max();
        let epochs = epochs.unwrap_or(0);
        let batches: Vec<usize> = (0..epochs)
            .map(|epoch| context.source.batches_in_epoch(epoch))
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
            .map_err(failed)?;
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
            phase: phase.name,
            goal: phase.goal,
            learners,
            last_saved_step: state.max_step(),
            progress: Progress::new(left.saturating_sub(state.batch_in_epoch)),
            state,
            checkpoints,
            epochs,
            threads,
            device,
        })
    }

    fn train(&mut self, context: &mut RunContext<'_>) -> Result<(), TrainError> {
        for epoch in self.state.epoch..self.epochs {
            self.train_epoch(epoch, context)?;
            for learner in &mut self.learners {
                let index = self
                    .state
                    .networks
                    .iter()
                    .position(|n| n.name == learner.name);
                if let (true, Some(index)) = (learner.takes_part(epoch), index) {
                    learner.end_epoch(epoch + 1, &mut self.state.networks[index]);
                }
            }
            self.state.epoch = epoch + 1;
            self.state.batch_in_epoch = 0;
            self.validate_epoch(epoch, context)?;
            self.save(context)?;
            if context.is_gpu {
                self.device.memory_cleanup();
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
        let expected = context.source.batches_in_epoch(epoch);
        let skip = self.state.batch_in_epoch;
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
        let mut batches = source.epoch(epoch, skip)?;
        loop {
            let asked = Instant::now();
            let Some(batch) = batches.next() else { break };
            self.progress.waited(asked.elapsed());
            let batch = batch?;
            if batch.lengths.is_empty() {
                // All of it was found broken.
                self.state.batch_in_epoch += 1;
                continue;
            }
            let is_last = self.state.batch_in_epoch + 1 >= expected;
            let (outcomes, infeasible) = self.train_batch(&batch, epoch, is_last, recipe.seed);
            self.state.batch_in_epoch += 1;
            self.progress.batch(batch.audio_secs);
            self.check_finite(&batch)?;
            if outcomes
                .iter()
                .any(|outcome| outcome.learning_rate.is_some())
            {
                events(self.step_event(epoch, outcomes, infeasible));
            }
            if !self.learners.iter().all(Learner::is_settled) {
                continue;
            }
            let since = self.state.max_step() - self.last_saved_step;
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
        self.learners.iter_mut().for_each(Learner::discard_pending);
        for (path, reason) in source.take_quarantined() {
            context.folder.quarantine(&path, &reason)?;
            (context.events)(TrainEvent::Quarantined { path, reason });
        }
        Ok(())
    }

    /// One batch through every network that takes part in this epoch.
    fn train_batch(
        &mut self,
        batch: &Batch,
        epoch: usize,
        is_last: bool,
        run_seed: u64,
    ) -> (Vec<BatchOutcome>, usize) {
        let inner = self.device.clone().inner();
        let mut parts = split(batch, self.state.shards);
        let (mut teacher_outputs, distillation) = match &self.goal {
            Goal::Ctc => (vec![], None),
            Goal::Distill {
                teacher,
                distillation,
            } => {
                let tasks = parts
                    .iter()
                    .map(|part| {
                        let (teacher, inner) = (teacher.clone(), &inner);
                        let task = move || TeacherOutput::compute(&teacher, part, inner);
                        Box::new(task) as Task<'_, _>
                    })
                    .collect();
                (run_all(self.threads, tasks), Some(distillation))
            }
        };
        if distillation.is_some_and(Distillation::needs_whole_batch) && parts.len() > 1 {
            parts = vec![merge(batch, &parts)];
            teacher_outputs = vec![TeacherOutput::merge(teacher_outputs)];
        }

        // The longest work first, so that threads end at about the same time.
        let mut order: Vec<usize> = (0..self.learners.len())
            .filter(|&index| self.learners[index].takes_part(epoch))
            .collect();
        order.sort_by_key(|&index| std::cmp::Reverse(self.learners[index].parameters()));
        let totals: Vec<BatchTotals> = self
            .learners
            .iter()
            .map(|learner| {
                let config = learner.trainee.model.config();
                BatchTotals::new(
                    &batch.lengths,
                    &batch.targets,
                    |frames| config.encoder_length(frames),
                    learner.optim.accumulate,
                )
            })
            .collect();
        let mut tasks: Vec<Task<'_, (usize, PartResult)>> = vec![];
        let ctc_threads = if parts.len() == 1 && order.len() == 1 {
            std::thread::available_parallelism().map_or(1, usize::from)
        } else {
            1
        };
        for &index in &order {
            let learner = &self.learners[index];
            for (number, part) in parts.iter().enumerate() {
                let seed = derive_seed(
                    run_seed,
                    &[self.phase, &learner.name],
                    &[epoch, self.state.batch_in_epoch, number],
                );
                let trainee = learner.trainee.clone();
                let job = PartJob {
                    part,
                    totals: &totals[index],
                    optim: &learner.optim,
                    teacher: distillation.zip(teacher_outputs.get(number)),
                    seed,
                    threads: ctc_threads,
                    device: &self.device,
                };
                tasks.push(Box::new(move || (index, train_part(trainee, &job))));
            }
        }
        let mut results: Vec<Vec<PartResult>> = self.learners.iter().map(|_| vec![]).collect();
        for (index, result) in run_all(self.threads, tasks) {
            results[index].push(result);
        }

        let learners = self.learners.iter_mut().zip(&mut self.state.networks);
        let tasks = learners
            .zip(results)
            .map(|((learner, state), results)| {
                let task = move || {
                    if results.is_empty() {
                        return BatchOutcome::default();
                    }
                    learner.absorb(results, state, is_last)
                };
                Box::new(task) as Task<'_, _>
            })
            .collect();
        let outcomes = run_all(self.threads, tasks);
        let infeasible = totals.iter().map(|t| t.infeasible).max().unwrap_or(0);
        (outcomes, infeasible)
    }

    fn check_finite(&self, batch: &Batch) -> Result<(), TrainError> {
        let diverged = |network: &&NetworkState| network.not_finite_in_a_row >= MAX_NOT_FINITE;
        match self.state.networks.iter().find(diverged) {
            None => Ok(()),
            Some(network) => Err(TrainError::Diverged {
                phase: self.phase.into(),
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
        let longest = (0..self.learners.len()).max_by_key(|&i| self.learners[i].total_steps);
        let longest = longest.unwrap_or(0);
        let names = self.learners.iter().map(|learner| learner.name.clone());
        TrainEvent::Step {
            phase: self.phase.into(),
            step: self.state.networks[longest].step,
            epoch: epoch + 1,
            total_steps: self.learners[longest].total_steps,
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

    fn validate_epoch(
        &mut self,
        epoch: usize,
        context: &mut RunContext<'_>,
    ) -> Result<(), TrainError> {
        let every = context.recipe.checkpoint.validate_every_epochs.max(1);
        let due: Vec<usize> = (0..self.learners.len())
            .filter(|&index| {
                let epochs = self.learners[index].optim.epochs;
                self.learners[index].takes_part(epoch)
                    && ((epoch + 1).is_multiple_of(every) || epoch + 1 == epochs)
            })
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        let models: Vec<CtcModel> = due
            .iter()
            .map(|&index| self.learners[index].evaluation_model())
            .collect();
        let validations = self.measure(&models, context)?;
        for (&index, validation) in due.iter().zip(validations) {
            let words = validation.words.reference_len;
            if words == 0 {
                continue;
            }
            let learner = &self.learners[index];
            let state = &mut self.state.networks[index];
            let errors = validation.words.errors();
            let is_best = state.best.is_none_or(|best| errors < best.errors);
            if is_best {
                let best = self.learners[index].trainee.model.weights();
                self.checkpoints.save_best(&learner.name, &best)?;
                state.best = Some(Best {
                    errors,
                    words,
                    epoch: epoch + 1,
                });
            }
            let done = state.step as f64 / learner.total_steps.max(1) as f64;
            if done > BLANK_WARNING_AFTER && validation.blank_share > BLANK_WARNING_SHARE {
                (context.events)(TrainEvent::Warning {
                    message: format!(
                        "\"{}\" writes nothing but blanks after {:.0} % of its steps: a higher learning_rate, a longer warm-up or more data may help",
                        learner.name,
                        100.0 * done
                    ),
                });
            }
            let (name, step) = (learner.name.clone(), state.step);
            let event = self.validation_event(name, step, epoch + 1, validation, is_best);
            (context.events)(event);
        }
        Ok(())
    }

    fn validation_event(
        &self,
        network: String,
        step: usize,
        epoch: usize,
        validation: Validation,
        is_best: bool,
    ) -> TrainEvent {
        TrainEvent::Validation {
            phase: self.phase.into(),
            network,
            step,
            epoch,
            loss: validation.loss,
            wer: validation.words.rate(),
            cer: validation.characters.rate(),
            blank_share: validation.blank_share,
            samples: validation.samples,
            is_best,
        }
    }

    fn measure(
        &self,
        models: &[CtcModel],
        context: &mut RunContext<'_>,
    ) -> Result<Vec<Validation>, TrainError> {
        let dev = context.source.dev()?;
        let inner = self.device.clone().inner();
        let (shards, threads) = (self.state.shards, self.threads);
        Ok(validate(
            models,
            dev,
            context.tokens,
            shards,
            threads,
            &inner,
        )?)
    }

    fn save_now(&mut self) -> Result<TrainEvent, TrainError> {
        let tensors: Vec<NetworkTensors> = self.learners.iter().map(Learner::tensors).collect();
        let path = self.checkpoints.save(&self.state, &tensors)?;
        self.last_saved_step = self.state.max_step();
        Ok(TrainEvent::Checkpoint {
            phase: self.phase.into(),
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
            phase: self.phase.into(),
            step: self.state.max_step(),
        }
    }

    /// The final weights: the mean over the last epochs. Where transcripts are the goal, the best
    /// epoch's weights take its place if they make fewer word errors on the development set.
    fn finish(self, context: &mut RunContext<'_>) -> Result<Vec<Weights>, TrainError> {
        let mut finals: Vec<Weights> = self
            .learners
            .iter()
            .map(Learner::averaged_weights)
            .collect();
        let inner = self.device.clone().inner();
        let models = self
            .learners
            .iter()
            .zip(&finals)
            .map(|(learner, weights)| {
                let config = learner.trainee.model.config();
                CtcModel::from_weights(config, weights, &inner).map_err(|source| {
                    TrainError::Network {
                        network: learner.name.clone(),
                        source,
                    }
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let is_ctc = matches!(self.goal, Goal::Ctc);
        if is_ctc && self.epochs > 0 {
            let validations = self.measure(&models, context)?;
            for (index, validation) in validations.into_iter().enumerate() {
                let name = &self.learners[index].name;
                let state = &self.state.networks[index];
                let errors = validation.words.errors();
                let better = state.best.filter(|best| best.errors < errors);
                if let Some(best) = better {
                    finals[index] = self.checkpoints.load_best(name)?;
                    (context.events)(TrainEvent::Notice {
                        message: format!(
                            "\"{name}\" keeps the weights of epoch {}: {} of {} words wrong on the development set, {errors} with averaged weights",
                            best.epoch, best.errors, best.words
                        ),
                    });
                } else if validation.words.reference_len > 0 {
                    let label = format!("{name}/average");
                    let epoch = self.learners[index].optim.epochs;
                    let event = self.validation_event(label, state.step, epoch, validation, true);
                    (context.events)(event);
                }
            }
        }
        (context.events)(TrainEvent::Finished {
            phase: self.phase.into(),
            seconds: self.progress.seconds(),
        });
        Ok(finals)
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
