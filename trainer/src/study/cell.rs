//! The cells of a study: one training each, of a shared teacher or an arm with one seed.

use std::collections::{BTreeMap, BTreeSet};

use super::file::{Arm, SharedTeacher, StudyFile, TEACHER_PREFIX};

/// What a cell trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The shared teacher with this index.
    Teacher(usize),
    /// The arm with this index.
    Arm(usize),
}

/// One training, and what it needs of others. Cells are named by their index in a list in which
/// each stands behind those that it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// `ARM.seedN` or `teacher-NAME.seedN`.
    pub id: String,
    /// What it trains.
    pub part: Part,
    /// With which seed.
    pub seed: u64,
    /// Cells whose weights it begins with.
    pub weights_of: Vec<usize>,
    /// Cells whose costs decide its epochs.
    pub costs_of: Vec<usize>,
}

impl Part {
    /// What messages call it.
    pub(super) fn title(self, file: &StudyFile) -> String {
        match self {
            Self::Teacher(index) => format!("teacher \"{}\"", file.teachers[index].name),
            Self::Arm(index) => format!("arm \"{}\"", file.arms[index].name),
        }
    }

    pub(super) fn arm(self, file: &StudyFile) -> Option<&Arm> {
        match self {
            Self::Teacher(_) => None,
            Self::Arm(index) => file.arms.get(index),
        }
    }

    /// The shared teacher that it is or uses.
    pub(super) fn teacher(self, file: &StudyFile) -> Option<&SharedTeacher> {
        match self {
            Self::Teacher(index) => file.teachers.get(index),
            Self::Arm(_) => {
                let name = self.arm(file)?.teacher.as_ref()?;
                file.teachers.iter().find(|teacher| &teacher.name == name)
            }
        }
    }
}

/// The cells of a study, seed by seed, so that a first whole comparison is there early.
pub(super) fn cells(file: &StudyFile) -> Vec<Cell> {
    let mut list = List {
        file,
        cells: vec![],
        known: BTreeMap::new(),
    };
    for &seed in &file.seeds {
        for (index, arm) in file.arms.iter().enumerate() {
            if file.seeds_of(arm).contains(&seed) {
                list.add(Part::Arm(index), seed);
            }
        }
    }
    list.cells
}

/// The cell and all that it begins with, directly or not: what its networks have cost in all.
pub(super) fn with_origins(cells: &[Cell], index: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut left = vec![index];
    while let Some(next) = left.pop() {
        if found.insert(next) {
            left.extend(&cells[next].weights_of);
        }
    }
    found
}

struct List<'a> {
    file: &'a StudyFile,
    cells: Vec<Cell>,
    known: BTreeMap<(Part, u64), usize>,
}

impl List<'_> {
    /// The index of a cell, which is put into the list behind all that it needs.
    fn add(&mut self, part: Part, seed: u64) -> usize {
        if let Some(&index) = self.known.get(&(part, seed)) {
            return index;
        }
        let cell = match part {
            Part::Teacher(index) => Cell {
                id: format!(
                    "{TEACHER_PREFIX}{}.seed{seed}",
                    self.file.teachers[index].name
                ),
                part,
                seed,
                weights_of: vec![],
                costs_of: vec![],
            },
            Part::Arm(index) => self.arm_cell(index, seed),
        };
        let index = self.cells.len();
        self.cells.push(cell);
        self.known.insert((part, seed), index);
        index
    }

    fn arm_cell(&mut self, index: usize, seed: u64) -> Cell {
        let file = self.file;
        let arm = &file.arms[index];
        let mut weights_of = vec![];
        if let Some(name) = &arm.teacher {
            let teacher = file.teachers.iter().position(|t| &t.name == name);
            weights_of.extend(teacher.map(|index| self.add(Part::Teacher(index), seed)));
        }
        for name in arm.start_arms() {
            weights_of.extend(self.add_arm(name, seed));
        }
        let mut costs_of = vec![];
        if let Some(equal) = &arm.equal_compute {
            for name in [&equal.of, &equal.rate] {
                let other = self.add_arm(name, seed).into_iter();
                costs_of.extend(other.flat_map(|other| with_origins(&self.cells, other)));
            }
        }
        for list in [&mut weights_of, &mut costs_of] {
            list.sort_unstable();
            list.dedup();
        }
        Cell {
            id: format!("{}.seed{seed}", arm.name),
            part: Part::Arm(index),
            seed,
            weights_of,
            costs_of,
        }
    }

    fn add_arm(&mut self, name: &str, seed: u64) -> Option<usize> {
        let index = self.file.arms.iter().position(|arm| arm.name == name)?;
        Some(self.add(Part::Arm(index), seed))
    }
}
