//! `fledge bench live`.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use pollster::block_on;
use serde::Serialize;
use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::metrics::{ErrorCounts, word_errors};
use shared_model::recognizer::{LiveConfig, LiveRecognizer, Recognizer};

use crate::bench::live_words::{LiveDelays, LiveWords, SettlingRule};
use crate::cli::decoder_arguments::DecoderArgs;
use crate::cli::{CliResult, Failure, print_json, print_line};
use crate::clock::Usage;
use crate::data::{decode_16k, read_manifest};
use crate::device::OpenDevice;
use crate::model_folder;

/// Time a live session: how soon words appear and stay, and what a second of audio costs
///
/// Feeds the clips of a manifest into one session in blocks of 20 ms, as a microphone would, with a
/// second of silence behind each, on one CPU thread. A final word's delays run from its end to the
/// end of a block, plus the time taken to compute that block: *shown* to the first partial result
/// from which on some word is at its time, *standing* to the first from which on this very word is
/// there. Besides, it says how a rule that settles words while a segment is open would do: when,
/// and how many of the settled words the final changes.
///
/// Example:
///   fledge bench live --model www/models/quick-tiny --manifest trainer/corpus/test.jsonl
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct LiveArgs {
    /// Model folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Manifest of the clips (JSONL)
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// No further clip after so much audio, seconds
    #[arg(long, default_value_t = 600.0, value_name = "SECS")]
    secs: f32,
    /// The rule: so many partial results one after the other have the word
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=20))]
    agreeing_results: u8,
    /// The rule: so much was heard behind the word's end, seconds
    #[arg(long, default_value_t = 0.5, value_name = "SECS")]
    heard_behind_secs: f32,
    /// The rule: the newest result is so sure of it, 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    least_confidence: f32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    decoder: DecoderArgs,
}

#[derive(Debug, Serialize)]
struct Report {
    audio_secs: f64,
    words: usize,
    shown_median_ms: f64,
    shown_90_percent_ms: f64,
    standing_median_ms: f64,
    standing_90_percent_ms: f64,
    settled_median_ms: f64,
    settled_90_percent_ms: f64,
    /// Words that the rule settled, a share of the finals' words.
    settled_share: f64,
    /// Of the words that the rule settled, those that the final changes.
    settled_words_changed: f64,
    /// Of the finals.
    live_wer: f64,
    /// Of the finals if what was settled had stayed.
    live_wer_if_settled_words_stayed: f64,
    /// Of the clips as files.
    file_wer: f64,
    /// Computed for each second of audio in the session's first and last quarter.
    first_quarter_ms_per_sec: f64,
    last_quarter_ms_per_sec: f64,
    slowest_block_ms: f64,
    /// Of the process after a quarter of the session and at its end.
    first_quarter_peak_memory_bytes: u64,
    peak_memory_bytes: u64,
}

const BLOCK: usize = SAMPLE_RATE_HZ as usize / 50;

pub fn run(args: &LiveArgs) -> CliResult<()> {
    if !(1.0..=36_000.0).contains(&args.secs) {
        return Err(Failure::usage("--secs must be 1 to 36000"));
    }
    if !(0.0..=10.0).contains(&args.heard_behind_secs) {
        return Err(Failure::usage("--heard-behind-secs must be 0 to 10"));
    }
    if !(0.0..=1.0).contains(&args.least_confidence) {
        return Err(Failure::usage("--least-confidence must be 0 to 1"));
    }
    let clips = clips(args)?;
    let loaded = model_folder::read(&args.model)?;
    let decoder = args.decoder.choose(&loaded, args.json)?;
    let decoder = decoder.build(&loaded.tokens)?;
    let device = OpenDevice::cpu("one thread of it is timed");
    let recognizer = Rc::new(Recognizer::new(&loaded, decoder, &device.device)?);
    let rule = SettlingRule {
        agreeing_results: usize::from(args.agreeing_results),
        heard_behind_secs: args.heard_behind_secs,
        least_confidence: args.least_confidence,
    };
    let (delays, costs) = listen(&recognizer, &clips, rule)?;
    let report = report(&clips, delays, &costs, file_errors(&recognizer, &clips)?);
    if args.json {
        return print_json(&report);
    }
    print(&report)
}

fn print(report: &Report) -> CliResult<()> {
    let percent = |rate: f64| rate * 100.0;
    print_line(&format!(
        "{} words in {:.0} s of audio: shown {:.0} ms (median) and {:.0} ms (nine of ten) after they end, standing after {:.0} and {:.0} ms",
        report.words,
        report.audio_secs,
        report.shown_median_ms,
        report.shown_90_percent_ms,
        report.standing_median_ms,
        report.standing_90_percent_ms
    ))?;
    print_line(&format!(
        "the rule settles {:.0} % of them before their final, all after {:.0} and {:.0} ms; finals change {:.1} % of what it settled",
        percent(report.settled_share),
        report.settled_median_ms,
        report.settled_90_percent_ms,
        percent(report.settled_words_changed)
    ))?;
    print_line(&format!(
        "WER {:.2} % live, {:.2} % as files; {:.2} % live if settled words stayed",
        percent(report.live_wer),
        percent(report.file_wer),
        percent(report.live_wer_if_settled_words_stayed)
    ))?;
    print_line(&format!(
        "a second of audio takes {:.1} ms in the first quarter of the session, {:.1} ms in the last; the slowest block {:.1} ms; {:.0} MB after a quarter, {:.0} MB at the end",
        report.first_quarter_ms_per_sec,
        report.last_quarter_ms_per_sec,
        report.slowest_block_ms,
        report.first_quarter_peak_memory_bytes as f64 / 1e6,
        report.peak_memory_bytes as f64 / 1e6
    ))?;
    Ok(())
}

struct Clip {
    samples: Vec<f32>,
    text: String,
}

fn clips(args: &LiveArgs) -> CliResult<Vec<Clip>> {
    let longest = (args.secs * SAMPLE_RATE_HZ as f32) as usize;
    let mut num_samples = 0;
    let mut clips = vec![];
    for clip in read_manifest(&args.manifest)? {
        if num_samples >= longest {
            break;
        }
        let duration = (clip.duration_secs > 0.0).then_some(clip.duration_secs);
        let samples = decode_16k(clip.audio(), clip.offset_secs, duration)?;
        num_samples += samples.len() + SAMPLE_RATE_HZ as usize;
        clips.push(Clip {
            samples,
            text: clip.text,
        });
    }
    Ok(clips)
}

/// What the session took.
#[derive(Default)]
struct Costs {
    audio_secs: f64,
    block_ms: Vec<f64>,
    /// After each clip: blocks so far, and the peak memory.
    memory: Vec<(usize, u64)>,
}

fn listen(
    recognizer: &Rc<Recognizer>,
    clips: &[Clip],
    rule: SettlingRule,
) -> CliResult<(LiveDelays, Costs)> {
    let mut live = LiveRecognizer::new(Rc::clone(recognizer), LiveConfig::default())?;
    let mut words = LiveWords::new(rule);
    let mut costs = Costs::default();
    let silence = vec![0.0; SAMPLE_RATE_HZ as usize];
    let mut num_samples = 0;
    for clip in clips {
        for block in clip.samples.chunks(BLOCK).chain(silence.chunks(BLOCK)) {
            let started = Instant::now();
            let events = block_on(live.push(block))?;
            let took_secs = started.elapsed().as_secs_f64();
            costs.block_ms.push(took_secs * 1e3);
            num_samples += block.len();
            let heard_secs = num_samples as f64 / f64::from(SAMPLE_RATE_HZ);
            for event in &events {
                words.see(event, heard_secs, heard_secs + took_secs);
            }
        }
        let memory = Usage::now().peak_memory_bytes;
        costs.memory.push((costs.block_ms.len(), memory));
    }
    let heard_secs = num_samples as f64 / f64::from(SAMPLE_RATE_HZ);
    costs.audio_secs = heard_secs;
    for event in &block_on(live.finish())? {
        words.see(event, heard_secs, heard_secs);
    }
    Ok((words.finish_session(), costs))
}

fn file_errors(recognizer: &Recognizer, clips: &[Clip]) -> CliResult<ErrorCounts> {
    let mut errors = ErrorCounts::default();
    for clip in clips {
        let transcript = block_on(recognizer.transcribe(&clip.samples))?;
        errors.add(&word_errors(&clip.text, &transcript.text));
    }
    Ok(errors)
}

fn report(clips: &[Clip], mut delays: LiveDelays, costs: &Costs, files: ErrorCounts) -> Report {
    for ms in [
        &mut delays.shown_ms,
        &mut delays.standing_ms,
        &mut delays.settled_ms,
    ] {
        ms.sort_by(f64::total_cmp);
    }
    let at = |sorted_ms: &[f64], share: f64| {
        let index = (sorted_ms.len() as f64 * share) as usize;
        sorted_ms.get(index).copied().unwrap_or_default()
    };
    let texts: Vec<&str> = clips.iter().map(|clip| clip.text.as_str()).collect();
    let reference = texts.join(" ");
    let wer = |words: &[String]| word_errors(&reference, &words.join(" ")).rate();
    let block_ms = &costs.block_ms;
    let quarter = (block_ms.len() / 4).clamp(1, block_ms.len().max(1));
    let quarter_secs = (quarter * BLOCK) as f64 / f64::from(SAMPLE_RATE_HZ);
    let per_sec = |blocks: &[f64]| blocks.iter().sum::<f64>() / quarter_secs;
    let early = costs.memory.iter().find(|(blocks, _)| *blocks >= quarter);
    Report {
        audio_secs: costs.audio_secs,
        words: delays.finals.len(),
        shown_median_ms: at(&delays.shown_ms, 0.5),
        shown_90_percent_ms: at(&delays.shown_ms, 0.9),
        standing_median_ms: at(&delays.standing_ms, 0.5),
        standing_90_percent_ms: at(&delays.standing_ms, 0.9),
        settled_median_ms: at(&delays.settled_ms, 0.5),
        settled_90_percent_ms: at(&delays.settled_ms, 0.9),
        settled_share: delays.num_settled as f64 / delays.finals.len().max(1) as f64,
        settled_words_changed: delays.num_changed as f64 / delays.num_settled.max(1) as f64,
        live_wer: wer(&delays.finals),
        live_wer_if_settled_words_stayed: wer(&delays.kept),
        file_wer: files.rate(),
        first_quarter_ms_per_sec: per_sec(block_ms.get(..quarter).unwrap_or_default()),
        last_quarter_ms_per_sec: per_sec(
            block_ms
                .get(block_ms.len().saturating_sub(quarter)..)
                .unwrap_or_default(),
        ),
        slowest_block_ms: block_ms.iter().copied().fold(0.0, f64::max),
        first_quarter_peak_memory_bytes: early.map_or(0, |(_, bytes)| *bytes),
        peak_memory_bytes: costs.memory.last().map_or(0, |(_, bytes)| *bytes),
    }
}
