//! `fledge evaluate`.

use std::io::Write;
use std::path::{Path, PathBuf};

use shared_model::bundle::{Evaluation, LoadedModel, with_evaluations};
use shared_model::phrases::PhraseDecoder;

use super::decoder_arguments::DecoderArgs;
use super::output::{OutputFile, try_folder};
use super::progress::Progress;
use super::{CliResult, DeviceArgs, Failure, PrintArgs, ThreadArgs, WeightArgs, interrupt};
use crate::data::{Utterance, read_manifest};
use crate::evaluate::{
    DecoderChoice, Evaluated, EvaluationReport, Hypothesis, PhraseReport, evaluate, hear_phrases,
    sample,
};
use crate::model_folder::{self, ModelFolderError};
use crate::report::format_bytes;

/// Files told of one by one: unreadable ones, and those with something worth knowing.
const SHOWN: usize = 20;

/// Measure the word error rate of a model on a manifest
///
/// Prints a short summary, or one JSON object (--json): error rates with a 95 % interval over
/// utterances, counts, size and speed. The real-time factor is the processing time of one thread
/// per second of audio. With a beam search, the greedy decoder's figures are printed as well. The
/// expected calibration error is how far, over ten bins of confidence, the share of right words is
/// from the mean confidence, averaged over the words that were written. With --phrases the figures
/// are those of phrases: how many are heard, taken for others and missed, how many slots are wrong,
/// and how often a phrase is heard in an hour of speech that is none.
///
/// Example:
///   fledge evaluate --model runs/quick/models/small --manifest test.jsonl --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct EvaluateArgs {
    /// Model folder (those of a run are in its `models` folder)
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Utterances with their texts, NeMo-style JSONL
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    #[command(flatten)]
    decoder: DecoderArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    weights: WeightArgs,
    /// Store the figures in the model folder's manifest and card, under this name of the test set
    #[arg(long, value_name = "SET", conflicts_with_all = ["limit", "sample", "expand_int8", "boost"])]
    store: Option<String>,
    /// Write each utterance with its hypothesis (`pred_text`), NeMo-style JSONL
    #[arg(long, value_name = "FILE")]
    hypotheses: Option<PathBuf>,
    /// Use only the first N utterances
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Use N utterances drawn by --seed, always the same ones of the same manifest
    #[arg(long, value_name = "N", conflicts_with = "limit")]
    sample: Option<usize>,
    /// What --sample draws by
    #[arg(long, value_name = "N", default_value_t = 1, requires = "sample")]
    seed: u64,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    print: PrintArgs,
}

pub fn run(args: &EvaluateArgs) -> CliResult<()> {
    super::memory::keep_freed_memory();
    let loaded = args.weights.read(&args.model)?;
    let mut utterances = read_manifest(&args.manifest)?;
    if let Some(limit) = args.limit {
        utterances.truncate(limit);
    }
    if let Some(count) = args.sample {
        utterances = sample(utterances, count, args.seed);
    }
    if utterances.is_empty() {
        return Err(Failure::data(format!(
            "{} has no utterance to evaluate",
            args.manifest.display()
        )));
    }
    let decoder = args.decoder.choose(&loaded, args.print.quiet)?;
    if let DecoderChoice::Phrases(phrases) = &decoder {
        return evaluate_phrases(args, &loaded, phrases, &utterances);
    }
    let hypotheses = args.hypotheses.as_deref();
    let hypotheses = hypotheses.map(|path| OutputFile::try_new("--hypotheses", path));
    let hypotheses = hypotheses.transpose()?;
    if args.store.is_some() {
        try_folder("--store", &args.model)?;
    }
    let device = args.device.open()?;
    let progress = Progress::new(args.print.quiet);
    let threads = args.threads.count();
    let evaluated = evaluate(
        &loaded,
        &utterances,
        &decoder,
        &device,
        threads,
        interrupt::stop_flag(),
        &|done, total| progress.show(done, total),
    )?;
    if !args.print.quiet {
        tell_notices(&evaluated);
    }
    let refused = evaluated.check_broken();
    // A single one is named by the error itself.
    if (refused.is_ok() && !args.print.quiet) || evaluated.broken.len() > 1 {
        for broken in evaluated.broken.iter().take(SHOWN) {
            let _ = writeln!(std::io::stderr(), "left out: {}", broken.reason);
        }
    }
    refused?;
    if !args.print.quiet {
        super::tell_device(&device);
    }
    let report = EvaluationReport::new(&evaluated, &loaded.manifest, &decoder, &device.name);
    // None of the three is lost for what happens to the others.
    let printed = print(&report, args.print.json);
    let written = hypotheses.map_or(Ok(()), |out| {
        out.write(&hypothesis_lines(&utterances, &evaluated)?)
    });
    let stored = args.store.as_ref().map_or(Ok(()), |set| {
        let known = &loaded.manifest.evaluations;
        store(&args.model, known, report.to_evaluation(set))
    });
    written.and(stored).and(printed)
}

/// How well the phrases of a list are heard.
fn evaluate_phrases(
    args: &EvaluateArgs,
    loaded: &LoadedModel,
    phrases: &PhraseDecoder,
    utterances: &[Utterance],
) -> CliResult<()> {
    if args.store.is_some() || args.hypotheses.is_some() {
        return Err(Failure::usage(
            "--phrases has figures of its own: it goes with neither --store nor --hypotheses",
        ));
    }
    let device = args.device.open()?;
    let progress = Progress::new(args.print.quiet);
    let threads = args.threads.count();
    let heard = hear_phrases(
        loaded,
        phrases,
        utterances,
        &device,
        threads,
        interrupt::stop_flag(),
        &|done, total| progress.show(done, total),
    )?;
    if !args.print.quiet {
        super::tell_device(&device);
    }
    let report = PhraseReport::new(&heard, phrases);
    if args.print.json {
        return super::print_json(&report);
    }
    for line in report.summary() {
        super::print_line(&line)?;
    }
    Ok(())
}

/// What is worth knowing about the audio, as `fledge transcribe` says it.
fn tell_notices(evaluated: &Evaluated) {
    let outcomes = evaluated.outcomes.iter();
    let mut notices = outcomes.flat_map(|outcome| &outcome.notices);
    let mut stderr = std::io::stderr();
    for notice in notices.by_ref().take(SHOWN) {
        let _ = writeln!(stderr, "{notice}");
    }
    let more = notices.count();
    if more > 0 {
        let _ = writeln!(
            stderr,
            "{more} more notices; `fledge check --json` gives all of them"
        );
    }
}

fn print(report: &EvaluationReport, json: bool) -> CliResult<()> {
    if json {
        return super::print_json(report);
    }
    for line in summary(report) {
        super::print_line(&line)?;
    }
    Ok(())
}

/// Puts figures among those that a model folder has, in the place of older ones of the same kind.
fn store(folder: &Path, known: &[Evaluation], new: Evaluation) -> CliResult<()> {
    let mut evaluations = known.to_vec();
    let kind = |e: &Evaluation| (e.set.clone(), e.decoder.clone(), e.lm.clone());
    match evaluations.iter_mut().find(|old| kind(old) == kind(&new)) {
        Some(old) => *old = new,
        None => evaluations.push(new),
    }
    let files = model_folder::read_files(folder)?;
    let changed = with_evaluations(&files, &evaluations);
    let changed = changed.map_err(|source| ModelFolderError::Content {
        folder: folder.to_owned(),
        source: Box::new(source),
    })?;
    model_folder::update(folder, &changed)?;
    Ok(())
}

fn summary(report: &EvaluationReport) -> Vec<String> {
    let greedy = report.greedy.map(|greedy| {
        format!(
            "greedy: WER {:.2} % (95 % interval {:.2} to {:.2} %)  CER {:.2} %",
            greedy.wer * 100.0,
            greedy.wer_low * 100.0,
            greedy.wer_high * 100.0,
            greedy.cer * 100.0
        )
    });
    let mut lines = vec![
        format!(
            "WER {:.2} % (95 % interval {:.2} to {:.2} %)  CER {:.2} %",
            report.wer * 100.0,
            report.wer_low * 100.0,
            report.wer_high * 100.0,
            report.cer * 100.0
        ),
        format!(
            "{} words in {} utterances: {} inserted, {} deleted, {} substituted",
            report.words,
            report.utterances,
            report.insertions,
            report.deletions,
            report.substitutions
        ),
        format!(
            "confidence of words: expected calibration error {:.1} %",
            report.calibration_error * 100.0
        ),
        format!(
            "{:.1} s of audio, real-time factor {:.3} on {}, {} ({:.2} times the network's time)",
            report.audio_seconds,
            report.real_time_factor,
            report.device,
            report.decoder,
            report.decoding_ratio
        ),
        format!(
            "{} parameters, {}",
            crate::report::format_count(report.parameters as usize),
            format_bytes(report.bytes)
        ),
    ];
    if let Some(greedy) = greedy {
        lines.insert(1, greedy);
    }
    lines
}

fn hypothesis_lines(utterances: &[Utterance], evaluated: &Evaluated) -> CliResult<Vec<u8>> {
    let mut text = Vec::new();
    for hypothesis in Hypothesis::of(utterances, evaluated) {
        serde_json::to_writer(&mut text, &hypothesis)?;
        text.push(b'\n');
    }
    Ok(text)
}
