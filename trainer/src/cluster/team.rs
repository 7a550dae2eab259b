//! The processes of a run, or the only one.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use super::{ClusterError, Link};

/// The processes that train a run together; a process that trains alone is a team of one, whose calls
/// give back its own part at once.
#[derive(Clone, Copy)]
pub struct Team<'a>(Option<&'a dyn Link>);

impl<'a> Team<'a> {
    /// One process.
    pub fn alone() -> Self {
        Self(None)
    }

    /// The processes of `link`.
    pub fn of(link: &'a dyn Link) -> Self {
        Self(Some(link))
    }

    /// What joins them; `None` for one process.
    pub fn link(self) -> Option<&'a dyn Link> {
        self.0
    }

    /// Of this process, from 0.
    pub fn rank(self) -> usize {
        self.0.map_or(0, |link| link.seat().rank)
    }

    /// Among the processes of the same machine.
    pub fn local_rank(self) -> usize {
        self.0.map_or(0, |link| link.seat().local_rank)
    }

    /// How many processes there are.
    pub fn size(self) -> usize {
        self.0.map_or(1, |link| link.seat().size)
    }

    /// Whether this process writes files and logs.
    pub fn is_first(self) -> bool {
        self.rank() == 0
    }

    /// Time that this process has spent in calls, waiting for others included.
    pub fn blocked(self) -> Duration {
        self.0.map_or(Duration::ZERO, Link::blocked)
    }

    /// What every process gives, in the order of ranks.
    ///
    /// # Errors
    /// The others cannot be reached.
    pub fn gather_bytes(self, own: Vec<u8>) -> Result<Vec<Vec<u8>>, ClusterError> {
        match self.0 {
            None => Ok(vec![own]),
            Some(link) => link.gather(&own),
        }
    }

    /// As [`Self::gather_bytes`], of values.
    ///
    /// # Errors
    /// The others cannot be reached, or send something else.
    pub fn gather<T: Serialize + DeserializeOwned>(self, own: T) -> Result<Vec<T>, ClusterError> {
        let Some(link) = self.0 else {
            return Ok(vec![own]);
        };
        let failed = |rank| {
            move |error: serde_json::Error| ClusterError::Message {
                rank,
                reason: error.to_string(),
            }
        };
        let own = serde_json::to_vec(&own).map_err(failed(self.rank()))?;
        let all = link.gather(&own)?.into_iter().enumerate();
        all.map(|(rank, bytes)| serde_json::from_slice(&bytes).map_err(failed(rank)))
            .collect()
    }

    /// What process 0 gives; the others give nothing.
    ///
    /// # Errors
    /// As [`Self::gather_bytes`].
    pub fn from_first(self, own: Vec<u8>) -> Result<Vec<u8>, ClusterError> {
        let own = if self.is_first() { own } else { vec![] };
        let first = self.gather_bytes(own)?.into_iter().next();
        Ok(first.unwrap_or_default())
    }

    /// Whether any process says yes.
    ///
    /// # Errors
    /// As [`Self::gather_bytes`].
    pub fn any(self, own: bool) -> Result<bool, ClusterError> {
        let all = self.gather_bytes(vec![u8::from(own)])?;
        Ok(all.into_iter().flatten().any(|said| said != 0))
    }
}
