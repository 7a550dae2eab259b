//! `fledge label`.

use std::io::Write;
use std::path::PathBuf;

use super::evaluate::{DecoderArgs, Progress};
use super::output::OutputFile;
use super::{CliResult, DeviceArgs, WeightArgs, interrupt};
use crate::label::{LabelOptions, LabelReport, Labeller, label, utterances_of};

/// Files told of one by one.
const SHOWN: usize = 20;

/// Write what a model hears as a manifest for training
///
/// Labels audio that nobody has transcribed: every file below a folder, or every utterance of a
/// manifest (its own texts are not used). Long recordings are cut at pauses. Each line of the new
/// manifest has the mean confidence of its words, by which `data.min_confidence` of a recipe
/// chooses. Stopped, it goes on with the same command.
///
/// Examples:
///   fledge label --model www/models/english-medium --audio recordings --out labels.jsonl
///   fledge label --model runs/quick/models/teacher --audio more.jsonl --out labels.jsonl --lm my.bin
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct LabelArgs {
    /// Model folder (those of a run are in its `models` folder)
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Folder of audio files, or manifest (JSONL)
    #[arg(long, value_name = "FOLDER|MANIFEST")]
    audio: PathBuf,
    /// Manifest to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    decoder: DecoderArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    weights: WeightArgs,
    /// Leave out labels of less confidence, 0 to 1
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    min_confidence: f32,
    /// Leave out utterances shorter than this
    #[arg(long, value_name = "SECONDS", default_value_t = 0.3)]
    min_seconds: f64,
    /// Cut longer audio at pauses
    #[arg(long, value_name = "SECONDS", default_value_t = 15.0)]
    max_seconds: f64,
    /// Threads on the CPU [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Do not print progress
    #[arg(long)]
    quiet: bool,
}

impl LabelArgs {
    fn options(&self) -> CliResult<LabelOptions> {
        let is_share = (0.0..=1.0).contains(&self.min_confidence);
        let are_lengths = self.min_seconds >= 0.0 && self.max_seconds > self.min_seconds;
        if !is_share || !are_lengths || self.max_seconds > 3600.0 {
            return Err(super::Failure::usage(
                "expected --min-confidence of 0 to 1, and --max-seconds above --min-seconds and up to 3600",
            ));
        }
        Ok(LabelOptions {
            min_confidence: self.min_confidence,
            min_secs: self.min_seconds,
            max_secs: self.max_seconds,
        })
    }
}

pub fn run(args: &LabelArgs) -> CliResult<()> {
    super::memory::keep_freed_memory();
    let options = args.options()?;
    OutputFile::try_new("--out", &args.out)?;
    let loaded = args.weights.read(&args.model)?;
    let decoder = args.decoder.choose(&loaded, args.quiet)?;
    let (utterances, problems) = utterances_of(&args.audio)?;
    let mut stderr = std::io::stderr();
    for problem in problems.iter().take(SHOWN) {
        let _ = writeln!(stderr, "left out: {problem}");
    }
    let device = args.device.open()?;
    let labeller = Labeller {
        model: &loaded,
        decoder: &decoder,
        device: &device,
        threads: args.threads.unwrap_or_else(super::num_cores),
    };
    let progress = Progress::new(args.quiet);
    let report = label(
        &labeller,
        &utterances,
        &args.out,
        options,
        interrupt::stop_flag(),
        &|done, total| progress.show(done, total),
    )?;
    for reason in report.broken.iter().take(SHOWN) {
        let _ = writeln!(stderr, "left out: {reason}");
    }
    if args.json {
        return super::print_json(&report);
    }
    Ok(super::print_line(&summary(&report, args))?)
}

fn summary(report: &LabelReport, args: &LabelArgs) -> String {
    let left_out = [
        (report.without_words, "without words"),
        (report.unsure, "of too little confidence"),
        (report.too_short, "too short"),
        (report.broken.len(), "that cannot be read"),
    ];
    let left_out: Vec<String> = left_out
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, why)| format!("{count} {why}"))
        .collect();
    let mut line = format!(
        "{}: {} utterances, {} words, {:.2} hours",
        args.out.display(),
        report.utterances,
        report.words,
        report.audio_seconds / 3600.0
    );
    if !left_out.is_empty() {
        line += &format!("; left out: {}", left_out.join(", "));
    }
    line
}
