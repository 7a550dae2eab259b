//! `fledge bench inference`.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Instant;

use burn::prelude::Device;
use pollster::block_on;
use serde::Serialize;
use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::bundle::LoadedModel;
use shared_model::features::FeatureExtractor;
use shared_model::model::Operations;
use shared_model::recognizer::{Decoder, Recognizer};

use super::super::{CliResult, WeightArgs, tell_device};
use crate::bench::launched;
use crate::device::{self, DeviceChoice, OpenDevice};

/// Time model folders on one CPU thread, or on a graphics card, with the greedy decoder
///
/// Each line gives the lowest and the median time from samples to words, and the lowest time of
/// each part: features, network and decoding. A graphics card computes what the page's WebGPU engine
/// computes; for it, kernels launched for an utterance and the greatest difference of a
/// log-probability from the CPU's are reported, too.
///
/// Examples:
///   fledge bench inference www/models/* --secs 5 --repeats 50
///   fledge bench inference www/models/english-tiny --device wgpu
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
    /// Which device computes the network
    #[arg(long, value_enum, default_value = "cpu", value_name = "DEVICE")]
    device: DeviceChoice,
    /// Accept a graphics adapter that is emulated on the CPU
    #[arg(long)]
    allow_software_adapter: bool,
    /// Compute in burn's operations, which define the network, in the place of fused ones
    #[arg(long)]
    composed: bool,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    on_card: Option<OnCard>,
}

/// Of one utterance on a graphics card.
#[derive(Serialize)]
struct OnCard {
    /// From loading to the first result, which compiles what it launches.
    first_ms: f64,
    launches: usize,
    /// Of all kernels by the card's clock, if it has one.
    kernel_ms: Option<f64>,
    /// Greatest difference of a log-probability from the CPU's, without int8 products.
    difference: f32,
}

const WARM_UP: usize = 3;

pub fn run(args: &InferenceArgs) -> CliResult<()> {
    if !(0.1..=20.0).contains(&args.secs) || args.repeats == 0 {
        let message = "--secs must be 0.1 to 20 (one window) and --repeats at least 1";
        return Err(super::super::Failure::usage(message));
    }
    let samples = signal((args.secs * SAMPLE_RATE_HZ as f32) as usize);
    let device = match args.device {
        DeviceChoice::Cpu => OpenDevice::cpu("one thread of it is timed"),
        choice => device::open(choice, args.allow_software_adapter, 0)?,
    };
    if args.device != DeviceChoice::Cpu {
        tell_device(&device);
    }
    for folder in &args.models {
        let line = measure(folder.as_path(), args, &device, &samples)?;
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
            if let Some(on_card) = &line.on_card {
                super::super::print_line(&on_card.sentence())?;
            }
        }
    }
    Ok(())
}

impl OnCard {
    fn measure(
        loaded: &LoadedModel,
        recognizer: &Recognizer,
        samples: &[f32],
        first_ms: f64,
    ) -> CliResult<Self> {
        let mut found = Ok(vec![]);
        let kernels = launched(|| found = block_on(recognizer.log_probs(samples)));
        let cpu = Recognizer::new(loaded, Decoder::Greedy, &Device::flex())?;
        let cpu = cpu.with_operations(Operations::Composed);
        let expected = block_on(cpu.log_probs(samples))?;
        let differences = found?.into_iter().zip(expected).map(|(a, b)| (a - b).abs());
        Ok(Self {
            first_ms,
            launches: kernels.launches,
            kernel_ms: kernels.kernel_ms,
            difference: differences.fold(0.0, f32::max),
        })
    }

    fn sentence(&self) -> String {
        let kernels = self
            .kernel_ms
            .map_or_else(String::new, |ms| format!(" ({ms:.2} ms)"));
        format!(
            "{:16} {} kernels{kernels}, first result after {:.0} ms, log-probabilities within {:.1e}",
            "", self.launches, self.first_ms, self.difference
        )
    }
}

fn measure(
    folder: &std::path::Path,
    args: &InferenceArgs,
    device: &OpenDevice,
    samples: &[f32],
) -> CliResult<Line> {
    let loaded = args.weights.read(folder)?;
    let started = Instant::now();
    let mut recognizer = Recognizer::new(&loaded, Decoder::Greedy, &device.device)?;
    if args.composed {
        recognizer = recognizer.with_operations(Operations::Composed);
    }
    block_on(recognizer.log_probs(samples))?;
    let first_ms = started.elapsed().as_secs_f64() * 1e3;
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
    let is_cpu = args.device == DeviceChoice::Cpu;
    let on_card = match is_cpu {
        true => None,
        false => Some(OnCard::measure(&loaded, &recognizer, samples, first_ms)?),
    };
    Ok(Line {
        name: loaded.manifest.name,
        parameters: loaded.manifest.parameters,
        secs: args.secs,
        min_ms: all[0],
        median_ms: all[all.len() / 2],
        features_ms: features[0],
        network_ms: (with_network[0] - features[0]).max(0.0),
        decoding_ms: decoding[0],
        on_card,
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
