//! `fledge transcribe`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use pollster::block_on;
use serde::Serialize;
use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::decode::Word;
use shared_model::phrases::{PhraseHit, SlotValue};
use shared_model::recognizer::{Decoder, Recognizer, Transcript};

use super::decoder_arguments::DecoderArgs;
use super::{CliResult, DeviceArgs, ExitStatus, Failure, WeightArgs, interrupt};
use crate::data::audio_file::{FileBlocks, decode_16k};

/// Transcribe audio files
///
/// Reads files, pipes and standard input, at any sample rate, with any number of channels, and up
/// to 48 hours long; memory use does not grow with the length. A file that cannot be read is
/// reported on standard error, the others are still transcribed, and the exit code is 3.
///
/// Examples:
///   fledge transcribe talk.mp3 memo.wav --model runs/quick/models/small --json
///   arecord -f S16_LE -r 16000 | fledge transcribe - --model runs/quick/models/small
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct TranscribeArgs {
    /// Audio files, or `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Model folder (those of a run are in its `models` folder)
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    #[command(flatten)]
    decoder: DecoderArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    weights: WeightArgs,
    /// Print one JSON object per file: file, text, and words with start, end (seconds) and
    /// confidence; with --phrases, the phrases with slots, start, end and score
    #[arg(long)]
    json: bool,
    /// Print only errors on standard error
    #[arg(long)]
    quiet: bool,
    /// Write the log-probabilities of a single file as JSON, `[frame][token]`, for comparison with
    /// other engines
    #[arg(long, value_name = "OUT")]
    log_probs: Option<PathBuf>,
    /// Write the features behind those log-probabilities as JSON, `[frame][mel band]`
    #[arg(long, value_name = "OUT", requires = "log_probs")]
    features: Option<PathBuf>,
}

#[derive(Serialize)]
struct Line<'a> {
    file: String,
    text: &'a str,
    words: Vec<JsonWord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phrases: Option<Vec<JsonPhrase<'a>>>,
}

#[derive(Serialize)]
struct JsonPhrase<'a> {
    phrase: &'a str,
    text: &'a str,
    slots: BTreeMap<&'a str, &'a SlotValue>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    /// Seconds from the beginning of the file.
    start: f64,
    end: f64,
    score: f64,
}

impl<'a> From<&'a PhraseHit> for JsonPhrase<'a> {
    fn from(hit: &'a PhraseHit) -> Self {
        let slots = hit.slots.iter();
        Self {
            phrase: &hit.phrase,
            text: &hit.text,
            slots: slots
                .map(|slot| (slot.name.as_str(), &slot.value))
                .collect(),
            tags: &hit.tags,
            start: rounded_secs(hit.start_secs),
            end: rounded_secs(hit.end_secs),
            score: rounded_share(hit.score),
        }
    }
}

#[derive(Serialize)]
struct JsonWord<'a> {
    text: &'a str,
    /// Seconds from the beginning of the file.
    start: f64,
    end: f64,
    confidence: f64,
}

impl<'a> From<&'a Word> for JsonWord<'a> {
    fn from(word: &'a Word) -> Self {
        Self {
            text: &word.text,
            start: rounded_secs(word.start_secs),
            end: rounded_secs(word.end_secs),
            confidence: rounded_share(word.confidence),
        }
    }
}

/// To the millisecond before, so that no word ends behind its file; what f32 leaves of a whole
/// millisecond counts as one.
fn rounded_secs(secs: f32) -> f64 {
    (f64::from(secs) * 1e3 + 0.05).floor() / 1e3
}

/// To four digits, as the page's JSON.
fn rounded_share(share: f32) -> f64 {
    (f64::from(share) * 1e4).round() / 1e4
}

pub fn run(args: &TranscribeArgs) -> CliResult<()> {
    let loaded = args.weights.read(&args.model)?;
    let decoder = args
        .decoder
        .choose(&loaded, args.quiet)?
        .build(&loaded.tokens)?;
    let device = args.device.open()?;
    let recognizer = Recognizer::new(&loaded, decoder, &device.device)?;
    if let Some(out) = &args.log_probs {
        let samples = only_window(&args.files)?;
        let log_probs = block_on(recognizer.log_probs(&samples))?;
        write_frames(out, &log_probs, recognizer.tokens().len())?;
        if let Some(out) = &args.features {
            let features = recognizer.window_features(&samples);
            write_frames(out, &features.data, features.n_mels)?;
        }
    }
    let hears_phrases = matches!(recognizer.decoder(), Decoder::Phrases(_));
    let mut failed = 0;
    let mut told_device = args.quiet;
    for path in &args.files {
        let transcript = match transcribe(&recognizer, path, args.quiet) {
            Ok(transcript) => transcript,
            // What is no file's fault is every file's.
            Err(failure) if failure.exit_status() != ExitStatus::Data || args.files.len() == 1 => {
                return Err(failure);
            }
            Err(failure) => {
                failed += 1;
                let _ = writeln!(std::io::stderr(), "error: {failure}");
                continue;
            }
        };
        if !told_device {
            told_device = true;
            super::tell_device(&device);
        }
        if args.json {
            super::print_json(&Line {
                file: path.to_string_lossy().into_owned(),
                text: &transcript.text,
                words: transcript.words.iter().map(JsonWord::from).collect(),
                phrases: hears_phrases
                    .then(|| transcript.phrases.iter().map(JsonPhrase::from).collect()),
            })?;
        } else if args.files.len() > 1 {
            super::print_line(&format!("{}: {}", path.display(), transcript.text))?;
        } else {
            super::print_line(&transcript.text)?;
        }
    }
    if failed > 0 {
        // Each of them had its line.
        return Err(Failure::told(ExitStatus::Data));
    }
    Ok(())
}

/// Longest clip whose log-probabilities are written: one pass of the network.
const MAX_LOG_PROBS_SECS: f32 = 30.0;

fn only_window(files: &[PathBuf]) -> CliResult<Vec<f32>> {
    let [file] = files else {
        return Err(Failure::usage("--log-probs takes one audio file"));
    };
    let samples = decode_16k(file, 0.0, None)?;
    let secs = samples.len() as f32 / SAMPLE_RATE_HZ as f32;
    if secs > MAX_LOG_PROBS_SECS {
        return Err(Failure::data(format!(
            "{}: {secs:.1} s long, --log-probs takes at most {MAX_LOG_PROBS_SECS} s",
            file.display()
        )));
    }
    Ok(samples)
}

fn write_frames(out: &Path, values: &[f32], width: usize) -> CliResult<()> {
    let frames: Vec<&[f32]> = values.chunks(width).collect();
    let json = serde_json::to_vec(&frames)?;
    std::fs::write(out, json).map_err(Failure::while_doing(format!(
        "{} could not be written",
        out.display()
    )))
}

/// Long files tell how far they are.
const PROGRESS_SECS: f32 = 60.0;

fn transcribe(recognizer: &Recognizer, path: &Path, is_quiet: bool) -> CliResult<Transcript> {
    let mut blocks = FileBlocks::open(path)?;
    let total_secs = blocks.info().duration_secs;
    let stop = interrupt::stop_flag();
    let mut told = 0.0;
    let mut progress = |done: f32| {
        if !is_quiet && done - told >= PROGRESS_SECS {
            told = done;
            tell_progress(path, done, total_secs);
        }
        !stop.load(std::sync::atomic::Ordering::Relaxed)
    };
    let mut transcription = recognizer.begin();
    while let Some(block) = blocks.next_block()? {
        block_on(transcription.push(block, &mut progress))?;
        if interrupt::is_stopping() {
            break;
        }
    }
    let transcript = block_on(transcription.finish(&mut progress))?;
    if interrupt::is_stopping() {
        return Err(Failure::new(ExitStatus::Interrupted, "stopped by Ctrl-C"));
    }
    if !is_quiet {
        for notice in blocks.notices() {
            let _ = writeln!(std::io::stderr(), "{notice}");
        }
    }
    Ok(transcript)
}

fn tell_progress(path: &Path, done: f32, total_secs: Option<f64>) {
    let path = path.display();
    let _ = match total_secs {
        Some(total) if total <= f64::from(2.0 * PROGRESS_SECS) || f64::from(done) >= total => {
            Ok(())
        }
        Some(total) => writeln!(std::io::stderr(), "{path}: {done:.0} of {total:.0} s"),
        None => writeln!(std::io::stderr(), "{path}: {done:.0} s"),
    };
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::data::audio_file::MAX_BLOCKS_SECONDS;

    #[test]
    fn times_and_confidences_are_written_as_far_as_they_mean_anything() {
        let word = Word {
            text: "seven".into(),
            start_secs: 3.0 * 0.13,
            // The end of a file of 24,250 samples.
            end_secs: 1.515_625,
            confidence: 0.998_060_05,
        };
        let json = serde_json::to_string(&JsonWord::from(&word)).expect("is written");
        assert_eq!(
            json,
            r#"{"text":"seven","start":0.39,"end":1.515,"confidence":0.9981}"#
        );
    }

    #[test]
    fn the_help_names_the_limit_that_holds() {
        let mut command = crate::cli::Cli::command();
        let transcribe = command.find_subcommand_mut("transcribe").expect("is there");
        let help = transcribe.render_long_help().to_string();
        let limit = format!("{} hours", MAX_BLOCKS_SECONDS / 3600.0);
        assert!(help.contains(&limit), "no \"{limit}\" in\n{help}");
    }
}
