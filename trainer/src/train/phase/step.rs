//! The networks of a phase, and one batch through all of them.

use std::time::{Duration, Instant};

use super::{Compute, Goal, derive_seed};
use crate::{
    clock::{Usage, thread_time},
    config::Phase,
    data::{Batch, EpochPlan},
    event::TeamTimes,
    parallel::{Task, own_cores, run_all},
    train::{
        contrast::contrast,
        exchange::Rows,
        network_trainer::{NetworkReport, NetworkTrainer},
        objective::{BatchTotals, Distillation, ForwardPass, ShardJob, ShardResult, forward_shard},
        shard::{Shard, split},
        teacher::{TeacherOutput, TeacherQuestion},
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
    /// What the batch was made for: networks that ask for something else take no part.
    pub plan: EpochPlan,
    /// Among those of the plan.
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
    /// Where several processes made it.
    pub team: Option<TeamTimes>,
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

    /// What the networks ask of the data in an epoch, each plan once, in the order of the networks.
    pub fn plans(&self, epoch: usize) -> Vec<EpochPlan> {
        let mut plans = vec![];
        for plan in self
            .trainers
            .iter()
            .filter_map(|t| t.plan(self.phase, epoch))
        {
            if !plans.contains(&plan) {
                plans.push(plan);
            }
        }
        plans
    }

    /// One batch through every network whose plan it follows.
    pub fn step(&mut self, step: &TrainStep<'_>) -> StepReport {
        let started = Instant::now();
        let (results, mut report) = self.passes(step, &Rows::alone(step.batch));
        let before = Usage::now().total;
        report.networks = self.update(results, step.is_last_of_epoch);
        report.times.update = Usage::now().total - before;
        report.wall = started.elapsed();
        report
    }

    /// Forward and backward passes of this process's `rows` of a batch, by network; the report has
    /// everything but the update.
    pub(super) fn passes(
        &self,
        step: &TrainStep<'_>,
        rows: &Rows,
    ) -> (Vec<Vec<ShardResult>>, StepReport) {
        let mut times = StepTimes::default();
        let totals = self.totals(rows);
        let results = self.train_shards(step, &totals, &mut times);
        times.ctc = results.iter().flatten().map(|result| result.ctc_time).sum();
        let report = StepReport {
            networks: vec![],
            infeasible: totals.iter().map(|t| t.infeasible).max().unwrap_or(0),
            wall: Duration::ZERO,
            times,
            team: None,
        };
        (results, report)
    }

    /// Indices of the networks whose plan it is.
    pub(super) fn members(&self, plan: EpochPlan) -> Vec<usize> {
        let of = |index: &usize| self.trainers[*index].plan(self.phase, plan.epoch);
        let all = 0..self.trainers.len();
        all.filter(|index| of(index) == Some(plan)).collect()
    }

    pub(super) fn distillation(&self) -> Option<&Distillation> {
        match &self.goal {
            Goal::Ctc => None,
            Goal::Distill { distillation, .. } => Some(distillation),
        }
    }

    /// The batch in shards, with the frozen teacher's answer to each where there is a teacher.
    /// `members`: the networks that take part.
    fn deal(&self, batch: &Batch, members: &[usize], times: &mut StepTimes) -> Dealt {
        let shards = split(batch, self.compute.shards);
        let mut answers = vec![];
        if let Some(teacher) = self.goal.teacher() {
            let inner = self.compute.device.clone().inner();
            let of = |ask: fn(&Distillation) -> bool| self.distillation().is_some_and(ask);
            let question = TeacherQuestion {
                masked: of(|distillation| !distillation.unmasked_teacher),
                all_blocks: of(Distillation::compares_inner_layers),
            };
            let kept = self.goal.answers();
            let tasks = shards.iter().map(|shard| {
                let (teacher, inner) = (teacher.clone(), &inner);
                let compute = move || TeacherOutput::compute(&teacher, shard, question, inner);
                let answer = move || match kept {
                    Some(kept) => kept.answer(shard, question, inner, compute),
                    None => compute(),
                };
                let task = move || timed(answer);
                Box::new(task) as Task<'_, _>
            });
            for (answer, spent) in run_all(self.compute.threads, tasks.collect()) {
                answers.push(answer);
                times.teacher += spent;
            }
        }
        let pieces = Pieces { shards, answers };
        let mut members = members.iter().map(|&index| &self.trainers[index].network);
        let is_needed = pieces.shards.len() > 1 && members.any(|n| n.needs_whole_batch());
        Dealt {
            whole: is_needed.then(|| pieces.whole(batch)),
            pieces,
        }
    }

    fn totals(&self, rows: &Rows) -> Vec<BatchTotals> {
        let totals = self.trainers.iter().map(|trainer| {
            let config = trainer.network.model.config();
            BatchTotals::new(
                (&rows.lengths, &rows.targets),
                rows.own.clone(),
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
        totals: &[BatchTotals],
        times: &mut StepTimes,
    ) -> Vec<Vec<ShardResult>> {
        let mut members = self.members(step.plan);
        let dealt = self.deal(step.batch, &members, times);
        // The longest work first, so that threads end at about the same time.
        members.sort_by_key(|&index| {
            let trainer = &self.trainers[index];
            let first = dealt.of(trainer).shards.first();
            let rows = first.map_or(0, |shard| shard.lengths.len());
            std::cmp::Reverse(trainer.parameters() * rows)
        });
        let jobs = self.jobs(step, totals, &dealt, &members);
        let mut results: Vec<Vec<ShardResult>> = self.trainers.iter().map(|_| vec![]).collect();
        for (index, result) in self.run_jobs(jobs, &dealt) {
            results[index].push(result);
        }
        results
    }

    /// The work of a step, each job with the index of its network.
    fn jobs<'a>(
        &'a self,
        step: &TrainStep<'_>,
        totals: &'a [BatchTotals],
        dealt: &'a Dealt,
        members: &[usize],
    ) -> Vec<(usize, ShardJob<'a>)> {
        let pieces = |index: usize| dealt.of(&self.trainers[index]);
        let num_jobs: usize = members
            .iter()
            .map(|&index| pieces(index).shards.len())
            .sum();
        // CTC is computed on the host, whatever computes the network.
        let threads = match num_jobs {
            1 => own_cores(),
            _ => 1,
        };
        let mut jobs = Vec::with_capacity(num_jobs);
        for &index in members {
            let trainer = &self.trainers[index];
            for (place, shard) in pieces(index).shards.iter().enumerate() {
                let names = [self.phase.as_str(), &trainer.name];
                let numbers = [step.plan.epoch, step.batch_in_epoch, shard.number];
                let job = ShardJob {
                    shard,
                    totals: &totals[index],
                    ctc: &trainer.training.ctc,
                    intermediate_layers: &trainer.intermediate_layers,
                    consistency_weight: trainer.training.ctc.consistency_weight_at(trainer.step),
                    teacher: self.distillation().zip(pieces(index).answers.get(place)),
                    seed: derive_seed(step.run_seed, &names, &numbers),
                    threads,
                    device: &self.compute.device,
                };
                jobs.push((index, job));
            }
        }
        jobs
    }

    /// Forward and backward passes of `jobs`, in their order.
    fn run_jobs(
        &self,
        jobs: Vec<(usize, ShardJob<'_>)>,
        dealt: &Dealt,
    ) -> Vec<(usize, ShardResult)> {
        let threads = self.compute.threads;
        let distillation = self.distillation().filter(|d| d.contrasts());
        let networks = jobs.into_iter().map(|(index, job)| {
            let network = self.trainers[index].network.clone();
            (index, network, job)
        });
        let Some(distillation) = distillation else {
            let tasks = networks.map(|(index, network, job)| {
                let task = move || (index, forward_shard(network, &job).backward());
                Box::new(task) as Task<'_, _>
            });
            return run_all(threads, tasks.collect());
        };
        let tasks = networks.map(|(index, network, job)| {
            let task = move || (index, forward_shard(network, &job));
            Box::new(task) as Task<'_, _>
        });
        let mut passes = run_all(threads, tasks.collect());
        for own in passes.chunk_by_mut(|(a, _), (b, _)| a == b) {
            let shards = &dealt.of(&self.trainers[own[0].0]).shards;
            let mut own: Vec<&mut ForwardPass> = own.iter_mut().map(|(_, pass)| pass).collect();
            contrast(&mut own, shards, distillation);
        }
        let tasks = passes.into_iter().map(|(index, pass)| {
            let task = move || (index, pass.backward());
            Box::new(task) as Task<'_, _>
        });
        run_all(threads, tasks.collect())
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
        let shards = self.compute.shards;
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
                let mut report = trainer.absorb(results, is_last_of_epoch, shards, threads);
                report.spent += clock().saturating_sub(before);
                report
            };
            Box::new(task) as Task<'_, _>
        });
        run_all(self.compute.threads, tasks.collect())
    }
}

/// A batch for all networks of a step.
struct Dealt {
    pieces: Pieces,
    /// The same in one piece, if a network needs it so.
    whole: Option<Pieces>,
}

impl Dealt {
    /// What a network trains on. The statistics of a batch norm are those of a whole batch: such a
    /// network trains on one core, whatever else fills the others. Synchronised shards would have to
    /// wait for each other at every norm, forwards and backwards.
    fn of(&self, trainer: &NetworkTrainer) -> &Pieces {
        match &self.whole {
            Some(whole) if trainer.network.needs_whole_batch() => whole,
            _ => &self.pieces,
        }
    }
}

/// A batch in shards.
struct Pieces {
    shards: Vec<Shard>,
    /// The teacher's, one a shard; none where there is no teacher.
    answers: Vec<TeacherOutput>,
}

impl Pieces {
    fn whole(&self, batch: &Batch) -> Self {
        let answer = || TeacherOutput::whole(&self.answers, &self.shards);
        Self {
            shards: vec![Shard::whole(batch)],
            answers: (!self.answers.is_empty())
                .then(answer)
                .into_iter()
                .collect(),
        }
    }
}

/// The result of `work` and how long this thread computed it.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = thread_time();
    let result = work();
    (result, thread_time() - started)
}
