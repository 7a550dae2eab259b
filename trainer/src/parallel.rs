//! Work for several threads whose results come back in order.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// Processes that compute on the same processors as this one, itself included.
static SHARERS: AtomicUsize = AtomicUsize::new(1);

/// From now on `processes` of them, this one included, share the processors that it may use.
pub(crate) fn share_cores(processes: usize) {
    SHARERS.store(processes.max(1), Ordering::Relaxed);
}

/// Processors that this process may keep busy.
pub(crate) fn own_cores() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / SHARERS.load(Ordering::Relaxed)).max(1)
}

/// A piece of work.
pub(crate) type Task<'a, T> = Box<dyn FnOnce() -> T + Send + 'a>;

/// Runs every task, at most `threads` at once, the earlier ones first; results are in the order of
/// the tasks whatever the timing.
pub(crate) fn run_all<T: Send>(threads: usize, tasks: Vec<Task<'_, T>>) -> Vec<T> {
    let threads = threads.min(tasks.len());
    if threads <= 1 {
        return tasks.into_iter().map(|task| task()).collect();
    }
    let count = tasks.len();
    let queue = Mutex::new(tasks.into_iter().enumerate());
    let work = || {
        let mut done = vec![];
        loop {
            // A poisoned lock means that another task panicked; its panic is passed on below.
            let Some((index, task)) = queue.lock().ok().and_then(|mut queue| queue.next()) else {
                return done;
            };
            done.push((index, task()));
        }
    };
    let mut results: Vec<Option<T>> = (0..count).map(|_| None).collect();
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        for (index, result) in work() {
            results[index] = Some(result);
        }
        for other in others {
            match other.join() {
                Ok(done) => {
                    for (index, result) in done {
                        results[index] = Some(result);
                    }
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_for_any_number_of_threads() {
        for threads in [1, 2, 5, 40] {
            let tasks: Vec<Task<'_, usize>> = (0..20usize)
                .map(|i| Box::new(move || i * i) as Task<'_, usize>)
                .collect();
            let want: Vec<usize> = (0..20).map(|i| i * i).collect();
            assert_eq!(run_all(threads, tasks), want);
        }
        assert!(run_all::<()>(3, vec![]).is_empty());
    }
}
