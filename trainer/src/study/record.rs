//! What is kept of a finished cell: everything that a report needs of it.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use shared_model::metrics::ErrorCounts;

use super::{StudyError, budget::Budget};
use crate::{
    config::Phase,
    costs::{Cost, PhaseCosts},
    files::{read_limited, write_atomically},
};

const MAX_RECORD_BYTES: u64 = 64 << 20;

/// What a cell was, what it cost, and how well its networks do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub cell: String,
    /// With which seed it was trained.
    pub seed: u64,
    /// SHA-256 of `recipe`'s lines, `key = value`.
    pub fingerprint: String,
    /// What recipe and study state, by dotted key.
    pub recipe: BTreeMap<String, String>,
    /// How its epochs were computed, where they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What computed.
    pub environment: RecordedOn,
    /// Training audio with transcripts, seconds.
    pub training_audio_secs: f64,
    /// SHA-256 of its training and development manifests, in the order of the recipe.
    pub manifests_sha256: Vec<String>,
    /// By phase.
    pub costs: BTreeMap<Phase, PhaseCosts>,
    /// SHA-256 of what the study keeps of each test.
    pub tests_sha256: BTreeMap<String, String>,
    /// Those that it trained.
    pub networks: Vec<NetworkRecord>,
}

/// What computed a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedOn {
    /// The program's version.
    pub fledge: String,
    /// As the program calls it.
    pub device: String,
    /// The operating system.
    pub os: String,
    /// The processor's architecture.
    pub arch: String,
    /// The processor's name, where the system tells it.
    pub processor: String,
    /// Threads that may work at once.
    pub cores: usize,
}

/// A network that a cell trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// `teacher`, or a student's name.
    pub name: String,
    /// Its size.
    pub parameters: usize,
    /// Its blocks.
    pub n_layers: usize,
    /// Their width.
    pub d_model: usize,
    /// Measurements on the development set, in the order in which they were made.
    pub dev: Vec<DevPoint>,
    /// By test: f32 weights, greedy.
    pub tests: BTreeMap<String, TestRecord>,
}

/// A measurement on the development set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DevPoint {
    /// Under way.
    pub phase: Phase,
    /// The one that has ended, 1-based.
    pub epoch: usize,
    /// Whether it is of the mean of the last epochs' weights.
    pub is_average: bool,
    /// CTC loss per label, nats; `None` where it is no finite number.
    pub loss: Option<f64>,
    /// Word error rate, a fraction.
    pub wer: f64,
    /// Character error rate, a fraction.
    pub cer: f64,
    /// Processor seconds of the phase so far, all networks together, without validation.
    pub phase_cpu_secs: f64,
    /// Those of this network alone.
    pub network_cpu_secs: f64,
}

/// A network on a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestRecord {
    /// All utterances together.
    pub words: ErrorCounts,
    /// All utterances together.
    pub characters: ErrorCounts,
    /// CTC loss per label, nats, mean over the utterances that have one.
    pub ctc_loss: Option<f64>,
    /// Word errors of each utterance, in the order of the test.
    #[serde(serialize_with = "to_text", deserialize_with = "from_text")]
    pub errors: Vec<usize>,
}

/// One line instead of one a number.
fn to_text<S: Serializer>(values: &[usize], serializer: S) -> Result<S::Ok, S::Error> {
    let texts: Vec<String> = values.iter().map(usize::to_string).collect();
    serializer.serialize_str(&texts.join(" "))
}

fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<usize>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let values = text.split_whitespace().map(str::parse);
    values
        .collect::<Result<_, _>>()
        .map_err(|_| D::Error::custom("expected whole numbers with spaces between"))
}

impl Record {
    /// What a file holds; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be read, or is no record.
    pub fn read(path: &Path) -> Result<Option<Self>, StudyError> {
        let bytes = match read_limited(path, MAX_RECORD_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(|source| StudyError::Io {
                path: path.into(),
                source,
            })?,
        };
        let record = serde_json::from_slice(&bytes);
        record.map(Some).map_err(|error| StudyError::Content {
            path: path.into(),
            reason: error.to_string(),
        })
    }

    /// Puts it into a file, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), StudyError> {
        write_json(path, self)
    }

    /// What training took, validation left out.
    pub fn training_cpu_secs(&self) -> f64 {
        self.costs
            .values()
            .map(|costs| costs.training.cpu_secs)
            .sum()
    }

    /// Training and validation of all phases.
    pub fn total_cost(&self) -> Cost {
        self.costs.values().map(PhaseCosts::total).sum()
    }

    /// The network with this name.
    pub fn network(&self, name: &str) -> Option<&NetworkRecord> {
        self.networks.iter().find(|network| network.name == name)
    }
}

/// Writes a value as JSON, whole or not at all, into a folder that is made.
pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StudyError> {
    let write = || -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(value).map_err(io::Error::other)?;
        bytes.push(b'\n');
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        write_atomically(path, &bytes)
    };
    write().map_err(|source| StudyError::Io {
        path: path.into(),
        source,
    })
}
