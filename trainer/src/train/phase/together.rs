//! One batch through all networks, by several processes.

use std::time::{Duration, Instant};

use burn::optim::GradientsParams;

use super::{
    meeting::Together,
    step::{StepReport, StepTimes, TrainStep, TrainerGroup},
};
use crate::{
    clock::{Usage, thread_time},
    cluster::{ClusterError, Link, Team},
    event::TeamTimes,
    parallel::{Task, run_all},
    train::{
        contrast::Alone,
        exchange::{self, Exchange, NodeSums, Rows},
        network_trainer::{NetworkReport, NetworkTrainer},
        objective::ShardResult,
    },
};

/// A network, the processor time that it took, and its gradients at this process's nodes if it steps
/// now.
type TakenIn = (usize, Duration, Option<Vec<exchange::Flat>>);

impl TrainerGroup {
    /// As [`Self::step`], of which this process computes its rows and updates its weights.
    ///
    /// # Errors
    /// The others cannot be reached.
    pub(super) fn step_together(
        &mut self,
        step: &TrainStep<'_>,
        rows: &Rows,
        exchange: &Exchange,
        link: &dyn Link,
    ) -> Result<StepReport, ClusterError> {
        let started = Instant::now();
        let blocked_before = link.blocked();
        let (results, mut report) = self.passes_together(step, rows, link)?;
        let cpu_before = Usage::now().total;
        report.networks = vec![NetworkReport::default(); self.trainers.len()];
        let ready = self.take_in(step, results, exchange, &mut report.networks);
        let busy = started.elapsed();
        let all_busy = self.update_together(ready, busy, (exchange, link), &mut report.networks)?;
        report.times.update = Usage::now().total - cpu_before;
        report.wall = started.elapsed();
        let blocked = link.blocked() - blocked_before;
        report.team = Some(team_times(report.wall, blocked, busy, &all_busy));
        Ok(report)
    }

    /// Processor time of what several processes do beside their passes: summing, exchange, this
    /// process's part of the update.
    ///
    /// # Errors
    /// The other process of `link` cannot be reached.
    pub(crate) fn exchange_cpu(
        &mut self,
        step: &TrainStep<'_>,
        link: &dyn Link,
    ) -> Result<Duration, ClusterError> {
        let (members, rows) = (self.members(step.plan), Rows::alone(step.batch));
        let Ok((results, _)) = self.passes(step, &rows, &members, &Alone);
        let networks = self.trainers.iter().map(|trainer| &trainer.network);
        let exchange = Exchange::new(Team::of(link), self.compute.shards, networks);
        let before = Usage::now().total;
        let mut reports = vec![NetworkReport::default(); self.trainers.len()];
        let ready = self.take_in(step, results, &exchange, &mut reports);
        self.update_together(ready, Duration::ZERO, (&exchange, link), &mut reports)?;
        Ok(Usage::now().total - before)
    }

    /// Passes of all networks: of this process's rows, and of the whole batch for those networks with
    /// batch norms whose turn it is here. Their statistics are those of whole batches, to the last bit,
    /// and one process computes each as one process alone would.
    fn passes_together(
        &mut self,
        step: &TrainStep<'_>,
        rows: &Rows,
        link: &dyn Link,
    ) -> Result<(Vec<Vec<ShardResult>>, StepReport), ClusterError> {
        let needs_whole = |&network: &usize| self.trainers[network].network.needs_whole_batch();
        let (whole, shared): (Vec<usize>, Vec<usize>) =
            self.members(step.plan).into_iter().partition(needs_whole);
        let device = self.compute.device.clone().inner();
        let meeting = Together {
            link,
            rows,
            device: &device,
        };
        let (mut results, mut report) = self.passes(step, rows, &shared, &meeting)?;
        if whole.is_empty() {
            return Ok((results, report));
        }
        let batch = exchange::whole_batch(step.batch, link)?;
        let team = Team::of(link);
        let turns = whole.iter().enumerate();
        let turns = turns.filter(|(turn, _)| turn % team.size() == team.rank());
        let own: Vec<usize> = turns.map(|(_, &network)| network).collect();
        let mut stats = vec![];
        if !own.is_empty() {
            let step = TrainStep {
                batch: &batch,
                ..*step
            };
            let Ok((of_whole, times)) = self.passes(&step, &Rows::alone(&batch), &own, &Alone);
            report.times = sum_of_passes(report.times, times.times);
            for (network, result) in of_whole.into_iter().enumerate() {
                for mut result in result {
                    let gathered = std::mem::take(&mut result.batch_stats).into_iter();
                    stats.extend(gathered.map(|stats| (network, stats)));
                    results[network].push(result);
                }
            }
        }
        for (network, stats) in exchange::all_batch_stats(stats, (link, &device))? {
            self.trainers[network].update_batch_norms(&[stats]);
        }
        Ok((results, report))
    }

    /// Takes the batch's gradients in; gives those of the networks that step now, added up as far as
    /// this process can.
    fn take_in(
        &mut self,
        step: &TrainStep<'_>,
        results: Vec<Vec<ShardResult>>,
        exchange: &Exchange,
        reports: &mut [NetworkReport],
    ) -> Vec<NodeSums> {
        let members = self.members(step.plan);
        let threads = self.threads_each(members.len());
        let shards = self.compute.shards;
        let work = self.trainers.iter_mut().zip(results).enumerate();
        let work = work.filter(|(network, _)| members.contains(network));
        let tasks = work.map(|(network, (trainer, results))| {
            let task = move || {
                let started = thread_time();
                let mut spent: Duration = results.iter().map(|result| result.spent).sum();
                let is_ready = trainer.take_in(results, step.is_last_of_epoch, threads);
                let sums = is_ready.then(|| sums_at_nodes(trainer, shards, exchange, threads));
                spent += thread_time() - started;
                (network, spent, sums)
            };
            Box::new(task) as Task<'_, TakenIn>
        });
        let mut ready = vec![];
        for (network, spent, sums) in run_all(self.compute.threads, tasks.collect()) {
            reports[network].spent = spent;
            ready.extend(sums.map(|nodes| NodeSums { network, nodes }));
        }
        ready
    }

    /// Steps the networks of `ready`; gives how long each process has computed before, `busy` this one.
    fn update_together(
        &mut self,
        ready: Vec<NodeSums>,
        busy: Duration,
        (exchange, link): (&Exchange, &dyn Link),
        reports: &mut [NetworkReport],
    ) -> Result<Vec<Duration>, ClusterError> {
        if ready.is_empty() {
            return Ok(vec![busy]);
        }
        let sums = exchange.sum(link, &ready, self.compute.threads)?;
        let ready: Vec<usize> = ready.into_iter().map(|sums| sums.network).collect();
        let (threads, each) = (self.compute.threads, self.threads_each(ready.len()));
        let device = self.compute.device.clone().inner();
        let mut stepping: Vec<(&mut NetworkTrainer, GradientsParams)> =
            chosen(&mut self.trainers, &ready)
                .zip(sums)
                .map(|(trainer, sum)| {
                    let total = exchange::gradients(&trainer.network, sum, &device);
                    (trainer, total)
                })
                .collect();
        let tasks = stepping.iter_mut().map(|(trainer, total)| {
            let task = move || trainer.summary(total, each);
            Box::new(task) as Task<'_, _>
        });
        let own = run_all(threads, tasks.collect());
        let (summaries, all_busy) = exchange::together(Team::of(link), own, busy)?;
        let work = stepping.into_iter().zip(&summaries);
        let tasks = work
            .zip(chosen(reports, &ready))
            .map(|((own, summary), report)| {
                let (trainer, total) = own;
                let task = move || {
                    let started = thread_time();
                    trainer.step_along(total, summary, each, report);
                    report.spent += thread_time() - started;
                };
                Box::new(task) as Task<'_, _>
            });
        run_all(threads, tasks.collect());
        let trainers = chosen(&mut self.trainers, &ready);
        let networks = trainers.map(|trainer| &mut trainer.network).collect();
        exchange.share_weights(link, &ready, networks)?;
        Ok(all_busy)
    }

    /// Threads of one of `networks` that work at once: one alone has all of them.
    fn threads_each(&self, networks: usize) -> usize {
        match networks {
            0 | 1 => self.compute.threads,
            _ => 1,
        }
    }
}

/// A network's gradients at this process's nodes. Those of a network that is trained on whole batches
/// are one process's, which gives their sum at its first node.
fn sums_at_nodes(
    trainer: &mut NetworkTrainer,
    shards: usize,
    exchange: &Exchange,
    threads: usize,
) -> Vec<exchange::Flat> {
    let is_whole = trainer.network.needs_whole_batch();
    let nodes = exchange.own_nodes().iter().enumerate();
    let sums = nodes.map(|(place, node)| {
        let sum = match (is_whole, place) {
            (false, _) => trainer.sum_of(node, threads),
            (true, 0) => trainer.sum_of(&(0..shards), threads),
            (true, _) => GradientsParams::new(),
        };
        exchange::flat(&trainer.network, sum)
    });
    sums.collect()
}

/// Processor time of two sets of passes.
fn sum_of_passes(a: StepTimes, b: StepTimes) -> StepTimes {
    StepTimes {
        teacher: a.teacher + b.teacher,
        ctc: a.ctc + b.ctc,
        update: a.update + b.update,
    }
}

/// The items at these places, which ascend.
fn chosen<'a, T>(items: &'a mut [T], places: &'a [usize]) -> impl Iterator<Item = &'a mut T> {
    let items = items.iter_mut().enumerate();
    items
        .filter(|(place, _)| places.contains(place))
        .map(|(_, item)| item)
}

/// - `wall`: of the step.
/// - `blocked`: of it, in calls to the others.
/// - `own`, `all`: computed before the exchange, by this process and by each.
fn team_times(wall: Duration, blocked: Duration, own: Duration, all: &[Duration]) -> TeamTimes {
    let longest = all.iter().max().copied().unwrap_or(own);
    let sum: Duration = all.iter().sum();
    let mean = sum / all.len().max(1) as u32;
    let waiting = longest.saturating_sub(mean);
    let exchange = blocked.saturating_sub(longest.saturating_sub(own));
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    TeamTimes {
        compute_ms: milliseconds(wall.saturating_sub(exchange + waiting)),
        exchange_ms: milliseconds(exchange),
        waiting_ms: milliseconds(waiting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_step_are_compute_exchange_and_waiting() {
        let ms = Duration::from_millis;
        // This process computed for 60 ms and waited 40 of its 50 in calls for the slowest.
        let times = team_times(ms(120), ms(50), ms(60), &[ms(60), ms(100), ms(80), ms(80)]);
        assert_eq!(times.exchange_ms, 10.0);
        assert_eq!(times.waiting_ms, 20.0);
        assert_eq!(times.compute_ms, 90.0);
    }
}
