//! The study file: which arms there are, and what they share.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use toml::Table;

use super::StudyError;
use crate::files::read_limited;

const MAX_STUDY_BYTES: u64 = 1 << 20;
const MAX_NAME_LEN: usize = 60;

/// A study as its file says it. Paths are relative to the file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyFile {
    /// Names the study; its runs go below `runs/studies/NAME` where no other folder is given.
    pub name: String,
    /// Above the report; one line.
    #[serde(default)]
    pub title: String,
    /// Paragraphs above the report's tables: the question, and what was fixed beforehand.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The recipe that every cell begins with.
    pub base: PathBuf,
    /// Each arm is trained once with each.
    pub seeds: Vec<u64>,
    /// Test manifests by name; absent: those of the base recipe.
    pub tests: Option<BTreeMap<String, PathBuf>>,
    /// The arm that stands for training alone: speed-ups count to its error rates.
    pub reference: Option<String>,
    /// Keys of the base recipe, changed for all cells.
    #[serde(default)]
    pub overrides: Table,
    /// By the id of a cell whose machine was slower or busier than the others': the cell whose epochs say
    /// what its own cost.
    #[serde(default)]
    pub costs_as: BTreeMap<String, String>,
    /// Teachers that arms share.
    #[serde(default, rename = "teacher")]
    pub teachers: Vec<SharedTeacher>,
    /// What is compared.
    #[serde(default, rename = "arm")]
    pub arms: Vec<Arm>,
}

/// A teacher that is trained once a seed and used by all arms that name it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedTeacher {
    /// Names it and its cells, `teacher-NAME.seedN`.
    pub name: String,
    /// What reports call it.
    #[serde(default)]
    pub label: String,
    /// Keys of the recipe, changed for it; those below `teacher` hold for its arms as well.
    #[serde(default)]
    pub overrides: Table,
}

/// One way to train students.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Names it and its cells, `NAME.seedN`.
    pub name: String,
    /// What reports call it.
    #[serde(default)]
    pub label: String,
    /// On which side of the comparison it stands.
    pub role: Role,
    /// Keys of the recipe, changed for this arm.
    #[serde(default)]
    pub overrides: Table,
    /// Only these of the study's seeds.
    pub seeds: Option<Vec<u64>>,
    /// Only these of the recipe's students.
    pub sizes: Option<Vec<String>>,
    /// The shared teacher that it uses.
    pub teacher: Option<String>,
    /// Where its students start: an arm, for its students of the same names, or a table from
    /// student to `ARM/NETWORK`.
    pub start: Option<Start>,
    /// Epochs that follow from what other arms have cost.
    pub equal_compute: Option<EqualCompute>,
}

/// On which side of the comparison an arm stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Tested against every baseline.
    Ours,
    /// What ours is tested against.
    Baseline,
    /// A published form of the method, shown beside the others.
    Paper,
}

/// Where an arm's students start.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Start {
    /// From the students of an arm that have the same names.
    Arm(String),
    /// From `ARM/NETWORK`, by student.
    Networks(BTreeMap<String, String>),
}

/// An arm gets the processor seconds that another took, shared teacher and starts included; its
/// epochs are those that fit, rounded up, at what an epoch of `rate` cost with the same seed, beside
/// what else that arm cost.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EqualCompute {
    /// The arm whose whole cost it gets.
    pub of: String,
    /// The arm whose training an epoch of this one costs: the same but for its epochs.
    pub rate: String,
    /// The recipe key that holds the epochs of both.
    pub epochs: String,
}

impl StudyFile {
    /// Reads and checks a study file; its recipes are checked where cells are made.
    ///
    /// # Errors
    /// Names file, line or part, and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, StudyError> {
        let read = |source| StudyError::Read {
            path: path.into(),
            source,
        };
        let bytes = read_limited(path, MAX_STUDY_BYTES).map_err(read)?;
        let text = String::from_utf8(bytes).map_err(|_| StudyError::Syntax {
            path: path.into(),
            line: 1,
            reason: "it is not UTF-8 text".into(),
        })?;
        let study: Self = toml::from_str(&text).map_err(|error| {
            let byte = error.span().map_or(0, |span| span.start);
            let before = text.get(..byte).unwrap_or_default();
            StudyError::Syntax {
                path: path.into(),
                line: before.matches('\n').count() + 1,
                reason: error.message().lines().collect::<Vec<_>>().join(", "),
            }
        })?;
        study.check().map_err(|reason| StudyError::Invalid {
            path: path.into(),
            reason,
        })?;
        Ok(study)
    }

    /// The arm with this name.
    pub fn arm(&self, name: &str) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.name == name)
    }

    /// The arm that speed-ups count to: the one that `reference` names, else the first baseline.
    pub fn reference_arm(&self) -> Option<&Arm> {
        match &self.reference {
            Some(name) => self.arm(name),
            None => self.arms.iter().find(|arm| arm.role == Role::Baseline),
        }
    }

    fn check(&self) -> Result<(), String> {
        check_name("name", &self.name)?;
        check_distinct("seeds", self.seeds.iter())?;
        if self.seeds.is_empty() || self.arms.is_empty() {
            return Err("a study needs `seeds` and at least one [[arm]]".into());
        }
        check_distinct("teacher", self.teachers.iter().map(|teacher| &teacher.name))?;
        check_distinct("arm", self.arms.iter().map(|arm| &arm.name))?;
        for teacher in &self.teachers {
            check_name("teacher", &teacher.name)?;
        }
        for arm in &self.arms {
            check_name("arm", &arm.name)?;
            self.check_arm(arm)
                .map_err(|reason| format!("arm \"{}\": {reason}", arm.name))?;
        }
        for test in self.tests.iter().flat_map(BTreeMap::keys) {
            check_name("test", test)?;
        }
        match &self.reference {
            Some(name) if self.arm(name).is_none() => {
                Err(format!("`reference` names \"{name}\", which is no arm"))
            }
            _ => Ok(()),
        }
    }

    fn check_arm(&self, arm: &Arm) -> Result<(), String> {
        if arm.name.starts_with(TEACHER_PREFIX) {
            return Err(format!("names with {TEACHER_PREFIX} are those of teachers"));
        }
        let seeds = arm.seeds.iter().flatten();
        if let Some(seed) = seeds.clone().find(|seed| !self.seeds.contains(seed)) {
            return Err(format!("seed {seed} is none of the study's"));
        }
        check_distinct("seeds", seeds)?;
        check_distinct("sizes", arm.sizes.iter().flatten())?;
        if let Some(name) = &arm.teacher
            && !self.teachers.iter().any(|teacher| &teacher.name == name)
        {
            return Err(format!("teacher \"{name}\" is no [[teacher]]"));
        }
        if let Some(Start::Networks(networks)) = &arm.start
            && let Some((student, from)) = networks.iter().find(|(_, from)| !from.contains('/'))
        {
            return Err(format!(
                "`start.{student}` is \"{from}\", expected \"ARM/NETWORK\""
            ));
        }
        for other in arm.arms_needed() {
            let Some(other) = self.arm(other) else {
                return Err(format!("\"{other}\" is no arm"));
            };
            let missing = |seed: &&u64| !self.seeds_of(other).contains(seed);
            if let Some(seed) = self.seeds_of(arm).iter().find(missing) {
                return Err(format!("\"{}\" is not run with seed {seed}", other.name));
            }
        }
        self.check_circle(arm)
    }

    /// The seeds that an arm is run with.
    pub fn seeds_of<'a>(&'a self, arm: &'a Arm) -> &'a [u64] {
        arm.seeds.as_deref().unwrap_or(&self.seeds)
    }

    /// An error if an arm needs itself.
    fn check_circle(&self, arm: &Arm) -> Result<(), String> {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut left = arm.arms_needed();
        while let Some(name) = left.pop() {
            if name == arm.name {
                return Err("it needs itself".into());
            }
            if reached.insert(name)
                && let Some(other) = self.arm(name)
            {
                left.extend(other.arms_needed());
            }
        }
        Ok(())
    }
}

/// Begins the names of teachers' cells.
pub(super) const TEACHER_PREFIX: &str = "teacher-";

impl Arm {
    /// Where each of `students` starts that starts from another arm: student, arm, network.
    pub(super) fn starts<'a>(&'a self, students: &'a [String]) -> Vec<(&'a str, &'a str, &'a str)> {
        match &self.start {
            None => vec![],
            Some(Start::Arm(arm)) => students
                .iter()
                .map(|student| (student.as_str(), arm.as_str(), student.as_str()))
                .collect(),
            Some(Start::Networks(networks)) => networks
                .iter()
                .filter_map(|(student, from)| {
                    let (arm, network) = from.split_once('/')?;
                    Some((student.as_str(), arm, network))
                })
                .collect(),
        }
    }

    /// Names of the arms whose students this one's start from.
    pub(super) fn start_arms(&self) -> Vec<&str> {
        match &self.start {
            None => vec![],
            Some(Start::Arm(arm)) => vec![arm],
            Some(Start::Networks(networks)) => networks
                .values()
                .filter_map(|from| Some(from.split_once('/')?.0))
                .collect(),
        }
    }

    /// Names of the arms whose weights or costs this one needs.
    fn arms_needed(&self) -> Vec<&str> {
        let mut names = self.start_arms();
        if let Some(equal) = &self.equal_compute {
            names.extend([equal.of.as_str(), equal.rate.as_str()]);
        }
        names
    }
}

/// Names become file names and parts of ids.
fn check_name(what: &str, name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= MAX_NAME_LEN && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(format!(
        "{what} \"{name}\": a name has 1 to {MAX_NAME_LEN} of a-z, 0-9, - and _"
    ))
}

fn check_distinct<T: Ord + std::fmt::Display>(
    what: &str,
    values: impl Iterator<Item = T>,
) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for value in values {
        let text = value.to_string();
        if !seen.insert(value) {
            return Err(format!("{what}: {text} is there twice"));
        }
    }
    Ok(())
}
