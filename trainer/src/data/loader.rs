//! Batches made by background threads, handed over in order.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Batch, DataError, EpochPlan, Pipeline, plan_sorted, priority::give_way};

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
    /// Utterances of each batch.
    batches: Vec<Vec<usize>>,
    plan: EpochPlan,
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
                self.pipeline.batch(&self.batches[number], self.plan)
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
        batches: Vec<Vec<usize>>,
        plan: EpochPlan,
        start_batch: usize,
        threads: usize,
    ) -> Self {
        let threads = if threads > 0 {
            threads
        } else {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            (cores / 2).clamp(1, 8)
        };
        let shared = Arc::new(Shared {
            pipeline,
            batches,
            plan,
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
    kept: OnceLock<Vec<Batch>>,
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

    /// Passes every batch to `visit` in order, until one fails.
    ///
    /// # Errors
    /// What `visit` gives, or more than 1 % of the audio unreadable.
    pub fn for_each<E: From<DataError>>(
        &self,
        mut visit: impl FnMut(&Batch) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(kept) = self.kept.get() {
            return kept.iter().try_for_each(visit);
        }
        let mut kept = Some(Vec::with_capacity(self.plan.len()));
        let mut bytes = 0;
        let loader = Loader::new(
            Arc::clone(&self.pipeline),
            self.plan.clone(),
            EpochPlan::plain(),
            0,
            self.threads,
        );
        for batch in loader {
            let batch = batch?;
            visit(&batch)?;
            bytes += batch.features.len() * size_of::<f32>();
            if bytes > KEEP_FEATURES_BYTES {
                kept = None;
            }
            if let Some(kept) = &mut kept {
                kept.push(batch);
            }
        }
        if let Some(kept) = kept {
            let _ = self.kept.set(kept);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
