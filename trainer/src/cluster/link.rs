//! What processes that train together ask of each other.

use std::time::Duration;

use super::ClusterError;

/// Where a process stands among all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// From 0; process 0 writes files and logs.
    pub rank: usize,
    /// How many there are.
    pub size: usize,
    /// Rank of the first process of the same machine.
    pub node: usize,
    /// Among the processes of the same machine.
    pub local_rank: usize,
}

/// Calls that every process makes at the same place of its work, each with its own part; none returns
/// before all have called.
pub trait Link {
    /// Where this process stands.
    fn seat(&self) -> &Seat;
    /// What every process gives, in the order of ranks.
    ///
    /// # Errors
    /// The others cannot be reached.
    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, ClusterError>;
    /// Numbers of every process, one after the other. `counts`: how many each gives.
    ///
    /// # Errors
    /// As [`Self::gather`].
    fn gather_numbers(&self, own: &[f32], counts: &[usize]) -> Result<Vec<f32>, ClusterError>;
    /// Sends the first `send_counts[0]` numbers to process 0, the next to process 1 and so on; gives
    /// what came from each, `receive_counts` of them.
    ///
    /// # Errors
    /// As [`Self::gather`].
    fn exchange(
        &self,
        send: &[f32],
        send_counts: &[usize],
        receive_counts: &[usize],
    ) -> Result<Vec<f32>, ClusterError>;
    /// Time in these calls so far, waiting for others included.
    fn blocked(&self) -> Duration;
}
