//! Hypotheses as a file: what `fledge evaluate --hypotheses` writes and `fledge compare` reads,
//! NeMo-style JSONL.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Evaluated;
use crate::data::Utterance;
use crate::exit_status::{ExitStatus, HasExitStatus};

const MAX_LINE_BYTES: u64 = 1 << 20;
const MAX_LINES: usize = 20_000_000;

/// An utterance with what was heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    /// Its audio file.
    pub audio_filepath: String,
    /// Seconds into the file.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: f64,
    /// Seconds; 0 where nothing says.
    #[serde(default)]
    pub duration: f64,
    /// The reference.
    pub text: String,
    /// What was heard.
    pub pred_text: String,
    /// Who speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// A file of hypotheses that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HypothesisError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line is no hypothesis.
    #[error(
        "{path} line {line}: {reason}; expected what `fledge evaluate --hypotheses FILE` writes"
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// It holds nothing.
    #[error("{path} has no hypothesis")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl HasExitStatus for HypothesisError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Read { .. } | Self::Line { .. } | Self::Empty { .. } => ExitStatus::Data,
        }
    }
}

impl Hypothesis {
    /// Audio file, and offset if there is one.
    pub fn name(&self) -> String {
        match self.offset {
            0.0 => self.audio_filepath.clone(),
            offset => format!("{} at {offset:.2} s", self.audio_filepath),
        }
    }

    /// What a model heard, in the order of the manifest, broken audio left out.
    pub fn of(utterances: &[Utterance], evaluated: &Evaluated) -> Vec<Self> {
        let outcomes = evaluated.outcomes.iter();
        outcomes
            .map(|outcome| {
                let utterance = &utterances[outcome.index];
                Self {
                    audio_filepath: utterance.audio().name().to_string_lossy().into_owned(),
                    offset: utterance.offset_secs,
                    duration: utterance.duration_secs,
                    text: utterance.text.clone(),
                    pred_text: outcome.hypothesis.clone(),
                    speaker: utterance.speaker.clone(),
                }
            })
            .collect()
    }

    /// Reads a file of hypotheses, one JSON object a line.
    ///
    /// # Errors
    /// Names the file and the first line that is no hypothesis.
    pub fn read_all(path: &Path) -> Result<Vec<Self>, HypothesisError> {
        let failed = |source| HypothesisError::Read {
            path: path.to_owned(),
            source,
        };
        let wrong = |line, reason: String| HypothesisError::Line {
            path: path.to_owned(),
            line,
            reason,
        };
        let mut reader = BufReader::new(File::open(path).map_err(failed)?);
        let (mut found, mut bytes) = (vec![], vec![]);
        for number in 1.. {
            bytes.clear();
            let mut limited = (&mut reader).take(MAX_LINE_BYTES + 1);
            if limited.read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
                break;
            }
            if bytes.len() as u64 > MAX_LINE_BYTES || found.len() == MAX_LINES {
                return Err(wrong(number, "the file or the line is too long".to_owned()));
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            let line = serde_json::from_slice(&bytes);
            found.push(line.map_err(|error| wrong(number, error.to_string()))?);
        }
        if found.is_empty() {
            return Err(HypothesisError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(found)
    }
}
