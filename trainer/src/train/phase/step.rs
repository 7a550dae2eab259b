//! The networks of a phase, and one batch through all of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Compute, Goal, dealt::Dealt};
use crate::{
    clock::{Usage, thread_time},
    config::Phase,
    data::{Batch, EpochPlan, PhoneSpelling},
    event::TeamTimes,
    parallel::{Task, own_cores, run_all},
    train::{
        contrast::{Alone, Meeting, contrast},
        exchange::Rows,
        network_trainer::{NetworkReport, NetworkTrainer},
        objective::{BatchTotals, Distillation, ForwardPass, ShardJob, ShardResult, forward_shard},
        phone_targets::PhoneTargets,
        seed::derive_seed,
    },
};

/// What learns together, from what, and with what.
pub(crate) struct TrainerGroup {
    pub phase: Phase,
    pub goal: Goal,
    pub trainers: Vec<NetworkTrainer>,
    pub compute: Compute,
    /// What phone heads learn to spell with.
    pub phones: Option<Arc<PhoneSpelling>>,
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
        let (members, rows) = (self.members(step.plan), Rows::alone(step.batch));
        let Ok((results, mut report)) = self.passes(step, &rows, &members, &Alone);
        let before = Usage::now().total;
        report.networks = self.update(results, step.is_last_of_epoch);
        report.times.update = Usage::now().total - before;
        report.wall = started.elapsed();
        report
    }

    /// Forward and backward passes of this process's `rows` of a batch, by network, of `members`; the
    /// report has everything but the update.
    ///
    /// # Errors
    /// The other processes, where `meeting` needs them, cannot be reached.
    pub(super) fn passes<M: Meeting>(
        &self,
        step: &TrainStep<'_>,
        rows: &Rows,
        members: &[usize],
        meeting: &M,
    ) -> Result<(Vec<Vec<ShardResult>>, StepReport), M::Failure> {
        let mut times = StepTimes::default();
        let totals = self.totals(rows);
        let dealt = self.deal(step.batch, members, &mut times);
        let jobs = self.jobs(step, &totals, &dealt, members);
        let mut results: Vec<Vec<ShardResult>> = self.trainers.iter().map(|_| vec![]).collect();
        for (index, result) in self.run_jobs(jobs, &dealt, members, meeting)? {
            results[index].push(result);
        }
        times.ctc = results.iter().flatten().map(|result| result.ctc_time).sum();
        let report = StepReport {
            networks: vec![],
            infeasible: totals.iter().map(|t| t.infeasible).max().unwrap_or(0),
            wall: Duration::ZERO,
            times,
            team: None,
        };
        Ok((results, report))
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

    fn totals(&self, rows: &Rows) -> Vec<BatchTotals> {
        let learns = |trainer: &NetworkTrainer| {
            trainer.network.model.config().phone_head && trainer.training.ctc.phone_weight > 0.0
        };
        let phones = self.phones.as_ref();
        let phones = phones.filter(|_| self.trainers.iter().any(learns));
        let spelled: Option<Vec<Vec<u32>>> =
            phones.map(|phones| rows.targets.iter().map(|row| phones.targets(row)).collect());
        let totals = self.trainers.iter().map(|trainer| {
            let config = trainer.network.model.config();
            let totals = BatchTotals::new(
                (&rows.lengths, &rows.targets),
                rows.own.clone(),
                |frames| config.encoder_length(frames),
                trainer.training.optim.accumulate,
            );
            let Some(spelled) = spelled.as_ref().filter(|_| learns(trainer)) else {
                return totals;
            };
            let frames = rows.lengths.iter().map(|&l| config.encoder_length(l));
            let frames: Vec<usize> = frames.collect();
            totals.with_phones(PhoneTargets::new(spelled, &frames, rows.own.clone()))
        });
        totals.collect()
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
        // The longest work first, so that threads end at about the same time.
        let mut members = members.to_vec();
        members.sort_by_key(|&index| {
            let rows = pieces(index).shards.first().map_or(0, |s| s.lengths.len());
            std::cmp::Reverse(self.trainers[index].parameters() * rows)
        });
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
        for &index in &members {
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
    fn run_jobs<M: Meeting>(
        &self,
        jobs: Vec<(usize, ShardJob<'_>)>,
        dealt: &Dealt,
        members: &[usize],
        meeting: &M,
    ) -> Result<Vec<(usize, ShardResult)>, M::Failure> {
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
            return Ok(run_all(threads, tasks.collect()));
        };
        let tasks = networks.map(|(index, network, job)| {
            let task = move || (index, forward_shard(network, &job));
            Box::new(task) as Task<'_, _>
        });
        let mut passes = run_all(threads, tasks.collect());
        // In the order of the networks: that of the jobs is not the same in every process.
        for &index in members {
            let shards = &dealt.of(&self.trainers[index]).shards;
            let own = passes.iter_mut().filter(|(of, _)| *of == index);
            let mut own: Vec<&mut ForwardPass> = own.map(|(_, pass)| pass).collect();
            contrast(&mut own, shards, distillation, meeting)?;
        }
        let tasks = passes.into_iter().map(|(index, pass)| {
            let task = move || (index, pass.backward());
            Box::new(task) as Task<'_, _>
        });
        Ok(run_all(threads, tasks.collect()))
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
