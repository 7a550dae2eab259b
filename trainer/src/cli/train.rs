//! `fledge teach`, `distill`, `finetune` and `run`: a recipe's training, in parts or as a whole.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::export::{export_all, print_models, store_reports};
use super::{CliResult, DeviceArgs, ExitStatus, Failure, interrupt};
use crate::cluster::{self, Link, Processes, Team};
use crate::config::{Phase, Recipe, RecipeError};
use crate::exit_status::HasExitStatus;
use crate::report::format_count;
use crate::session::{Session, SessionError, TrainedRun};
use crate::train::TrainedNetwork;

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
    /// Longest time in seconds that another process may stay silent, where mpirun or srun has started
    /// several
    #[arg(long, value_name = "SECS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    mpi_timeout: u64,
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
/// continues from there. Started by mpirun or srun, several processes share the work
/// (`fledge mpi build` makes what joins them).
///
/// Example:
///   fledge run recipes/quick.toml --run runs/quick --set data.train=my/manifest.jsonl
///   mpirun -n 4 --bind-to none fledge run recipes/quick.toml --run runs/quick
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
    // Before anything that takes time or threads; a dry run computes nothing.
    let processes = match args.dry_run {
        true => None,
        false => joined(args.mpi_timeout)?,
    };
    let mut overrides = args.set.clone();
    overrides.extend(args.seed.map(|seed| format!("seed={seed}")));
    let recipe = Recipe::load(&args.recipe, &overrides)?;
    if args.dry_run {
        return dry_run(&recipe, args.json);
    }
    super::memory::keep_freed_memory();
    let team = match &processes {
        Some(processes) => Team::of(processes),
        None => Team::alone(),
    };
    let recipe_text =
        std::fs::read_to_string(&args.recipe).map_err(|reason| RecipeError::Read {
            path: args.recipe.clone(),
            reason,
        })?;
    let path = args
        .run
        .clone()
        .unwrap_or_else(|| PathBuf::from("runs").join(&recipe.name));
    let session = Session {
        recipe,
        recipe_text: &recipe_text,
        path: &path,
        fresh: args.fresh,
        phase,
        device: &args.device.open_nth(team.local_rank())?,
        quiet: args.quiet,
        max_steps: args.max_steps,
        team,
        stop: interrupt::stop_flag_of(team.is_first()),
    };
    let run = session.run();
    let run = match processes {
        Some(processes) => end_together(processes, run)?,
        None => match run {
            // Told already, and what was asked for.
            Err(SessionError::StepLimit { .. }) => None,
            run => Some(run?),
        },
    };
    let Some(run) = run else {
        return Ok(());
    };
    let TrainedRun {
        folder,
        recipe,
        tokens,
        networks,
        ..
    } = run;
    if phase.is_some() {
        for network in &networks {
            print_trained(network, args.json)?;
        }
        return Ok(());
    }
    let precision = recipe.export.precision;
    let name = |name: &str| folder.model(name);
    let models = export_all(&recipe, &tokens, &networks, precision, args.quiet, name)?;
    store_reports(&folder, &models)?;
    print_models(&models, args.json)
}

/// The end of this process's part. What was trained is process 0's; the others have nothing left to do.
fn end_together(
    processes: Processes,
    run: Result<TrainedRun, SessionError>,
) -> CliResult<Option<TrainedRun>> {
    let is_first = processes.seat().rank == 0;
    let result = match run {
        Ok(run) => Ok(is_first.then_some(run)),
        Err(SessionError::StepLimit { .. }) => Ok(None),
        Err(error) if error.exit_status() == ExitStatus::Interrupted => {
            let failure = Failure::from(error);
            // Before any process ends: launchers end all others with the first that has a status.
            if is_first {
                eprintln!("error: {failure}");
            }
            Err(Failure::told(failure.exit_status()))
        }
        // Not all processes come to this end: it ends them all at once.
        Err(error) => return Err(error.into()),
    };
    processes.leave()?;
    result
}

/// The processes that were started with this one, if there are any. What keeps them from being joined
/// is the same for all, and told once.
fn joined(timeout_secs: u64) -> CliResult<Option<Processes>> {
    let joined = cluster::join(Duration::from_secs(timeout_secs));
    joined.map_err(|error| {
        let rank = cluster::launched().map_or(0, |launched| launched.rank);
        match rank {
            0 => Failure::from(error),
            _ => Failure::told(error.exit_status()),
        }
    })
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
