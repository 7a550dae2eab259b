//! Processes on one or many machines that train one run together, over MPI.
//!
//! Each process (*rank*) computes some of the shards of every batch. What it needs of the others goes
//! through a [`Link`]; a [`Team`] is a link or none, so that code reads the same alone. MPI itself is
//! behind a small C library, which is compiled by `fledge mpi build` and opened only when a launcher
//! of MPI has started several processes: a plain build neither needs nor links any of it.

#![warn(missing_docs)]

#[cfg(not(unix))]
mod absent;
mod error;
mod launch;
#[cfg(unix)]
mod library;
mod link;
#[cfg(unix)]
mod mpi;
mod shim;
mod team;
#[cfg(test)]
pub(crate) mod threads;
mod watchdog;

pub use error::ClusterError;
pub use launch::{Launched, launched};
pub use link::{Link, Seat};
#[cfg(unix)]
pub use mpi::{Mpi as Processes, abort_all, let_first_tell};
pub use shim::{build as build_library, default_path as default_library};
pub use team::Team;

#[cfg(not(unix))]
pub use absent::{Processes, abort_all, let_first_tell};

use std::time::Duration;

/// Joins the processes that a launcher of MPI started together with this one; `None` if it is alone.
///
/// - `patience`: longest time that another process may stay silent.
///
/// # Errors
/// Several processes were started, and they cannot be joined.
pub fn join(patience: Duration) -> Result<Option<Processes>, ClusterError> {
    launched()
        .filter(|launched| launched.processes > 1)
        .map(|launched| Processes::join(&launched, patience))
        .transpose()
}
