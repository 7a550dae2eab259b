//! What cells will cost, from what finished ones have cost.

use std::collections::HashMap;

use super::{Record, Study, StudyError, cell::with_origins};
use crate::{
    config::{Paths, Recipe, StudentConfig},
    data::read_all,
};

/// Processor seconds for a pass of one parameter over one second of audio, where no cell of the
/// study is finished: `recipes/quick.toml`, 240 s on one core of a Xeon with AVX-512.
const DEFAULT_RATE: f64 = 1.2e-9;

/// A forward pass and both halves of a backward pass.
const TRAINING_PASSES: f64 = 3.0;

/// What a cell costs, and how that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Training and validation; `None` where nothing says.
    pub cpu_secs: Option<f64>,
    /// How it is known.
    pub basis: Basis,
}

/// How the cost of a cell is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Basis {
    /// From its own record.
    Measured,
    /// From the record of the same arm with another seed.
    OtherSeed,
    /// It gets what other cells cost.
    Budget,
    /// From its networks, epochs and audio, at the rate of the study's finished cells.
    Rate,
    /// Likewise, at a rate measured elsewhere.
    DefaultRate,
}

impl Basis {
    /// For a table.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::OtherSeed => "as with another seed",
            Self::Budget => "equal to others",
            Self::Rate => "rate of finished cells",
            Self::DefaultRate => "default rate",
        }
    }
}

impl Study {
    /// What each cell costs.
    ///
    /// # Errors
    /// Records that cannot be read.
    pub fn estimates(&self) -> Result<Vec<Estimate>, StudyError> {
        let records: Vec<Option<Record>> = (0..self.cells.len())
            .map(|index| self.valid_record(index))
            .collect::<Result<_, _>>()?;
        let mut audio = HashMap::new();
        let mut works = vec![];
        for index in 0..self.cells.len() {
            works.push(match self.cell_recipe(index) {
                Err(StudyError::NoCosts { .. }) => None,
                recipe => work(&recipe?.recipe, &mut audio),
            });
        }
        let known = records.iter().zip(&works);
        let (spent, done) = known
            .filter_map(|(record, work)| Some((record.as_ref()?.total_cost().cpu_secs, (*work)?)))
            .fold((0.0, 0.0), |sum, (cpu_secs, work)| {
                (sum.0 + cpu_secs, sum.1 + work)
            });
        let (rate, basis) = match done > 0.0 {
            true => (spent / done, Basis::Rate),
            false => (DEFAULT_RATE, Basis::DefaultRate),
        };
        let mut estimates: Vec<Estimate> = vec![];
        for index in 0..self.cells.len() {
            let cost = |record: &Record| Some(record.total_cost().cpu_secs);
            let estimate = if let Some(record) = &records[index] {
                (cost(record), Basis::Measured)
            } else if let Some(record) = self.same_part(index, &records) {
                (cost(record), Basis::OtherSeed)
            } else if let Some(of) = self.budget_source(index) {
                let origins = with_origins(&self.cells, of).into_iter();
                let sum: Option<f64> = origins.map(|origin| estimates[origin].cpu_secs).sum();
                (sum, Basis::Budget)
            } else {
                (works[index].map(|work| work * rate), basis.clone())
            };
            let (cpu_secs, basis) = estimate;
            estimates.push(Estimate { cpu_secs, basis });
        }
        Ok(estimates)
    }

    fn same_part<'a>(&self, index: usize, records: &'a [Option<Record>]) -> Option<&'a Record> {
        let part = self.cells[index].part;
        let same = self.cells.iter().zip(records);
        same.filter(|(cell, _)| cell.part == part)
            .find_map(|(_, record)| record.as_ref())
    }

    /// The cell whose cost is another's budget.
    fn budget_source(&self, index: usize) -> Option<usize> {
        let cell = &self.cells[index];
        let equal = cell.part.arm(&self.file)?.equal_compute.as_ref()?;
        self.find(&format!("{}.seed{}", equal.of, cell.seed)).ok()
    }
}

/// Parameters times seconds of audio times passes of a recipe; `None` where its manifests cannot be
/// read.
fn work(recipe: &Recipe, audio: &mut HashMap<String, Option<f64>>) -> Option<f64> {
    let key = format!("{:?}", recipe.data.train);
    let secs = *audio
        .entry(key)
        .or_insert_with(|| audio_secs(&recipe.data.train));
    let teacher = recipe.teacher.model.num_parameters() as f64;
    let mut passes = 0.0;
    if recipe.teacher.from.is_none() && recipe.needs_teacher() {
        passes += TRAINING_PASSES * teacher * recipe.teach.epochs as f64;
    }
    let training = |student: &StudentConfig, epochs: usize| {
        TRAINING_PASSES * student.model.num_parameters() as f64 * epochs as f64
    };
    let mut answers = 0;
    for student in recipe.step_one_students() {
        let epochs = recipe.distill_of(student).epochs;
        passes += training(student, epochs);
        answers = answers.max(epochs);
    }
    passes += teacher * answers as f64;
    for student in recipe.whole_students() {
        passes += training(student, recipe.finetune_of(student).epochs);
    }
    Some(passes * secs?)
}

fn audio_secs(manifests: &Paths) -> Option<f64> {
    let utterances = read_all(manifests.as_slice()).ok()?;
    Some(utterances.iter().map(|u| u.duration_secs).sum())
}
