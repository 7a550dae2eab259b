//! `fledge bench phrases`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::output::OutputFile;
use crate::cli::progress::Progress;
use crate::cli::{
    CliResult, DeviceArgs, Failure, PrintArgs, ThreadArgs, interrupt, memory, print_json,
    print_line,
};
use crate::data::{Utterance, read_manifest};
use crate::device::OpenDevice;
use crate::evaluate::{
    HeardPhrases, PhraseFile, PhraseTrial, answer_delays, curve_chart, hear_phrases,
};
use crate::model_folder;

/// Measure all that a list of phrases is judged by, for one model or several
///
/// Hears recordings of phrases, and sounds that are none, and prints for each model the phrase error
/// rate, wrong slots, false accepts by the threshold of the list and by the one at which a share of
/// the phrases is heard (--detection), what a second of audio costs one core, and how soon a phrase
/// is answered live. With 95 % intervals: bootstrap over utterances, and for false accepts the most
/// that there may be. --curve draws phrases heard over false accepts in the first set of --reject.
///
/// Example:
///   fledge bench phrases --model models/small,models/tiny --phrases lights.txt --manifest test.jsonl \
///     --reject read.jsonl --reject noise.jsonl --curve lights.svg
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct PhrasesArgs {
    /// Model folders
    #[arg(long, value_name = "DIR", required = true, value_delimiter = ',')]
    model: Vec<PathBuf>,
    /// Phrases, one a line, or a JSGF grammar
    #[arg(long, value_name = "FILE")]
    phrases: PathBuf,
    /// Recordings of phrases with their texts, NeMo-style JSONL
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// Other speech with its texts, or sounds without text; may be given again
    #[arg(long, value_name = "FILE")]
    reject: Vec<PathBuf>,
    /// Share of the phrases to be heard where false accepts are counted, 0 to 1
    #[arg(long, value_name = "X", default_value_t = 0.95)]
    detection: f64,
    /// Hear phrases inside other speech too
    #[arg(long)]
    spot: bool,
    /// Audio of the live session, seconds at most; 0 for none
    #[arg(long, value_name = "SECS", default_value_t = 300.0)]
    live_secs: f64,
    /// Draw the curve, an SVG
    #[arg(long, value_name = "FILE", requires = "reject")]
    curve: Option<PathBuf>,
    /// What stands over the curve [default: the name of the list's file]
    #[arg(long, value_name = "TEXT", requires = "curve")]
    title: Option<String>,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    print: PrintArgs,
}

#[derive(Debug, Serialize)]
struct Report {
    phrases: String,
    detection: f64,
    models: Vec<PhraseTrial>,
}

pub fn run(args: &PhrasesArgs) -> CliResult<()> {
    memory::keep_freed_memory();
    if !(0.0..=1.0).contains(&args.detection) {
        return Err(Failure::usage("--detection: expected a number from 0 to 1"));
    }
    if !(0.0..=36_000.0).contains(&args.live_secs) {
        return Err(Failure::usage("--live-secs: expected 0 to 36000"));
    }
    let curve = args.curve.as_deref();
    let curve = curve.map(|path| OutputFile::try_new("--curve", path));
    let curve = curve.transpose()?;
    let file = PhraseFile::read(&args.phrases)?;
    let device = args.device.open()?;
    let mut models = Vec::new();
    for model in &args.model {
        models.push(measure(args, model, &file, &device)?);
    }
    if let Some(curve) = curve {
        let name = args.phrases.file_name().unwrap_or_default();
        let title = args
            .title
            .as_deref()
            .map_or(name.to_string_lossy(), Into::into);
        curve.write(curve_chart(&title, &models)?.as_bytes())?;
    }
    let report = Report {
        phrases: args.phrases.display().to_string(),
        detection: args.detection,
        models,
    };
    if args.print.json {
        return print_json(&report);
    }
    for model in &report.models {
        for line in model.summary(report.detection) {
            print_line(&line)?;
        }
    }
    Ok(())
}

fn measure(
    args: &PhrasesArgs,
    model: &Path,
    file: &PhraseFile,
    device: &OpenDevice,
) -> CliResult<PhraseTrial> {
    let loaded = model_folder::read(model)?;
    let decoder = file.decoder(&loaded, None, args.spot)?;
    let hear = |utterances: &[Utterance]| -> CliResult<Vec<HeardPhrases>> {
        let progress = Progress::new(args.print.quiet);
        Ok(hear_phrases(
            &loaded,
            &decoder,
            utterances,
            device,
            args.threads.count(),
            interrupt::stop_flag(),
            &|done, total| progress.show(done, total),
        )?)
    };
    let utterances = read_manifest(&args.manifest)?;
    let said = hear(&utterances)?;
    let mut rejected = Vec::new();
    for path in &args.reject {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        rejected.push((name.into_owned(), hear(&read_manifest(path)?)?));
    }
    let name = model.display().to_string();
    let mut trial = PhraseTrial::new(name, &decoder, &said, &rejected, args.detection);
    if trial.report.phrases == 0 {
        let (manifest, list) = (args.manifest.display(), args.phrases.display());
        return Err(Failure::data(format!(
            "{manifest}: no utterance is nothing but phrases of {list}"
        )));
    }
    if args.live_secs > 0.0 {
        trial.delays = answer_delays(&loaded, &decoder, &utterances, args.live_secs, device)?;
    }
    Ok(trial)
}
