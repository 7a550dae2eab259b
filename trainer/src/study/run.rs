//! Running cells, each behind those that it needs.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use shared_model::bundle::Precision;

use super::{CellRecipe, CellState, Study, StudyError, measure::Measurement};
use crate::{
    cluster::Team,
    device::OpenDevice,
    export::Exporter,
    run_folder::{RunFolder, RunFolderError},
    session::{Session, SessionError, TrainedRun},
    train::{TEACHER, TrainedNetwork},
};

/// Between two looks at a cell that another process runs.
const WAIT: Duration = Duration::from_secs(2);

/// Runs cells of a study.
pub struct Runner<'a> {
    /// Whose cells.
    pub study: &'a Study,
    /// What trains.
    pub device: &'a OpenDevice,
    /// Whether a run folder that holds another recipe is begun anew instead of refused.
    pub fresh: bool,
    /// No progress of training on standard error.
    pub quiet: bool,
    /// Set from outside to save and stop.
    pub stop: &'a AtomicBool,
    /// Is told what happens to cells.
    pub tell: &'a mut dyn FnMut(String),
}

impl Runner<'_> {
    /// Brings a cell to its record, after the cells that it needs. One that has a record is not run
    /// again; one whose weights are needed and gone is trained again, with the same result. What
    /// another process runs is waited for.
    ///
    /// # Errors
    /// Training or measuring that failed or was stopped, or files that cannot be used.
    pub fn run(&mut self, index: usize) -> Result<(), StudyError> {
        self.complete(index, false)
    }

    fn complete(&mut self, index: usize, needs_weights: bool) -> Result<(), StudyError> {
        let study = self.study;
        let mut is_waiting = false;
        loop {
            let is_done = matches!(study.state(index)?, CellState::Done(_));
            if is_done && (!needs_weights || study.has_weights(index)?) {
                return Ok(());
            }
            for &other in &study.cells[index].weights_of {
                self.complete(other, true)?;
            }
            for &other in &study.cells[index].costs_of {
                self.complete(other, false)?;
            }
            match self.train(index, !is_done) {
                Err(error) if is_in_use(&error) => {
                    if !is_waiting {
                        let id = &study.cells[index].id;
                        (self.tell)(format!("waiting for {id}, which another process runs"));
                    }
                    is_waiting = true;
                    std::thread::sleep(WAIT);
                    if self.stop.load(Ordering::SeqCst) {
                        return Err(StudyError::Stopped);
                    }
                }
                result => return result,
            }
        }
    }

    fn train(&mut self, index: usize, needs_record: bool) -> Result<(), StudyError> {
        let study = self.study;
        let id = &study.cells[index].id;
        let cell = study.cell_recipe(index)?;
        if needs_record {
            // Tests that cannot be used are told before hours of training.
            study.read_tests(&cell.recipe)?;
        }
        (self.tell)(format!("cell {id}"));
        let run = match self.session(index, &cell, false) {
            Err(SessionError::Folder(RunFolderError::OtherRecipe { .. })) if self.fresh => {
                self.session(index, &cell, true)
            }
            run => run,
        };
        let run = run.map_err(|source| StudyError::Session {
            cell: id.clone(),
            source: Box::new(source),
        })?;
        let names = self.export(index, &cell, &run)?;
        if needs_record {
            let mut measurement = Measurement {
                study,
                index,
                stop: self.stop,
                tell: &mut *self.tell,
            };
            let record = measurement.record(cell, &run, self.device, &names)?;
            record.write(&study.record_path(index))?;
        }
        Ok(())
    }

    fn session(
        &self,
        index: usize,
        cell: &CellRecipe,
        fresh: bool,
    ) -> Result<TrainedRun, SessionError> {
        let recipe_text = cell.recipe.to_toml().map_err(RunFolderError::from)?;
        let session = Session {
            recipe: cell.recipe.clone(),
            recipe_text: &recipe_text,
            path: &self.study.run_folder(index),
            fresh,
            phase: None,
            device: self.device,
            quiet: self.quiet,
            max_steps: None,
            team: Team::alone(),
            stop: self.stop,
        };
        session.run()
    }

    /// Writes the model folders of the networks that a cell trained, f32, and gives their names.
    fn export(
        &mut self,
        index: usize,
        cell: &CellRecipe,
        run: &TrainedRun,
    ) -> Result<Vec<String>, StudyError> {
        let id = &self.study.cells[index].id;
        let exporter = Exporter {
            recipe: &run.recipe,
            tokens: &run.tokens,
            test_sets: &[],
            precision: Precision::F32,
            stop: self.stop,
        };
        let is_own = |network: &&TrainedNetwork| {
            network.name != TEACHER || cell.recipe.teacher.from.is_none()
        };
        let mut names = vec![];
        for network in run.networks.iter().filter(is_own) {
            exporter
                .export(network, &run.folder.model(&network.name), &mut |_| {})
                .map_err(|source| StudyError::Export {
                    cell: id.clone(),
                    source: Box::new(source),
                })?;
            names.push(network.name.clone());
        }
        let mark = self.study.mark(index)?;
        run.folder
            .store_cell(&mark)
            .map_err(|source| StudyError::Folder {
                cell: id.clone(),
                source: Box::new(source),
            })?;
        Ok(names)
    }
}

impl Study {
    /// What the run folder of a cell holds once its models are whole.
    fn mark(&self, index: usize) -> Result<String, StudyError> {
        let fingerprint = self.cell_recipe(index)?.fingerprint;
        Ok(format!("{} {fingerprint}\n", self.cells[index].id))
    }

    /// Whether the models of a cell are there.
    fn has_weights(&self, index: usize) -> Result<bool, StudyError> {
        let found = RunFolder::cell_of(&self.run_folder(index));
        Ok(found == Some(self.mark(index)?))
    }
}

fn is_in_use(error: &StudyError) -> bool {
    let StudyError::Session { source, .. } = error else {
        return false;
    };
    matches!(**source, SessionError::Folder(RunFolderError::InUse { .. }))
}
