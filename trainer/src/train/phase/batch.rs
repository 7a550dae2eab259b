//! One batch through all networks of a phase.

use super::{Goal, Session, derive_seed};
use crate::{
    data::Batch,
    train::{
        learner::BatchOutcome,
        objective::{BatchTotals, Distillation, PartJob, PartResult, TeacherOutput, train_part},
        parallel::{Task, run_all},
        part::{merge, split},
    },
};

impl Session {
    /// One batch through every network that takes part in this epoch.
    pub(super) fn train_batch(
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
}
