//! `fledge teach`, `distill`, `finetune` and `run`: a recipe's training, in parts or as a whole.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use shared_model::{bundle::LoadedModel, tokens::Tokens};

use super::export::{export_all, print_models, store_reports};
use super::{CliResult, DeviceArgs, Failure, interrupt};
use crate::config::{Phase, Recipe, RecipeError};
use crate::costs::{Cost, PhaseCosts};
use crate::data::{RecipeData, recipe_examples, recipe_tokens, recipe_utterances};
use crate::device::DeviceKind;
use crate::event::TrainEvent;
use crate::model_folder;
use crate::report::{ReportError, Reports, format_count, format_duration};
use crate::run_folder::{Environment, RunFolder};
use crate::train::{self, RunContext, TrainError, TrainedNetwork};

#[derive(Debug, Clone, clap::Args)]
struct TrainArgs {
    /// The recipe, a TOML file
    recipe: PathBuf,
    /// Override a value of the recipe, as `section.key=value`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder for everything about the run; repeating the command continues the run
    /// [default: runs/NAME, with the recipe's name]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Same as --set seed=N
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Delete the files of an earlier run from the run folder and start over
    #[arg(long)]
    fresh: bool,
    /// Do not print progress
    #[arg(long)]
    quiet: bool,
    /// Print one JSON object per network at the end
    #[arg(long)]
    json: bool,
    /// Save and stop at the first report after N optimiser steps; repeat the command without this
    /// option to continue
    #[arg(long, value_name = "N")]
    max_steps: Option<usize>,
    /// Check the recipe, show its networks and print the resolved recipe, without training
    #[arg(long)]
    dry_run: bool,
}

/// Train the teacher of a recipe with CTC
///
/// Example:
///   fledge teach recipes/quick.toml --run runs/quick
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct TeachArgs {
    #[command(flatten)]
    common: TrainArgs,
}

/// Step 1: distil the trained teacher into all students of a recipe at once
///
/// Needs a trained teacher: run `fledge teach` with the same run folder first, or name a model
/// folder in the recipe (`teacher.from`).
///
/// Example:
///   fledge distill recipes/quick.toml --run runs/quick
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct DistillArgs {
    #[command(flatten)]
    common: TrainArgs,
}

/// Step 2: fine-tune each distilled student with CTC
///
/// Example:
///   fledge finetune recipes/quick.toml --run runs/quick
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct FinetuneArgs {
    #[command(flatten)]
    common: TrainArgs,
}

/// Run a whole recipe: teach, distill, finetune, export and measure
///
/// The models end up in `models` in the run folder. Ctrl-C saves and stops; repeating the command
/// continues from there.
///
/// Example:
///   fledge run recipes/quick.toml --run runs/quick --set data.train=my/manifest.jsonl
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct RunArgs {
    #[command(flatten)]
    common: TrainArgs,
}

pub fn teach(args: &TeachArgs) -> CliResult<()> {
    start(&args.common, Some(Phase::Teach))
}

pub fn distill(args: &DistillArgs) -> CliResult<()> {
    start(&args.common, Some(Phase::Distill))
}

pub fn finetune(args: &FinetuneArgs) -> CliResult<()> {
    start(&args.common, Some(Phase::Finetune))
}

pub fn run(args: &RunArgs) -> CliResult<()> {
    start(&args.common, None)
}

/// `phase`: the only one; else all of a run.
fn start(args: &TrainArgs, phase: Option<Phase>) -> CliResult<()> {
    let mut overrides = args.set.clone();
    overrides.extend(args.seed.map(|seed| format!("seed={seed}")));
    let mut recipe = Recipe::load(&args.recipe, &overrides)?;
    if args.dry_run {
        return dry_run(&recipe, args.json);
    }
    super::memory::keep_freed_memory();
    let text = std::fs::read_to_string(&args.recipe).map_err(|reason| RecipeError::Read {
        path: args.recipe.clone(),
        reason,
    })?;
    let stop = interrupt::stop_flag();
    let path = args
        .run
        .clone()
        .unwrap_or_else(|| PathBuf::from("runs").join(&recipe.name));
    let begun_with = match args.fresh {
        true => None,
        false => RunFolder::begun_with_shards(&path),
    };
    recipe.compute.settle_shards(begun_with);
    // Data that cannot be used is told before a run folder is made for it.
    let utterances = recipe_utterances(&recipe)?;
    let tokens = recipe_tokens(&recipe, &utterances)?;
    let examples = recipe_examples(&recipe, &tokens, utterances)?;
    let pretrained_teacher = recipe
        .teacher
        .from
        .as_deref()
        .map(model_folder::read)
        .transpose()?;
    let starts = initial_models(&recipe)?;
    let device = args.device.open()?;
    let folder = RunFolder::open(&path, &recipe, &text, args.fresh)?;
    folder.write_environment(&Environment::capture(&device.name, &device.reason))?;
    let mut reports = Reports::for_run(folder.path(), args.quiet)?;
    let mut told = Told {
        reports: &mut reports,
        failed: None,
        max_steps: args.max_steps,
        limit_reached: false,
        stop,
    };
    told.event(TrainEvent::Notice {
        message: format!("{} in {}", recipe.name, path.display()),
    });
    told.event(TrainEvent::Notice {
        message: format!("computing on {}: {}", device.name, device.reason),
    });
    for (set, dropped) in [
        ("training", &examples.dropped_train),
        ("development", &examples.dropped_dev),
    ] {
        told.event(TrainEvent::Notice {
            message: format!("{set} data: {dropped}"),
        });
    }
    if !examples.untranscribed.is_empty() {
        told.event(TrainEvent::Notice {
            message: format!(
                "{} utterances without a transcript: used in step 1 only",
                examples.untranscribed.len()
            ),
        });
    }
    keep_tokens(&folder, &tokens)?;
    let mut data = RecipeData::new(&recipe, &tokens, examples)?;
    let result = {
        let mut events = |event| told.event(event);
        let mut context = RunContext {
            recipe: &recipe,
            folder: &folder,
            tokens: &tokens,
            source: &mut data,
            device: device.device.clone(),
            is_gpu: device.kind == DeviceKind::Gpu,
            pretrained_teacher,
            starts,
            stop,
            events: &mut events,
        };
        train(&mut context, phase)
    };
    if let Some(error) = told.failed {
        return Err(error.into());
    }
    let networks = match result {
        Err(TrainError::Interrupted { phase, step }) if told.limit_reached => {
            told.event(TrainEvent::Notice {
                message: format!(
                    "stopped at step {step} of {phase} by --max-steps; the same command without it continues"
                ),
            });
            return Ok(());
        }
        result => result?,
    };
    if phase.is_some() {
        for network in &networks {
            print_trained(network, args.json)?;
        }
        return Ok(());
    }
    let costs = folder.costs()?;
    let total: Cost = costs.values().map(PhaseCosts::total).sum();
    let validation: Cost = costs.values().map(|costs| costs.validation).sum();
    told.event(TrainEvent::Notice {
        message: format!(
            "all phases took {} ({} of processors), validation {} of it ({}); costs.json has them by phase and network",
            format_duration(total.wall_secs),
            format_duration(total.cpu_secs),
            format_duration(validation.wall_secs),
            format_duration(validation.cpu_secs)
        ),
    });
    let precision = recipe.export.precision;
    let name = |name: &str| folder.model(name);
    let models = export_all(&recipe, &tokens, &networks, precision, args.quiet, name)?;
    store_reports(&folder, &models)?;
    print_models(&models, args.json)
}

/// The models that networks of the recipe start from, by network.
fn initial_models(recipe: &Recipe) -> CliResult<BTreeMap<String, LoadedModel>> {
    let teacher = std::iter::once(("teacher", &recipe.teacher.init_from));
    let students = recipe
        .students
        .iter()
        .map(|s| (s.name.as_str(), &s.init_from));
    teacher
        .chain(students)
        .filter_map(|(name, folder)| Some((name, folder.as_deref()?)))
        .map(|(name, folder)| Ok((name.to_owned(), model_folder::read(folder)?)))
        .collect()
}

/// Tokens are part of a run: ids mean nothing with others.
fn keep_tokens(folder: &RunFolder, tokens: &Tokens) -> CliResult<()> {
    match folder.tokens()? {
        None => folder.store_tokens(tokens)?,
        Some(old) if old == *tokens => {}
        Some(_) => {
            return Err(Failure::data(format!(
                "{} was begun with other tokens: the training texts have changed; choose another folder with --run, or start it anew with --fresh",
                folder.path().display()
            )));
        }
    }
    Ok(())
}

fn train(
    context: &mut RunContext<'_>,
    phase: Option<Phase>,
) -> Result<Vec<TrainedNetwork>, TrainError> {
    match phase {
        Some(Phase::Teach) => Ok(vec![train::teach(context)?]),
        Some(Phase::Distill) => {
            let before = train::trained_before(context, Phase::Distill)?;
            let teacher = before.first();
            teacher.map_or(Ok(vec![]), |teacher| train::distill(context, teacher))
        }
        Some(Phase::Finetune) => {
            let distilled = train::trained_before(context, Phase::Finetune)?;
            train::finetune(context, &distilled)
        }
        None => {
            let family = train::run(context)?;
            Ok(std::iter::once(family.teacher)
                .chain(family.students)
                .collect())
        }
    }
}

/// Hands events on; a log that cannot be written and the step limit both end the training.
struct Told<'a> {
    reports: &'a mut Reports,
    failed: Option<ReportError>,
    max_steps: Option<usize>,
    limit_reached: bool,
    stop: &'a AtomicBool,
}

impl Told<'_> {
    fn event(&mut self, event: TrainEvent) {
        if let Err(error) = self.reports.event(&event)
            && self.failed.is_none()
        {
            self.failed = Some(error);
            self.stop.store(true, Ordering::SeqCst);
        }
        if let (TrainEvent::Step { step, .. }, Some(most)) = (&event, self.max_steps)
            && *step >= most
        {
            self.limit_reached = true;
            self.stop.store(true, Ordering::SeqCst);
        }
    }
}

#[derive(Serialize)]
struct TrainedLine<'a> {
    name: &'a str,
    parameters: usize,
}

fn print_trained(network: &TrainedNetwork, json: bool) -> CliResult<()> {
    let parameters = network.config.num_parameters();
    if json {
        super::print_json(&TrainedLine {
            name: &network.name,
            parameters,
        })
    } else {
        let count = format_count(parameters);
        super::print_line(&format!("{}: trained, {count} parameters", network.name))?;
        Ok(())
    }
}

fn dry_run(recipe: &Recipe, json: bool) -> CliResult<()> {
    let networks = std::iter::once(("teacher", &recipe.teacher.model)).chain(
        recipe
            .students
            .iter()
            .map(|student| (student.name.as_str(), &student.model)),
    );
    for (name, model) in networks {
        let count = format_count(model.num_parameters());
        let _ = writeln!(std::io::stderr(), "{name}: {count} parameters");
    }
    if json {
        super::print_json(recipe)
    } else {
        super::print_line(recipe.to_toml()?.trim_end())?;
        Ok(())
    }
}
