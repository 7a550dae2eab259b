//! Costs of cells whose machine was slower or busier than that of the others.
//!
//! A cell that the study file names in `costs_as` costs what so many epochs cost in another cell: each of
//! its phases is scaled, so that an epoch costs what it does there. Its record keeps what was measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Record, Study, StudyError};
use crate::config::Phase;

/// A cell whose costs are counted as those of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountedAs {
    /// Its id.
    pub cell: String,
    /// Id of the cell that says what an epoch costs.
    pub epochs_of: String,
    /// How many times as long as counted its training took by processor time.
    pub measured_over_counted: f64,
}

impl Study {
    /// Refuses what names no cell, or leads from one counted cell to another.
    pub(super) fn check_costs_as(&self) -> Result<(), StudyError> {
        for (cell, other) in &self.file.costs_as {
            self.find(cell)?;
            self.find(other)?;
            if self.file.costs_as.contains_key(other) {
                return Err(self.invalid(&format!(
                    "costs_as: \"{cell}\" is counted as \"{other}\", whose own costs are counted as another's"
                )));
            }
        }
        Ok(())
    }

    /// Scales the costs of a record as the study file asks, and says by how much; `None` where it does not.
    ///
    /// # Errors
    /// The other cell has no record, or lacks a phase.
    pub(super) fn count_costs(&self, record: &mut Record) -> Result<Option<CountedAs>, StudyError> {
        let Some(other) = self.file.costs_as.get(&record.cell) else {
            return Ok(None);
        };
        let lacks = |what: &str| {
            self.invalid(&format!(
                "costs_as: \"{}\" is counted as \"{other}\", which has no {what}",
                record.cell
            ))
        };
        let reference = Record::read(&self.record_path(self.find(other)?))?;
        let reference = reference.ok_or_else(|| lacks("record yet"))?;
        let mut factors = BTreeMap::new();
        for &phase in record.costs.keys() {
            // A phase of no epochs took next to nothing.
            let Some(own) = secs_per_epoch(record, phase) else {
                continue;
            };
            let there = secs_per_epoch(&reference, phase)
                .ok_or_else(|| lacks(&format!("epoch of phase {}", phase.as_str())))?;
            factors.insert(phase, there / own);
        }
        let measured = record.training_cpu_secs();
        for (phase, factor) in factors {
            if let Some(costs) = record.costs.get_mut(&phase) {
                costs.scale(factor);
            }
            let points = record
                .networks
                .iter_mut()
                .flat_map(|network| &mut network.dev);
            for point in points.filter(|point| point.phase == phase) {
                point.phase_cpu_secs *= factor;
                point.network_cpu_secs *= factor;
            }
        }
        Ok(Some(CountedAs {
            cell: record.cell.clone(),
            epochs_of: other.clone(),
            measured_over_counted: measured / record.training_cpu_secs(),
        }))
    }
}

/// Processor seconds of training in a phase, by its epochs; `None` where it had none.
fn secs_per_epoch(record: &Record, phase: Phase) -> Option<f64> {
    let points = record.networks.iter().flat_map(|network| &network.dev);
    let epochs = points
        .filter(|point| point.phase == phase)
        .map(|point| point.epoch)
        .max()?;
    let secs = record.costs.get(&phase)?.training.cpu_secs / epochs as f64;
    (secs > 0.0).then_some(secs)
}
