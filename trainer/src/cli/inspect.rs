//! `fledge inspect`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use shared_model::bundle::{Evaluation, Precision};
use shared_model::model::ModelConfig;

use super::CliResult;
use crate::config::Recipe;
use crate::model_folder;
use crate::model_folder::model_bytes;
use crate::report::{format_bytes, format_count};

/// Show the networks of a recipe or of a model folder, with their sizes
///
/// For a recipe: the parameters of the teacher and of each student, part by part. For a model
/// folder: also its precision, its size and the error rates on its card.
///
/// Example:
///   fledge inspect recipes/paper.toml --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct InspectArgs {
    /// A recipe (TOML file) or a model folder
    #[arg(value_name = "RECIPE|MODEL_DIR")]
    path: PathBuf,
    /// Override a value of the recipe, as `section.key=value`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Part {
    name: String,
    parameters: usize,
}

#[derive(Serialize)]
struct Network {
    name: String,
    parameters: usize,
    parts: Vec<Part>,
    config: ModelConfig,
}

impl Network {
    fn new(name: &str, config: &ModelConfig) -> Self {
        let parts: Vec<_> = config
            .parameter_counts()
            .into_iter()
            .map(|(name, parameters)| Part { name, parameters })
            .collect();
        Self {
            name: name.to_owned(),
            parameters: parts.iter().map(|part| part.parameters).sum(),
            parts,
            config: config.clone(),
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{}: {} parameters, {} blocks of width {}, subsampling {}x",
            self.name,
            format_count(self.parameters),
            self.config.n_layers,
            self.config.d_model,
            self.config.subsampling_factor
        )];
        lines.extend(
            self.parts
                .iter()
                .map(|part| format!("  {:12} {:>12}", part.name, format_count(part.parameters))),
        );
        lines
    }
}

#[derive(Serialize)]
struct RecipeView {
    kind: &'static str,
    name: String,
    teacher: Network,
    students: Vec<Network>,
}

#[derive(Serialize)]
struct ModelView {
    kind: &'static str,
    #[serde(flatten)]
    network: Network,
    description: String,
    precision: Precision,
    /// Weights, configuration and tokens.
    bytes: u64,
    /// Tokens, blank included.
    tokens: usize,
    license: String,
    evaluations: Vec<Evaluation>,
}

pub fn run(args: &InspectArgs) -> CliResult<()> {
    if args.path.is_dir() {
        if !args.set.is_empty() {
            return Err(super::Failure::usage(
                "--set changes recipes, not model folders",
            ));
        }
        model(&args.path, args.json)
    } else {
        recipe(&args.path, &args.set, args.json)
    }
}

fn recipe(path: &Path, set: &[String], json: bool) -> CliResult<()> {
    let recipe = Recipe::load(path, set)?;
    let view = RecipeView {
        kind: "recipe",
        teacher: Network::new("teacher", &recipe.teacher.model),
        students: recipe
            .students
            .iter()
            .map(|student| Network::new(&student.name, &student.model))
            .collect(),
        name: recipe.name,
    };
    if json {
        return super::print_json(&view);
    }
    for network in std::iter::once(&view.teacher).chain(&view.students) {
        for line in network.lines() {
            super::print_line(&line)?;
        }
    }
    Ok(())
}

fn model(folder: &Path, json: bool) -> CliResult<()> {
    let loaded = model_folder::read(folder)?;
    let manifest = loaded.manifest;
    let view = ModelView {
        kind: "model",
        network: Network::new(&manifest.name, &loaded.model),
        bytes: model_bytes(&manifest),
        description: manifest.description,
        precision: manifest.precision,
        tokens: loaded.tokens.len(),
        license: manifest.license,
        evaluations: manifest.evaluations,
    };
    if json {
        return super::print_json(&view);
    }
    for line in view.network.lines() {
        super::print_line(&line)?;
    }
    super::print_line(&format!(
        "{:?} weights, {}, {} tokens, licence {}",
        view.precision,
        format_bytes(view.bytes),
        view.tokens,
        view.license
    ))?;
    for evaluation in &view.evaluations {
        super::print_line(&format!(
            "WER {:.2} % ({:.2} to {:.2} %) on {}, {} words, {}",
            evaluation.wer * 100.0,
            evaluation.wer_low * 100.0,
            evaluation.wer_high * 100.0,
            evaluation.set,
            evaluation.words,
            evaluation.decoder
        ))?;
    }
    Ok(())
}
