//! The networks of a phase, and one batch through all of them.

use std::time::Duration;

use burn::prelude::Device;

use super::{Goal, derive_seed};
use crate::{
    data::Batch,
    train::{
        checkpoint::PhaseState,
        clock::{Usage, thread_time},
        learner::{BatchOutcome, Learner},
        objective::{BatchTotals, Distillation, PartJob, PartResult, TeacherOutput, train_part},
        parallel::{Task, run_all},
        part::{merge, split},
    },
};

/// What learns, from what, and with what.
pub(in crate::train) struct Team {
    pub phase: &'static str,
    pub goal: Goal,
    pub learners: Vec<Learner>,
    pub state: PhaseState,
    /// Threads that may work at once.
    pub threads: usize,
    /// With autodiff.
    pub device: Device,
}

/// Processor time of a batch, in parts.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::train) struct PartTimes {
    /// The frozen teacher's pass.
    pub teacher: Duration,
    /// CTC losses: log-softmax, read-back and forward-backward.
    pub ctc: Duration,
    /// Sum of gradients, their norm and the optimiser: of the whole process meanwhile.
    pub update: Duration,
}

impl Team {
    /// One batch through every network that takes part in this epoch: what became of it for each
    /// network, and how many of its transcripts do not fit.
    pub fn train_batch(
        &mut self,
        batch: &Batch,
        epoch: usize,
        is_last: bool,
        run_seed: u64,
    ) -> (Vec<BatchOutcome>, usize) {
        let (outcomes, infeasible, _) = self.train_batch_timed(batch, epoch, is_last, run_seed);
        (outcomes, infeasible)
    }

    /// As [`Self::train_batch`], with the times of its parts.
    pub fn train_batch_timed(
        &mut self,
        batch: &Batch,
        epoch: usize,
        is_last: bool,
        run_seed: u64,
    ) -> (Vec<BatchOutcome>, usize, PartTimes) {
        let mut times = PartTimes::default();
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
                        let task = move || timed(|| TeacherOutput::compute(&teacher, part, inner));
                        Box::new(task) as Task<'_, _>
                    })
                    .collect();
                let (outputs, spent): (Vec<_>, Vec<Duration>) =
                    run_all(self.threads, tasks).into_iter().unzip();
                times.teacher = spent.into_iter().sum();
                (outputs, Some(distillation))
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
            times.ctc += result.ctc_time;
            results[index].push(result);
        }

        // One network has all threads, of several each has one.
        let threads = if order.len() > 1 { 1 } else { self.threads };
        let learners = self.learners.iter_mut().zip(&mut self.state.networks);
        let tasks = learners
            .zip(results)
            .map(|((learner, state), results)| {
                let task = move || {
                    if results.is_empty() {
                        return BatchOutcome::default();
                    }
                    learner.absorb(results, state, is_last, threads)
                };
                Box::new(task) as Task<'_, _>
            })
            .collect();
        let before = Usage::now().total;
        let outcomes = run_all(self.threads, tasks);
        times.update = Usage::now().total - before;
        let infeasible = totals.iter().map(|t| t.infeasible).max().unwrap_or(0);
        (outcomes, infeasible, times)
    }
}

/// The result of `work` and how long this thread computed it.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = thread_time();
    let result = work();
    (result, thread_time() - started)
}
