//! Ends this process when the others stay silent: a call that waits for one that hangs would wait
//! for ever.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Watches the calls of one thread.
pub(super) struct Watchdog {
    rank: usize,
    started: Instant,
    patience: Duration,
    /// Milliseconds after `started` at which the call under way began, plus one; 0 between calls.
    since_ms: AtomicU64,
}

impl Watchdog {
    /// Watches from now on, until the process ends. Without a thread to spare nothing is watched.
    pub fn start(rank: usize, patience: Duration) -> &'static Self {
        let watchdog: &'static Self = Box::leak(Box::new(Self {
            rank,
            started: Instant::now(),
            patience,
            since_ms: AtomicU64::new(0),
        }));
        let _ = std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || watchdog.watch());
        watchdog
    }

    /// `call`, watched.
    pub fn watched<T>(&self, call: impl FnOnce() -> T) -> T {
        let now = self.started.elapsed().as_millis() as u64;
        self.since_ms.store(now + 1, Ordering::SeqCst);
        let result = call();
        self.since_ms.store(0, Ordering::SeqCst);
        result
    }

    fn is_over(&self) -> bool {
        let since_ms = self.since_ms.load(Ordering::SeqCst);
        let now = self.started.elapsed().as_millis() as u64;
        since_ms > 0 && now + 1 > since_ms + self.patience.as_millis() as u64
    }

    fn watch(&self) {
        let pause = (self.patience / 10).clamp(Duration::from_millis(10), Duration::from_secs(5));
        loop {
            std::thread::sleep(pause);
            if self.is_over() {
                eprintln!(
                    "error: process {} has waited {} s for the others: one of them hangs or is gone (--mpi-timeout sets the time)",
                    self.rank,
                    self.patience.as_secs()
                );
                // At once: the main thread is inside MPI and answers to nobody. The launcher ends the
                // others.
                end_at_once();
            }
        }
    }
}

#[cfg(unix)]
fn end_at_once() {
    signal_hook::low_level::exit(1);
}

#[cfg(not(unix))]
fn end_at_once() {
    std::process::exit(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_call_that_takes_too_long_is_over() {
        let watchdog = |patience| Watchdog {
            rank: 0,
            started: Instant::now(),
            patience,
            since_ms: AtomicU64::new(0),
        };
        let short = watchdog(Duration::from_millis(20));
        std::thread::sleep(Duration::from_millis(40));
        assert!(!short.is_over());
        let (before, after) = short.watched(|| {
            let before = short.is_over();
            std::thread::sleep(Duration::from_millis(40));
            (before, short.is_over())
        });
        assert_eq!((before, after, short.is_over()), (false, true, false));
        let long = watchdog(Duration::from_secs(60));
        assert!(!long.watched(|| long.is_over()));
    }
}
