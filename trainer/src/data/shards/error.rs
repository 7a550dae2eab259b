//! What can be wrong with a tar file of a corpus.

use std::path::PathBuf;

use crate::exit_status::{ExitStatus, HasExitStatus};

/// A tar file that cannot be used, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The system does not give it.
    #[error("cannot read shard {shard}")]
    Read {
        /// The tar file or folder.
        shard: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A folder without tar files.
    #[error("{folder} has no .tar file")]
    NoShards {
        /// The folder.
        folder: PathBuf,
    },
    /// It is no tar file, or damaged.
    #[error("shard {shard} is damaged after member \"{after}\": {reason}")]
    Damaged {
        /// The tar file.
        shard: PathBuf,
        /// The last member that could be read; empty before the first.
        after: String,
        /// What is wrong.
        reason: String,
    },
    /// It ends before it should.
    #[error("shard {shard} is cut off: it ends in or behind member \"{member}\"")]
    CutOff {
        /// The tar file.
        shard: PathBuf,
        /// The last member.
        member: String,
    },
    /// A member that cannot be used.
    #[error("shard {shard}: member \"{member}\" {reason}")]
    Member {
        /// The tar file.
        shard: PathBuf,
        /// Of the tar file.
        member: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no audio in it.
    #[error("shard {shard} has no audio")]
    Empty {
        /// The tar file.
        shard: PathBuf,
    },
}

impl HasExitStatus for ShardError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Read { .. }
            | Self::NoShards { .. }
            | Self::Damaged { .. }
            | Self::CutOff { .. }
            | Self::Member { .. }
            | Self::Empty { .. } => ExitStatus::Data,
        }
    }
}
