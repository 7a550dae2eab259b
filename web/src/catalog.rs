//! What the site offers: its model folders and its sample clips, as small JSON files tell.

use serde::Deserialize;

/// The language model in a model folder; the name is `shared_model::bundle`'s.
const LM_FILE: &str = "lm.bin";

/// `models/index.json`.
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
    /// A language model that goes with it, relative to `index.json`.
    #[serde(default)]
    pub lm: Option<String>,
}

/// The part of a model folder's `manifest.json` that is shown before anything is downloaded.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ModelSummary {
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub precision: String,
    pub parameters: u64,
    pub files: Vec<FileSummary>,
    #[serde(default)]
    pub evaluations: Vec<EvaluationSummary>,
    #[serde(default)]
    pub license: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FileSummary {
    #[serde(default)]
    pub name: String,
    pub bytes: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EvaluationSummary {
    pub set: String,
    pub decoder: String,
    /// Of the references.
    #[serde(default)]
    pub words: u64,
    /// A fraction.
    pub wer: f64,
}

impl ModelSummary {
    /// Size of the download, a language model left out: it is fetched only when it is asked for.
    pub fn bytes(&self) -> f64 {
        let files = self.files.iter().filter(|file| file.name != LM_FILE);
        files.map(|file| file.bytes).sum()
    }
    /// The file name of the folder's own language model.
    pub fn lm(&self) -> Option<&str> {
        let file = self.files.iter().find(|file| file.name == LM_FILE)?;
        Some(&file.name)
    }
    /// The error rate to show: of the greedy decoder, which every student has, on the test set of
    /// most words, where it is surest; else the first one.
    pub fn published(&self) -> Option<&EvaluationSummary> {
        let greedy = self.evaluations.iter().filter(|e| e.decoder == "greedy");
        greedy
            .max_by_key(|evaluation| evaluation.words)
            .or(self.evaluations.first())
    }
}

/// `samples/index.json`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct SampleIndex {
    /// How the clips were made, one sentence.
    #[serde(default)]
    pub note: String,
    pub clips: Vec<SampleClip>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SampleClip {
    /// The file, relative to `index.json`.
    pub file: String,
    /// What is said.
    pub text: String,
    /// Length in seconds, shown beside its number.
    #[serde(default)]
    pub secs: Option<f64>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_manifest_gives_size_and_published_error_rate() {
        let text = r#"{"format_version":1,"name":"quick-small","description":"d","precision":"int8",
            "parameters":370000,"files":[{"name":"a","bytes":400,"sha256":""},{"name":"b","bytes":24,"sha256":""}],
            "evaluations":[{"set":"dev","decoder":"beam","lm":null,"wer":0.1},
                           {"set":"test","decoder":"greedy","lm":null,"words":20,"wer":0.2},
                           {"set":"few","decoder":"greedy","lm":null,"words":9,"wer":0.3}],"license":"MIT"}"#;
        let summary: ModelSummary = serde_json::from_str(text).unwrap();
        assert_eq!((summary.bytes(), summary.lm()), (424.0, None));
        let with_lm = text.replace(
            "\"files\":[",
            "\"files\":[{\"name\":\"lm.bin\",\"bytes\":1e6},",
        );
        let summary: ModelSummary = serde_json::from_str(&with_lm).unwrap();
        assert_eq!((summary.bytes(), summary.lm()), (424.0, Some("lm.bin")));
        assert_eq!(summary.published().unwrap().set, "test");
    }

    #[test]
    fn the_shared_manifest_can_be_read_as_a_summary() {
        let manifest = shared_model::bundle::Manifest {
            format_version: 1,
            name: "n".to_owned(),
            description: "d".to_owned(),
            precision: shared_model::bundle::Precision::Int8,
            parameters: 7,
            files: vec![shared_model::bundle::FileEntry {
                name: "config.json".to_owned(),
                bytes: 12,
                sha256: String::new(),
            }],
            evaluations: Vec::new(),
            license: "CC0-1.0".to_owned(),
        };
        let text = serde_json::to_string(&manifest).unwrap();
        let summary: ModelSummary = serde_json::from_str(&text).unwrap();
        assert_eq!((summary.parameters, summary.bytes()), (7, 12.0));
        assert!(summary.published().is_none());
    }

    #[test]
    fn the_language_model_is_called_as_in_the_model_folder() {
        assert_eq!(LM_FILE, shared_model::bundle::LM_FILE);
    }

    #[test]
    fn an_entry_needs_no_group() {
        let index: ModelIndex =
            serde_json::from_str(r#"{"models":[{"path":"quick-small"}]}"#).unwrap();
        assert_eq!((&*index.models[0].group, &index.models[0].lm), ("", &None));
    }
}
