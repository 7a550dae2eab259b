//! Adaptation: from a list of phrases to students that hear it, in minutes. The phrases are spoken by
//! the voices that are installed, and students start from shipped weights and learn by the two steps
//! of any recipe, beside other speech that keeps them from forgetting.

mod amounts;
mod corpus;
mod error;
mod finish;
mod judge;
mod measured;
mod other_speech;
mod plan;
mod recipe;
mod recordings;
mod report;
mod speak;
mod students;
mod texts;
mod voices;

pub use error::AdaptError;
pub use judge::Figures;
pub use recordings::LEAST_TO_KEEP_BACK;
pub use report::{AdaptReport, AdaptedStudent, TriedStrength};

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use crate::cluster::Team;
use crate::config::Recipe;
use crate::device::OpenDevice;
use crate::evaluate::{PhraseFile, read_lm};
use crate::files::write_atomically;
use crate::session::{Session, TrainedRun};
use amounts::Amounts;
use corpus::{Corpus, General, Ingredients};
use other_speech::OtherSpeech;
use plan::Plan;
use students::Models;
use voices::{Cast, described, installed};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct AdaptOptions {
    /// The list.
    pub phrases: PathBuf,
    /// Model folders of the students.
    pub from: Vec<PathBuf>,
    /// Model folder; absent: the `...-teacher` beside the first student.
    pub teacher: Option<PathBuf>,
    /// Manifests of other people's speech; none: sentences of a language model are spoken.
    pub speech: Vec<PathBuf>,
    /// Language model whose sentences are spoken; absent: the one of the catalogue beside the first
    /// student.
    pub lm: Option<PathBuf>,
    /// Folder of own recordings with a text file beside each.
    pub recordings: Option<PathBuf>,
    /// Where everything is put.
    pub run: PathBuf,
    /// Budget on an idle machine.
    pub minutes: f64,
    /// How far the students go from their shipped weights to what was learned, 0 to 1; absent:
    /// [`DEFAULT_STRENGTH`], or with [`LEAST_TO_KEEP_BACK`] recordings, where those that are kept back are
    /// heard best.
    pub strength: Option<f32>,
    /// Of every draw.
    pub seed: u64,
    /// Delete what an earlier adaptation left in the folder.
    pub fresh: bool,
    /// Threads on the CPU.
    pub threads: usize,
    /// No progress on standard error.
    pub quiet: bool,
}

/// An adaptation under way.
struct Adaptation<'a> {
    options: &'a AdaptOptions,
    file: PhraseFile,
    models: Models,
    device: &'a OpenDevice,
    stop: &'a AtomicBool,
    tell: &'a dyn Fn(String),
}

/// Where no recordings tell how far to go: further on, the voices that taught are heard better, and
/// people worse.
pub const DEFAULT_STRENGTH: f32 = 0.3;

/// Own recordings are heard so many times an epoch: they are few, and they are what counts.
const TIMES_RECORDINGS: usize = 3;

/// Adapts students to a list, or goes on where an earlier process stopped.
///
/// # Errors
/// What is asked for cannot be used, or training stopped: see [`AdaptError`].
pub fn adapt(
    options: &AdaptOptions,
    device: &OpenDevice,
    stop: &AtomicBool,
    tell: &dyn Fn(String),
) -> Result<AdaptReport, AdaptError> {
    let file = PhraseFile::read(&options.phrases)?;
    let models = Models::read(&options.from, options.teacher.as_deref())?;
    let plan = Plan::of(options, &file.text, &models.teacher.0);
    let adaptation = Adaptation {
        options,
        file,
        models,
        device,
        stop,
        tell,
    };
    let voices = installed();
    if voices.is_empty() {
        return Err(AdaptError::NoVoices);
    }
    let general = adaptation.general()?;
    plan.open(&options.run, options.fresh)?;
    if let Some(report) = adaptation.finished() {
        return Ok(report);
    }
    let spoken_by = described(&voices);
    tell(format!("voices: {spoken_by}"));
    let corpus = adaptation.corpus(&general, &Cast::of(voices))?;
    let recordings = adaptation.recordings()?;
    let recipe = adaptation.recipe(&corpus, &general, &spoken_by, recordings.as_ref())?;
    let run = adaptation.train(&recipe)?;
    let kept_back = recordings.and_then(|recordings| recordings.kept_back);
    let kept_back = kept_back.map(|manifest| adaptation.path(&manifest));
    let report = adaptation.judged(&corpus, &run, kept_back.as_deref(), spoken_by)?;
    adaptation.keep(&report)?;
    Ok(report)
}

impl Adaptation<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.options.run.join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), AdaptError> {
        let path = self.path(name);
        write_atomically(&path, content).map_err(AdaptError::file(&path))
    }

    /// The report of an adaptation that has come to its end. Another strength needs no training.
    fn finished(&self) -> Option<AdaptReport> {
        let json = fs::read(self.path("report.json")).ok()?;
        let report: AdaptReport = serde_json::from_slice(&json).ok()?;
        let asked = self.options.strength;
        (asked == report.asked_strength || asked == Some(report.strength)).then_some(report)
    }

    fn general(&self) -> Result<General, AdaptError> {
        if !self.options.speech.is_empty() {
            let speech = OtherSpeech::read(&self.options.speech, self.options.seed)?;
            return Ok(General::Speech(speech));
        }
        let path = match &self.options.lm {
            Some(path) => path.clone(),
            None => self.models.language_model()?,
        };
        Ok(General::Text(Box::new(read_lm(&path)?)))
    }

    fn corpus(&self, general: &General, cast: &Cast) -> Result<Corpus, AdaptError> {
        let corpus = Corpus::at(self.path("speech"));
        let loaded = &self.models.students[0].1;
        // Words that a model cannot write are told before anything is spoken.
        for (_, loaded) in &self.models.students {
            self.file.decoder(loaded, None, false)?;
        }
        corpus.make(&Ingredients {
            file: &self.file,
            decoder: &self.file.decoder(loaded, None, false)?,
            tokens: &loaded.tokens,
            general,
            cast,
            amounts: Amounts::of(self.options.minutes),
            seed: self.options.seed,
            threads: self.options.threads,
            stop: self.stop,
            tell: self.tell,
        })?;
        corpus.join(&["dev-phrases", "dev-general"], "dev")?;
        Ok(corpus)
    }

    fn train(&self, recipe: &Recipe) -> Result<TrainedRun, AdaptError> {
        let path = self.path("recipe.toml");
        let text = fs::read_to_string(&path).map_err(AdaptError::file(&path))?;
        let session = Session {
            recipe: recipe.clone(),
            recipe_text: &text,
            path: &self.path("training"),
            fresh: false,
            phase: None,
            device: self.device,
            quiet: self.options.quiet,
            max_steps: None,
            team: Team::alone(),
            stop: self.stop,
        };
        Ok(session.run()?)
    }
}
