//! `fledge study`.

use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;

use super::{CliResult, DeviceArgs, interrupt};
use crate::report::format_duration;
use crate::study::{CellState, Estimate, Runner, Study, StudyError};

/// Compare ways to train: run the cells of a study, then report
///
/// A study file names a base recipe, arms that change it, seeds and tests. Each arm with each seed
/// is a cell: an ordinary run folder, and a record beside the study file. The same command again
/// continues; a cell with a record is never run again. Several processes may share the work.
///
/// Example:
///   fledge study studies/digits/study.toml --dry-run
///   fledge study studies/digits/study.toml
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct StudyArgs {
    /// The study file (TOML)
    study: PathBuf,
    /// Folder of the run folders, one a cell [default: runs/studies/NAME with the study's name]
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// Print the cells, one id a line; each stands behind those that it needs
    #[arg(long, group = "what")]
    list_cells: bool,
    /// Print what each cell has cost or will cost, and how that is known
    #[arg(long, group = "what")]
    dry_run: bool,
    /// Run the cell with this id, and before it what it needs and nobody has run
    #[arg(long, value_name = "ID", group = "what")]
    only: Option<String>,
    /// Run the cell in the K-th line of --list-cells, 1 for the first, likewise
    #[arg(long, value_name = "K", group = "what")]
    index: Option<usize>,
    /// Make the report from the records that there are, and name the missing ones
    #[arg(long, group = "what")]
    collect: bool,
    /// Begin a cell anew where its run folder holds another recipe
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    device: DeviceArgs,
    /// No progress on standard error
    #[arg(long)]
    quiet: bool,
    /// With --list-cells or --dry-run: one JSON object a cell
    #[arg(long)]
    json: bool,
}

pub fn run(args: &StudyArgs) -> CliResult<()> {
    let study = Study::open(&args.study, args.runs.as_deref())?;
    if args.list_cells || args.dry_run {
        return list(&study, args);
    }
    if args.collect {
        return collect(&study);
    }
    super::memory::keep_freed_memory();
    let device = args.device.open()?;
    let mut tell = |message: String| {
        if !args.quiet {
            let _ = writeln!(std::io::stderr(), "{message}");
        }
    };
    let mut runner = Runner {
        study: &study,
        device: &device,
        fresh: args.fresh,
        quiet: args.quiet,
        stop: interrupt::stop_flag(),
        tell: &mut tell,
    };
    if let Some(index) = chosen(&study, args)? {
        return Ok(runner.run(index)?);
    }
    for index in 0..study.cells.len() {
        runner.run(index)?;
    }
    collect(&study)
}

/// The only cell that is asked for.
fn chosen(study: &Study, args: &StudyArgs) -> Result<Option<usize>, StudyError> {
    if let Some(id) = &args.only {
        return study.find(id).map(Some);
    }
    let Some(number) = args.index else {
        return Ok(None);
    };
    let index = number
        .checked_sub(1)
        .filter(|&index| index < study.cells.len());
    match index {
        Some(index) => Ok(Some(index)),
        None => study.find(&number.to_string()).map(Some),
    }
}

#[derive(Serialize)]
struct CellLine<'a> {
    id: &'a str,
    seed: u64,
    state: &'static str,
    needs: Vec<&'a str>,
    run_folder: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<&'static str>,
}

fn list(study: &Study, args: &StudyArgs) -> CliResult<()> {
    let estimates = args.dry_run.then(|| study.estimates()).transpose()?;
    for (index, cell) in study.cells.iter().enumerate() {
        let estimate = estimates.as_ref().map(|estimates| &estimates[index]);
        if args.json {
            let needs = cell.weights_of.iter().chain(&cell.costs_of);
            super::print_json(&CellLine {
                id: &cell.id,
                seed: cell.seed,
                state: state_name(study, index)?,
                needs: needs.map(|&need| study.cells[need].id.as_str()).collect(),
                run_folder: study.run_folder(index).display().to_string(),
                cpu_seconds: estimate.and_then(|estimate| estimate.cpu_secs),
                basis: estimate.map(|estimate| estimate.basis.as_str()),
            })?;
        } else if let Some(estimate) = estimate {
            let width = study.cells.iter().map(|cell| cell.id.len()).max();
            super::print_line(&format!(
                "{:width$}  {:11}  {:>9}  {}",
                cell.id,
                state_name(study, index)?,
                duration(estimate.cpu_secs),
                estimate.basis.as_str(),
                width = width.unwrap_or(0)
            ))?;
        } else {
            super::print_line(&cell.id)?;
        }
    }
    if let Some(estimates) = estimates.filter(|_| !args.json) {
        tell_total(study, &estimates)?;
    }
    Ok(())
}

fn tell_total(study: &Study, estimates: &[Estimate]) -> CliResult<()> {
    let mut left = Some(0.0);
    for (index, estimate) in estimates.iter().enumerate() {
        if state_name(study, index)? != "done" {
            left = left.zip(estimate.cpu_secs).map(|(sum, own)| sum + own);
        }
    }
    let all = estimates.iter().map(|estimate| estimate.cpu_secs).sum();
    super::print_line(&format!(
        "{} of processors in all, {} of it left to do",
        duration(all),
        duration(left)
    ))?;
    Ok(())
}

fn duration(secs: Option<f64>) -> String {
    secs.map_or_else(|| "unknown".to_owned(), format_duration)
}

fn state_name(study: &Study, index: usize) -> Result<&'static str, StudyError> {
    Ok(match study.state(index)? {
        CellState::Done(_) => "done",
        CellState::Unmeasured(_) => "lacks tests",
        CellState::Outdated => "outdated",
        CellState::Waiting(_) => "needs costs",
        CellState::ToRun => "to run",
    })
}

fn collect(study: &Study) -> CliResult<()> {
    let report = study.report()?;
    for id in &report.results.missing {
        let _ = writeln!(std::io::stderr(), "missing: {id}");
    }
    for file in &report.files {
        super::print_line(&file.display().to_string())?;
    }
    Ok(())
}
