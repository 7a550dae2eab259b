//! What keeps processes from training together.

use std::{io, path::PathBuf};

use crate::exit_status::{ExitStatus, HasExitStatus};

/// Why processes cannot train together, or no longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// Several processes were started, and nothing lets them talk.
    #[error(
        "{launcher} started {processes} processes, and fledge has no library to join them: run `fledge mpi build` where mpicc is (it writes {expected}), or set FLEDGE_MPI_LIBRARY to one; without {launcher}, fledge trains on this machine alone"
    )]
    NoLibrary {
        /// What started them.
        launcher: &'static str,
        /// How many it says there are.
        processes: usize,
        /// Where the library was looked for.
        expected: PathBuf,
    },
    /// The library cannot be used.
    #[error("{path} cannot be used: {reason}")]
    Library {
        /// The library.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Every process believes to be alone, or nearly so: each would train the run for itself.
    #[error(
        "{launcher} started {launched} processes, and the MPI of {path} sees {found}: the library was built with another MPI than {launcher}'s (build it with `fledge mpi build --mpicc MPICC`), or srun was called without its interface (`srun --mpi=pmix`)"
    )]
    WrongLauncher {
        /// What started them.
        launcher: &'static str,
        /// How many it says there are.
        launched: usize,
        /// How many MPI says there are.
        found: usize,
        /// The library.
        path: PathBuf,
    },
    /// A call of MPI failed.
    #[error("process {rank}: {what} failed: {reason}")]
    Call {
        /// Of this process.
        rank: usize,
        /// What was being done.
        what: &'static str,
        /// What MPI says.
        reason: String,
    },
    /// What was received is not what is sent.
    #[error("process {rank} sent something that cannot be read: {reason}")]
    Message {
        /// Of the sender.
        rank: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Processes are about to train different things.
    #[error("process {rank} has another {what} than process 0: all machines need the same")]
    Different {
        /// Of the first process that differs.
        rank: usize,
        /// Fledge, recipe or data.
        what: &'static str,
    },
    /// The compiler of MPI cannot be run.
    #[error(
        "{compiler} cannot be run: install an MPI with its headers (on Debian and Ubuntu `apt-get install libopenmpi-dev` or `libmpich-dev`), or name its compiler with --mpicc"
    )]
    NoCompiler {
        /// As it was called.
        compiler: String,
        /// What the system says.
        source: io::Error,
    },
    /// The library cannot be compiled.
    #[error("{compiler} did not compile the library: {reason}")]
    Compile {
        /// As it was called.
        compiler: String,
        /// The first line of what it says.
        reason: String,
    },
    /// The library cannot be written.
    #[error(
        "{path} cannot be written; name another place with --out, and FLEDGE_MPI_LIBRARY for training"
    )]
    Write {
        /// The library.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no dlopen.
    #[error("training on several machines needs Unix")]
    NotUnix,
}

impl HasExitStatus for ClusterError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::NoLibrary { .. }
            | Self::Library { .. }
            | Self::WrongLauncher { .. }
            | Self::Different { .. }
            | Self::NoCompiler { .. }
            | Self::NotUnix => ExitStatus::Usage,
            Self::Call { .. }
            | Self::Message { .. }
            | Self::Compile { .. }
            | Self::Write { .. } => ExitStatus::Failed,
        }
    }
}
