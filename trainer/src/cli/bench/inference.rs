//! `fledge bench inference`.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Instant;

use pollster::block_on;
use serde::Serialize;
use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::features::FeatureExtractor;
use shared_model::recognizer::{Decoder, Recognizer};

use super::super::{CliResult, WeightArgs};
use crate::device::OpenDevice;

/// Time model folders on one CPU thread with the greedy decoder
///
/// Each line gives the lowest and the median time from samples to words, and the lowest time of
/// each part: features, network and decoding.
///
/// Example:
///   fledge bench inference www/models/* --secs 5 --repeats 50
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct InferenceArgs {
    /// Model folders
    #[arg(required = true, value_name = "MODEL_DIR")]
    models: Vec<PathBuf>,
    /// Length of the utterance, seconds
    #[arg(long, default_value_t = 5.0, value_name = "SECS")]
    secs: f32,
    /// Timed runs, after three warm-up runs
    #[arg(long, default_value_t = 30, value_name = "N")]
    repeats: usize,
    #[command(flatten)]
    weights: WeightArgs,
    /// Print one JSON object per model
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line {
    name: String,
    parameters: u64,
    secs: f32,
    /// Samples to words.
    min_ms: f64,
    median_ms: f64,
    features_ms: f64,
    network_ms: f64,
    decoding_ms: f64,
}

const WARM_UP: usize = 3;

pub fn run(args: &InferenceArgs) -> CliResult<()> {
    if !(0.1..=20.0).contains(&args.secs) || args.repeats == 0 {
        let message = "--secs must be 0.1 to 20 (one window) and --repeats at least 1";
        return Err(super::super::Failure::usage(message));
    }
    let samples = signal((args.secs * SAMPLE_RATE_HZ as f32) as usize);
    for folder in &args.models {
        let line = measure(folder.as_path(), args, &samples)?;
        if args.json {
            super::super::print_json(&line)?;
        } else {
            super::super::print_line(&format!(
                "{:16} {:>9} parameters  min {:6.2} ms  median {:6.2} ms  \
                 (features {:.2}, network {:.2}, decoding {:.2})",
                line.name,
                line.parameters,
                line.min_ms,
                line.median_ms,
                line.features_ms,
                line.network_ms,
                line.decoding_ms
            ))?;
        }
    }
    Ok(())
}

fn measure(folder: &std::path::Path, args: &InferenceArgs, samples: &[f32]) -> CliResult<Line> {
    let loaded = args.weights.read(folder)?;
    let device = OpenDevice::cpu("one thread of it is timed");
    let recognizer = Recognizer::new(&loaded, Decoder::Greedy, &device.device)?;
    let extractor = FeatureExtractor::new(&loaded.features)?;

    let all = times(args.repeats, || {
        block_on(recognizer.transcribe(samples)).map(drop)
    })?;
    let log_probs = block_on(recognizer.log_probs(samples))?;
    let features = times(args.repeats, || {
        std::hint::black_box(extractor.extract(samples));
        Ok::<_, Infallible>(())
    })?;
    let with_network = times(args.repeats, || {
        block_on(recognizer.log_probs(samples)).map(drop)
    })?;
    let decoding = times(args.repeats, || {
        std::hint::black_box(recognizer.words(&log_probs, 0.0));
        Ok::<_, Infallible>(())
    })?;
    Ok(Line {
        name: loaded.manifest.name,
        parameters: loaded.manifest.parameters,
        secs: args.secs,
        min_ms: all[0],
        median_ms: all[all.len() / 2],
        features_ms: features[0],
        network_ms: (with_network[0] - features[0]).max(0.0),
        decoding_ms: decoding[0],
    })
}

/// Milliseconds of each run, sorted.
fn times<E>(repeats: usize, mut run: impl FnMut() -> Result<(), E>) -> Result<Vec<f64>, E> {
    let mut times = Vec::with_capacity(repeats);
    for round in 0..repeats + WARM_UP {
        let started = Instant::now();
        run()?;
        if round >= WARM_UP {
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Noise whose level moves as that of speech does; the browser's bench makes the same.
fn signal(num_samples: usize) -> Vec<f32> {
    let mut state: u32 = 1;
    (0..num_samples)
        .map(|index| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 16) as f32 / 32_768.0 - 1.0;
            noise * 0.2 * (0.6 + 0.4 * (index as f32 / 800.0).sin())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_sorted_and_the_first_runs_are_left_out() -> Result<(), String> {
        let mut runs = 0;
        let times = times(5, || {
            runs += 1;
            Ok::<_, String>(())
        })?;
        assert_eq!((runs, times.len()), (8, 5));
        assert!(times.is_sorted());
        Ok(())
    }
}
