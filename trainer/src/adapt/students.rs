//! The models that an adaptation begins with.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use shared_model::bundle::LoadedModel;

use super::AdaptError;
use super::recipe::Student;
use crate::model_folder;
use crate::train::TEACHER;

/// Students and their teacher, each with its folder.
pub struct Models {
    /// At least one.
    pub students: Vec<(PathBuf, LoadedModel)>,
    /// Frozen.
    pub teacher: (PathBuf, LoadedModel),
}

/// What a model is called: as its folder.
pub fn name_of(folder: &Path) -> String {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    real.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The catalogue of a folder of models, of which only this is read.
#[derive(Deserialize)]
struct Catalogue {
    models: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    lm: Option<String>,
}

impl Models {
    /// Reads all, and checks that they belong together.
    ///
    /// # Errors
    /// A folder that is no model, two of one name, or students that spell or hear otherwise than
    /// their teacher.
    pub fn read(from: &[PathBuf], teacher: Option<&Path>) -> Result<Self, AdaptError> {
        let mut students: Vec<(PathBuf, LoadedModel)> = Vec::new();
        for folder in from {
            let name = name_of(folder);
            if name == TEACHER || students.iter().any(|(known, _)| name_of(known) == name) {
                return Err(AdaptError::SameName { name });
            }
            students.push((folder.clone(), model_folder::read(folder)?));
        }
        let folder = match (teacher, from.first()) {
            (Some(folder), _) => folder.to_owned(),
            (None, first) => teacher_beside(first.map_or(Path::new(""), PathBuf::as_path))?,
        };
        let teacher = model_folder::read(&folder)?;
        for (path, student) in &students {
            let what = if student.tokens != teacher.tokens {
                "tokens"
            } else if student.features != teacher.features {
                "features"
            } else {
                continue;
            };
            return Err(AdaptError::Unlike {
                folder: path.clone(),
                teacher: folder,
                what,
            });
        }
        Ok(Self {
            students,
            teacher: (folder, teacher),
        })
    }

    /// The language model that the catalogue beside the first student names for it.
    ///
    /// # Errors
    /// There is none.
    pub fn language_model(&self) -> Result<PathBuf, AdaptError> {
        let first = self
            .students
            .first()
            .map_or(Path::new(""), |(folder, _)| folder);
        let beside = beside(first);
        let catalogue = beside.join("index.json");
        let text = std::fs::read(&catalogue).ok();
        let read: Option<Catalogue> = text.and_then(|text| serde_json::from_slice(&text).ok());
        let name = name_of(first);
        let entries = read.map(|catalogue| catalogue.models).unwrap_or_default();
        let own = entries.into_iter().find(|entry| entry.path == name);
        match own.and_then(|entry| entry.lm) {
            Some(lm) => Ok(beside.join(lm)),
            None => Err(AdaptError::NoGeneralSpeech {
                looked_in: catalogue,
            }),
        }
    }

    /// The students as a recipe has them.
    pub fn recipe_students(&self) -> Vec<Student<'_>> {
        let students = self.students.iter();
        let students = students.map(|(folder, loaded)| Student {
            name: name_of(folder),
            folder,
            loaded,
        });
        students.collect()
    }
}

fn beside(folder: &Path) -> PathBuf {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    real.parent().map(Path::to_owned).unwrap_or_default()
}

/// `english-teacher` beside `english-small`.
fn teacher_beside(student: &Path) -> Result<PathBuf, AdaptError> {
    let name = name_of(student);
    let family = name
        .rsplit_once('-')
        .map_or(name.as_str(), |(family, _)| family);
    let looked_for = beside(student).join(format!("{family}-{TEACHER}"));
    match looked_for.is_dir() {
        true => Ok(looked_for),
        false => Err(AdaptError::NoTeacher { looked_for }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shipped(name: &str) -> PathBuf {
        Path::new("../www/models").join(name)
    }

    #[test]
    fn teacher_and_language_model_of_a_shipped_family_are_found_beside_it() {
        let models = Models::read(&[shipped("english-tiny")], None).unwrap();
        assert_eq!(name_of(&models.teacher.0), "english-teacher");
        assert!(models.language_model().unwrap().ends_with("lm/english.bin"));
    }

    #[test]
    fn models_that_do_not_belong_together_are_refused_in_words() {
        let refused = |from: &[PathBuf], teacher: Option<&Path>| {
            let error = Models::read(from, teacher).err().unwrap();
            error.to_string()
        };
        let tiny = shipped("english-tiny");
        let twice = [tiny.clone(), tiny.clone()];
        assert!(refused(&twice, None).contains("two model folders are called english-tiny"));
        assert!(refused(&[shipped("quick-tiny")], None).contains("quick-teacher"));
        let none = refused(&[shipped("none")], None);
        assert!(none.contains("none"), "{none}");
    }
}
