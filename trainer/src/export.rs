//! Trained weights to model folders: written, read back, measured in the precision that ships, and
//! written once more with those figures.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use shared_model::bundle::{
    BundleError, CardInfo, Evaluation, Files, LoadedModel, ModelParts, Precision, read_model,
    write_model,
};
use shared_model::tokens::Tokens;

use crate::config::{Recipe, StudentInit};
use crate::data::{DataError, Utterance, read_manifest};
use crate::device::OpenDevice;
use crate::evaluate::{DecoderChoice, EvaluateError, EvaluationReport, evaluate};
use crate::exit_status::{ExitStatus, HasExitStatus};
use crate::model_folder::{self, ModelFolderError, model_bytes};
use crate::train::{TEACHER, TrainedNetwork};

/// A model folder that could not be made or measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The network does not fit a model folder.
    #[error("{name}")]
    Bundle {
        /// Of the network.
        name: String,
        /// What does not fit.
        source: Box<BundleError>,
    },
    /// The folder cannot be written.
    #[error(transparent)]
    Folder(#[from] ModelFolderError),
    /// A test set cannot be read.
    #[error("test set {set}")]
    TestSet {
        /// Its name.
        set: String,
        /// What is wrong with it.
        source: Box<DataError>,
    },
    /// The network cannot be measured.
    #[error("{name} on test set {set}")]
    Evaluate {
        /// Of the network.
        name: String,
        /// Of the test set.
        set: String,
        /// What stopped it.
        source: Box<EvaluateError>,
    },
}

impl HasExitStatus for ExportError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Bundle { source, .. } => source.exit_status(),
            Self::Folder(error) => error.exit_status(),
            Self::TestSet { source, .. } => source.exit_status(),
            Self::Evaluate { source, .. } => source.exit_status(),
        }
    }
}

/// Utterances that an error rate is stated for.
#[derive(Debug, Clone)]
pub struct TestSet {
    /// As cards call it.
    pub name: String,
    /// With transcripts.
    pub utterances: Vec<Utterance>,
}

/// What an export wrote.
#[derive(Debug, Clone)]
pub struct ExportedModel {
    /// Of the network.
    pub name: String,
    /// Where it is.
    pub folder: PathBuf,
    /// Of the network.
    pub parameters: u64,
    /// Weights, configuration and tokens.
    pub bytes: u64,
    /// What the card says, by test set.
    pub evaluations: Vec<Evaluation>,
    /// The full figures behind `evaluations`, by test set.
    pub reports: Vec<(String, EvaluationReport)>,
}

/// The test sets of a recipe; without any its development set, which then is called so.
///
/// # Errors
/// A manifest that cannot be read.
pub fn test_sets(recipe: &Recipe) -> Result<Vec<TestSet>, ExportError> {
    let mut named: Vec<(String, &Path)> = recipe
        .data
        .test
        .iter()
        .map(|(name, path)| (name.clone(), path.as_path()))
        .collect();
    if named.is_empty()
        && let Some(dev) = &recipe.data.dev
    {
        named.push(("dev".to_owned(), dev));
    }
    named
        .into_iter()
        .map(|(name, path)| match read_manifest(path) {
            Ok(utterances) => Ok(TestSet { name, utterances }),
            Err(source) => Err(ExportError::TestSet {
                set: name,
                source: Box::new(source),
            }),
        })
        .collect()
}

/// Exports the networks of one run.
pub struct Exporter<'a> {
    /// What the run was to be.
    pub recipe: &'a Recipe,
    /// What its networks spell with.
    pub tokens: &'a Tokens,
    /// What they are measured on.
    pub test_sets: &'a [TestSet],
    /// How weights are stored.
    pub precision: Precision,
    /// Set from outside to stop before the next utterance.
    pub stop: &'a AtomicBool,
}

impl Exporter<'_> {
    /// Writes one model folder. Figures are taken on the CPU, from the files as they ship, over
    /// the path that `fledge evaluate` takes: it gives the card's figures again, to the digit.
    ///
    /// # Errors
    /// A folder that cannot be written, a test set that cannot be measured, or a stop.
    pub fn export(
        &self,
        network: &TrainedNetwork,
        folder: &Path,
        notice: &mut dyn FnMut(String),
    ) -> Result<ExportedModel, ExportError> {
        let card = card(network, self.recipe);
        let mut parts = self.parts(network, &card);
        let (_, loaded) = written(&parts)?;
        let mut evaluations = Vec::new();
        let mut reports = Vec::new();
        for set in self
            .test_sets
            .iter()
            .filter(|set| !set.utterances.is_empty())
        {
            let report = self
                .measure(&loaded, set)
                .map_err(|source| ExportError::Evaluate {
                    name: network.name.to_owned(),
                    set: set.name.clone(),
                    source: Box::new(source),
                })?;
            notice(format!(
                "{}: WER {:.2} % ({:.2} to {:.2} %) on {}, {} words",
                network.name,
                report.wer * 100.0,
                report.wer_low * 100.0,
                report.wer_high * 100.0,
                set.name,
                report.words
            ));
            evaluations.push(report.to_evaluation(&set.name));
            reports.push((set.name.clone(), report));
        }
        parts.evaluations = &evaluations;
        let (files, LoadedModel { manifest, .. }) = written(&parts)?;
        model_folder::write(folder, &files)?;
        Ok(ExportedModel {
            name: network.name.to_owned(),
            folder: folder.to_owned(),
            parameters: manifest.parameters,
            bytes: model_bytes(&manifest),
            evaluations,
            reports,
        })
    }

    /// A network as its model folder would hold it, without figures.
    ///
    /// # Errors
    /// A network that does not fit a model folder.
    pub fn unmeasured(&self, network: &TrainedNetwork) -> Result<LoadedModel, ExportError> {
        let card = card(network, self.recipe);
        let (_, loaded) = written(&self.parts(network, &card))?;
        Ok(loaded)
    }

    fn parts<'p>(&'p self, network: &'p TrainedNetwork, card: &'p CardInfo) -> ModelParts<'p> {
        ModelParts {
            features: &self.recipe.features,
            model: &network.config,
            tokens: self.tokens,
            weights: &network.weights,
            beam: None,
            precision: self.precision,
            evaluations: &[],
            card,
        }
    }

    fn measure(
        &self,
        loaded: &LoadedModel,
        set: &TestSet,
    ) -> Result<EvaluationReport, EvaluateError> {
        let device = OpenDevice::cpu("the card's figures are the CPU's");
        let decoder = DecoderChoice::Greedy;
        let evaluated = evaluate(
            loaded,
            &set.utterances,
            &decoder,
            &device,
            std::thread::available_parallelism().map_or(1, usize::from),
            self.stop,
            &|_, _| {},
        )?;
        evaluated.check_broken()?;
        Ok(EvaluationReport::new(
            &evaluated,
            &loaded.manifest,
            &decoder,
            &device.name,
        ))
    }
}

/// The files of a model folder, and what reading them gives.
fn written(parts: &ModelParts<'_>) -> Result<(Files, LoadedModel), ExportError> {
    let error = |source| ExportError::Bundle {
        name: parts.card.name.clone(),
        source: Box::new(source),
    };
    let files = write_model(parts).map_err(error)?;
    let loaded = read_model(&files).map_err(error)?;
    Ok((files, loaded))
}

/// How a student was trained.
fn steps(recipe: &Recipe, name: &str) -> String {
    let student = recipe.students.iter().find(|student| student.name == name);
    let distills = student.is_none_or(|student| recipe.distill_of(student).epochs > 0);
    let finetunes = student.is_none_or(|student| recipe.finetune_of(student).epochs > 0);
    let starts_from_teacher = student.is_some_and(|s| s.init == StudentInit::TeacherBlocks);
    let model = &recipe.teacher.model;
    let teacher = format!("({} blocks of width {})", model.n_layers, model.d_model);
    let distilled =
        format!("distilled together with its siblings from one frozen teacher {teacher}");
    match (distills, finetunes) {
        (true, true) => format!("{distilled}, then fine-tuned with CTC"),
        (true, false) => format!("{distilled}, in one step"),
        (false, _) if starts_from_teacher => {
            format!(
                "begun with blocks of a teacher {teacher}, and trained with CTC beside its siblings"
            )
        }
        (false, _) => "trained with CTC beside its siblings".to_owned(),
    }
}

/// Word of a model card for the recipe's networks.
fn card(network: &TrainedNetwork, recipe: &Recipe) -> CardInfo {
    let model = &network.config;
    let is_teacher = network.name == TEACHER;
    let shape = format!(
        "A Conformer encoder of {} blocks of width {} ({}x subsampling, {} attention heads) with a CTC head.",
        model.n_layers, model.d_model, model.subsampling_factor, model.n_heads
    );
    let mut method = vec![shape];
    if is_teacher {
        method.push(format!(
            "Trained with CTC as the teacher of the recipe \"{}\".",
            recipe.name
        ));
    } else {
        method.push(format!(
            "A student of the recipe \"{}\": {}. Method: Hannan et al., \"An Effective Training Framework for \
             Light-Weight Automatic Speech Recognition Models\", Interspeech 2025 (arXiv 2505.16991).",
            recipe.name,
            steps(recipe, &network.name)
        ));
    }
    let start = if is_teacher {
        recipe.teacher.init_from.as_ref()
    } else {
        let own = recipe.students.iter().find(|s| s.name == network.name);
        own.and_then(|student| student.init_from.as_ref())
    };
    if let Some(folder) = start.and_then(|path| path.file_name()) {
        method.push(format!(
            "Training began with the weights of the model folder {}.",
            folder.to_string_lossy()
        ));
    }
    method.push(format!("Seed {}.", recipe.seed));
    CardInfo {
        name: network.name.to_owned(),
        description: format!(
            "{} of {}: {} blocks of width {}",
            if is_teacher { "Teacher" } else { "Student" },
            recipe.name,
            model.n_layers,
            model.d_model
        ),
        license: recipe.export.license.clone(),
        language: "en".to_owned(),
        data: recipe.export.data.clone(),
        method,
        limits: recipe.export.limits.clone(),
    }
}

/// The table at the end of a run: name, parameters, bytes and error rates.
pub fn table(models: &[ExportedModel]) -> Vec<String> {
    let mut rows = vec![["model", "parameters", "size", "WER (95 % interval)"].map(str::to_owned)];
    for model in models {
        let rates: Vec<_> = model
            .evaluations
            .iter()
            .map(|evaluation| {
                format!(
                    "{}: {:.2} % ({:.2} to {:.2} %)",
                    evaluation.set,
                    evaluation.wer * 100.0,
                    evaluation.wer_low * 100.0,
                    evaluation.wer_high * 100.0
                )
            })
            .collect();
        rows.push([
            model.name.clone(),
            crate::report::format_count(model.parameters as usize),
            crate::report::format_bytes(model.bytes),
            if rates.is_empty() {
                "no test set".to_owned()
            } else {
                rates.join(", ")
            },
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths = [0, 1, 2].map(|column| width(column).unwrap_or(0));
    rows.iter()
        .map(|[name, parameters, size, rates]| {
            format!(
                "{name:w0$}  {parameters:>w1$}  {size:>w2$}  {rates}",
                w0 = widths[0],
                w1 = widths[1],
                w2 = widths[2]
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up_and_names_every_set() {
        let model = |name: &str, parameters, evaluations| ExportedModel {
            name: name.to_owned(),
            folder: PathBuf::new(),
            parameters,
            bytes: 2048,
            evaluations,
            reports: vec![],
        };
        let evaluation = Evaluation {
            set: "voice".to_owned(),
            decoder: "greedy".to_owned(),
            lm: None,
            wer: 0.125,
            wer_low: 0.1,
            wer_high: 0.15,
            cer: 0.05,
            words: 80,
            utterances: 20,
            precision: Precision::Int8,
        };
        let lines = table(&[
            model("teacher", 1_234_567, vec![evaluation]),
            model("s", 99, vec![]),
        ]);
        assert_eq!(
            lines,
            [
                "model    parameters    size  WER (95 % interval)",
                "teacher   1,234,567  2.0 kB  voice: 12.50 % (10.00 to 15.00 %)",
                "s                99  2.0 kB  no test set",
            ]
        );
    }
}
