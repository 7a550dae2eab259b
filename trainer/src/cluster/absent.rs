//! Where there is no dlopen, no process ever joins others.

use std::time::Duration;

use super::{ClusterError, Launched, Link, Seat};

/// No processes.
pub enum Processes {}

impl Processes {
    /// # Errors
    /// Always.
    pub fn join(_: &Launched, _: Duration) -> Result<Self, ClusterError> {
        Err(ClusterError::NotUnix)
    }

    /// # Errors
    /// Never: there are none.
    pub fn leave(self) -> Result<(), ClusterError> {
        match self {}
    }
}

impl Link for Processes {
    fn seat(&self) -> &Seat {
        match *self {}
    }
    fn gather(&self, _: &[u8]) -> Result<Vec<Vec<u8>>, ClusterError> {
        match *self {}
    }
    fn gather_numbers(&self, _: &[f32], _: &[usize]) -> Result<Vec<f32>, ClusterError> {
        match *self {}
    }
    fn exchange(&self, _: &[f32], _: &[usize], _: &[usize]) -> Result<Vec<f32>, ClusterError> {
        match *self {}
    }
    fn blocked(&self) -> Duration {
        match *self {}
    }
}

/// Nothing: there are no others.
pub fn abort_all(_status: u8) {}

/// Nothing, likewise.
pub fn let_first_tell() {}
