//! `fledge export`.

use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;
use shared_model::bundle::{Evaluation, Precision};

use super::{CliResult, Failure, interrupt};
use crate::config::{Phase, Recipe};
use crate::export::{ExportedModel, Exporter, table, test_sets};
use crate::run_folder::RunFolder;
use crate::train::{TrainedNetwork, finished_networks};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PrecisionArg {
    /// 4 bytes per weight
    F32,
    /// 2 bytes per weight
    F16,
    /// 1 byte per weight of a matrix, with a scale for each output channel
    Int8,
}

impl From<PrecisionArg> for Precision {
    fn from(argument: PrecisionArg) -> Self {
        match argument {
            PrecisionArg::F32 => Self::F32,
            PrecisionArg::F16 => Self::F16,
            PrecisionArg::Int8 => Self::Int8,
        }
    }
}

/// Export the networks of a finished run as model folders and measure them on its test sets
///
/// A model folder is what `fledge transcribe` and the web page load: weights, configuration,
/// tokens, checksums and a model card. The card's error rates are measured with the exported files.
///
/// Example:
///   fledge export --run runs/quick --student small --precision f16
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct ExportArgs {
    /// Run folder
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Export only this network: a student's name, or `teacher`; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    student: Vec<String>,
    /// Export the teacher and every student (the default)
    #[arg(long)]
    all: bool,
    /// How to store the weights [default: as the recipe says]
    #[arg(long, value_enum)]
    precision: Option<PrecisionArg>,
    /// Where to put the model folders, one per network [default: `models` in the run folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON object per model
    #[arg(long)]
    json: bool,
    /// Do not print progress
    #[arg(long)]
    quiet: bool,
}

pub fn run(args: &ExportArgs) -> CliResult<()> {
    super::memory::keep_freed_memory();
    let folder = RunFolder::open_existing(&args.run)?;
    let recipe = Recipe::load(&args.run.join("resolved.toml"), &[])?;
    let tokens = folder.tokens()?;
    let tokens = tokens.ok_or_else(|| Failure::data(not_finished(args)))?;
    let mut networks = Vec::new();
    for phase in [Phase::Teach, Phase::Finetune] {
        let finished = finished_networks(&recipe, &tokens, &folder, phase)?;
        networks.extend(finished.unwrap_or_default());
    }
    if !args.student.is_empty() {
        for name in &args.student {
            if !networks.iter().any(|network| &network.name == name) {
                let known: Vec<_> = networks.iter().map(|n| n.name.as_str()).collect();
                return Err(Failure::usage(format!(
                    "{} has no finished network \"{name}\"; finished are: {}",
                    args.run.display(),
                    if known.is_empty() {
                        "none".to_owned()
                    } else {
                        known.join(", ")
                    }
                )));
            }
        }
        networks.retain(|network| args.student.contains(&network.name));
    }
    if networks.is_empty() {
        return Err(Failure::data(not_finished(args)));
    }
    let precision = args.precision.map_or(recipe.export.precision, Into::into);
    let models = export_all(&recipe, &tokens, &networks, precision, args.quiet, |name| {
        args.out
            .as_ref()
            .map_or_else(|| folder.model(name), |out| out.join(name))
    })?;
    store_reports(&folder, &models)?;
    print_models(&models, args.json)
}

/// Keeps the figures behind the cards in the run folder.
pub fn store_reports(folder: &RunFolder, models: &[ExportedModel]) -> CliResult<()> {
    for model in models {
        for (set, report) in &model.reports {
            let name = format!("evaluations/{}.{set}.json", model.name);
            folder.write(&name, &serde_json::to_vec_pretty(report)?)?;
        }
    }
    Ok(())
}

fn not_finished(args: &ExportArgs) -> String {
    format!(
        "{} has no finished network yet: continue it with `fledge run`",
        args.run.display()
    )
}

/// Exports networks one after the other.
pub fn export_all(
    recipe: &Recipe,
    tokens: &shared_model::tokens::Tokens,
    networks: &[TrainedNetwork],
    precision: Precision,
    quiet: bool,
    folder: impl Fn(&str) -> PathBuf,
) -> CliResult<Vec<ExportedModel>> {
    let test_sets = test_sets(recipe)?;
    let exporter = Exporter {
        recipe,
        tokens,
        test_sets: &test_sets,
        precision,
        stop: interrupt::stop_flag(),
    };
    let mut notice = |message: String| {
        if !quiet {
            let _ = writeln!(std::io::stderr(), "{message}");
        }
    };
    networks
        .iter()
        .map(|network| Ok(exporter.export(network, &folder(&network.name), &mut notice)?))
        .collect()
}

#[derive(Serialize)]
struct ModelLine<'a> {
    name: &'a str,
    folder: String,
    parameters: u64,
    bytes: u64,
    evaluations: &'a [Evaluation],
}

/// The table, or one JSON object a model, on standard output.
pub fn print_models(models: &[ExportedModel], json: bool) -> CliResult<()> {
    if json {
        for model in models {
            super::print_json(&ModelLine {
                name: &model.name,
                folder: model.folder.to_string_lossy().into_owned(),
                parameters: model.parameters,
                bytes: model.bytes,
                evaluations: &model.evaluations,
            })?;
        }
    } else {
        for line in table(models) {
            super::print_line(&line)?;
        }
    }
    Ok(())
}
