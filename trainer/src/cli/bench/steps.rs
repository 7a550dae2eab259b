//! `fledge bench steps`.

use std::path::PathBuf;
use std::time::Duration;

use crate::{
    bench::steps::{StepOptions, StepSpeed, measure_steps},
    cli::{CliResult, DeviceArgs, memory, print_json, print_line, tell_device},
    config::Recipe,
    report::{format_bytes, format_count},
};

use super::{check_seconds, vocab_size};

/// Measure a step of every phase at several batch sizes, on the CPU or on a graphics card
///
/// Runs the code that trains with fresh networks and synthetic batches; it needs no corpus and
/// writes nothing. For a graphics card it also reports how many kernels were launched and how long
/// they ran by the card's own clock.
///
/// Example:
///   fledge bench steps --recipe recipes/quick.toml --batch-seconds 60,960 --device wgpu
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct StepsArgs {
    /// The recipe, a TOML file
    #[arg(long, value_name = "FILE")]
    recipe: PathBuf,
    /// Override a value of the recipe, as `section.key=value`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    batches: BatchArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON object per step and size
    #[arg(long)]
    json: bool,
}

/// The synthetic batches; the same options wherever steps are timed at several sizes.
#[derive(Debug, Clone, clap::Args)]
pub struct BatchArgs {
    /// Batch sizes to try, seconds of audio
    #[arg(long, value_name = "SECONDS,...", value_delimiter = ',')]
    #[arg(default_values_t = [60.0, 240.0, 960.0])]
    pub batch_seconds: Vec<f64>,
    /// Length of each utterance, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 7.5)]
    pub utterance_seconds: f64,
    /// Timed steps for each network and size; fewer if they take more than 5 seconds
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub repeats: u16,
}

const MAX_BATCH_SECONDS: f64 = 100_000.0;
const BUDGET: Duration = Duration::from_secs(5);

impl BatchArgs {
    /// The sizes, ascending.
    pub fn checked(&self) -> CliResult<StepOptions> {
        check_seconds("--utterance-seconds", self.utterance_seconds, 60.0)?;
        for &secs in &self.batch_seconds {
            check_seconds("--batch-seconds", secs, MAX_BATCH_SECONDS)?;
        }
        let mut batch_secs = self.batch_seconds.clone();
        batch_secs.sort_by(f64::total_cmp);
        Ok(StepOptions {
            batch_secs,
            utterance_secs: self.utterance_seconds,
            repeats: self.repeats.into(),
            budget: BUDGET,
        })
    }
}

pub fn run(args: &StepsArgs) -> CliResult<()> {
    let options = args.batches.checked()?;
    let recipe = Recipe::load(&args.recipe, &args.set)?;
    memory::keep_freed_memory();
    let device = args.device.open()?;
    tell_device(&device);
    measure_steps(&recipe, vocab_size(&recipe), &device, &options, |step| {
        if args.json {
            return print_json(&step);
        }
        for line in lines(&step) {
            print_line(&line)?;
        }
        Ok(())
    })
}

fn lines(step: &StepSpeed) -> Vec<String> {
    let mut lines = vec![format!(
        "{:20} {:>6} s  {:>9.1} ms  {:>9} s of audio a second  {:>10}  first {:.1} ms",
        step.step,
        step.batch_secs,
        step.step_ms,
        format_count(step.audio_secs_per_sec.round() as usize),
        format_bytes(step.memory_bytes),
        step.first_ms
    )];
    if let Some(card) = &step.on_card {
        let kernels = &card.kernels;
        let ms = |ms: Option<f64>| ms.map_or("not timed".to_owned(), |ms| format!("{ms:.1} ms"));
        lines.push(format!(
            "  {} kernels, {}; {} read-backs, {:.1} ms with what they waited for",
            format_count(kernels.launches),
            ms(kernels.kernel_ms),
            card.read_backs,
            card.read_back_ms
        ));
        lines.extend(kernels.kernels.iter().take(5).map(|kernel| {
            format!(
                "  {:9.2} ms  {:>6} x {}",
                kernel.ms, kernel.launches, kernel.name
            )
        }));
    }
    lines
}
