//! Epochs that follow from what other cells have cost.

use serde::{Deserialize, Serialize};

use super::{Study, StudyError, cell::with_origins, record::Record};
use crate::{
    config::{Phase, Recipe},
    run_folder::flatten,
};

/// How the epochs of a cell were computed. Seconds are of processors, without validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Ids of the cells whose costs together are what the cell may cost.
    pub equal_to: Vec<String>,
    /// What they cost.
    pub cpu_secs: f64,
    /// Id of the cell that says what an epoch costs.
    pub rate_of: String,
    /// What that cell cost beside the phase of `key`: its teacher, its other phases.
    pub fixed_cpu_secs: f64,
    /// What an epoch of it cost.
    pub cpu_secs_per_epoch: f64,
    /// The recipe key that gets the epochs.
    pub key: String,
    /// The least number that costs, with `fixed_cpu_secs`, no less than `cpu_secs`.
    pub epochs: i64,
}

impl Study {
    /// The budget of a cell, where its arm has one.
    pub(super) fn budget(&self, index: usize) -> Result<Option<Budget>, StudyError> {
        let cell = &self.cells[index];
        let Some(equal) = cell
            .part
            .arm(&self.file)
            .and_then(|a| a.equal_compute.as_ref())
        else {
            return Ok(None);
        };
        let of = self.find(&format!("{}.seed{}", equal.of, cell.seed))?;
        let rate = self.find(&format!("{}.seed{}", equal.rate, cell.seed))?;
        let mut missing = vec![];
        let mut record = |index: usize| -> Result<Option<Record>, StudyError> {
            let record = self.valid_record(index)?;
            if record.is_none() {
                missing.push(self.cells[index].id.clone());
            }
            Ok(record)
        };
        let mut all_of = |index: usize| -> Result<Vec<Record>, StudyError> {
            let origins = with_origins(&self.cells, index).into_iter();
            let records: Vec<Option<Record>> =
                origins.map(&mut record).collect::<Result<_, _>>()?;
            Ok(records.into_iter().flatten().collect())
        };
        let (spent, rate_spent) = (all_of(of)?, all_of(rate)?);
        let rate_record = rate_spent
            .iter()
            .find(|own| own.cell == self.cells[rate].id);
        let Some(rate_record) = rate_record.filter(|_| missing.is_empty()) else {
            missing.sort();
            missing.dedup();
            return Err(StudyError::NoCosts {
                cell: cell.id.clone(),
                missing: missing.join(", "),
            });
        };
        let epochs = epochs_in(&self.cell_recipe(rate)?.recipe, &equal.epochs);
        let epochs = epochs.filter(|&epochs| epochs > 0).ok_or_else(|| {
            self.invalid(&format!(
                "{}: `{}` is no number of epochs of arm \"{}\"",
                cell.part.title(&self.file),
                equal.epochs,
                equal.rate
            ))
        })?;
        let total =
            |records: &[Record]| -> f64 { records.iter().map(Record::training_cpu_secs).sum() };
        let in_phase = phase_secs(rate_record, &equal.epochs);
        let (cpu_secs, fixed_cpu_secs) = (total(&spent), total(&rate_spent) - in_phase);
        let cpu_secs_per_epoch = in_phase / epochs as f64;
        let left = (cpu_secs - fixed_cpu_secs) / cpu_secs_per_epoch.max(f64::MIN_POSITIVE);
        Ok(Some(Budget {
            rate_of: rate_record.cell.clone(),
            equal_to: spent.into_iter().map(|record| record.cell).collect(),
            cpu_secs,
            fixed_cpu_secs,
            cpu_secs_per_epoch,
            key: equal.epochs.clone(),
            epochs: (left.ceil() as i64).max(1),
        }))
    }
}

/// Training in the phase whose epochs a key holds, all phases where none has such a name.
fn phase_secs(record: &Record, key: &str) -> f64 {
    let section = key.split('.').next();
    let phase = Phase::ALL
        .into_iter()
        .find(|phase| Some(phase.as_str()) == section);
    let costs = phase.and_then(|phase| record.costs.get(&phase));
    costs.map_or_else(
        || record.training_cpu_secs(),
        |costs| costs.training.cpu_secs,
    )
}

/// The value of a key that holds epochs.
fn epochs_in(recipe: &Recipe, key: &str) -> Option<i64> {
    let table: toml::Table = toml::from_str(&recipe.to_toml().ok()?).ok()?;
    let mut values = std::collections::BTreeMap::new();
    flatten("", &toml::Value::Table(table), &mut values);
    values.get(key)?.parse().ok()
}
