//! `fledge bench live`.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use serde::Serialize;
use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::decode::Word;
use shared_model::recognizer::{Decoder, LiveConfig, LiveEvent, LiveRecognizer, Recognizer};

use crate::block_on::block_on;
use crate::cli::{Failure, print_json, print_line};
use crate::data::{decode_16k, read_manifest};
use crate::device::OpenDevice;
use crate::model_folder;

/// Time a live session: how soon words appear, and what a second of it costs
///
/// The clips of a manifest are pushed as one session in blocks of 20 ms, as a microphone would,
/// with a second of silence between them; one thread of the CPU, greedy. A word's delay is from its
/// end in the final transcript to the end of the block after which it first stood at its place,
/// plus the time that this block took.
///
/// Example:
///   fledge bench live --model www/models/quick-tiny --manifest trainer/corpus/test.jsonl
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct LiveArgs {
    /// Model folder
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Clips that are pushed, JSON lines
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// Seconds of audio at most
    #[arg(long, default_value_t = 600.0, value_name = "SECS")]
    secs: f32,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    audio_secs: f32,
    words: usize,
    delay_median_ms: f64,
    /// Nine of ten words appear within.
    delay_90_percent_ms: f64,
    /// Computed for each second of audio in the session's first and last quarter.
    first_quarter_ms_per_sec: f64,
    last_quarter_ms_per_sec: f64,
    slowest_block_ms: f64,
}

const BLOCK: usize = SAMPLE_RATE_HZ as usize / 50;

pub fn run(args: &LiveArgs) -> anyhow::Result<()> {
    if !(1.0..=36_000.0).contains(&args.secs) {
        return Err(Failure::usage("--secs must be 1 to 36000").into());
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
        "{} words in {:.0} s of audio appear {:.0} ms (median) and {:.0} ms (nine of ten) after they end",
        report.words, report.audio_secs, report.delay_median_ms, report.delay_90_percent_ms
    ))?;
    print_line(&format!(
        "a second of audio takes {:.1} ms in the first quarter of the session, {:.1} ms in the last; the slowest block {:.1} ms",
        report.first_quarter_ms_per_sec, report.last_quarter_ms_per_sec, report.slowest_block_ms
    ))?;
    Ok(())
}

fn session(args: &LiveArgs) -> anyhow::Result<Vec<f32>> {
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

fn measure(recognizer: Recognizer, samples: &[f32]) -> anyhow::Result<Report> {
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
    let mut delays_ms = delays.ms;
    delays_ms.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (delays_ms.len() as f64 * share) as usize;
        delays_ms.get(index).copied().unwrap_or_default()
    };
    let quarter = (block_ms.len() / 4).max(1);
    let quarter_secs = (quarter * BLOCK) as f64 / f64::from(SAMPLE_RATE_HZ);
    let per_sec = |blocks: &[f64]| blocks.iter().sum::<f64>() / quarter_secs;
    Ok(Report {
        audio_secs: samples.len() as f32 / SAMPLE_RATE_HZ as f32,
        words: delays_ms.len(),
        delay_median_ms: at(0.5),
        delay_90_percent_ms: at(0.9),
        first_quarter_ms_per_sec: per_sec(&block_ms[..quarter.min(block_ms.len())]),
        last_quarter_ms_per_sec: per_sec(&block_ms[block_ms.len() - quarter.min(block_ms.len())..]),
        slowest_block_ms: block_ms.iter().copied().fold(0.0, f64::max),
    })
}

/// When each word of the open segment first stood at its place.
#[derive(Default)]
struct Delays {
    /// Words of the open segment's partial results, each with the time since which it stands.
    standing: Vec<(String, f64)>,
    ms: Vec<f64>,
}

impl Delays {
    fn see(&mut self, event: &LiveEvent, now_secs: f64) {
        let (LiveEvent::Partial { transcript, .. } | LiveEvent::Final { transcript, .. }) = event;
        self.stand(&transcript.words, now_secs);
        if let LiveEvent::Final { .. } = event {
            let standing = std::mem::take(&mut self.standing);
            for ((_, since_secs), word) in standing.iter().zip(&transcript.words) {
                self.ms.push((since_secs - f64::from(word.end_secs)) * 1e3);
            }
        }
    }

    fn stand(&mut self, words: &[Word], now_secs: f64) {
        self.standing.truncate(words.len());
        for (index, word) in words.iter().enumerate() {
            match self.standing.get_mut(index) {
                Some((text, _)) if *text == word.text => {}
                Some(changed) => *changed = (word.text.clone(), now_secs),
                None => self.standing.push((word.text.clone(), now_secs)),
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
    fn a_word_counts_from_when_it_stands_for_good() {
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
        let rounded: Vec<i64> = delays.ms.iter().map(|ms| ms.round() as i64).collect();
        assert_eq!(rounded, [250, 500, 750]);
        assert!(delays.standing.is_empty());
    }
}
