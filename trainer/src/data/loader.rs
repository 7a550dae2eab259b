//! Batches made by background threads, handed over in order.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::read_ahead::ReadAhead;
use super::{
    Batch, DataError, DealtBatch, EpochPlan, Pipeline, Turn, plan_sorted, priority::give_way,
};
use crate::parallel::own_cores;

/// Batches that may wait finished or in work.
const AHEAD: usize = 6;
/// Development features up to this size are kept between evaluations.
const KEEP_FEATURES_BYTES: usize = 512 << 20;

#[derive(Default)]
struct Progress {
    /// Next batch that nobody works on.
    next_to_make: usize,
    next_to_give: usize,
    finished: BTreeMap<usize, Result<Batch, DataError>>,
    is_stopping: bool,
}

struct Shared {
    pipeline: Arc<Pipeline>,
    batches: Vec<DealtBatch>,
    plan: EpochPlan,
    /// Of shards; absent where there are none.
    ahead: Option<ReadAhead>,
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, progress: MutexGuard<'a, Progress>) -> MutexGuard<'a, Progress> {
        self.changed
            .wait(progress)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        give_way();
        loop {
            let mut progress = self.lock();
            while !progress.is_stopping
                && progress.next_to_make >= progress.next_to_give + AHEAD
                && progress.next_to_make < self.batches.len()
            {
                progress = self.wait(progress);
            }
            if progress.is_stopping || progress.next_to_make >= self.batches.len() {
                return;
            }
            let number = progress.next_to_make;
            progress.next_to_make += 1;
            drop(progress);
            // A consumer must never wait for a thread that died.
            let made = catch_unwind(AssertUnwindSafe(|| {
                let read = |ahead: &ReadAhead| {
                    let is_known = |index| self.pipeline.is_cached(index);
                    ahead.of_batch(number, self.pipeline.examples(), is_known)
                };
                let stored = self.ahead.as_ref().map(read);
                let batch = &self.batches[number];
                self.pipeline
                    .batch_from(batch, self.plan, stored.as_deref())
            }))
            .unwrap_or_else(|panic| Err(DataError::Worker(panic_message(&*panic))));
            self.lock().finished.insert(number, made);
            self.changed.notify_all();
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "for an unknown reason".to_owned())
}

/// Gives the batches of an epoch in order, made ahead of time by threads. The batches do
/// not depend on the number of threads. Dropping it stops them.
pub struct Loader {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    waited: Duration,
}

impl Loader {
    /// Starts `threads` threads (0: a choice by the number of cores) at batch `start_batch`.
    pub fn new(
        pipeline: Arc<Pipeline>,
        batches: Vec<impl Into<DealtBatch>>,
        plan: EpochPlan,
        start_batch: usize,
        threads: usize,
    ) -> Self {
        Self::reading(pipeline, batches, plan, (start_batch, None), threads)
    }

    /// As [`Self::new`], with the audio of shards by `ahead`.
    pub(super) fn reading(
        pipeline: Arc<Pipeline>,
        batches: Vec<impl Into<DealtBatch>>,
        plan: EpochPlan,
        (start_batch, ahead): (usize, Option<ReadAhead>),
        threads: usize,
    ) -> Self {
        let threads = if threads > 0 {
            threads
        } else {
            (own_cores() / 2).clamp(1, 8)
        };
        let shared = Arc::new(Shared {
            pipeline,
            batches: batches.into_iter().map(Into::into).collect(),
            plan,
            ahead,
            progress: Mutex::new(Progress {
                next_to_make: start_batch,
                next_to_give: start_batch,
                ..Progress::default()
            }),
            changed: Condvar::new(),
        });
        let threads = (0..threads)
            .map(|_| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.work())
            })
            .collect();
        Self {
            shared,
            threads,
            waited: Duration::ZERO,
        }
    }

    /// Time that [`Iterator::next`] has spent waiting for a batch.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Batches of the whole epoch.
    pub fn num_batches(&self) -> usize {
        self.shared.batches.len()
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, DataError>;

    /// The next batch; it may be empty if all of it is quarantined.
    fn next(&mut self) -> Option<Self::Item> {
        let started = Instant::now();
        let mut progress = self.shared.lock();
        let number = progress.next_to_give;
        if number >= self.shared.batches.len() {
            return None;
        }
        let batch = loop {
            if let Some(batch) = progress.finished.remove(&number) {
                break batch;
            }
            progress = self.shared.wait(progress);
        };
        progress.next_to_give += 1;
        drop(progress);
        self.shared.changed.notify_all();
        self.waited += started.elapsed();
        Some(batch)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.lock().is_stopping = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has handed in its error already.
            let _ = thread.join();
        }
    }
}

/// Batches of a development or test set: unaltered audio, sorted by length, always the same. Their
/// features are kept after the first pass if they are small.
pub struct EvaluationBatches {
    pipeline: Arc<Pipeline>,
    plan: Vec<Vec<usize>>,
    /// Batches with their numbers, and whose turn they are.
    kept: OnceLock<(Turn, Vec<(usize, Batch)>)>,
    threads: usize,
}

impl EvaluationBatches {
    /// `pipeline` must have no augmentation.
    pub fn new(pipeline: Arc<Pipeline>, batch_secs: f32, threads: usize) -> Self {
        let plan = plan_sorted(&pipeline.durations(EpochPlan::plain()), batch_secs);
        Self {
            pipeline,
            plan,
            kept: OnceLock::new(),
            threads,
        }
    }

    /// Batches of a pass.
    pub fn num_batches(&self) -> usize {
        self.plan.len()
    }

    /// What makes the batches.
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// Passes every batch whose `turn` it is to `visit` in order, with its number, until one fails.
    ///
    /// # Errors
    /// What `visit` gives, or more than 1 % of the audio unreadable.
    pub fn for_each<E: From<DataError>>(
        &self,
        turn: Turn,
        mut visit: impl FnMut(usize, &Batch) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some((_, kept)) = self.kept.get().filter(|(whose, _)| *whose == turn) {
            return kept.iter().try_for_each(|(number, b)| visit(*number, b));
        }
        let batches = self.plan.iter().cloned().enumerate();
        let (numbers, batches): (Vec<usize>, Vec<Vec<usize>>) =
            batches.skip(turn.first).step_by(turn.of.max(1)).unzip();
        let mut kept = Some(Vec::with_capacity(batches.len()));
        let mut bytes = 0;
        let pipeline = Arc::clone(&self.pipeline);
        let loader = Loader::new(pipeline, batches, EpochPlan::plain(), 0, self.threads);
        for (number, batch) in numbers.into_iter().zip(loader) {
            let batch = batch?;
            visit(number, &batch)?;
            bytes += batch.features.len() * size_of::<f32>();
            if bytes > KEEP_FEATURES_BYTES {
                kept = None;
            }
            if let Some(kept) = &mut kept {
                kept.push((number, batch));
            }
        }
        if let Some(kept) = kept {
            let _ = self.kept.set((turn, kept));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
