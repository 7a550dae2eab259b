//! What the site offers: its model folders and its sample clips, as small JSON files tell.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::protocol::RemoteFile;

/// The language model in a model folder; the name is `shared_model::bundle`'s.
const LM_FILE: &str = "lm.bin";

/// `models/index.json`: what is on offer, written by hand or by a script.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct ModelIndex {
    pub models: Vec<ModelEntry>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ModelEntry {
    /// The folder, relative to `index.json`.
    pub path: String,
    /// Heading under which the page lists it, such as "Trained just now".
    #[serde(default)]
    pub group: String,
    #[serde(default)]
    pub role: Role,
    /// A language model that goes with it, relative to `index.json`.
    #[serde(default)]
    pub lm: Option<String>,
    /// A larger one that may be chosen in its place.
    #[serde(default)]
    pub large_lm: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    #[default]
    Student,
    /// Taught the others of its group.
    Teacher,
}

/// `models/catalog.json`: the index with everything that the page has to know before it loads a
/// model, so that one request gives it all. The tool `catalog` makes it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Catalog {
    pub models: Vec<CatalogEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogEntry {
    /// The folder, relative to the catalog.
    pub path: String,
    pub group: String,
    pub role: Role,
    /// Its address is relative to the catalog, as is that of the larger one.
    pub lm: Option<RemoteFile>,
    pub large_lm: Option<RemoteFile>,
    /// The text of the folder's manifest, byte for byte: it holds its own digest.
    pub manifest: String,
}

/// The part of a model folder's `manifest.json` that is shown before anything is downloaded.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ModelSummary {
    pub name: String,
    pub parameters: u64,
    pub files: Vec<FileSummary>,
    #[serde(default)]
    pub evaluations: Vec<EvaluationSummary>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FileSummary {
    #[serde(default)]
    pub name: String,
    pub bytes: f64,
    #[serde(default)]
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EvaluationSummary {
    pub set: String,
    pub decoder: String,
    /// File name of the language model, if one was used.
    #[serde(default)]
    pub lm: Option<String>,
    /// Of the references.
    #[serde(default)]
    pub words: u64,
    /// A fraction.
    pub wer: f64,
}

impl ModelSummary {
    /// What a page downloads: configuration, tokens and weights, but neither the card nor a language
    /// model.
    pub fn needed(&self) -> impl Iterator<Item = &FileSummary> {
        let is_needed = |file: &&FileSummary| file.name != LM_FILE && !file.name.ends_with(".md");
        self.files.iter().filter(is_needed)
    }

    pub fn bytes(&self) -> f64 {
        self.needed().map(|file| file.bytes).sum()
    }

    /// The folder's own language model.
    pub fn lm(&self) -> Option<&FileSummary> {
        self.files.iter().find(|file| file.name == LM_FILE)
    }

    /// The error rate on a test set, with a language model of this file name or by the greedy decoder.
    pub fn evaluation(&self, set: &str, lm: Option<&str>) -> Option<&EvaluationSummary> {
        let decoder = if lm.is_some() { "beam" } else { "greedy" };
        self.evaluations
            .iter()
            .find(|one| one.set == set && one.decoder == decoder && one.lm.as_deref() == lm)
    }

    /// The test set of most words, where a rate is surest.
    pub fn largest_set(&self) -> Option<&str> {
        let largest = self.evaluations.iter().max_by_key(|one| one.words)?;
        Some(&largest.set)
    }
}

/// `samples/index.json`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct SampleIndex {
    pub sets: Vec<SampleSet>,
}

/// Clips of one origin.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SampleSet {
    /// Groups of models that these clips are shown for; none: those that no other set names.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Something to say that these models are good at.
    pub prompt: String,
    /// Who speaks and where the clips come from, one sentence.
    pub note: String,
    /// Under what terms they are used.
    pub license: String,
    pub clips: Vec<SampleClip>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SampleClip {
    /// The file, relative to `index.json`.
    pub file: String,
    /// What is said.
    pub text: String,
    /// What the page calls it; a clip without a name serves the check of figures only.
    #[serde(default)]
    pub name: Option<String>,
    pub secs: f64,
    pub bytes: f64,
    /// The evaluation set that it is part of.
    #[serde(default)]
    pub evaluation_set: Option<String>,
}

/// The clips for a group of models: those that name it, else those that name none.
pub fn for_group(sets: &[Rc<SampleSet>], group: &str) -> Option<Rc<SampleSet>> {
    let names = |set: &&Rc<SampleSet>| set.groups.iter().any(|name| name == group);
    let common = |set: &&Rc<SampleSet>| set.groups.is_empty();
    let named = sets.iter().find(names);
    named.or_else(|| sets.iter().find(common)).cloned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MANIFEST: &str = r#"{"format_version":1,"name":"small","description":"d","precision":"int8",
        "parameters":370000,"files":[{"name":"README.md","bytes":7000,"sha256":""},
        {"name":"config.json","bytes":400,"sha256":""},{"name":"tokens.txt","bytes":24,"sha256":""}],
        "evaluations":[{"set":"dev","decoder":"beam","lm":"x.bin","words":9,"wer":0.1},
                       {"set":"test","decoder":"greedy","lm":null,"words":20,"wer":0.2},
                       {"set":"test","decoder":"beam","lm":"x.bin","words":20,"wer":0.15},
                       {"set":"test","decoder":"beam","lm":"x-large.bin","words":20,"wer":0.14}],
        "license":"MIT"}"#;

    #[test]
    fn the_card_and_a_language_model_are_no_part_of_the_download() {
        let summary: ModelSummary = serde_json::from_str(MANIFEST).unwrap();
        assert_eq!((summary.bytes(), summary.lm()), (424.0, None));
        let with_lm = MANIFEST.replace(
            "\"files\":[",
            "\"files\":[{\"name\":\"lm.bin\",\"bytes\":1e6},",
        );
        let summary: ModelSummary = serde_json::from_str(&with_lm).unwrap();
        assert_eq!(summary.bytes(), 424.0);
        assert_eq!(summary.lm().unwrap().bytes, 1e6);
    }

    #[test]
    fn an_error_rate_is_found_by_its_set_and_its_language_model() {
        let summary: ModelSummary = serde_json::from_str(MANIFEST).unwrap();
        assert_eq!(summary.largest_set(), Some("test"));
        let rate = |set, lm| summary.evaluation(set, lm).map(|found| found.wer);
        assert_eq!(rate("test", Some("x.bin")), Some(0.15));
        assert_eq!(rate("test", Some("x-large.bin")), Some(0.14));
        assert_eq!(rate("test", None), Some(0.2));
        assert_eq!(rate("dev", Some("x-large.bin")), None);
        assert_eq!(rate("dev", None), None);
    }

    #[test]
    fn what_is_summed_up_is_what_the_recognizer_needs() {
        let entry = |name: &str, bytes| shared_model::bundle::FileEntry {
            name: name.to_owned(),
            bytes,
            sha256: "0".repeat(64),
        };
        let manifest = shared_model::bundle::Manifest {
            format_version: 1,
            name: "n".to_owned(),
            description: "d".to_owned(),
            precision: shared_model::bundle::Precision::Int8,
            parameters: 7,
            files: vec![
                entry("README.md", 1),
                entry("config.json", 10),
                entry("lm.bin", 100),
                entry("model-q8.safetensors", 1_000),
                entry("tokens.txt", 10_000),
            ],
            evaluations: Vec::new(),
            license: "CC0-1.0".to_owned(),
        };
        let text = serde_json::to_string(&manifest).unwrap();
        let summary: ModelSummary = serde_json::from_str(&text).unwrap();
        let needed: u64 = manifest.needed_files().iter().map(|file| file.bytes).sum();
        assert_eq!(summary.bytes(), needed as f64);
        assert_eq!(summary.largest_set(), None);
    }

    #[test]
    fn the_language_model_is_called_as_in_the_model_folder() {
        assert_eq!(LM_FILE, shared_model::bundle::LM_FILE);
    }

    #[test]
    fn an_entry_needs_neither_group_nor_role() {
        let index: ModelIndex =
            serde_json::from_str(r#"{"models":[{"path":"quick-small"}]}"#).unwrap();
        let entry = &index.models[0];
        assert_eq!(
            (&*entry.group, entry.role, &entry.lm),
            ("", Role::Student, &None)
        );
    }

    #[test]
    fn a_group_gets_its_own_clips_and_any_other_the_common_ones() {
        let set = |groups: &[&str], note: &str| {
            Rc::new(SampleSet {
                groups: groups.iter().map(|name| (*name).to_owned()).collect(),
                prompt: String::new(),
                note: note.to_owned(),
                license: String::new(),
                clips: Vec::new(),
            })
        };
        let sets = [set(&[], "common"), set(&["Digits"], "digits")];
        assert_eq!(for_group(&sets, "Digits").unwrap().note, "digits");
        assert_eq!(for_group(&sets, "Mine").unwrap().note, "common");
    }
}
