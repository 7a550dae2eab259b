//! The end of an adaptation: model folders, thresholds, figures before and after.

use std::path::Path;

use shared_model::bundle::{LoadedModel, TunedDecoder, with_decoder};
use shared_model::phrases::with_threshold;
use shared_model::weights::{Int8Weights, WeightTensor, Weights};

use super::corpus::Corpus;
use super::judge::Judge;
use super::{AdaptError, AdaptReport, Adaptation, AdaptedStudent, DEFAULT_STRENGTH, TriedStrength};
use crate::config::Recipe;
use crate::costs::PhaseCosts;
use crate::data::read_manifest;
use crate::export::{Exporter, test_sets};
use crate::files::write_atomically;
use crate::model_folder;
use crate::session::TrainedRun;
use crate::train::TrainedNetwork;

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
    let mut limit = format!(
        "Its weights are {:.0} % of the way from {name} to what was learned from the list.",
        strength * 100.0
    );
    if strength < 1.0 {
        limit.push_str(
            " Further on, the voices that taught are heard better, and people who did not teach worse.",
        );
    }
    recipe.export.limits.push(limit);
    recipe
}

/// The network that a student became, `strength` of the way.
fn adapted(
    run: &TrainedRun,
    name: &str,
    before: &LoadedModel,
    strength: f32,
) -> Option<TrainedNetwork> {
    let network = run.networks.iter().find(|network| network.name == name)?;
    Some(TrainedNetwork {
        weights: between(&before.weights, &network.weights, strength),
        ..network.clone()
    })
}

/// The one with the fewest errors, of equal ones the first; the default where nothing was said.
fn best(tried: &[TriedStrength]) -> f32 {
    let told = tried.iter().filter(|tried| tried.phrases > 0);
    told.min_by_key(|tried| tried.errors)
        .map_or(DEFAULT_STRENGTH, |tried| tried.strength)
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
        let asked_strength = self.options.strength;
        let tried = match kept_back {
            Some(recordings) if asked_strength.is_none() => self.tried(&judge, run, recordings)?,
            _ => Vec::new(),
        };
        let strength = asked_strength.unwrap_or_else(|| best(&tried));
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
            asked_strength,
            tried,
            training: costs.values().map(PhaseCosts::total).sum(),
            students,
        })
    }

    /// What the students do, by each of [`STRENGTHS`], with recordings that taught nothing.
    fn tried(
        &self,
        judge: &Judge<'_>,
        run: &TrainedRun,
        recordings: &Path,
    ) -> Result<Vec<TriedStrength>, AdaptError> {
        let utterances = read_manifest(recordings)?;
        let mut all = Vec::new();
        for strength in STRENGTHS {
            let mut tried = TriedStrength {
                strength,
                errors: 0,
                phrases: 0,
            };
            for (folder, before) in &self.models.students {
                let name = super::students::name_of(folder);
                let Some(network) = adapted(run, &name, before, strength) else {
                    continue;
                };
                let loaded = LoadedModel {
                    model: network.config,
                    weights: network.weights,
                    int8: Int8Weights::default(),
                    ..before.clone()
                };
                let (errors, phrases) = judge.errors(&loaded, &utterances)?;
                tried.errors += errors;
                tried.phrases += phrases;
            }
            (self.tell)(tried.to_string());
            all.push(tried);
        }
        Ok(all)
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
        if let Some(network) = adapted(run, name, before, strength) {
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

    #[test]
    fn the_strength_with_the_fewest_errors_wins_and_of_equal_ones_the_least() {
        let tried = |errors: [usize; 3], phrases| {
            let with = |(strength, errors)| TriedStrength {
                strength,
                errors,
                phrases,
            };
            STRENGTHS
                .into_iter()
                .zip(errors)
                .map(with)
                .collect::<Vec<_>>()
        };
        assert_eq!(best(&tried([5, 3, 2], 40)), 1.0);
        assert_eq!(best(&tried([5, 3, 3], 40)), 0.6);
        assert_eq!(best(&tried([3, 5, 3], 40)), 0.3);
        // Recordings of other sentences tell nothing of the list.
        assert_eq!(best(&tried([2, 1, 0], 0)), 0.3);
        assert_eq!(best(&[]), 0.3);
    }
}
