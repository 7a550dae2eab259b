//! The tests of a study: read when cells are measured, and kept as a list of utterances, so that
//! reports need no audio.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};
use shared_model::bundle::sha256_hex;
use shared_model::metrics::word_errors;
use shared_model::tokens::normalize_text;

use super::{Study, StudyError, record::write_json};
use crate::{
    config::Recipe,
    data::{Utterance, read_manifest},
};

/// What a study keeps of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownTest {
    /// In the order of the manifest.
    pub utterances: Vec<KnownUtterance>,
}

/// What a study keeps of an utterance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownUtterance {
    /// The manifest's name for it, or its file's stem.
    pub id: String,
    /// Who speaks; without a name an utterance counts as a speaker of its own.
    pub speaker: Option<String>,
    /// Of the reference.
    pub words: usize,
}

/// A test whose audio can be heard.
#[derive(Debug)]
pub(super) struct TestSet {
    pub name: String,
    pub utterances: Vec<Utterance>,
    /// Of what the study keeps of it.
    pub sha256: String,
}

impl Study {
    /// Manifests of the tests: those of the study file, else those of the recipe.
    pub(super) fn test_manifests(&self, recipe: &Recipe) -> BTreeMap<String, PathBuf> {
        match &self.file.tests {
            Some(tests) => tests
                .iter()
                .map(|(name, path)| (name.clone(), self.folder.join(path)))
                .collect(),
            None => recipe.data.test.clone(),
        }
    }

    /// Reads the tests, and keeps what reports need of them.
    ///
    /// # Errors
    /// A manifest that cannot be read, or whose utterances are not those that earlier cells were
    /// measured on.
    pub(super) fn read_tests(&self, recipe: &Recipe) -> Result<Vec<TestSet>, StudyError> {
        let manifests = self.test_manifests(recipe);
        if manifests.is_empty() {
            return Err(self.invalid("there is no test: name manifests under [tests]"));
        }
        manifests
            .into_iter()
            .map(|(name, path)| {
                let utterances = read_manifest(&path).map_err(|source| StudyError::Test {
                    test: name.clone(),
                    source: Box::new(source),
                })?;
                let known = KnownTest::of(&utterances);
                let sha256 = self.keep_test(&name, &known)?;
                Ok(TestSet {
                    name,
                    utterances,
                    sha256,
                })
            })
            .collect()
    }

    pub(super) fn test_path(&self, test: &str) -> PathBuf {
        self.folder.join("tests").join(format!("{test}.json"))
    }

    fn keep_test(&self, name: &str, known: &KnownTest) -> Result<String, StudyError> {
        let path = self.test_path(name);
        match self.known_test(name)? {
            None => write_json(&path, known)?,
            Some(old) if old == *known => {}
            Some(_) => {
                return Err(StudyError::OtherTest {
                    test: name.into(),
                    path,
                });
            }
        }
        Ok(known.sha256())
    }

    /// What the study keeps of a test; `None` before a cell was measured on it.
    ///
    /// # Errors
    /// The file cannot be read, or is of something else.
    pub fn known_test(&self, name: &str) -> Result<Option<KnownTest>, StudyError> {
        let path = self.test_path(name);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(|source| StudyError::Io {
                path: path.clone(),
                source,
            })?,
        };
        let known = serde_json::from_slice(&bytes);
        known.map(Some).map_err(|error| StudyError::Content {
            path,
            reason: error.to_string(),
        })
    }
}

impl KnownTest {
    fn of(utterances: &[Utterance]) -> Self {
        let known = |utterance: &Utterance| KnownUtterance {
            id: utterance.id.clone(),
            speaker: utterance.speaker.clone(),
            words: word_errors(&normalize_text(&utterance.text), "").reference_len,
        };
        Self {
            utterances: utterances.iter().map(known).collect(),
        }
    }

    /// Of the utterances, as records name them.
    pub fn sha256(&self) -> String {
        let mut text = String::new();
        for utterance in &self.utterances {
            let speaker = utterance.speaker.as_deref().unwrap_or_default();
            text += &format!("{}\t{speaker}\t{}\n", utterance.id, utterance.words);
        }
        sha256_hex(text.as_bytes())
    }
}
