//! Prompts, and the recordings of them in a folder: `001-stop.wav` with `001-stop.txt` beside it, and
//! a manifest of all.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::Serialize;
use shared_model::audio::SAMPLE_RATE_HZ;

use crate::data::{ManifestLine, decode_16k, rounded, wav_bytes};
use crate::files::{partial_path, write_atomically};

/// Of a recording, seconds.
const LENGTH_SECS: std::ops::RangeInclusive<f64> = 0.3..=20.0;
/// Below this no sample of a recording with a voice in it stays.
const LEAST_PEAK: f32 = 0.004;
/// Letters of a prompt in a file name.
const NAME_LETTERS: usize = 40;
const MANIFEST: &str = "recordings.jsonl";

/// A recording that is not kept. The text is for whoever speaks.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// It is none, or of no use.
    #[error("{0}")]
    Unusable(String),
    /// It cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// What is to be said, and where it is kept.
#[derive(Debug)]
struct Prompt {
    text: String,
    stem: String,
}

/// A prompt for the page.
#[derive(Debug, PartialEq, Serialize)]
pub struct PromptState {
    /// What is to be said.
    pub text: String,
    /// Whether it was recorded.
    pub recorded: bool,
}

/// Prompts with their recordings.
#[derive(Debug)]
pub struct Takes {
    folder: PathBuf,
    prompts: Vec<Prompt>,
    /// One change at a time.
    changes: Mutex<()>,
}

impl Takes {
    /// Makes the folder; recordings that are in it stay.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(folder: &Path, texts: &[String]) -> std::io::Result<Self> {
        fs::create_dir_all(folder)?;
        let prompt = |(index, text): (usize, &String)| Prompt {
            stem: stem(index + 1, text),
            text: text.clone(),
        };
        Ok(Self {
            folder: folder.to_owned(),
            prompts: texts.iter().enumerate().map(prompt).collect(),
            changes: Mutex::new(()),
        })
    }

    /// All prompts.
    pub fn state(&self) -> Vec<PromptState> {
        let state = |prompt: &Prompt| PromptState {
            text: prompt.text.clone(),
            recorded: self.file(prompt, "wav").is_file(),
        };
        self.prompts.iter().map(state).collect()
    }

    /// The file of a prompt. Names are made here: nothing that is sent can name another file.
    fn file(&self, prompt: &Prompt, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", prompt.stem))
    }

    /// The recording of a prompt, a WAV file.
    pub fn read(&self, index: usize) -> Option<Vec<u8>> {
        let path = self.file(self.prompts.get(index)?, "wav");
        fs::read(path).ok()
    }

    /// Keeps a recording as 16 kHz WAV in place of an earlier one. `None`: there is no such prompt.
    ///
    /// # Errors
    /// What is sent is no audio, too short, too long or silent, or cannot be written.
    pub fn keep(&self, index: usize, sent: &[u8]) -> Option<Result<(), TakeError>> {
        let prompt = self.prompts.get(index)?;
        let _one = self.changes.lock();
        Some(self.keep_of(prompt, sent))
    }

    fn keep_of(&self, prompt: &Prompt, sent: &[u8]) -> Result<(), TakeError> {
        let path = self.file(prompt, "wav");
        let partial = partial_path(&path);
        fs::write(&partial, sent).map_err(failed(&partial))?;
        let decoded = decode_16k(&partial, 0.0, None);
        let _ = fs::remove_file(&partial);
        let samples = decoded.map_err(|error| TakeError::Unusable(error.reason()))?;
        check(&samples)?;
        write_atomically(&path, &wav_bytes(&samples)).map_err(failed(&path))?;
        let text = self.file(prompt, "txt");
        write_atomically(&text, format!("{}\n", prompt.text).as_bytes()).map_err(failed(&text))?;
        self.write_manifest()
    }

    /// Deletes a recording; whether there is such a prompt.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub fn delete(&self, index: usize) -> Option<Result<(), TakeError>> {
        let prompt = self.prompts.get(index)?;
        let _one = self.changes.lock();
        for path in ["wav", "txt"].map(|extension| self.file(prompt, extension)) {
            if path.exists()
                && let Err(error) = fs::remove_file(&path)
            {
                return Some(Err(failed(&path)(error)));
            }
        }
        Some(self.write_manifest())
    }

    fn write_manifest(&self) -> Result<(), TakeError> {
        let mut lines = String::new();
        for prompt in &self.prompts {
            let Ok(info) = crate::data::read_info(&self.file(prompt, "wav")) else {
                continue;
            };
            let line = ManifestLine {
                audio_filepath: format!("{}.wav", prompt.stem),
                member: None,
                duration: rounded(info.duration_secs.unwrap_or_default()),
                offset: None,
                text: prompt.text.clone(),
                confidence: None,
                speaker: None,
                id: &prompt.stem,
            };
            lines.push_str(&serde_json::to_string(&line).unwrap_or_default());
            lines.push('\n');
        }
        let path = self.folder.join(MANIFEST);
        write_atomically(&path, lines.as_bytes()).map_err(failed(&path))
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> TakeError + use<> {
    let path = path.to_owned();
    move |source| TakeError::Write { path, source }
}

fn check(samples: &[f32]) -> Result<(), TakeError> {
    let secs = samples.len() as f64 / f64::from(SAMPLE_RATE_HZ);
    if !LENGTH_SECS.contains(&secs) {
        return Err(TakeError::Unusable(format!(
            "it is {secs:.1} s long; expected {} to {} s",
            LENGTH_SECS.start(),
            LENGTH_SECS.end()
        )));
    }
    if samples.iter().all(|sample| sample.abs() < LEAST_PEAK) {
        return Err(TakeError::Unusable(
            "it is silent: is it the right microphone, and is it not muted?".to_owned(),
        ));
    }
    Ok(())
}

/// `001-turn-on-the-light`: letters, digits and hyphens alone, whatever the text holds.
fn stem(number: usize, text: &str) -> String {
    let letters = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let name: String = letters.take(NAME_LETTERS).collect();
    format!("{number:03}-{}", name.trim_matches('-').to_lowercase())
}
