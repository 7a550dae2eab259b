//! The recipe of a cell: the base recipe with the overrides of study, teacher and arm, and what the
//! cell gets from others. Its fingerprint says whether a record still belongs to it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use shared_model::bundle::sha256_hex;
use toml::{Table, Value};

use super::{Study, StudyError, budget::Budget, cell::Part};
use crate::{
    config::{Recipe, leads_to_path},
    run_folder::{flatten, is_free},
    train::TEACHER,
};

/// What a cell trains, decided.
#[derive(Debug, Clone)]
pub struct CellRecipe {
    /// With absolute paths.
    pub recipe: Recipe,
    /// What recipe and overrides state, by dotted key, with paths as they are written; models of
    /// other cells are named by id and fingerprint. Defaults are left out, so that a new key with
    /// one changes nothing.
    pub stated: BTreeMap<String, String>,
    /// SHA-256 of `stated`.
    pub fingerprint: String,
    /// How its epochs were computed, where they were.
    pub budget: Option<Budget>,
}

/// A recipe key and its value, from the study file or computed.
#[derive(Debug, Clone)]
struct Override {
    keys: Vec<String>,
    value: Value,
}

/// How paths and models of other cells are written.
enum Form {
    /// As files on this machine.
    Files,
    /// The same wherever the study lies.
    Portable,
}

impl Study {
    /// The recipe of a cell.
    ///
    /// # Errors
    /// Overrides that make no recipe; [`StudyError::NoCosts`] where the cell's epochs follow from
    /// records that are not there.
    pub fn cell_recipe(&self, index: usize) -> Result<CellRecipe, StudyError> {
        let budget = self.budget(index)?;
        let in_part = |source| StudyError::Recipe {
            part: self.cells[index].part.title(&self.file),
            source: Box::new(source),
        };
        let files = self.overrides(index, &Form::Files, budget.as_ref())?;
        let mut recipe = Recipe::load(&self.base, &files).map_err(in_part)?;
        if self.sizes(index).is_some() {
            recipe.students.retain(|s| self.is_trained(index, &s.name));
            let text = recipe.to_toml().map_err(in_part)?;
            let name = self.cells[index].part.title(&self.file);
            recipe = Recipe::parse(&text, &name, Path::new(""), &[]).map_err(in_part)?;
        }
        if recipe.compute.shards == 0 {
            return Err(self.invalid(
                "compute.shards decides how sums are rounded: state it under [overrides], so that \
                 cells are the same on every machine",
            ));
        }
        let portable = self.overrides(index, &Form::Portable, budget.as_ref())?;
        let mut table = Recipe::stated(&self.base_text, &portable).map_err(in_part)?;
        if let Some(Value::Array(students)) = table.get_mut("student") {
            students.retain(|s| self.is_trained(index, name_of(s)));
        }
        let mut stated = BTreeMap::new();
        flatten("", &Value::Table(table), &mut stated);
        stated.retain(|key, _| key != "name" && !is_free(key));
        let lines: Vec<String> = stated.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        Ok(CellRecipe {
            recipe,
            fingerprint: sha256_hex(lines.join("\n").as_bytes()),
            stated,
            budget,
        })
    }

    fn sizes(&self, index: usize) -> Option<&[String]> {
        self.cells[index].part.arm(&self.file)?.sizes.as_deref()
    }

    fn is_trained(&self, index: usize, student: &str) -> bool {
        self.sizes(index)
            .is_none_or(|sizes| sizes.iter().any(|size| size == student))
    }

    /// What changes the base recipe for a cell, as `--set` takes it.
    fn overrides(
        &self,
        index: usize,
        form: &Form,
        budget: Option<&Budget>,
    ) -> Result<Vec<String>, StudyError> {
        let cell = &self.cells[index];
        let mut all = stated_by(&self.file.overrides);
        match cell.part {
            Part::Teacher(at) => {
                all.extend(stated_by(&self.file.teachers[at].overrides));
                all.push(Override::new("student", Value::Array(vec![])));
            }
            Part::Arm(at) => {
                if let Some(teacher) = cell.part.teacher(&self.file) {
                    let overrides = stated_by(&teacher.overrides).into_iter();
                    all.extend(overrides.filter(|o| o.keys[0] == "teacher"));
                }
                all.extend(stated_by(&self.file.arms[at].overrides));
            }
        }
        if let Form::Files = form {
            for given in &mut all {
                resolve(&mut given.value, &mut given.keys.clone(), &self.folder);
            }
        }
        all.extend(self.taken_from_others(index, form, &all)?);
        if let Some(budget) = budget {
            all.push(Override::new(&budget.key, Value::Integer(budget.epochs)));
        }
        let seed = i64::try_from(cell.seed)
            .map_err(|_| self.invalid(&format!("seed {} is too large", cell.seed)))?;
        all.push(Override::new("seed", Value::Integer(seed)));
        all.push(Override::new("name", Value::String(cell.id.clone())));
        Ok(all.iter().map(Override::as_set).collect())
    }

    /// The models of other cells that a cell begins with.
    fn taken_from_others(
        &self,
        index: usize,
        form: &Form,
        before: &[Override],
    ) -> Result<Vec<Override>, StudyError> {
        let cell = &self.cells[index];
        let Some(arm) = cell.part.arm(&self.file) else {
            return Ok(vec![]);
        };
        let mut taken = vec![];
        if let Some(teacher) = cell.part.teacher(&self.file) {
            let id = format!("teacher-{}.seed{}", teacher.name, cell.seed);
            let model = self.model_of(&id, TEACHER, form)?;
            taken.push(Override::new("teacher.from", Value::String(model)));
        }
        let students = self.student_names(index, before)?;
        for (student, from, network) in arm.starts(&students) {
            let id = format!("{from}.seed{}", cell.seed);
            let model = self.model_of(&id, network, form)?;
            let at = |key: &str| format!("student.{student}.{key}");
            // The start takes the place of any other.
            taken.push(Override::new(&at("init"), Value::String("random".into())));
            taken.push(Override::new(&at("init_from"), Value::String(model)));
        }
        Ok(taken)
    }

    /// Names of the students that a cell trains.
    fn student_names(
        &self,
        index: usize,
        overrides: &[Override],
    ) -> Result<Vec<String>, StudyError> {
        let set: Vec<String> = overrides.iter().map(Override::as_set).collect();
        let table = Recipe::stated(&self.base_text, &set).map_err(|source| StudyError::Recipe {
            part: self.cells[index].part.title(&self.file),
            source: Box::new(source),
        })?;
        let students = table.get("student").and_then(Value::as_array);
        let names: Vec<String> = students
            .into_iter()
            .flatten()
            .map(|student| name_of(student).to_owned())
            .collect();
        if let Some(unknown) = self
            .sizes(index)
            .and_then(|sizes| sizes.iter().find(|size| !names.contains(size)))
        {
            return Err(self.invalid(&format!(
                "{}: the recipe has no student \"{unknown}\" (it has {})",
                self.cells[index].part.title(&self.file),
                names.join(", ")
            )));
        }
        let mut names = names;
        names.retain(|name| self.is_trained(index, name));
        Ok(names)
    }

    fn model_of(&self, id: &str, network: &str, form: &Form) -> Result<String, StudyError> {
        let index = self.find(id)?;
        match form {
            Form::Files => {
                let folder = self.model_folder(index, network);
                Ok(folder.display().to_string())
            }
            Form::Portable => {
                let fingerprint = self.cell_recipe(index)?.fingerprint;
                Ok(format!("cell {id} {fingerprint} {network}"))
            }
        }
    }

    /// Where the model of a cell's network is, or will be.
    pub(super) fn model_folder(&self, index: usize, network: &str) -> PathBuf {
        self.run_folder(index).join("models").join(network)
    }
}

impl Override {
    fn new(key: &str, value: Value) -> Self {
        Self {
            keys: key.split('.').map(str::to_owned).collect(),
            value,
        }
    }

    fn as_set(&self) -> String {
        format!("{}={}", self.keys.join("."), self.value)
    }
}

fn name_of(student: &Value) -> &str {
    let name = student.get("name").and_then(Value::as_str);
    name.unwrap_or_default()
}

/// The keys that a table of overrides states, each with its value.
fn stated_by(table: &Table) -> Vec<Override> {
    fn walk(keys: &[String], value: &Value, found: &mut Vec<Override>) {
        match value {
            Value::Table(table) if !keys.is_empty() || !table.is_empty() => {
                for (key, value) in table {
                    let parts = key.split('.').map(str::to_owned);
                    let keys: Vec<String> = keys.iter().cloned().chain(parts).collect();
                    walk(&keys, value, found);
                }
            }
            value => found.push(Override {
                keys: keys.to_vec(),
                value: value.clone(),
            }),
        }
    }
    let mut found = vec![];
    walk(&[], &Value::Table(table.clone()), &mut found);
    found.retain(|given| !given.keys.is_empty());
    found
}

/// Makes the paths in a value count from `folder`.
fn resolve(value: &mut Value, keys: &mut Vec<String>, folder: &Path) {
    match value {
        Value::String(path) if leads_to_path(keys) && !path.is_empty() => {
            *path = folder.join(&*path).display().to_string();
        }
        Value::Array(items) if leads_to_path(keys) => {
            items
                .iter_mut()
                .for_each(|item| resolve(item, keys, folder));
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                resolve_below(item, index.to_string(), keys, folder);
            }
        }
        Value::Table(table) => {
            for (key, value) in table.iter_mut() {
                resolve_below(value, key.to_owned(), keys, folder);
            }
        }
        _ => {}
    }
}

fn resolve_below(value: &mut Value, key: String, keys: &mut Vec<String>, folder: &Path) {
    keys.push(key);
    resolve(value, keys, folder);
    keys.pop();
}
