//! The end of an adaptation: model folders, thresholds, figures before and after.

use std::path::Path;

use shared_model::bundle::{LoadedModel, TunedDecoder, with_decoder};
use shared_model::phrases::with_threshold;
use shared_model::weights::{Int8Weights, WeightTensor, Weights};

use super::corpus::Corpus;
use super::judge::Judge;
use super::{AdaptError, AdaptReport, Adaptation, AdaptedStudent, DEFAULT_STRENGTH};
use crate::config::Recipe;
use crate::costs::PhaseCosts;
use crate::data::read_manifest;
use crate::export::{Exporter, test_sets};
use crate::files::write_atomically;
use crate::model_folder;
use crate::session::TrainedRun;
use crate::train::{TEACHER, TrainedNetwork};

/// Strengths that are tried where recordings can tell.
const STRENGTHS: [f32; 3] = [DEFAULT_STRENGTH, 0.6, 1.0];

/// `strength` of the way from one network's weights to another's, which began with them. What lies
/// between forgets less than what was learned, and what it was not taught it hears better (Wortsman
/// et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
fn between(from: &Weights, to: &Weights, strength: f32) -> Weights {
    let mixed = |(name, to): (&String, &WeightTensor)| {
        let mut mixed = to.clone();
        if let Some(from) = from.get(name).filter(|from| from.shape == to.shape) {
            for (value, from) in mixed.data.iter_mut().zip(&from.data) {
                *value = from + strength * (*value - from);
            }
        }
        (name.clone(), mixed)
    };
    to.iter().map(mixed).collect()
}

/// The recipe, whose card says how far the student went.
fn with_strength(recipe: &Recipe, name: &str, strength: f32) -> Recipe {
    let mut recipe = recipe.clone();
    recipe.export.limits.push(format!(
        "Its weights are {:.0} % of the way from {name} to what was learned from the list. Further on, \
         the voices that taught are heard better, and people who did not teach worse.",
        strength * 100.0
    ));
    recipe
}

impl Adaptation<'_> {
    /// Exports the students, finds their thresholds, and hears the test voices before and after.
    pub(super) fn judged(
        &self,
        corpus: &Corpus,
        run: &TrainedRun,
        kept_back: Option<&Path>,
        voices: String,
    ) -> Result<AdaptReport, AdaptError> {
        let judge = Judge {
            file: &self.file,
            corpus,
            device: self.device,
            threads: self.options.threads,
            stop: self.stop,
        };
        let strength = match (self.options.strength, kept_back) {
            (Some(asked), _) => asked,
            (None, Some(recordings)) => self.best_strength(&judge, run, recordings)?,
            (None, None) => DEFAULT_STRENGTH,
        };
        let mut list = self.file.text.clone();
        let mut students = Vec::new();
        for (folder, before) in &self.models.students {
            let name = super::students::name_of(folder);
            let adapted = self.export(run, &name, before, strength)?;
            let threshold = judge.threshold(&adapted)?;
            let id = adapted.manifest.weights_id();
            list = with_threshold(&list, threshold, &id, &name);
            (self.tell)(format!("{name}: threshold {threshold:.2}"));
            students.push(AdaptedStudent {
                folder: self.path("models").join(&name),
                name,
                before: judge.figures(before, None)?,
                after: judge.figures(&adapted, Some(threshold))?,
            });
        }
        let phrases = self.store_list(&list, &students)?;
        let costs = run
            .folder
            .costs()
            .map_err(crate::session::SessionError::from)?;
        Ok(AdaptReport {
            phrases,
            voices,
            strength,
            training: costs.values().map(PhaseCosts::total).sum(),
            students,
        })
    }

    /// The strength by which all students together have the fewest errors in recordings that taught
    /// nothing; of equal ones the least.
    fn best_strength(
        &self,
        judge: &Judge<'_>,
        run: &TrainedRun,
        recordings: &Path,
    ) -> Result<f32, AdaptError> {
        let utterances = read_manifest(recordings)?;
        let mut best = (usize::MAX, DEFAULT_STRENGTH);
        for strength in STRENGTHS {
            let (mut wrong, mut said) = (0, 0);
            for (folder, before) in &self.models.students {
                let name = super::students::name_of(folder);
                let trained = run.networks.iter().filter(|network| network.name == name);
                for network in trained {
                    let adapted = LoadedModel {
                        model: network.config.clone(),
                        weights: between(&before.weights, &network.weights, strength),
                        int8: Int8Weights::default(),
                        ..before.clone()
                    };
                    let errors = judge.errors(&adapted, &utterances)?;
                    wrong += errors.0;
                    said += errors.1;
                }
            }
            (self.tell)(format!(
                "{:.0} % of the way to what was learned: {wrong} of {said} phrases wrong in {} recordings that were kept back",
                strength * 100.0,
                utterances.len()
            ));
            if wrong < best.0 {
                best = (wrong, strength);
            }
        }
        Ok(best.1)
    }

    fn export(
        &self,
        run: &TrainedRun,
        name: &str,
        before: &LoadedModel,
        strength: f32,
    ) -> Result<LoadedModel, AdaptError> {
        let recipe = with_strength(&run.recipe, name, strength);
        let exporter = Exporter {
            recipe: &recipe,
            tokens: &run.tokens,
            test_sets: &test_sets(&run.recipe)?,
            precision: run.recipe.export.precision,
            stop: self.stop,
        };
        let folder = self.path("models").join(name);
        let networks = run
            .networks
            .iter()
            .filter(|network| network.name != TEACHER);
        for network in networks.filter(|network| network.name == name) {
            let network = TrainedNetwork {
                weights: between(&before.weights, &network.weights, strength),
                ..network.clone()
            };
            exporter.export(&network, &folder, &mut |message| (self.tell)(message))?;
        }
        // Open recognition keeps the settings that it was tuned to.
        if let Some(beam) = &before.beam {
            let files = model_folder::read_files(&folder)?;
            let tuned = TunedDecoder {
                beam: Some(beam),
                ..TunedDecoder::default()
            };
            let files = with_decoder(&files, &tuned).map_err(|source| {
                crate::export::ExportError::Bundle {
                    name: name.to_owned(),
                    source: Box::new(source),
                }
            })?;
            model_folder::update(&folder, &files)?;
        }
        Ok(model_folder::read(&folder)?)
    }

    /// Puts the list with its thresholds into the folder, and beside each model.
    fn store_list(
        &self,
        list: &str,
        students: &[AdaptedStudent],
    ) -> Result<std::path::PathBuf, AdaptError> {
        let is_grammar = list.trim_start().starts_with("#JSGF");
        let name = if is_grammar {
            "phrases.jsgf"
        } else {
            "phrases.txt"
        };
        for folder in students.iter().map(|student| &student.folder) {
            let path = folder.join(name);
            write_atomically(&path, list.as_bytes()).map_err(AdaptError::file(&path))?;
        }
        self.write(name, list.as_bytes())?;
        Ok(self.path(name))
    }

    /// Writes the report: from here on the adaptation is finished.
    pub(super) fn keep(&self, report: &AdaptReport) -> Result<(), AdaptError> {
        self.write("report.md", report.markdown().as_bytes())?;
        let path = self.path("report.json");
        let json = serde_json::to_vec_pretty(report).map_err(std::io::Error::other);
        self.write("report.json", &json.map_err(AdaptError::file(&path))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_lie_between_where_they_began_and_what_was_learned() {
        let weights = |values: [f32; 2]| {
            let tensor = WeightTensor {
                shape: vec![2],
                data: values.to_vec(),
            };
            Weights::from([("a".to_owned(), tensor)])
        };
        let (from, to) = (weights([1.0, -2.0]), weights([2.0, 2.0]));
        assert_eq!(between(&from, &to, 0.25), weights([1.25, -1.0]));
        assert_eq!(between(&from, &to, 1.0), to);
        assert_eq!(between(&from, &to, 0.0), from);
        // What has nothing to begin with is what was learned.
        assert_eq!(between(&Weights::new(), &to, 0.25), to);
    }
}
