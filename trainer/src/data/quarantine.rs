//! Files that could not be read: named once, left out, and counted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::DataError;

/// One unreadable file.
#[derive(Debug, Clone, PartialEq)]
pub struct QuarantineEntry {
    /// The file.
    pub path: PathBuf,
    /// Why it cannot be used, without the path.
    pub reason: String,
}

#[derive(Debug, Default)]
struct State {
    /// Utterance indices.
    broken: BTreeSet<usize>,
    /// Entries that nobody has been told of.
    untold: Vec<QuarantineEntry>,
}

/// The list of unreadable utterances of one data set, shared by the loading threads. More than
/// 1 % of them is an error.
#[derive(Debug)]
pub struct Quarantine {
    total: usize,
    state: Mutex<State>,
}

impl Quarantine {
    /// Nothing is unreadable so far. `total`: utterances in the data set.
    pub fn new(total: usize) -> Self {
        Self {
            total,
            state: Mutex::default(),
        }
    }

    /// Whether utterance `index` was reported.
    pub fn contains(&self, index: usize) -> bool {
        self.lock().broken.contains(&index)
    }

    /// Notes that utterance `index` cannot be used.
    ///
    /// # Errors
    /// Once more than 1 % of the utterances are broken.
    pub fn report(&self, index: usize, path: &Path, reason: &str) -> Result<(), DataError> {
        let mut state = self.lock();
        if !state.broken.insert(index) {
            return Ok(());
        }
        state.untold.push(QuarantineEntry {
            path: path.to_owned(),
            reason: reason.to_owned(),
        });
        let broken = state.broken.len();
        if broken * 100 > self.total {
            return Err(DataError::TooManyBroken {
                broken,
                total: self.total,
                last: format!("{}: {reason}", path.display()),
            });
        }
        Ok(())
    }

    /// Entries since the last call, for the run's log.
    pub fn take_new(&self) -> Vec<QuarantineEntry> {
        std::mem::take(&mut self.lock().untold)
    }

    /// Utterances reported.
    pub fn len(&self) -> usize {
        self.lock().broken.len()
    }

    /// Whether every utterance could be read so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn up_to_one_percent_is_told_once_and_more_is_an_error() {
        let quarantine = Quarantine::new(200);
        let path = Path::new("a.wav");
        assert!(quarantine.report(3, path, "is empty").is_ok());
        assert!(quarantine.report(3, path, "is empty").is_ok());
        assert!(quarantine.report(4, Path::new("b.wav"), "is empty").is_ok());
        assert_eq!(quarantine.len(), 2);
        assert_eq!(quarantine.take_new().len(), 2);
        assert!(quarantine.take_new().is_empty());
        let error = quarantine.report(5, path, "is a folder").unwrap_err();
        assert_eq!(
            error.to_string(),
            "3 of 200 utterances cannot be read, more than 1 %; the last one: a.wav: is a folder"
        );
    }
}
