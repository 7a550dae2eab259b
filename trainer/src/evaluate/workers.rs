//! Utterances over threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::EvaluateError;
use crate::parallel::{Task, run_all};

/// `work(state, index)` of each index below `count`, in their order, on `threads` threads that each
/// have a state of their own. `progress(done, total)` is called from those threads; `stop` ends
/// the work early with [`EvaluateError::Stopped`], an error of any thread with that error.
pub(crate) fn spread<State, Item: Send>(
    count: usize,
    threads: usize,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
    state: &(dyn Fn() -> Result<State, EvaluateError> + Sync),
    work: &(dyn Fn(&mut State, usize) -> Result<Item, EvaluateError> + Sync),
) -> Result<Vec<Item>, EvaluateError> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed = AtomicBool::new(false);
    let items: Mutex<Vec<(usize, Item)>> = Mutex::new(Vec::with_capacity(count));
    let run = || -> Result<(), EvaluateError> {
        let mut state = state()?;
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(EvaluateError::Stopped);
            }
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count || failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let item = work(&mut state, index)?;
            let mut items = items.lock().map_err(|_| EvaluateError::Worker)?;
            items.push((index, item));
            drop(items);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, count);
        }
    };
    let worker = || {
        let result = run();
        failed.fetch_or(result.is_err(), Ordering::Relaxed);
        result
    };
    let threads = threads.clamp(1, count.max(1));
    let workers = (0..threads).map(|_| Box::new(&worker) as Task<'_, _>);
    run_all(threads, workers.collect())
        .into_iter()
        .collect::<Result<Vec<()>, _>>()?;
    let mut items = items.into_inner().map_err(|_| EvaluateError::Worker)?;
    items.sort_by_key(|(index, _)| *index);
    Ok(items.into_iter().map(|(_, item)| item).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn items_come_in_their_order_whatever_the_number_of_threads() {
        let stop = AtomicBool::new(false);
        for threads in [0, 1, 3, 90] {
            let items = spread(50, threads, &stop, &|_, _| {}, &|| Ok(7), &|add, index| {
                Ok(index + *add)
            });
            assert_eq!(items.unwrap(), (7..57).collect::<Vec<_>>());
        }
        let none = spread(0, 2, &stop, &|_, _| {}, &|| Ok(()), &|(), index| Ok(index));
        assert_eq!(none.unwrap(), Vec::<usize>::new());
    }

    #[test]
    fn an_error_and_a_stop_end_the_work() {
        let stop = AtomicBool::new(false);
        let result = spread(
            1000,
            2,
            &stop,
            &|_, _| {},
            &|| Ok(()),
            &|(), index| match index {
                20 => Err(EvaluateError::Empty),
                index => Ok(index),
            },
        );
        assert!(matches!(result, Err(EvaluateError::Empty)));
        stop.store(true, Ordering::Relaxed);
        let result = spread(10, 2, &stop, &|_, _| {}, &|| Ok(()), &|(), index| Ok(index));
        assert!(matches!(result, Err(EvaluateError::Stopped)));
    }
}
