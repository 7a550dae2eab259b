//! The networks of a phase, and one batch through all of them.

use std::time::{Duration, Instant};

use super::{Compute, Goal, derive_seed};
use crate::{
    clock::{Usage, thread_time},
    config::Phase,
    data::Batch,
    parallel::{Task, run_all},
    train::{
        network_trainer::{NetworkReport, NetworkTrainer},
        objective::{BatchTotals, Distillation, ShardJob, ShardResult, TeacherOutput, train_shard},
        shard::{Shard, merge, split},
    },
};

/// What learns together, from what, and with what.
pub(crate) struct TrainerGroup {
    pub phase: Phase,
    pub goal: Goal,
    pub trainers: Vec<NetworkTrainer>,
    pub compute: Compute,
}

/// A batch to learn from, and where in a run it stands.
pub(crate) struct TrainStep<'a> {
    pub batch: &'a Batch,
    pub epoch: usize,
    pub batch_in_epoch: usize,
    /// Gradients wait for no further batch.
    pub is_last_of_epoch: bool,
    pub run_seed: u64,
}

/// What a step says.
pub(crate) struct StepReport {
    /// In the order of the trainers; a network that does not take part says nothing.
    pub networks: Vec<NetworkReport>,
    /// Utterances whose transcript does not fit.
    pub infeasible: usize,
    pub wall: Duration,
    pub times: StepTimes,
}

impl StepReport {
    /// Whether a network was updated: with accumulation not every batch ends with an update.
    pub fn is_update(&self) -> bool {
        let mut rates = self.networks.iter().map(|network| network.learning_rate);
        rates.any(|rate| rate.is_some())
    }
}

/// Processor time of the parts of a step.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StepTimes {
    /// The frozen teacher's pass.
    pub teacher: Duration,
    /// CTC losses: log-softmax, read-back and forward-backward.
    pub ctc: Duration,
    /// Sum of gradients, their norm and the optimiser: of the whole process meanwhile.
    pub update: Duration,
}

impl TrainerGroup {
    /// The networks' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.trainers.iter().map(|trainer| trainer.name.as_str())
    }

    /// Updates of the network that has made most.
    pub fn max_step(&self) -> usize {
        let steps = self.trainers.iter().map(|trainer| trainer.step);
        steps.max().unwrap_or(0)
    }

    /// One batch through every network that takes part in this epoch.
    pub fn step(&mut self, step: &TrainStep<'_>) -> StepReport {
        let started = Instant::now();
        let mut times = StepTimes::default();
        let mut shards = split(step.batch, self.compute.shards);
        let mut answers = self.ask_teacher(&shards, &mut times);
        let distillation = match &self.goal {
            Goal::Ctc => None,
            Goal::Distill { distillation, .. } => Some(distillation),
        };
        if distillation.is_some_and(Distillation::needs_whole_batch) && shards.len() > 1 {
            shards = vec![merge(step.batch, &shards)];
            answers = vec![TeacherOutput::merge(answers)];
        }
        let totals = self.totals(step.batch);
        let results = self.train_shards(step, &shards, &answers, &totals);
        times.ctc = results.iter().flatten().map(|result| result.ctc_time).sum();
        let before = Usage::now().total;
        let networks = self.update(results, step.is_last_of_epoch);
        times.update = Usage::now().total - before;
        StepReport {
            networks,
            infeasible: totals.iter().map(|t| t.infeasible).max().unwrap_or(0),
            wall: started.elapsed(),
            times,
        }
    }

    /// The frozen teacher's answer to each shard; nothing where there is no teacher.
    fn ask_teacher(&self, shards: &[Shard], times: &mut StepTimes) -> Vec<TeacherOutput> {
        let Some(teacher) = self.goal.teacher() else {
            return vec![];
        };
        let inner = self.compute.device.clone().inner();
        let tasks = shards.iter().map(|shard| {
            let (teacher, inner) = (teacher.clone(), &inner);
            let task = move || timed(|| TeacherOutput::compute(&teacher, shard, inner));
            Box::new(task) as Task<'_, _>
        });
        let (answers, spent): (Vec<_>, Vec<Duration>) =
            run_all(self.compute.threads, tasks.collect())
                .into_iter()
                .unzip();
        times.teacher = spent.into_iter().sum();
        answers
    }

    fn totals(&self, batch: &Batch) -> Vec<BatchTotals> {
        let totals = self.trainers.iter().map(|trainer| {
            let config = trainer.network.model.config();
            BatchTotals::new(
                &batch.lengths,
                &batch.targets,
                |frames| config.encoder_length(frames),
                trainer.training.optim.accumulate,
            )
        });
        totals.collect()
    }

    /// Forward and backward passes, by network.
    fn train_shards(
        &self,
        step: &TrainStep<'_>,
        shards: &[Shard],
        answers: &[TeacherOutput],
        totals: &[BatchTotals],
    ) -> Vec<Vec<ShardResult>> {
        let distillation = match &self.goal {
            Goal::Ctc => None,
            Goal::Distill { distillation, .. } => Some(distillation),
        };
        // The longest work first, so that threads end at about the same time.
        let mut order: Vec<usize> = (0..self.trainers.len())
            .filter(|&index| self.trainers[index].takes_part(step.epoch))
            .collect();
        order.sort_by_key(|&index| std::cmp::Reverse(self.trainers[index].parameters()));
        // CTC is computed on the host, whatever computes the network.
        let ctc_threads = if shards.len() == 1 && order.len() == 1 {
            std::thread::available_parallelism().map_or(1, usize::from)
        } else {
            1
        };
        let mut tasks: Vec<Task<'_, (usize, ShardResult)>> = vec![];
        for &index in &order {
            let trainer = &self.trainers[index];
            for (number, shard) in shards.iter().enumerate() {
                let names = [self.phase.as_str(), &trainer.name];
                let numbers = [step.epoch, step.batch_in_epoch, number];
                let network = trainer.network.clone();
                let job = ShardJob {
                    shard,
                    totals: &totals[index],
                    ctc: &trainer.training.ctc,
                    teacher: distillation.zip(answers.get(number)),
                    seed: derive_seed(step.run_seed, &names, &numbers),
                    threads: ctc_threads,
                    device: &self.compute.device,
                };
                tasks.push(Box::new(move || (index, train_shard(network, &job))));
            }
        }
        let mut results: Vec<Vec<ShardResult>> = self.trainers.iter().map(|_| vec![]).collect();
        for (index, result) in run_all(self.compute.threads, tasks) {
            results[index].push(result);
        }
        results
    }

    /// Gradients into weights.
    fn update(
        &mut self,
        results: Vec<Vec<ShardResult>>,
        is_last_of_epoch: bool,
    ) -> Vec<NetworkReport> {
        // One network has all threads, of several each has one.
        let taking_part = results.iter().filter(|results| !results.is_empty()).count();
        let threads = if taking_part > 1 {
            1
        } else {
            self.compute.threads
        };
        let tasks = self.trainers.iter_mut().zip(results);
        let tasks = tasks.map(|(trainer, results)| {
            let task = move || {
                if results.is_empty() {
                    return NetworkReport::default();
                }
                let clock: fn() -> Duration = match threads {
                    1 => thread_time,
                    _ => || Usage::now().total,
                };
                let before = clock();
                let mut report = trainer.absorb(results, is_last_of_epoch, threads);
                report.spent += clock().saturating_sub(before);
                report
            };
            Box::new(task) as Task<'_, _>
        });
        run_all(self.compute.threads, tasks.collect())
    }
}

/// The result of `work` and how long this thread computed it.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = thread_time();
    let result = work();
    (result, thread_time() - started)
}
