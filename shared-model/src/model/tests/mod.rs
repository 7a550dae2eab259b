#![allow(clippy::unwrap_used)]

mod reference;
mod training;

use super::*;

/// Small enough for hundreds of forward passes.
fn tiny() -> ModelConfig {
    ModelConfig {
        n_mels: 8,
        vocab_size: 5,
        d_model: 16,
        n_layers: 2,
        n_heads: 2,
        d_ffn: 24,
        conv_kernel: 5,
        dropout: 0.0,
        ..ModelConfig::default()
    }
}

fn paper(n_layers: usize) -> ModelConfig {
    ModelConfig {
        n_mels: 80,
        vocab_size: 256,
        normalization: Normalization::None,
        subsampling_factor: 4,
        subsampling_padding: SubsamplingPadding::Paper,
        d_model: 256,
        n_layers,
        n_heads: 4,
        d_ffn: 1024,
        conv_kernel: 31,
        dropout: 0.1,
        positions: Positions::Sinusoid,
        norm: NormKind::Batch,
        phone_head: false,
    }
}

/// Every combination of what changes the treatment of padding.
fn variants() -> Vec<ModelConfig> {
    let mut variants = Vec::new();
    for norm in [NormKind::Layer, NormKind::Batch] {
        for subsampling_factor in [4, 8] {
            for subsampling_padding in [SubsamplingPadding::Same, SubsamplingPadding::Paper] {
                for positions in [Positions::Rotary, Positions::Sinusoid, Positions::None] {
                    variants.push(ModelConfig {
                        norm,
                        subsampling_factor,
                        subsampling_padding,
                        positions,
                        phone_head: norm == NormKind::Layer,
                        ..tiny()
                    });
                }
            }
        }
    }
    variants
}

/// `frames * n_mels` values in about the range of log-mel features, from a fixed stream.
fn noise(frames: usize, n_mels: usize, seed: u64) -> Vec<f32> {
    let mut source = RandomInit { seed };
    let unit = source
        .take("noise", &[frames, n_mels], Init::FanIn(1))
        .unwrap();
    unit.iter().map(|v| 4.0 * v - 6.0).collect()
}

fn features(frames: usize, n_mels: usize, seed: u64, device: &Device) -> Tensor<3> {
    Tensor::from_data(
        TensorData::new(noise(frames, n_mels, seed), [1, frames, n_mels]),
        device,
    )
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Running statistics that differ from the initial ones, so that evaluation exercises them.
fn with_worn_statistics(model: CtcModel) -> CtcModel {
    let mut weights = model.weights();
    for (name, weight) in &mut weights {
        let shift = if name.ends_with("running_mean") {
            0.3
        } else if name.ends_with("running_var") {
            0.7
        } else {
            continue;
        };
        for (index, value) in weight.data.iter_mut().enumerate() {
            *value += shift * (index % 3) as f32;
        }
    }
    CtcModel::from_weights(model.config(), &weights, &model.device()).unwrap()
}

#[test]
fn the_papers_networks_have_the_papers_parameter_counts() {
    for (n_layers, expected) in [
        (12, 18_600_192),
        (6, 9_462_528),
        (4, 6_416_640),
        (2, 3_370_752),
    ] {
        assert_eq!(paper(n_layers).num_parameters(), expected);
    }
    let model = CtcModel::init(&paper(2), 1, &Device::flex()).unwrap();
    assert_eq!(model.num_params(), 3_370_752);
}

#[test]
fn the_counted_parameters_are_the_built_ones() {
    for config in variants() {
        let model = CtcModel::init(&config, 1, &Device::flex()).unwrap();
        assert_eq!(model.num_params(), config.num_parameters(), "{config:?}");
    }
}

#[test]
fn weights_survive_a_round_trip_under_readable_names() {
    let device = Device::flex();
    for norm in [NormKind::Layer, NormKind::Batch] {
        let config = ModelConfig { norm, ..tiny() };
        let model = CtcModel::init(&config, 7, &device)
            .unwrap()
            .with_corpus_stats(vec![-6.0; 8], vec![2.5; 8]);
        let weights = model.weights();
        for (name, shape) in [
            ("frontend.conv_a.weight", vec![24, 16]),
            ("frontend.norm.bias", vec![16]),
            ("encoder.blocks.0.ffn1.up.weight", vec![16, 24]),
            ("encoder.blocks.1.attention.qkv.weight", vec![16, 48]),
            ("encoder.blocks.1.conv.depthwise.weight", vec![5, 16]),
            ("encoder.blocks.1.norm.weight", vec![16]),
            ("head.weight", vec![16, 5]),
            ("corpus_mean", vec![8]),
        ] {
            assert_eq!(weights.get(name).map(|w| &w.shape), Some(&shape), "{name}");
        }
        let running = weights.contains_key("encoder.blocks.1.conv.norm.running_var");
        assert_eq!(running, norm == NormKind::Batch);
        let copy = CtcModel::from_weights(&config, &weights, &device).unwrap();
        assert_eq!(copy.weights(), weights);
        assert_eq!(copy.corpus_stats().0, [-6.0; 8]);
    }
}

#[test]
fn wrong_weights_are_refused() {
    let device = Device::flex();
    let config = ModelConfig {
        norm: NormKind::Batch,
        ..tiny()
    };
    let good = CtcModel::init(&config, 7, &device).unwrap().weights();
    let refuse = |change: &dyn Fn(&mut Weights)| {
        let mut weights = good.clone();
        change(&mut weights);
        CtcModel::from_weights(&config, &weights, &device).unwrap_err()
    };
    let name = "frontend.norm.running_var";
    assert!(matches!(
        refuse(&|w| drop(w.remove("head.bias"))),
        WeightError::Missing { .. }
    ));
    assert!(matches!(
        refuse(&|w| drop(w.insert("head.extra".into(), good["head.bias"].clone()))),
        WeightError::Unknown { .. }
    ));
    assert!(matches!(
        refuse(&|w| drop(w.insert("head.bias".into(), good[name].clone()))),
        WeightError::Shape { .. }
    ));
    assert!(matches!(
        refuse(&|w| w.get_mut("head.bias").unwrap().data[0] = f32::INFINITY),
        WeightError::NotFinite { .. }
    ));
    assert!(matches!(
        refuse(&|w| w.get_mut(name).unwrap().data[0] = -1.0),
        WeightError::Negative { .. }
    ));
}

#[test]
fn encoder_length_is_the_length_of_the_tensors() {
    let device = Device::flex();
    for subsampling_factor in [4, 8] {
        for subsampling_padding in [SubsamplingPadding::Same, SubsamplingPadding::Paper] {
            let config = ModelConfig {
                subsampling_factor,
                subsampling_padding,
                n_layers: 1,
                ..tiny()
            };
            let model = CtcModel::init(&config, 1, &device).unwrap();
            for frames in 0..=64 {
                let x = features(frames, 8, 1, &device);
                let output = model.forward(x, &[frames], &mut Mode::Eval);
                let length = config.encoder_length(frames);
                assert_eq!(output.logits.dims(), [1, length.max(1), 5], "{frames}");
                assert_eq!(output.lengths, [length], "{frames}");
                assert!(
                    values(output.logits).iter().all(|v| v.is_finite()),
                    "{frames}"
                );
            }
        }
    }
    // By hand, from the formulas of the paper's released code.
    assert_eq!(paper(1).encoder_length(1000), 249);
    assert_eq!(paper(1).encoder_length(5), 1);
    assert_eq!(paper(1).encoder_length(4), 0);
}

#[test]
fn padding_never_changes_a_result() {
    let device = Device::flex();
    let max_frames = 200;
    for config in variants() {
        let model = with_worn_statistics(CtcModel::init(&config, 3, &device).unwrap());
        let n_mels = config.n_mels;
        // The later batches also end with padding that no utterance reaches.
        for (first, last, time) in [(1, 40, 40), (41, 120, 123), (121, max_frames, max_frames)] {
            let lengths: Vec<usize> = (first..=last).collect();
            // Padding holds garbage, NaN included: nothing may read it.
            let mut batch = vec![f32::NAN; lengths.len() * time * n_mels];
            for (row, &frames) in batch.chunks_mut(time * n_mels).zip(&lengths) {
                row[..frames * n_mels].copy_from_slice(&noise(frames, n_mels, frames as u64));
            }
            let shape = [lengths.len(), time, n_mels];
            let batch = Tensor::from_data(TensorData::new(batch, shape), &device);
            let together = model.forward(batch, &lengths, &mut Mode::Eval);
            let together_time = together.logits.dims()[1];
            let together_values = values(together.logits);
            for (index, &frames) in lengths.iter().enumerate() {
                let x = features(frames, n_mels, frames as u64, &device);
                let alone = model.forward(x, &[frames], &mut Mode::Eval);
                assert_eq!(alone.lengths[0], together.lengths[index]);
                let real = alone.lengths[0] * config.vocab_size;
                let start = index * together_time * config.vocab_size;
                let worst = values(alone.logits)[..real]
                    .iter()
                    .zip(&together_values[start..start + real])
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f32::max);
                assert!(worst <= 5e-5, "{worst} at {frames} frames of {config:?}");
            }
        }
    }
}

#[test]
fn logits_equal_a_plain_implementation() {
    let device = Device::flex();
    for config in variants() {
        let model = with_worn_statistics(CtcModel::init(&config, 5, &device).unwrap());
        let weights = model.weights();
        let frames = 43;
        let data = noise(frames, config.n_mels, 2);
        let reference = reference::Reference {
            config: &config,
            weights: &weights,
        };
        let hidden = reference.encode(
            &data
                .chunks(config.n_mels)
                .map(|frame| frame.iter().map(|&v| f64::from(v)).collect())
                .collect(),
        );
        let x = features(frames, config.n_mels, 2, &device);
        let output = model.forward(x, &[frames], &mut Mode::Eval);
        assert_eq!(output.phone_logits.is_some(), config.phone_head);
        let of_phones = output.phone_logits.map(|logits| (logits, "phone_head"));
        for (logits, head) in std::iter::once((output.logits, "head")).chain(of_phones) {
            let classes = logits.dims()[2];
            let expected = reference.linear(head, &hidden);
            let found = values(logits);
            assert_eq!(found.len(), expected.len() * classes);
            for (found, expected) in found.iter().zip(expected.iter().flatten()) {
                let error = (f64::from(*found) - expected).abs();
                assert!(error < 1e-4, "{found} instead of {expected}: {config:?}");
            }
        }
    }
}

#[test]
fn configurations_out_of_range_are_refused_in_words() {
    let good = tiny();
    assert_eq!(good.validate(), Ok(()));
    type Change = fn(&mut ModelConfig);
    let changes: [(&str, Change); 12] = [
        ("n_mels", |c| c.n_mels = 7),
        ("vocab_size", |c| c.vocab_size = 1),
        ("d_model", |c| c.d_model = 4096),
        ("n_layers", |c| c.n_layers = 0),
        ("n_heads", |c| c.n_heads = 0),
        ("multiple of n_heads", |c| c.n_heads = 3),
        ("rotary", |c| (c.d_model, c.n_heads) = (18, 6)),
        ("d_ffn", |c| c.d_ffn = usize::MAX),
        ("conv_kernel", |c| c.conv_kernel = 4),
        ("dropout", |c| c.dropout = f64::NAN),
        ("subsampling_factor", |c| c.subsampling_factor = 2),
        ("parameters", |c| {
            (c.d_model, c.n_heads, c.n_layers, c.d_ffn) = (2048, 8, 64, 16384);
        }),
    ];
    for (word, change) in changes {
        let mut config = good.clone();
        change(&mut config);
        match config.validate() {
            Err(WeightError::Config(message)) => assert!(message.contains(word), "{message}"),
            other => panic!("{word}: {other:?}"),
        }
        assert!(CtcModel::init(&config, 1, &Device::flex()).is_err());
    }
}

#[test]
fn a_phone_head_is_in_the_configuration_only_where_there_is_one() {
    let without = serde_json::to_string(&tiny()).unwrap();
    assert!(!without.contains("phone"), "{without}");
    assert_eq!(
        serde_json::from_str::<ModelConfig>(&without).unwrap(),
        tiny()
    );
    let with = ModelConfig {
        phone_head: true,
        ..tiny()
    };
    let text = serde_json::to_string(&with).unwrap();
    assert_eq!(serde_json::from_str::<ModelConfig>(&text).unwrap(), with);
}

#[test]
fn a_phone_head_changes_no_other_weight_and_no_letter() {
    let device = Device::flex();
    let with = ModelConfig {
        phone_head: true,
        ..tiny()
    };
    let [plain, phones] = [tiny(), with].map(|c| CtcModel::init(&c, 7, &device).unwrap());
    let mut weights = phones.weights();
    let own: Vec<(&str, usize)> = ["phone_head.bias", "phone_head.weight"]
        .map(|name| (name, weights.remove(name).unwrap().data.len()))
        .into();
    assert_eq!(
        own,
        [("phone_head.bias", 41), ("phone_head.weight", 16 * 41)]
    );
    assert_eq!(weights, plain.weights());
    let logits = |model: &CtcModel| {
        let x = features(40, 8, 1, &device);
        values(model.forward(x, &[40], &mut Mode::Eval).logits)
    };
    assert_eq!(logits(&phones), logits(&plain));
}
