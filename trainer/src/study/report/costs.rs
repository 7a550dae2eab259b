//! What arms have cost: whole, and by student.
//!
//! The rule: what only one student needed is its own. The rest (the training of a shared teacher,
//! the frozen teacher's passes, a network that has students as exits, data and checkpoints) is
//! divided equally among the students of the arm, and shown whole beside it.

use std::collections::BTreeMap;

use super::{
    super::Record,
    collect::{FinishedArm, FinishedCell},
    results::{ArmCosts, StudentCost},
};
use crate::{
    config::Phase,
    costs::{Cost, PhaseCosts},
};

/// Training of an arm with one seed until some moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Spent {
    /// What no student has alone.
    pub shared: f64,
    /// What each student has alone.
    pub own: Vec<f64>,
}

impl Spent {
    pub fn none(students: usize) -> Self {
        Self {
            shared: 0.0,
            own: vec![0.0; students],
        }
    }

    /// Adds a share of a phase of a cell.
    pub fn add(&mut self, cell: &Record, costs: &PhaseCosts, share: f64, students: &[String]) {
        let own = |name: &String| {
            let networks = &costs.networks;
            let own = networks
                .get(name)
                .filter(|_| !has_exits(&cell.recipe, name));
            own.map_or(0.0, |network| network.training.cpu_secs)
        };
        let all: f64 = students.iter().map(own).sum();
        self.shared += share * (costs.training.cpu_secs - all);
        for (sum, name) in self.own.iter_mut().zip(students) {
            *sum += share * own(name);
        }
    }

    pub fn total(&self) -> f64 {
        self.shared + self.own.iter().sum::<f64>()
    }

    /// The part of the student with this index.
    pub fn attributed(&self, student: usize) -> f64 {
        self.own[student] + self.shared / self.own.len() as f64
    }

    /// Of so many students like the mean of these.
    pub fn of_students(&self, students: usize) -> f64 {
        let mean = self.own.iter().sum::<f64>() / self.own.len().max(1) as f64;
        self.shared + mean * students as f64
    }
}

/// Whether a student of a recipe, by dotted keys, has others as its exits.
fn has_exits(recipe: &BTreeMap<String, String>, student: &str) -> bool {
    let student = format!("\"{student}\"");
    let mut keys = recipe.iter();
    keys.any(|(key, value)| key.ends_with(".exit_of") && *value == student)
}

/// What a cell began with.
pub(super) fn before(cell: &FinishedCell<'_>, students: &[String]) -> Spent {
    let mut spent = Spent::none(students.len());
    for origin in &cell.origins {
        for costs in origin.record.costs.values() {
            spent.add(origin.record, costs, 1.0, students);
        }
    }
    spent
}

/// All that a cell has cost.
pub(super) fn spent(cell: &FinishedCell<'_>, students: &[String]) -> Spent {
    let mut spent = before(cell, students);
    for costs in cell.record.costs.values() {
        spent.add(cell.record, costs, 1.0, students);
    }
    spent
}

/// Mean over the seeds of an arm.
pub(super) fn arm_costs(arm: &FinishedArm<'_>) -> ArmCosts {
    let cells = &arm.cells;
    let mean = |of: &dyn Fn(&FinishedCell<'_>) -> f64| {
        cells.iter().map(of).sum::<f64>() / cells.len().max(1) as f64
    };
    let origins = |cell: &FinishedCell<'_>, is_teacher: bool| -> f64 {
        let origins = cell.origins.iter();
        origins
            .filter(|origin| origin.is_teacher == is_teacher)
            .map(|origin| origin.record.training_cpu_secs())
            .sum()
    };
    let phase = |cell: &FinishedCell<'_>, phase| {
        let costs = cell.record.costs.get(&phase);
        costs.map_or(0.0, |costs| costs.training.cpu_secs)
    };
    let passes = |cell: &FinishedCell<'_>| -> f64 {
        all_costs(cell).map(|costs| costs.teacher_cpu_secs).sum()
    };
    let total = |cell: &FinishedCell<'_>| -> Cost { all_costs(cell).map(PhaseCosts::total).sum() };
    let students = arm.networks.iter().enumerate();
    ArmCosts {
        shared_teacher: mean(&|cell| origins(cell, true)),
        starts: mean(&|cell| origins(cell, false)),
        phases: Phase::ALL
            .into_iter()
            .map(|of| (of, mean(&|cell| phase(cell, of))))
            .filter(|(_, cpu_secs)| *cpu_secs > 0.0)
            .collect(),
        teacher_passes: mean(&passes),
        training: mean(&|cell| spent(cell, &arm.networks).total()),
        validation: mean(&|cell| all_costs(cell).map(|c| c.validation.cpu_secs).sum()),
        wall_secs: mean(&|cell| total(cell).wall_secs),
        shared: mean(&|cell| spent(cell, &arm.networks).shared),
        students: students
            .map(|(index, name)| StudentCost {
                name: name.clone(),
                own: mean(&|cell| spent(cell, &arm.networks).own[index]),
                attributed: mean(&|cell| spent(cell, &arm.networks).attributed(index)),
            })
            .collect(),
    }
}

/// By phase, of the cell and of all that it began with.
fn all_costs<'a>(cell: &'a FinishedCell<'_>) -> impl Iterator<Item = &'a PhaseCosts> {
    let origins = cell.origins.iter().map(|origin| origin.record);
    std::iter::once(cell.record)
        .chain(origins)
        .flat_map(|record| record.costs.values())
}
