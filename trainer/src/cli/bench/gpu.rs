//! `fledge bench gpu`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{
    bench::gpu_check::{BUDGET_SECS, CheckOptions, End, PartReport, check},
    cli::{CliResult, ExitStatus, Failure, print_line},
    config::Recipe,
};

use super::{steps::BatchArgs, vocab_size};

/// Check a graphics card: does it compute as the CPU does, and how fast does it train?
///
/// Prints one Markdown table: adapters and their self-tests, parity of a recipe's training with the
/// CPU, the speed of a step of every phase at several batch sizes beside two CPU cores, where a
/// step's time goes, the same step in PyTorch if it is installed with CUDA, and the whole recipe
/// trained once. A part that fails is reported in its row. `scripts/gpu-check.sh` runs this
/// command.
///
/// Example:
///   fledge bench gpu --recipe recipes/quick.toml --out gpu-check
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct GpuArgs {
    /// The recipe, a TOML file
    #[arg(long, value_name = "FILE")]
    recipe: PathBuf,
    /// Override a value of the recipe, as `section.key=value`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder for the report as JSON (gpu-check.json) and the output of each part
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    batches: BatchArgs,
    /// Training steps to compare in each phase
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    parity_steps: u16,
    /// Script of the teacher's step in PyTorch (trainer/benches/pytorch/teacher_step.py)
    #[arg(long, value_name = "FILE")]
    pytorch: Option<PathBuf>,
    /// Python interpreter to look for PyTorch in
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: PathBuf,
    /// Time limit for everything, seconds; each part may take its share
    #[arg(long, value_name = "SECONDS", default_value_t = BUDGET_SECS)]
    budget_seconds: u64,
    /// Accept a graphics adapter that is emulated on the CPU (slow; for tests)
    #[arg(long)]
    allow_software_adapter: bool,
}

pub fn run(args: &GpuArgs) -> CliResult<()> {
    let recipe = Recipe::load(&args.recipe, &args.set)?;
    let batches = args.batches.checked()?;
    let mut device_arguments = vec!["--device".to_owned(), "wgpu".to_owned()];
    if args.allow_software_adapter {
        device_arguments.push("--allow-software-adapter".to_owned());
    }
    let options = CheckOptions {
        fledge: std::env::current_exe().map_err(Failure::while_doing(
            "the path of this program is not known",
        ))?,
        recipe: args.recipe.clone(),
        teacher: recipe.fitted(&recipe.teacher.model, vocab_size(&recipe)),
        intermediate_ctc_weight: recipe.teach.ctc.intermediate_weight,
        set: args.set.clone(),
        device_arguments,
        batch_secs: batches.batch_secs,
        utterance_secs: batches.utterance_secs,
        repeats: batches.repeats,
        parity_steps: args.parity_steps.into(),
        pytorch: args
            .pytorch
            .clone()
            .map(|script| (script, args.python.clone())),
        folder: args.out.clone(),
        budget: Duration::from_secs(args.budget_seconds),
    };
    let written = |path: &Path| format!("{} cannot be written", path.display());
    let report = check(&options, tell).map_err(Failure::while_doing(written(&args.out)))?;
    let json = args.out.join("gpu-check.json");
    report
        .store(&json)
        .map_err(Failure::while_doing(written(&json)))?;
    print_line(report.table().trim_end())?;
    if report.passed {
        Ok(())
    } else {
        Err(Failure::new(
            ExitStatus::Failed,
            "the check did not pass: the last rows of the table say which part failed or differs",
        ))
    }
}

fn tell(part: &PartReport) {
    let end = match &part.end {
        End::Done => "done".to_owned(),
        End::Failed { reason } => format!("failed: {reason}"),
        End::OutOfTime { .. } => "stopped, its time is up".to_owned(),
        End::Absent { reason } => format!("left out: {reason}"),
    };
    let _ = writeln!(io::stderr(), "{}: {:.1} s, {end}", part.name, part.secs);
}
