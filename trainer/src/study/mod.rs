//! Studies: several ways to train students, compared over the same seeds and tests.
//!
//! A study file names arms: changes of one base recipe, and what they share. Each arm with each seed
//! is a *cell*, an ordinary run folder. What a report needs of a finished cell is its *record*, a
//! file beside the study file; with the records alone the report can be made again.
//!
//! ```text
//! studies/NAME/study.toml       arms, seeds, tests
//!              cells/ID.json    records
//!              tests/TEST.json  utterances that cells were measured on
//! runs/studies/NAME/ID/         run folders
//! ```

#![warn(missing_docs)]

mod budget;
mod cell;
mod costs_as;
mod error;
mod estimate;
mod file;
mod measure;
mod recipe;
mod record;
pub mod report;
mod run;
mod test_sets;
#[cfg(test)]
mod tests;

pub use budget::Budget;
pub use cell::{Cell, Part};
pub use costs_as::CountedAs;
pub use error::StudyError;
pub use estimate::{Basis, Estimate};
pub use file::{Arm, EqualCompute, Role, SharedTeacher, Start, StudyFile};
pub use recipe::CellRecipe;
pub use record::{DevPoint, NetworkRecord, Record, RecordedOn, TestRecord};
pub use run::Runner;
pub use test_sets::{KnownTest, KnownUtterance};

use std::path::{Path, PathBuf};

/// A study file with its cells and the places that belong to it.
#[derive(Debug)]
pub struct Study {
    /// As the file says it.
    pub file: StudyFile,
    /// Each stands behind those that it needs.
    pub cells: Vec<Cell>,
    path: PathBuf,
    /// Of the study file, absolute; records and reports go there.
    folder: PathBuf,
    runs: PathBuf,
    base: PathBuf,
    base_text: String,
}

/// How far a cell is.
#[derive(Debug)]
pub enum CellState {
    /// It has a record of what the study file asks for.
    Done(Box<Record>),
    /// As [`Self::Done`], but it was not measured on every test of the study yet.
    Unmeasured(Box<Record>),
    /// Its record is of something else: the study file or the base recipe has changed.
    Outdated,
    /// Its epochs follow from the costs of these cells, which have no record.
    Waiting(String),
    /// It can be run.
    ToRun,
}

impl Study {
    /// Reads a study file and checks the recipe of every cell that can be known yet.
    ///
    /// - `runs`: where run folders go; else `runs/studies/NAME` in the current folder.
    ///
    /// # Errors
    /// Names the file, the line or the arm, and what is wrong with it.
    pub fn open(path: &Path, runs: Option<&Path>) -> Result<Self, StudyError> {
        let file = StudyFile::load(path)?;
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|source| StudyError::Read {
                path: path.into(),
                source,
            })
        };
        let folder = absolute(path)?
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
        let base = folder.join(&file.base);
        let base_text = std::fs::read_to_string(&base).map_err(|source| StudyError::Read {
            path: base.clone(),
            source,
        })?;
        let default_runs = Path::new("runs/studies").join(&file.name);
        let study = Self {
            runs: absolute(runs.unwrap_or(&default_runs))?,
            cells: cell::cells(&file),
            path: path.into(),
            folder,
            base,
            base_text,
            file,
        };
        study.check_costs_as()?;
        for index in 0..study.cells.len() {
            match study.cell_recipe(index) {
                Ok(_) | Err(StudyError::NoCosts { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(study)
    }

    /// The index of the cell with this id.
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, id: &str) -> Result<usize, StudyError> {
        let found = self.cells.iter().position(|cell| cell.id == id);
        found.ok_or_else(|| StudyError::NoCell {
            wanted: id.into(),
            cells: self.cells.len(),
        })
    }

    /// How far a cell is.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub fn state(&self, index: usize) -> Result<CellState, StudyError> {
        let recipe = match self.cell_recipe(index) {
            Err(StudyError::NoCosts { missing, .. }) => return Ok(CellState::Waiting(missing)),
            recipe => recipe?,
        };
        Ok(match Record::read(&self.record_path(index))? {
            None => CellState::ToRun,
            Some(record) if record.fingerprint != recipe.fingerprint => CellState::Outdated,
            Some(record) => {
                let tests = self.test_manifests(&recipe.recipe);
                match tests
                    .keys()
                    .all(|test| record.tests_sha256.contains_key(test))
                {
                    true => CellState::Done(Box::new(record)),
                    false => CellState::Unmeasured(Box::new(record)),
                }
            }
        })
    }

    /// The record of a cell, if it has one of what the study file asks for, with costs as the file counts
    /// them; they hold even where a test is missing.
    ///
    /// # Errors
    /// A record that cannot be read, or whose costs cannot be counted as the file asks.
    pub fn valid_record(&self, index: usize) -> Result<Option<Record>, StudyError> {
        let (CellState::Done(mut record) | CellState::Unmeasured(mut record)) =
            self.state(index)?
        else {
            return Ok(None);
        };
        self.count_costs(&mut record)?;
        Ok(Some(*record))
    }

    /// The records of finished cells, by cell, and those of them whose costs are counted as others'.
    ///
    /// # Errors
    /// As [`Self::valid_record`].
    pub fn records(&self) -> Result<(Vec<Option<Record>>, Vec<CountedAs>), StudyError> {
        let mut counted = vec![];
        let mut records = vec![];
        for index in 0..self.cells.len() {
            records.push(match self.state(index)? {
                CellState::Done(mut record) => {
                    counted.extend(self.count_costs(&mut record)?);
                    Some(*record)
                }
                _ => None,
            });
        }
        Ok((records, counted))
    }

    /// Of the study file; records and reports go there.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the runs of a cell go.
    pub fn run_folder(&self, index: usize) -> PathBuf {
        self.runs.join(&self.cells[index].id)
    }

    fn record_path(&self, index: usize) -> PathBuf {
        let name = format!("{}.json", self.cells[index].id);
        self.folder.join("cells").join(name)
    }

    fn invalid(&self, reason: &str) -> StudyError {
        StudyError::Invalid {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }
}
