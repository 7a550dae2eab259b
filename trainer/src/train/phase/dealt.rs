//! A batch in the pieces that networks are trained on.

use std::time::Duration;

use super::{StepTimes, TrainerGroup};
use crate::{
    clock::thread_time,
    data::Batch,
    parallel::{Task, run_all},
    train::{
        network_trainer::NetworkTrainer,
        objective::Distillation,
        shard::{Shard, split},
        teacher::{TeacherOutput, TeacherQuestion},
    },
};

/// A batch for all networks of a step.
pub(super) struct Dealt {
    pieces: Pieces,
    /// The same in one piece, if a network needs it so.
    whole: Option<Pieces>,
}

impl Dealt {
    /// What a network trains on. The statistics of a batch norm are those of a whole batch: such a
    /// network trains on one core, whatever else fills the others. Synchronised shards would have to
    /// wait for each other at every norm, forwards and backwards.
    pub fn of(&self, trainer: &NetworkTrainer) -> &Pieces {
        match &self.whole {
            Some(whole) if trainer.network.needs_whole_batch() => whole,
            _ => &self.pieces,
        }
    }
}

/// A batch in shards.
pub(super) struct Pieces {
    pub shards: Vec<Shard>,
    /// The teacher's, one a shard; none where there is no teacher.
    pub answers: Vec<TeacherOutput>,
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

impl TrainerGroup {
    /// The batch in shards, with the frozen teacher's answer to each where there is a teacher.
    /// `members`: the networks that take part; for none nothing is asked.
    pub(super) fn deal(&self, batch: &Batch, members: &[usize], times: &mut StepTimes) -> Dealt {
        let shards = split(batch, self.compute.shards);
        let mut answers = vec![];
        if let Some(teacher) = self.goal.teacher().filter(|_| !members.is_empty()) {
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
}

/// The result of `work` and how long this thread computed it.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = thread_time();
    let result = work();
    (result, thread_time() - started)
}
