//! Rates and remaining time of a phase.

use std::time::{Duration, Instant};

use crate::event::TeamTimes;

/// Counts since the phase began in this process.
pub(super) struct Progress {
    started: Instant,
    audio_secs: f64,
    waited: Duration,
    batches: usize,
    batches_left: usize,
    /// Sums over `team_batches`.
    team: TeamTimes,
    team_batches: usize,
}

impl Progress {
    pub fn new(batches_left: usize) -> Self {
        Self {
            started: Instant::now(),
            audio_secs: 0.0,
            waited: Duration::ZERO,
            batches: 0,
            batches_left,
            team: TeamTimes::default(),
            team_batches: 0,
        }
    }

    pub fn waited(&mut self, duration: Duration) {
        self.waited += duration;
    }

    pub fn batch(&mut self, audio_secs: f64) {
        self.audio_secs += audio_secs;
        self.batches += 1;
        self.batches_left = self.batches_left.saturating_sub(1);
    }

    /// A batch that several processes have made.
    pub fn team(&mut self, times: TeamTimes) {
        self.team.compute_ms += times.compute_ms;
        self.team.exchange_ms += times.exchange_ms;
        self.team.waiting_ms += times.waiting_ms;
        self.team_batches += 1;
    }

    /// The mean of [`Self::team`]'s.
    pub fn team_times(&self) -> Option<TeamTimes> {
        let count = self.team_batches as f64;
        (self.team_batches > 0).then(|| TeamTimes {
            compute_ms: self.team.compute_ms / count,
            exchange_ms: self.team.exchange_ms / count,
            waiting_ms: self.team.waiting_ms / count,
        })
    }

    fn elapsed(&self) -> f64 {
        self.started.elapsed().as_secs_f64().max(1e-9)
    }

    pub fn audio_secs_per_sec(&self) -> f64 {
        self.audio_secs / self.elapsed()
    }

    pub fn data_wait_share(&self) -> f64 {
        self.waited.as_secs_f64() / self.elapsed()
    }

    pub fn eta_secs(&self) -> f64 {
        self.elapsed() / self.batches.max(1) as f64 * self.batches_left as f64
    }
}

/// Memory of this process that is in use, bytes; 0 where the system does not tell.
pub(super) fn resident_bytes() -> u64 {
    // The second number is the resident size in pages.
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.map_or(0, |pages| pages * page_bytes())
}

fn page_bytes() -> u64 {
    #[cfg(unix)]
    {
        // SAFETY: sysconf reads a constant of the system.
        #[allow(unsafe_code)]
        let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        u64::try_from(bytes).unwrap_or(4096)
    }
    #[cfg(not(unix))]
    4096
}
