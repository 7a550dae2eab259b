//! `fledge export`.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use shared_model::bundle::{Evaluation, LoadedModel, Precision, TunedDecoder, with_decoder};
use shared_model::tokens::Tokens;

use super::{CliResult, Failure, interrupt};
use crate::config::{Phase, Recipe};
use crate::evaluate::read_lm;
use crate::export::{ExportedModel, Exporter, table, test_sets};
use crate::model_folder;
use crate::onnx::{self, Audience};
use crate::report::format_bytes;
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

/// Format of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Model folders, for Fledge and its page
    Fledge,
    /// ONNX files with what other programs want beside them
    Onnx,
}

/// Write models as model folders, or as ONNX files for other programs
///
/// A model folder is what `fledge transcribe` and the web page load: weights, configuration,
/// tokens, checksums and a model card. The networks of a run are measured on its test sets with the
/// exported files. With --format onnx each network gets a folder for sherpa-onnx and one for
/// transformers.js, with a card that says how each runs it.
///
/// Examples:
///   fledge export --run runs/quick --student small --precision f16
///   fledge export --model www/models/english-medium --precision f32 --out medium-f32
///   fledge export --model www/models/english-medium --format onnx --out exported
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub struct ExportArgs {
    /// Run folder
    #[arg(long, value_name = "DIR", group = "source")]
    run: Option<PathBuf>,
    /// Model folder
    #[arg(long, value_name = "DIR", group = "source", requires = "out")]
    model: Option<PathBuf>,
    /// Export only this network of the run: a student's name, or `teacher`; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with_all = ["all", "model"])]
    student: Vec<String>,
    /// Export the teacher and every student of the run (the default)
    #[arg(long, conflicts_with = "model")]
    all: bool,
    /// Format of the files
    #[arg(long, value_enum, default_value = "fledge")]
    format: Format,
    /// With --format onnx: write only the folder for this program; may be repeated
    #[arg(long = "for", value_enum, value_name = "PROGRAM")]
    audience: Vec<Audience>,
    /// With --format onnx: a language model (.bin or .arpa) to write as a graph for sherpa-onnx
    #[arg(long, value_name = "FILE")]
    lm: Option<PathBuf>,
    /// How to store the weights; ONNX files have f32 and int8 [default: as the recipe or the model has it]
    #[arg(long, value_enum)]
    precision: Option<PrecisionArg>,
    /// Where to put the folders: of a run one folder per network [default: `models`, or `onnx`, in the
    /// run folder]; of a model folder the new one, or with --format onnx the parent of one per program
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
    if args.format == Format::Fledge && !(args.audience.is_empty() && args.lm.is_none()) {
        return Err(Failure::usage(
            "--for and --lm belong to --format onnx (a model folder gets its language model from \
             `fledge tune-decoder --store-lm`)",
        ));
    }
    match (&args.run, &args.model, &args.out) {
        (Some(run), _, _) => run_of(args, run),
        (None, Some(model), Some(out)) => copy_of(args, model, out),
        _ => Err(Failure::usage(
            "--run, or --model and --out, say what to export",
        )),
    }
}

/// Exports networks of a run.
fn run_of(args: &ExportArgs, run: &Path) -> CliResult<()> {
    let folder = RunFolder::open_existing(run)?;
    let recipe = Recipe::load(&run.join("resolved.toml"), &[])?;
    let tokens = folder.tokens()?;
    let tokens = tokens.ok_or_else(|| Failure::data(not_finished(run)))?;
    let networks = chosen_networks(args, run, &recipe, &tokens, &folder)?;
    let precision = args.precision.map_or(recipe.export.precision, Into::into);
    if args.format == Format::Onnx {
        let exporter = Exporter {
            recipe: &recipe,
            tokens: &tokens,
            test_sets: &[],
            precision,
            stop: interrupt::stop_flag(),
        };
        let out = args.out.clone().unwrap_or_else(|| run.join("onnx"));
        let models = networks.iter().map(|network| {
            // The folder that the run has measured has the figures.
            let measured = model_folder::read(&folder.model(&network.name)).ok();
            let measured = measured.filter(|model| model.manifest.precision == precision);
            let model = measured.map_or_else(|| exporter.unmeasured(network), Ok)?;
            Ok((network.name.clone(), model))
        });
        return write_onnx(
            args,
            models.collect::<CliResult<Vec<_>>>()?,
            precision,
            &out,
        );
    }
    let models = export_all(&recipe, &tokens, &networks, precision, args.quiet, |name| {
        args.out
            .as_ref()
            .map_or_else(|| folder.model(name), |out| out.join(name))
    })?;
    store_reports(&folder, &models)?;
    print_models(&models, args.json)
}

/// Exports a model folder once more.
fn copy_of(args: &ExportArgs, folder: &Path, out: &Path) -> CliResult<()> {
    let model = model_folder::read(folder)?;
    let own = model.manifest.precision;
    if args.format == Format::Onnx {
        // Half precision is for storing.
        let own = if own == Precision::F16 {
            Precision::F32
        } else {
            own
        };
        let precision = args.precision.map_or(own, Into::into);
        let name = folder.canonicalize()?;
        let name = name.file_name().map_or_else(
            || model.card.name.clone(),
            |name| name.to_string_lossy().into_owned(),
        );
        return write_onnx(args, vec![(name, model)], precision, out);
    }
    let mut files = onnx::stored_as(&model, args.precision.map_or(own, Into::into))?;
    if let Some(lm) = &model.lm {
        let tuned = TunedDecoder {
            lm: Some(lm),
            ..TunedDecoder::default()
        };
        files = with_decoder(&files, &tuned)?;
    }
    model_folder::write(out, &files)?;
    let manifest = model_folder::check(out, &files)?.manifest;
    print_models(
        &[ExportedModel {
            name: manifest.name.clone(),
            folder: out.to_owned(),
            parameters: manifest.parameters,
            bytes: model_folder::model_bytes(&manifest),
            evaluations: manifest.evaluations,
            reports: Vec::new(),
        }],
        args.json,
    )
}

/// The finished networks that the arguments ask for.
fn chosen_networks(
    args: &ExportArgs,
    run: &Path,
    recipe: &Recipe,
    tokens: &Tokens,
    folder: &RunFolder,
) -> CliResult<Vec<TrainedNetwork>> {
    let mut networks = Vec::new();
    for phase in [Phase::Teach, Phase::Finetune] {
        let finished = finished_networks(recipe, tokens, folder, phase)?;
        networks.extend(finished.unwrap_or_default());
    }
    for name in &args.student {
        if !networks.iter().any(|network| &network.name == name) {
            let known: Vec<_> = networks.iter().map(|n| n.name.as_str()).collect();
            return Err(Failure::usage(format!(
                "{} has no finished network \"{name}\"; finished are: {}",
                run.display(),
                if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                }
            )));
        }
    }
    if !args.student.is_empty() {
        networks.retain(|network| args.student.contains(&network.name));
    }
    if networks.is_empty() {
        return Err(Failure::data(not_finished(run)));
    }
    Ok(networks)
}

/// One file that was written, or one folder.
#[derive(Serialize)]
struct FolderLine<'a> {
    name: &'a str,
    folder: String,
    bytes: usize,
}

/// Writes folders for the programs asked for and tells which.
fn write_onnx(
    args: &ExportArgs,
    models: Vec<(String, LoadedModel)>,
    precision: Precision,
    out: &Path,
) -> CliResult<()> {
    let audiences = match args.audience.as_slice() {
        [] => Audience::ALL.to_vec(),
        chosen => chosen.to_vec(),
    };
    let lm = args.lm.as_deref().map(read_lm).transpose()?;
    if lm.is_some() && !audiences.contains(&Audience::Sherpa) {
        return Err(Failure::usage(
            "--lm makes a graph for sherpa-onnx: ask for its folder with --for sherpa",
        ));
    }
    for (network, model) in models {
        let model = onnx::in_precision(&model, precision)?;
        for &audience in &audiences {
            let name = format!("{network}-{}", audience.suffix());
            let lm = lm.as_ref().filter(|_| audience == Audience::Sherpa);
            let files = onnx::files(&model, audience, &name, lm)?;
            let folder = out.join(&name);
            onnx::write(&folder, &files)?;
            let bytes = files.values().map(Vec::len).sum();
            if args.json {
                let folder = folder.to_string_lossy().into_owned();
                super::print_json(&FolderLine {
                    name: &network,
                    folder,
                    bytes,
                })?;
            } else {
                super::print_line(&format!(
                    "{}  {}",
                    folder.display(),
                    format_bytes(bytes as u64)
                ))?;
            }
        }
    }
    Ok(())
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

fn not_finished(run: &Path) -> String {
    format!(
        "{} has no finished network yet: continue it with `fledge run`",
        run.display()
    )
}

/// Exports networks one after the other.
pub fn export_all(
    recipe: &Recipe,
    tokens: &Tokens,
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
