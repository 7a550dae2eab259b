//! How far a command is that hears many utterances.

use std::io::Write;
use std::sync::Mutex;
use std::time::Instant;

/// A progress line every few seconds.
pub(super) struct Progress {
    last: Option<Mutex<Instant>>,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        Self {
            last: (!quiet).then(|| Mutex::new(Instant::now())),
        }
    }

    pub(super) fn show(&self, done: usize, total: usize) {
        let Some(last) = &self.last else { return };
        let Ok(mut last) = last.lock() else { return };
        if last.elapsed().as_secs() >= 5 {
            *last = Instant::now();
            let _ = writeln!(std::io::stderr(), "{done}/{total} utterances");
        }
    }
}
