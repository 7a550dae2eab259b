//! `fledge bench live`.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use pollster::block_on;
use serde::Serialize;
use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::decode::Word;
use shared_model::recognizer::{Decoder, LiveConfig, LiveEvent, LiveRecognizer, Recognizer};

use crate::cli::{CliResult, Failure, print_json, print_line};
use crate::data::{decode_16k, read_manifest};
use crate::device::OpenDevice;
use crate::model_folder;

/// Time a live session: how soon words appear, and what a second of audio costs
///
/// Feeds the clips of a manifest into one session in blocks of 20 ms, as a microphone would, with a
/// second of silence between clips, on one CPU thread with the greedy decoder. A word's delay runs
/// from its end in the final transcript to the end of the block whose partial result first has any
/// word in its place (shown) or the final word in its place (settled), plus the time taken to
/// compute that block.
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
    /// Use at most this much audio, seconds
    #[arg(long, default_value_t = 600.0, value_name = "SECS")]
    secs: f32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    audio_secs: f32,
    words: usize,
    /// From a word's end to a partial result that has a word at its place.
    shown_median_ms: f64,
    /// Nine of ten words are shown within.
    shown_90_percent_ms: f64,
    /// From a word's end to the word that stays.
    settled_median_ms: f64,
    settled_90_percent_ms: f64,
    /// Computed for each second of audio in the session's first and last quarter.
    first_quarter_ms_per_sec: f64,
    last_quarter_ms_per_sec: f64,
    slowest_block_ms: f64,
}

const BLOCK: usize = SAMPLE_RATE_HZ as usize / 50;

pub fn run(args: &LiveArgs) -> CliResult<()> {
    if !(1.0..=36_000.0).contains(&args.secs) {
        return Err(Failure::usage("--secs must be 1 to 36000"));
    }
    let samples = session(args)?;
    let loaded = model_folder::read(&args.model)?;
    let device = OpenDevice::cpu("one thread of it is timed");
    let recognizer = Recognizer::new(&loaded, Decoder::Greedy, &device.device)?;
    let report = measure(recognizer, &samples)?;
    if args.json {
        return print_json(&report);
    }
    print_line(&format!(
        "{} words in {:.0} s of audio are shown {:.0} ms (median) and {:.0} ms (nine of ten) after they end, settled after {:.0} and {:.0} ms",
        report.words,
        report.audio_secs,
        report.shown_median_ms,
        report.shown_90_percent_ms,
        report.settled_median_ms,
        report.settled_90_percent_ms
    ))?;
    print_line(&format!(
        "a second of audio takes {:.1} ms in the first quarter of the session, {:.1} ms in the last; the slowest block {:.1} ms",
        report.first_quarter_ms_per_sec, report.last_quarter_ms_per_sec, report.slowest_block_ms
    ))?;
    Ok(())
}

fn session(args: &LiveArgs) -> CliResult<Vec<f32>> {
    let longest = (args.secs * SAMPLE_RATE_HZ as f32) as usize;
    let mut samples = vec![];
    for clip in read_manifest(&args.manifest)? {
        if samples.len() >= longest {
            break;
        }
        let duration = (clip.duration_secs > 0.0).then_some(clip.duration_secs);
        samples.extend(decode_16k(&clip.audio_path, clip.offset_secs, duration)?);
        samples.resize(samples.len() + SAMPLE_RATE_HZ as usize, 0.0);
    }
    samples.truncate(longest);
    Ok(samples)
}

fn measure(recognizer: Recognizer, samples: &[f32]) -> CliResult<Report> {
    let mut live = LiveRecognizer::new(Rc::new(recognizer), LiveConfig::default())?;
    let mut block_ms = vec![];
    let mut delays = Delays::default();
    for (index, block) in samples.chunks(BLOCK).enumerate() {
        let started = Instant::now();
        let events = block_on(live.push(block))?;
        let took_secs = started.elapsed().as_secs_f64();
        block_ms.push(took_secs * 1e3);
        let now_secs = ((index + 1) * BLOCK) as f64 / f64::from(SAMPLE_RATE_HZ) + took_secs;
        events.iter().for_each(|event| delays.see(event, now_secs));
    }
    let Delays {
        mut shown_ms,
        mut settled_ms,
        ..
    } = delays;
    shown_ms.sort_by(f64::total_cmp);
    settled_ms.sort_by(f64::total_cmp);
    let at = |sorted_ms: &[f64], share: f64| {
        let index = (sorted_ms.len() as f64 * share) as usize;
        sorted_ms.get(index).copied().unwrap_or_default()
    };
    let quarter = (block_ms.len() / 4).max(1);
    let quarter_secs = (quarter * BLOCK) as f64 / f64::from(SAMPLE_RATE_HZ);
    let per_sec = |blocks: &[f64]| blocks.iter().sum::<f64>() / quarter_secs;
    Ok(Report {
        audio_secs: samples.len() as f32 / SAMPLE_RATE_HZ as f32,
        words: settled_ms.len(),
        shown_median_ms: at(&shown_ms, 0.5),
        shown_90_percent_ms: at(&shown_ms, 0.9),
        settled_median_ms: at(&settled_ms, 0.5),
        settled_90_percent_ms: at(&settled_ms, 0.9),
        first_quarter_ms_per_sec: per_sec(&block_ms[..quarter.min(block_ms.len())]),
        last_quarter_ms_per_sec: per_sec(&block_ms[block_ms.len() - quarter.min(block_ms.len())..]),
        slowest_block_ms: block_ms.iter().copied().fold(0.0, f64::max),
    })
}

/// A word of the open segment's partial results.
struct Standing {
    text: String,
    /// Since when a word stands at this place.
    shown_secs: f64,
    /// Since when it is this word.
    settled_secs: f64,
}

/// When the words of the open segment came to stand at their places.
#[derive(Default)]
struct Delays {
    standing: Vec<Standing>,
    shown_ms: Vec<f64>,
    settled_ms: Vec<f64>,
}

impl Delays {
    fn see(&mut self, event: &LiveEvent, now_secs: f64) {
        let (LiveEvent::Partial { transcript, .. } | LiveEvent::Final { transcript, .. }) = event;
        self.stand(&transcript.words, now_secs);
        if let LiveEvent::Final { .. } = event {
            let standing = std::mem::take(&mut self.standing);
            for (standing, word) in standing.iter().zip(&transcript.words) {
                let since_end_ms = |secs: f64| (secs - f64::from(word.end_secs)) * 1e3;
                self.shown_ms.push(since_end_ms(standing.shown_secs));
                self.settled_ms.push(since_end_ms(standing.settled_secs));
            }
        }
    }

    fn stand(&mut self, words: &[Word], now_secs: f64) {
        self.standing.truncate(words.len());
        for (index, word) in words.iter().enumerate() {
            match self.standing.get_mut(index) {
                Some(standing) if standing.text == word.text => {}
                Some(standing) => {
                    standing.text.clone_from(&word.text);
                    standing.settled_secs = now_secs;
                }
                None => self.standing.push(Standing {
                    text: word.text.clone(),
                    shown_secs: now_secs,
                    settled_secs: now_secs,
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use shared_model::recognizer::Transcript;

    use super::*;

    fn transcript(words: &[(&str, f32)]) -> Transcript {
        let word = |(text, end_secs): &(&str, f32)| Word {
            text: (*text).into(),
            start_secs: end_secs - 0.2,
            end_secs: *end_secs,
            confidence: 1.0,
        };
        Transcript::from_words(words.iter().map(word).collect())
    }

    #[test]
    fn a_word_is_shown_with_any_word_at_its_place_and_settled_with_itself() {
        let mut delays = Delays::default();
        let partial = |words: &[(&str, f32)]| LiveEvent::Partial {
            segment: 0,
            transcript: transcript(words),
        };
        delays.see(&partial(&[("one", 0.5)]), 0.75);
        delays.see(&partial(&[("one", 0.5), ("too", 1.0)]), 1.25);
        delays.see(&partial(&[("one", 0.5), ("two", 1.0)]), 1.5);
        let last = LiveEvent::Final {
            segment: 0,
            transcript: transcript(&[("one", 0.5), ("two", 1.0), ("three", 1.5)]),
        };
        delays.see(&last, 2.25);
        let rounded = |ms: &[f64]| -> Vec<i64> { ms.iter().map(|ms| ms.round() as i64).collect() };
        assert_eq!(rounded(&delays.shown_ms), [250, 250, 750]);
        assert_eq!(rounded(&delays.settled_ms), [250, 500, 750]);
        assert!(delays.standing.is_empty());
    }
}
