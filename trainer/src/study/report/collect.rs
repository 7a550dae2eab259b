//! From records to results.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{
    Arm, KnownTest, Record, RecordedOn, Role, Study, StudyError,
    cell::{Part, with_origins},
};
use super::{
    costs::arm_costs,
    curves::curves,
    results::{ArmResult, NetworkResult, Results, Side, TestSummary},
    scores::{Scorer, compare_arms},
    speed_up::speed_ups,
};
use crate::train::TEACHER;

/// Bootstrap samples. The least p-value, 1e-4, stays small when it is adjusted for some hundred comparisons.
pub(super) const RESAMPLES: usize = 20_000;

/// A finished cell of an arm.
pub(super) struct FinishedCell<'a> {
    pub seed: u64,
    pub record: &'a Record,
    /// What it began with, directly or not.
    pub origins: Vec<Origin<'a>>,
}

/// A cell that another began with.
pub(super) struct Origin<'a> {
    pub record: &'a Record,
    pub is_teacher: bool,
}

/// An arm or a shared teacher with its finished cells.
pub(super) struct FinishedArm<'a> {
    pub name: String,
    pub label: String,
    pub side: Side,
    pub cells: Vec<FinishedCell<'a>>,
    /// Names of the networks that are reported.
    pub networks: Vec<String>,
}

impl Study {
    /// What the records say.
    ///
    /// # Errors
    /// No record at all, or records that cannot be read or were measured on other tests.
    pub fn results(&self) -> Result<Results, StudyError> {
        let (records, counted_as) = self.records()?;
        let tests = self.known_tests(&records)?;
        let arms = self.finished_arms(&records);
        if arms.is_empty() {
            return Err(StudyError::NothingToReport);
        }
        let scorer = Scorer::new(&tests, RESAMPLES);
        let results: Vec<ArmResult> = arms.iter().map(|arm| result_of(arm, &scorer)).collect();
        let reference = self.file.reference_arm().map(|arm| arm.name.clone());
        let cells = self.cells.iter().zip(&records);
        Ok(Results {
            study: self.file.name.clone(),
            title: match self.file.title.as_str() {
                "" => self.file.name.clone(),
                title => title.to_owned(),
            },
            notes: self.file.notes.clone(),
            resamples: RESAMPLES,
            tests: tests.iter().map(summary).collect(),
            missing: cells
                .filter(|(_, record)| record.is_none())
                .map(|(cell, _)| cell.id.clone())
                .collect(),
            recorded_on: machines(&records),
            counted_as,
            comparisons: compare_arms(&arms, &scorer),
            speed_ups: speed_ups(&arms, reference.as_deref()),
            arms: results,
            reference,
        })
    }

    /// The tests that records were measured on, by name.
    fn known_tests(
        &self,
        records: &[Option<Record>],
    ) -> Result<Vec<(String, KnownTest)>, StudyError> {
        let mut hashes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let asked = self.file.tests.as_ref();
        for (test, sha256) in records.iter().flatten().flat_map(|r| &r.tests_sha256) {
            if asked.is_none_or(|tests| tests.contains_key(test)) {
                hashes.entry(test).or_default().insert(sha256);
            }
        }
        let mut tests = vec![];
        for (name, hashes) in hashes {
            let path = self.test_path(name);
            let known = self.known_test(name)?.ok_or_else(|| StudyError::Content {
                path: path.clone(),
                reason: "it is missing, and records need it".into(),
            })?;
            if hashes.iter().any(|hash| *hash != known.sha256()) {
                return Err(StudyError::OtherTest {
                    test: name.into(),
                    path,
                });
            }
            tests.push((name.to_owned(), known));
        }
        Ok(tests)
    }

    fn finished_arms<'a>(&self, records: &'a [Option<Record>]) -> Vec<FinishedArm<'a>> {
        let teachers = (0..self.file.teachers.len()).map(Part::Teacher);
        let arms = (0..self.file.arms.len()).map(Part::Arm);
        teachers
            .chain(arms)
            .filter_map(|part| self.finished_arm(part, records))
            .collect()
    }

    fn finished_arm<'a>(
        &self,
        part: Part,
        records: &'a [Option<Record>],
    ) -> Option<FinishedArm<'a>> {
        let own = (0..self.cells.len()).filter(|&index| self.cells[index].part == part);
        let cells: Vec<FinishedCell<'a>> = own
            .filter_map(|index| {
                let others = with_origins(&self.cells, index);
                let others = others.into_iter().filter(|&other| other != index);
                let origins = others.map(|other| {
                    Some(Origin {
                        record: records[other].as_ref()?,
                        is_teacher: matches!(self.cells[other].part, Part::Teacher(_)),
                    })
                });
                Some(FinishedCell {
                    seed: self.cells[index].seed,
                    record: records[index].as_ref()?,
                    // Without them its cost is not known.
                    origins: origins.collect::<Option<_>>()?,
                })
            })
            .collect();
        let (name, label, side) = self.title_of(part);
        let networks = network_names(cells.first()?.record);
        Some(FinishedArm {
            label: if label.is_empty() {
                name.clone()
            } else {
                label
            },
            name,
            side,
            cells,
            networks,
        })
    }

    fn title_of(&self, part: Part) -> (String, String, Side) {
        match part {
            Part::Teacher(index) => {
                let teacher = &self.file.teachers[index];
                let name = format!("teacher-{}", teacher.name);
                (name, teacher.label.clone(), Side::Teacher)
            }
            Part::Arm(index) => {
                let Arm {
                    name, label, role, ..
                } = &self.file.arms[index];
                let side = match role {
                    Role::Ours => Side::Ours,
                    Role::Baseline => Side::Baseline,
                    Role::Paper => Side::Paper,
                };
                (name.clone(), label.clone(), side)
            }
        }
    }
}

/// The students; the teacher where there are none.
fn network_names(record: &Record) -> Vec<String> {
    let names = record.networks.iter().map(|network| network.name.clone());
    let students: Vec<String> = names.clone().filter(|name| name != TEACHER).collect();
    match students.is_empty() {
        true => names.collect(),
        false => students,
    }
}

fn result_of(arm: &FinishedArm<'_>, scorer: &Scorer<'_>) -> ArmResult {
    let first = arm.cells.first().map(|cell| cell.record);
    let networks = arm.networks.iter().filter_map(|name| {
        let network = first?.network(name)?;
        let (tests, pooled) = scorer.scores(arm, name);
        Some(NetworkResult {
            name: name.clone(),
            parameters: network.parameters,
            n_layers: network.n_layers,
            d_model: network.d_model,
            tests,
            pooled,
        })
    });
    let budgets = arm.cells.iter().filter_map(|cell| {
        let budget = cell.record.budget.as_ref()?;
        Some((cell.seed, budget.epochs))
    });
    ArmResult {
        name: arm.name.clone(),
        label: arm.label.clone(),
        side: arm.side,
        seeds: arm.cells.iter().map(|cell| cell.seed).collect(),
        computed_epochs: budgets.collect(),
        networks: networks.collect(),
        costs: arm_costs(arm),
        curves: curves(arm),
    }
}

fn summary((name, test): &(String, KnownTest)) -> TestSummary {
    let speakers: BTreeSet<&str> = test
        .utterances
        .iter()
        .map(|utterance| utterance.speaker.as_deref().unwrap_or(&utterance.id))
        .collect();
    TestSummary {
        name: name.clone(),
        utterances: test.utterances.len(),
        words: test
            .utterances
            .iter()
            .map(|utterance| utterance.words)
            .sum(),
        speakers: speakers.len(),
    }
}

fn machines(records: &[Option<Record>]) -> Vec<RecordedOn> {
    let mut machines: Vec<RecordedOn> = vec![];
    for record in records.iter().flatten() {
        if !machines.contains(&record.environment) {
            machines.push(record.environment.clone());
        }
    }
    machines
}
