//! Processes that MPI joins.

use std::{
    cell::Cell,
    marker::PhantomData,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    ClusterError, Launched, Link, Seat, Team, launched,
    library::{Library, Place},
    shim,
    watchdog::Watchdog,
};
use crate::parallel;

/// After an error, before another process than the first tells it.
const TIME_TO_TELL: Duration = Duration::from_secs(1);

static LIBRARY: OnceLock<Library> = OnceLock::new();
/// Whether an end without the others would leave them waiting.
static JOINED: AtomicBool = AtomicBool::new(false);

/// The processes of an MPI job. It stays on the thread that joined: MPI is told that no other calls it.
pub struct Mpi {
    seat: Seat,
    library: String,
    watchdog: &'static Watchdog,
    blocked: Cell<Duration>,
    machines: usize,
    stays: PhantomData<*const ()>,
}

/// What each process says of itself when it joins.
#[derive(Serialize, Deserialize)]
struct Joined {
    version: String,
    node: usize,
    /// Processors that it may use, as Linux lists them.
    processors: String,
}

impl Mpi {
    /// Joins the processes that were started with this one.
    ///
    /// - `patience`: longest time that another process may stay silent.
    ///
    /// # Errors
    /// No library, one that cannot be used, an MPI that is not the launcher's, or another fledge on
    /// another machine.
    pub fn join(launched: &Launched, patience: Duration) -> Result<Self, ClusterError> {
        let path = shim::default_path();
        if !path.exists() {
            return Err(ClusterError::NoLibrary {
                launcher: launched.launcher,
                processes: launched.processes,
                expected: path,
            });
        }
        let failed = |reason| ClusterError::Library {
            path: path.clone(),
            reason,
        };
        let opened = Library::open(&path).map_err(failed)?;
        let library = LIBRARY.get_or_init(|| opened);
        let Place {
            rank,
            size,
            node,
            local_rank,
            library: name,
        } = library.start().map_err(failed)?;
        JOINED.store(size > 1, Ordering::SeqCst);
        if size != launched.processes {
            return Err(ClusterError::WrongLauncher {
                launcher: launched.launcher,
                launched: launched.processes,
                found: size,
                path,
            });
        }
        let mut mpi = Self {
            seat: Seat {
                rank,
                size,
                node,
                local_rank,
            },
            library: name,
            watchdog: Watchdog::start(rank, patience),
            blocked: Cell::new(Duration::ZERO),
            machines: 1,
            stays: PhantomData,
        };
        mpi.meet()?;
        Ok(mpi)
    }

    /// Compares versions and shares the processors of each machine out.
    fn meet(&mut self) -> Result<(), ClusterError> {
        let own = Joined {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: self.seat.node,
            processors: own_processors(),
        };
        let all = Team::of(self).gather(own)?;
        if let Some(rank) = all.iter().position(|one| one.version != all[0].version) {
            let what = "version of fledge";
            return Err(ClusterError::Different { rank, what });
        }
        let own = &all[self.seat.rank];
        let neighbours = all
            .iter()
            .filter(|one| (one.node, &one.processors) == (own.node, &own.processors));
        parallel::share_cores(neighbours.count());
        let mut nodes: Vec<usize> = all.iter().map(|one| one.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        self.machines = nodes.len();
        Ok(())
    }

    /// Machines that the processes are on.
    pub fn machines(&self) -> usize {
        self.machines
    }

    /// Name and version of the MPI.
    pub fn library(&self) -> &str {
        &self.library
    }

    /// Leaves the others, when all have come to the end of their common work.
    ///
    /// # Errors
    /// MPI cannot end.
    pub fn leave(self) -> Result<(), ClusterError> {
        let left = self.call("leaving", Library::end);
        JOINED.store(false, Ordering::SeqCst);
        left
    }

    fn call<T>(
        &self,
        what: &'static str,
        call: impl FnOnce(&Library) -> Result<T, String>,
    ) -> Result<T, ClusterError> {
        let started = Instant::now();
        let result = match LIBRARY.get() {
            Some(library) => self.watchdog.watched(|| call(library)),
            None => Err("the library is not open".into()),
        };
        self.blocked.set(self.blocked.get() + started.elapsed());
        result.map_err(|reason| ClusterError::Call {
            rank: self.seat.rank,
            what,
            reason,
        })
    }
}

impl Link for Mpi {
    fn seat(&self) -> &Seat {
        &self.seat
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, ClusterError> {
        let lengths = vec![size_of::<u64>(); self.seat.size];
        let length = (own.len() as u64).to_le_bytes();
        let all = self.call("telling a length", |library| {
            library.gather(&length, &lengths)
        })?;
        let lengths: Vec<usize> = all
            .chunks_exact(size_of::<u64>())
            .map(|bytes| {
                bytes
                    .iter()
                    .rev()
                    .fold(0, |sum, &byte| sum << 8 | usize::from(byte))
            })
            .collect();
        let all = self.call("gathering", |library| library.gather(own, &lengths))?;
        let mut rest = &all[..];
        let parts = lengths.iter().map(|&length| {
            let (part, after) = rest.split_at(length);
            rest = after;
            part.to_vec()
        });
        Ok(parts.collect())
    }

    fn gather_numbers(&self, own: &[f32], counts: &[usize]) -> Result<Vec<f32>, ClusterError> {
        self.call("gathering weights", |library| library.gather(own, counts))
    }

    fn exchange(
        &self,
        send: &[f32],
        send_counts: &[usize],
        receive_counts: &[usize],
    ) -> Result<Vec<f32>, ClusterError> {
        self.call("exchanging gradients", |library| {
            library.exchange(send, send_counts, receive_counts)
        })
    }

    fn blocked(&self) -> Duration {
        self.blocked.get()
    }
}

/// Ends all processes of the job, if there are others: a process that ended alone would leave them
/// waiting. Comes back where this process is alone.
pub fn abort_all(status: u8) {
    if JOINED.load(Ordering::SeqCst)
        && let Some(library) = LIBRARY.get()
    {
        library.abort(status);
    }
}

/// Lets process 0 tell an error that all have in common: launchers end the others with the first that
/// ends so.
pub fn let_first_tell() {
    let is_other = launched().is_some_and(|launched| launched.processes > 1 && launched.rank > 0);
    if is_other {
        std::thread::sleep(TIME_TO_TELL);
    }
}

/// The processors that the system lets this process use; empty where it does not tell.
fn own_processors() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap_or_default().trim().to_owned()
}
