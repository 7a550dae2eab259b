//! The recipe of an adaptation: from what was spoken, and from what this machine does in the minutes
//! that it has.

use std::path::Path;

use super::amounts::{Epochs, StepRates};
use super::corpus::{Corpus, General};
use super::recipe;
use super::recordings::Recordings;
use super::{AdaptError, Adaptation, TIMES_RECORDINGS};
use crate::bench::{Options, phase_rates};
use crate::config::{Phase, Recipe};
use crate::data::recipe_utterances;

/// Of an utterance, where steps are measured.
const UTTERANCE_SECS: f64 = 3.0;

impl Adaptation<'_> {
    /// Writes the recipe, unless it is there, and reads it.
    pub(super) fn recipe(
        &self,
        corpus: &Corpus,
        general: &General,
        spoken_by: &str,
        recordings: Option<&Recordings>,
    ) -> Result<Recipe, AdaptError> {
        let path = self.path("recipe.toml");
        if !path.exists() {
            let sets = ["phrases", "others", "general", "background"];
            let there = sets.into_iter().filter(|set| corpus.manifest(set).exists());
            let mut train: Vec<String> = there.map(|set| format!("speech/{set}.jsonl")).collect();
            if let Some(recordings) = recordings {
                train.extend(vec![recordings.taught.clone(); TIMES_RECORDINGS]);
            }
            let count = recordings.map(|recordings| recordings.num_taught);
            let data = self.data_lines(corpus, general, spoken_by, count)?;
            let text = self.recipe_text(corpus, &train, &data)?;
            self.write("recipe.toml", text.as_bytes())?;
        }
        Ok(Recipe::load(&path, &[])?)
    }

    fn recipe_text(
        &self,
        corpus: &Corpus,
        train: &[String],
        data: &[String],
    ) -> Result<String, AdaptError> {
        let stem = self.options.phrases.file_stem().unwrap_or_default();
        let students = self.models.recipe_students();
        let tests = ["phrases", "general"].map(|set| (set, format!("test-{set}")));
        let there = tests
            .into_iter()
            .filter(|(_, set)| corpus.manifest(set).exists());
        let tests: Vec<_> = there
            .map(|(name, set)| (name, format!("speech/{set}.jsonl")))
            .collect();
        let (teacher_folder, teacher) = &self.models.teacher;
        let text = |epochs| {
            let text = recipe::text(&recipe::Parts {
                list: &stem.to_string_lossy(),
                run: &self.options.run,
                students: &students,
                teacher: (teacher, teacher_folder),
                train,
                tests: &tests,
                epochs,
                data,
                seed: self.options.seed,
            });
            let path = self.path("recipe.toml");
            text.map_err(|error| AdaptError::file(&path)(std::io::Error::other(error)))
        };
        let once = Epochs {
            distill: 1,
            finetune: 1,
        };
        let draft = Recipe::parse(&text(once)?, "recipe.toml", &self.options.run, &[])?;
        text(self.epochs(&draft)?)
    }

    /// What fits into the minutes, by steps of the recipe's networks on this machine.
    fn epochs(&self, draft: &Recipe) -> Result<Epochs, AdaptError> {
        let (all_secs, transcribed_secs) = audio_secs(draft)?;
        let vocab_size = self.models.teacher.1.tokens.len();
        let batch_secs = f64::from(draft.data.batch_seconds);
        let options = Options {
            utterances: ((batch_secs / UTTERANCE_SECS).round() as usize).max(1),
            seconds: UTTERANCE_SECS,
            repeats: 3,
        };
        let mut rates = StepRates::default();
        for rate in phase_rates(draft, vocab_size, options)? {
            let cpu_secs = rate.pass_cpu_per_audio_sec + rate.update_cpu_secs / batch_secs;
            let secs = cpu_secs / self.options.threads.max(1) as f64;
            match rate.phase {
                Phase::Distill => rates.distill = secs,
                Phase::Finetune => rates.finetune = secs,
                Phase::Teach => {}
            }
        }
        let epochs = Epochs::of(self.options.minutes, rates, all_secs, transcribed_secs);
        (self.tell)(format!(
            "{:.1} minutes of audio; {} epochs of step 1 and {} of step 2 fit into {} minutes",
            all_secs / 60.0,
            epochs.distill,
            epochs.finetune,
            self.options.minutes
        ));
        Ok(epochs)
    }

    /// Lines of the cards on what was heard.
    fn data_lines(
        &self,
        corpus: &Corpus,
        general: &General,
        spoken_by: &str,
        recordings: Option<usize>,
    ) -> Result<Vec<String>, AdaptError> {
        let minutes = |sets: &[&str]| -> Result<f64, AdaptError> {
            let mut secs = 0.0;
            for set in sets {
                let utterances = corpus.utterances(set)?;
                secs += utterances.iter().map(|u| u.duration_secs).sum::<f64>();
            }
            Ok(secs / 60.0)
        };
        let name = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let list = name(&self.options.phrases);
        let mut lines = vec![format!(
            "Synthetic speech of {spoken_by}, {:.1} minutes: sentences of {list} and others near them",
            minutes(&["phrases", "others"])?
        )];
        let about = minutes(&["general"])?;
        lines.push(match general {
            General::Speech(_) => {
                let manifests: Vec<String> = self.options.speech.iter().map(|p| name(p)).collect();
                format!("Other speech, {about:.1} minutes of {}", manifests.join(", "))
            }
            General::Text(_) => format!(
                "Synthetic speech of the same voices, {about:.1} minutes: sentences drawn from a language model"
            ),
        });
        lines.extend(
            recordings.map(|count| format!("{count} recordings of the phrases by the user")),
        );
        Ok(lines)
    }
}

/// Seconds of an epoch of step 1, and of step 2, which needs transcripts.
fn audio_secs(recipe: &Recipe) -> Result<(f64, f64), AdaptError> {
    let utterances = recipe_utterances(recipe)?;
    let secs = |needs_text: bool| {
        let heard = utterances
            .iter()
            .filter(|u| !needs_text || !u.text.is_empty());
        heard.map(|u| u.duration_secs).sum::<f64>()
    };
    Ok((secs(false), secs(true)))
}
