//! What is written gives Fledge's own log-probabilities in another engine.

#![allow(clippy::unwrap_used)]

mod engine;

use burn::prelude::{Device, Tensor, TensorData};
use burn::tensor::activation::log_softmax;
use shared_model::bundle::{CardInfo, LoadedModel, ModelParts, Precision, read_model, write_model};
use shared_model::features::{FeatureConfig, FeatureExtractor, FrontEnd};
use shared_model::model::{
    CtcModel, Mode, ModelConfig, NormKind, Normalization, Positions, SubsamplingPadding, turn_rates,
};
use shared_model::tokens::Tokens;

use super::graph::Graph;
use super::wire::{Dimension, ElementType};
use super::{OnnxError, from_features, from_waveform, network};
use engine::{Engine, difference};

/// Of natural-log probabilities.
const TOLERANCE: f32 = 1e-4;

fn small() -> ModelConfig {
    ModelConfig {
        d_model: 32,
        n_layers: 2,
        n_heads: 4,
        d_ffn: 48,
        conv_kernel: 5,
        dropout: 0.0,
        ..ModelConfig::default()
    }
}

/// Every combination of what a network can be.
fn variants() -> Vec<ModelConfig> {
    let mut variants = Vec::new();
    for norm in [NormKind::Layer, NormKind::Batch] {
        for subsampling_factor in [4, 8] {
            for subsampling_padding in [SubsamplingPadding::Same, SubsamplingPadding::Paper] {
                for positions in [Positions::Rotary, Positions::Sinusoid, Positions::None] {
                    for normalization in [Normalization::Utterance, Normalization::None] {
                        variants.push(ModelConfig {
                            norm,
                            subsampling_factor,
                            subsampling_padding,
                            positions,
                            normalization,
                            ..small()
                        });
                    }
                }
            }
        }
    }
    variants
}

/// Values between -1 and 1 from a fixed stream.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A model folder read back: random weights, and running statistics unlike the initial ones.
fn model(config: &ModelConfig, features: FeatureConfig, precision: Precision) -> LoadedModel {
    let mut weights = CtcModel::init(config, 3, &Device::flex())
        .unwrap()
        .weights();
    for (seed, (name, weight)) in (1..).zip(&mut weights) {
        let spread = match name.rsplit('.').next() {
            Some("running_mean") => 0.5,
            Some("running_var") => 0.7,
            _ if name.contains("norm") => 0.3,
            _ => continue,
        };
        let count = weight.data.len();
        let shifts = noise(count, seed).into_iter();
        weight
            .data
            .iter_mut()
            .zip(shifts)
            .for_each(|(value, shift)| *value += spread * shift);
    }
    let files = write_model(&ModelParts {
        features: &features,
        model: config,
        tokens: &Tokens::characters(),
        weights: &weights,
        beam: None,
        precision,
        evaluations: &[],
        card: &CardInfo {
            name: "small".to_owned(),
            ..CardInfo::default()
        },
    });
    read_model(&files.unwrap()).unwrap()
}

/// Fledge's log-probabilities of one utterance, `[frames, classes]`.
fn own_log_probs(model: &LoadedModel, features: &[f32]) -> Vec<f32> {
    let device = Device::flex();
    let network = CtcModel::from_weights(&model.model, &model.weights, &device).unwrap();
    let n_mels = model.model.n_mels;
    let time = features.len() / n_mels;
    let data = TensorData::new(features.to_vec(), [1, time, n_mels]);
    let output = network.forward(Tensor::from_data(data, &device), &[time], &mut Mode::Eval);
    let log_probs = log_softmax(output.logits, 2);
    log_probs
        .into_data()
        .iter::<f32>()
        .take(output.lengths[0] * model.model.vocab_size)
        .collect()
}

/// Every frame `times` times.
fn repeated(log_probs: &[f32], classes: usize, times: usize) -> Vec<f32> {
    log_probs
        .chunks(classes)
        .flat_map(|frame| frame.repeat(times))
        .collect()
}

/// Features of about the range of log-mel power.
fn utterance(frames: usize, seed: u32) -> Vec<f32> {
    noise(frames * 80, seed)
        .iter()
        .map(|value| 4.0 * value - 8.0)
        .collect()
}

#[test]
fn every_kind_of_network_gives_fledges_log_probabilities_alone_and_in_a_padded_batch() {
    let variants = variants();
    assert_eq!(variants.len(), 48);
    let lengths = [61, 93, 7, 150];
    let longest = 150;
    for config in variants {
        let model = model(&config, FeatureConfig::default(), Precision::F32);
        let engine = Engine::load(from_features(&model).unwrap());
        let times = config.subsampling_factor / 4;
        let mut batch = Vec::new();
        let utterances = lengths.map(|length| utterance(length, length as u32));
        for utterance in &utterances {
            batch.extend(utterance);
            batch.resize(batch.len().next_multiple_of(longest * 80), f32::NAN);
        }
        let (together, frames) = engine.run_features(&batch, &lengths, 80);
        for (index, (&length, utterance)) in lengths.iter().zip(&utterances).enumerate() {
            let expected = repeated(&own_log_probs(&model, utterance), 29, times);
            let (alone, own_frames) = engine.run_features(utterance, &[length], 80);
            assert_eq!(
                own_frames,
                [config.encoder_length(length) * times],
                "{config:?}"
            );
            let worst = difference(alone.utterance(0, own_frames[0]), &expected);
            assert!(
                worst <= TOLERANCE,
                "{length} frames alone: {worst}, {config:?}"
            );
            assert_eq!(frames[index], own_frames[0]);
            let worst = difference(together.utterance(index, frames[index]), &expected);
            assert!(
                worst <= TOLERANCE,
                "{length} frames in a batch: {worst}, {config:?}"
            );
        }
    }
}

#[test]
fn features_too_short_for_a_frame_give_none_and_no_error() {
    let config = ModelConfig {
        subsampling_padding: SubsamplingPadding::Paper,
        ..small()
    };
    let model = model(&config, FeatureConfig::default(), Precision::F32);
    let engine = Engine::load(from_features(&model).unwrap());
    for frames in 1..=5 {
        let (output, lengths) = engine.run_features(&utterance(frames, 1), &[frames], 80);
        assert_eq!(lengths, [config.encoder_length(frames)], "{frames}");
        assert!(
            output.values.iter().all(|value| value.is_finite()),
            "{frames}"
        );
    }
}

#[test]
fn integers_are_written_as_integers_and_mean_what_they_do_in_the_folder() {
    let config = ModelConfig {
        d_model: 64,
        d_ffn: 128,
        ..small()
    };
    let [f32_model, int8_model] = [Precision::F32, Precision::Int8]
        .map(|precision| model(&config, FeatureConfig::default(), precision));
    let file = from_features(&int8_model).unwrap();
    let f32_size = from_features(&f32_model).unwrap().len();
    assert!(file.len() < f32_size / 2, "{} of {f32_size}", file.len());
    let features = utterance(120, 5);
    let expected = own_log_probs(&int8_model, &features);
    let (found, lengths) = Engine::load(file).run_features(&features, &[120], 80);
    let worst = difference(found.utterance(0, lengths[0]), &expected);
    assert!(worst <= TOLERANCE, "{worst}");
    let of_rounding = difference(&own_log_probs(&f32_model, &features), &expected);
    assert!(
        of_rounding > TOLERANCE,
        "nothing was rounded: {of_rounding}"
    );
}

/// Syllables of a harmonic voice over a little noise, 16 kHz.
fn speech(num_samples: usize) -> Vec<f32> {
    let noise = noise(num_samples, 7).into_iter().enumerate();
    noise
        .map(|(at, noise)| {
            let t = at as f32 / 16_000.0;
            let wave = |hz: f32| (std::f32::consts::TAU * hz * t).sin();
            let voice: f32 = (1..12).map(|k| wave(130.0 * k as f32) / k as f32).sum();
            0.1 * wave(2.0).powi(2) * voice + 1e-3 * noise
        })
        .collect()
}

/// Clips that the rules of level and frames treat each in their own way.
fn clips() -> Vec<(&'static str, Vec<f32>)> {
    let speech = speech(30_123);
    let scaled = |gain: f32| speech.iter().map(|sample| gain * sample).collect();
    let mut broken = speech.clone();
    (broken[100], broken[5000]) = (f32::NAN, f32::INFINITY);
    vec![
        ("speech", speech.clone()),
        ("quiet", scaled(0.003)),
        ("loud", scaled(8.0)),
        (
            "offset",
            speech.iter().map(|sample| sample + 0.25).collect(),
        ),
        (
            "silence before it",
            [vec![0.0; 20_000], speech.clone()].concat(),
        ),
        ("broken samples", broken),
        ("digital silence", vec![0.0; 8000]),
        (
            "steady noise",
            noise(16_000, 9)
                .iter()
                .map(|sample| 2e-3 * sample)
                .collect(),
        ),
        ("two frames", speech[..400].to_vec()),
        ("half a frame", speech[..80].to_vec()),
    ]
}

#[test]
fn a_waveform_gives_the_log_probabilities_of_fledges_own_features() {
    let paper = ModelConfig {
        normalization: Normalization::None,
        subsampling_padding: SubsamplingPadding::Paper,
        norm: NormKind::Batch,
        positions: Positions::Sinusoid,
        ..small()
    };
    let eight_times = ModelConfig {
        subsampling_factor: 8,
        ..small()
    };
    let features = |front_end, level_gain| FeatureConfig {
        front_end,
        level_gain,
        ..FeatureConfig::default()
    };
    for (config, features) in [
        (small(), features(FrontEnd::Kaldi, true)),
        (eight_times, features(FrontEnd::Kaldi, false)),
        (paper, features(FrontEnd::Paper, false)),
    ] {
        let model = model(&config, features.clone(), Precision::F32);
        let engine = Engine::load(from_waveform(&model).unwrap());
        let extractor = FeatureExtractor::new(&features).unwrap();
        for (name, clip) in clips() {
            let gain = extractor.gain(&clip);
            let at_level: Vec<f32> = clip.iter().map(|sample| sample * gain).collect();
            let own = own_log_probs(&model, &extractor.extract(&at_level).data);
            let expected = repeated(&own, 29, config.subsampling_factor / 2);
            let found = engine.run_samples(&clip);
            let worst = difference(found.utterance(0, expected.len() / 29), &expected);
            assert!(worst <= TOLERANCE, "{name}: {worst}, {features:?}");
        }
    }
}

#[test]
fn angles_of_late_frames_are_exact() {
    let pairs = 18;
    let frames = 15_000;
    let g = Graph::default();
    let time = g.input("number", ElementType::Int64, &[]);
    let turns = network::turns(&g, time, pairs);
    let shape = [Dimension::Named("time"), Dimension::Fixed(pairs)];
    for (name, value) in ["cos", "sin"].into_iter().zip(turns) {
        g.output(name, value, ElementType::Float, &shape);
    }
    let [cos, sin] = Engine::load(g.into_model(&[])).run_number(frames, ["cos", "sin"]);
    assert_eq!(cos.shape, [frames, pairs]);
    let rates = turn_rates(pairs);
    for (minutes, tolerance) in [(1, 1e-5), (10, 1e-4)] {
        let mut worst = 0f64;
        for frame in 0..minutes * 1500 {
            for (pair, rate) in rates.iter().enumerate() {
                let angle = frame as f64 * rate;
                let at = frame * pairs + pair;
                let differences = [
                    f64::from(cos.values[at]) - angle.cos(),
                    f64::from(sin.values[at]) - angle.sin(),
                ];
                worst = differences
                    .iter()
                    .fold(worst, |worst, d| worst.max(d.abs()));
            }
        }
        assert!(worst < tolerance, "{minutes} minutes: {worst}");
    }
}

#[test]
fn features_that_sherpa_does_not_compute_are_refused_in_words() {
    let refusal = |features: FeatureConfig| {
        let error = from_features(&model(&small(), features, Precision::F32)).unwrap_err();
        assert!(matches!(error, OnnxError::Features { .. }));
        error.to_string()
    };
    let paper = refusal(FeatureConfig {
        front_end: FrontEnd::Paper,
        ..FeatureConfig::default()
    });
    assert!(
        paper.contains("the mel power of the paper's front end"),
        "{paper}"
    );
    let wide = refusal(FeatureConfig {
        high_hz: 0.0,
        ..FeatureConfig::default()
    });
    assert!(wide.contains("from 20 to 8000 Hz"), "{wide}");
    assert!(wide.contains("--for transformers-js"), "{wide}");
}
