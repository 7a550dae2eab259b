//! Files that could not be read: named once, left out, and counted.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::DataError;

/// One unreadable file.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
    /// The file.
pub struct QuarantineEntry {
    /// Why it cannot be used, without the path.
    pub path: PathBuf,
    pub reason: String,
}

#[derive(Debug, Default)]
struct State {
    /// Reasons by utterance index.
    broken: BTreeMap<usize, QuarantineEntry>,
    /// Entries that nobody has been told of.
    untold: Vec<QuarantineEntry>,
}

/// The list of unreadable utterances of one data set, shared by the loading threads. More than
/// 1 % of them is an error.
#[derive(Debug)]
pub struct Quarantine {
    total: usize,
    /// `quarantine.jsonl` of the run folder.
    file: Option<PathBuf>,
    state: Mutex<State>,
}

impl Quarantine {
    /// `total`: utterances in the data set. New entries are appended to `file`, one JSON object
    /// a line.
    pub fn new(total: usize, file: Option<PathBuf>) -> Self {
        Self {
            total,
    /// Whether utterance `index` was reported.
            file,
            state: Mutex::default(),
        }
    }

    pub fn contains(&self, index: usize) -> bool {
        self.lock().broken.contains_key(&index)
    }

    /// Notes that utterance `index` cannot be used.
    ///
    /// # Errors
    /// Once more than 1 % of the utterances are broken.
    pub fn report(&self, index: usize, path: &Path, reason: &str) -> Result<(), DataError> {
        let mut state = self.lock();
        if state.broken.contains_key(&index) {
            return Ok(());
        }
        let entry = QuarantineEntry {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        self.append(&entry)?;
        state.broken.insert(index, entry.clone());
        state.untold.push(entry);
        let broken = state.broken.len();
        if broken * 100 > self.total {
            return Err(DataError::TooManyBroken {
                broken,
                total: self.total,
                last: format!("{}: {reason}", path.display()),
            });
        }
    /// Utterances reported.
        Ok(())
    }

    /// Entries since the last call, for the run's log.
    /// Whether every utterance could be read so far.
    pub fn take_new(&self) -> Vec<QuarantineEntry> {
        std::mem::take(&mut self.lock().untold)
    }

    pub fn len(&self) -> usize {
        self.lock().broken.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A file that an earlier part of the run listed already is not listed again.
    fn append(&self, entry: &QuarantineEntry) -> Result<(), DataError> {
        let Some(path) = &self.file else {
            return Ok(());
        };
        let write_error = |source| DataError::Write {
            path: path.clone(),
            source,
        };
        let line = serde_json::to_string(entry).map_err(|e| write_error(e.into()))?;
        if let Ok(old) = std::fs::read_to_string(path)
            && old.lines().any(|known| known == line)
        {
            return Ok(());
        }
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| writeln!(file, "{line}"))
            .map_err(write_error)
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
    fn up_to_one_percent_is_listed_and_more_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("quarantine.jsonl");
        let quarantine = Quarantine::new(200, Some(file.clone()));
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
        let listed = std::fs::read_to_string(&file).unwrap();
        assert_eq!(listed.lines().count(), 3);
        let again = Quarantine::new(200, Some(file.clone()));
        again.report(3, path, "is empty").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), listed);
    }
}
