//! `fledge tune-phrases`.

use std::path::PathBuf;

use serde::Serialize;
use shared_model::bundle::LoadedModel;
use shared_model::phrases::{PhraseDecoder, with_threshold};

use super::output::OutputFile;
use super::progress::Progress;
use super::{CliResult, DeviceArgs, Failure, PrintArgs, ThreadArgs, interrupt};
use crate::data::read_manifest;
use crate::device::OpenDevice;
use crate::evaluate::{
    HeardPhrases, PhraseFile, ThresholdCurve, ThresholdPoint, choose_threshold, hear_phrases,
};
use crate::model_folder;

/// Find the threshold of a list of phrases for a model
///
/// Hears every recording once, then counts at every threshold what is heard of the phrases that
/// were said, and how often a phrase is heard in an hour of speech that is none. Prints the curve,
/// and stores the lowest threshold that keeps to the wanted rate of false accepts as a comment in
/// the file of phrases, where `evaluate` and `transcribe` find it. Use recordings that no figure is
/// measured on later.
///
/// Example:
///   fledge tune-phrases --model models/small --phrases lights.txt --manifest dev.jsonl --reject read.jsonl
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct TunePhrasesArgs {
    /// Model folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Phrases, one a line, or a JSGF grammar; its stored threshold is replaced
    #[arg(long, value_name = "FILE")]
    phrases: PathBuf,
    /// Recordings of phrases with their texts, NeMo-style JSONL
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// Recordings of other speech, with their texts
    #[arg(long, value_name = "FILE")]
    reject: Option<PathBuf>,
    /// Phrases heard where none was said, per hour of other speech, at most
    #[arg(long, value_name = "X", default_value_t = 0.5)]
    false_accepts: f64,
    /// Tune for phrases inside other speech
    #[arg(long)]
    spot: bool,
    /// Print the curve and leave the file of phrases as it is
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    print: PrintArgs,
}

#[derive(Serialize)]
struct Report {
    phrases: usize,
    outside_hours: f64,
    curve: Vec<ThresholdPoint>,
    chosen: ThresholdPoint,
    stored: bool,
}

/// Every so many of them are printed.
const PRINTED_EVERY: usize = 5;

pub fn run(args: &TunePhrasesArgs) -> CliResult<()> {
    super::memory::keep_freed_memory();
    if !(args.false_accepts >= 0.0 && args.false_accepts.is_finite()) {
        return Err(Failure::usage(
            "--false-accepts: expected a number from 0 on",
        ));
    }
    let loaded = model_folder::read(&args.model)?;
    let file = PhraseFile::read(&args.phrases)?;
    let wanted = (!args.dry_run).then(|| OutputFile::try_new("--phrases", &args.phrases));
    let output = wanted.transpose()?;
    let report = tune(args, &loaded, &file, output.is_some())?;
    if let Some(output) = &output {
        let (id, name) = (loaded.manifest.weights_id(), &loaded.manifest.name);
        let text = with_threshold(&file.text, report.chosen.threshold, &id, name);
        output.write(text.as_bytes())?;
    }
    if args.print.json {
        return super::print_json(&report);
    }
    for line in lines(&report) {
        super::print_line(&line)?;
    }
    Ok(())
}

/// The curve of a list, and the point that is chosen from it.
fn tune(
    args: &TunePhrasesArgs,
    loaded: &LoadedModel,
    file: &PhraseFile,
    stored: bool,
) -> CliResult<Report> {
    let decoder = file.decoder(loaded, Some(0.0), args.spot)?;
    let device = args.device.open()?;
    let mut heard = hear(args, loaded, &decoder, &args.manifest, &device)?;
    if let Some(reject) = &args.reject {
        heard.extend(hear(args, loaded, &decoder, reject, &device)?);
    }
    let ThresholdCurve {
        points,
        phrases,
        outside_hours,
    } = ThresholdCurve::of(&heard, args.spot);
    if phrases == 0 {
        return Err(Failure::data(format!(
            "{}: no utterance is nothing but phrases of {}",
            args.manifest.display(),
            args.phrases.display()
        )));
    }
    Ok(Report {
        phrases,
        outside_hours,
        chosen: choose_threshold(&points, args.false_accepts),
        curve: points,
        stored,
    })
}

fn hear(
    args: &TunePhrasesArgs,
    loaded: &LoadedModel,
    decoder: &PhraseDecoder,
    manifest: &std::path::Path,
    device: &OpenDevice,
) -> CliResult<Vec<HeardPhrases>> {
    let utterances = read_manifest(manifest)?;
    let progress = Progress::new(args.print.quiet);
    let threads = args.threads.count();
    Ok(hear_phrases(
        loaded,
        decoder,
        &utterances,
        device,
        threads,
        interrupt::stop_flag(),
        &|done, total| progress.show(done, total),
    )?)
}

fn lines(report: &Report) -> Vec<String> {
    let shown = |point: &ThresholdPoint| {
        let rate = |rate: Option<f64>| rate.map_or("-".into(), |rate| format!("{rate:.1}"));
        format!(
            "{:>9.2}  {:>7.1}  {:>14.1}  {:>13}  {:>7}  {:>12}",
            point.threshold,
            point.detection * 100.0,
            point.phrase_error_rate * 100.0,
            point.false_accepts,
            rate(point.false_accepts_per_hour),
            rate(point.most_false_accepts_per_hour)
        )
    };
    let mut lines = vec![
        format!(
            "{} phrases, {:.3} h of other speech",
            report.phrases, report.outside_hours
        ),
        "threshold  heard %  phrase error %  false accepts  an hour  at most, 95 %".to_owned(),
    ];
    lines.extend(report.curve.iter().step_by(PRINTED_EVERY).map(shown));
    let end = if report.stored {
        "stored"
    } else {
        "nothing was stored"
    };
    lines.push(format!("threshold {:.2}: {end}", report.chosen.threshold));
    lines.push(shown(&report.chosen));
    lines
}
