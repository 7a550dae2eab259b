#![allow(clippy::unwrap_used)]

use burn::prelude::{Device, Tensor, TensorData};
use half::f16;
use proptest::prelude::*;

use super::{
    hash::sha256_hex,
    quantize::{channel_axis, dequantize, quantize},
    shapes::weight_shapes,
    *,
};
use crate::{
    decode::{BeamConfig, Calibration, Calibrations},
    features::FeatureConfig,
    model::{CpuOperations, CtcModel, Mode, ModelConfig, NormKind, SubsamplingPadding},
    tokens::Tokens,
    weights::{WeightError, WeightTensor, Weights},
};

fn tiny_config() -> ModelConfig {
    ModelConfig {
        n_mels: 16,
        d_model: 32,
        n_layers: 1,
        n_heads: 2,
        d_ffn: 64,
        conv_kernel: 3,
        ..ModelConfig::default()
    }
}

fn tiny_features() -> FeatureConfig {
    FeatureConfig {
        n_mels: 16,
        ..FeatureConfig::default()
    }
}

/// Values that no rounding leaves alone.
fn weights_of(config: &ModelConfig) -> Weights {
    let mut state = 1u32;
    weight_shapes(config)
        .into_iter()
        .map(|(name, shape)| {
            let data = (0..shape.iter().product::<usize>())
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    0.001 + (state >> 8) as f32 / (1 << 24) as f32
                })
                .collect();
            (name, WeightTensor { shape, data })
        })
        .collect()
}

fn evaluation() -> Evaluation {
    Evaluation {
        set: "starter test".into(),
        decoder: "beam".into(),
        lm: Some("commands.arpa".into()),
        wer: 1.0 / 30.0,
        wer_low: 0.01,
        wer_high: 0.061,
        cer: 0.0123,
        words: 300,
        utterances: 60,
        precision: Precision::Int8,
    }
}

fn card_info() -> CardInfo {
    CardInfo {
        name: "tiny".into(),
        description: "A network for tests.".into(),
        license: "MIT".into(),
        language: "en".into(),
        data: vec!["nothing: \"quoted\"\n- a line that tries to break out".into()],
        method: vec!["Not trained.".into(), "At all.".into()],
        limits: vec!["Knows nothing.".into()],
    }
}

fn tiny_folder(precision: Precision, evaluations: &[Evaluation]) -> Files {
    let config = tiny_config();
    write_model(&ModelParts {
        features: &tiny_features(),
        model: &config,
        tokens: &Tokens::characters(),
        weights: &weights_of(&config),
        beam: Some(&BeamConfig::default()),
        precision,
        evaluations,
        card: &card_info(),
    })
    .unwrap()
}

/// Brings the manifest's entries in line with changed files, as someone who edits a folder and its
/// manifest would.
fn reseal(mut files: Files) -> Files {
    let mut manifest = Manifest::from_json(&files[MANIFEST_FILE]).unwrap();
    for entry in &mut manifest.files {
        *entry = FileEntry::of(&entry.name, &files[&entry.name]);
    }
    files.insert(MANIFEST_FILE.into(), manifest.to_json().unwrap());
    files
}

fn header_of(bytes: &[u8]) -> (serde_json::Value, &[u8]) {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    (header, &bytes[8 + length..])
}

fn with_header(header: &serde_json::Value, data: &[u8]) -> Vec<u8> {
    let header = header.to_string().into_bytes();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(data);
    bytes
}

#[test]
fn the_shape_list_is_the_networks_own() {
    for factor in [4, 8] {
        for norm in [NormKind::Layer, NormKind::Batch] {
            let config = ModelConfig {
                subsampling_factor: factor,
                norm,
                n_layers: 2,
                subsampling_padding: SubsamplingPadding::Paper,
                ..tiny_config()
            };
            let network = CtcModel::init(&config, 1, &Device::flex()).unwrap();
            let shapes = network.weights().into_iter().map(|(n, w)| (n, w.shape));
            assert_eq!(shapes.collect::<shapes::Shapes>(), weight_shapes(&config));
        }
    }
}

#[test]
fn an_f32_folder_reads_back_equal() {
    let files = tiny_folder(Precision::F32, &[evaluation()]);
    let loaded = read_model(&files).unwrap();
    assert_eq!(loaded.weights, weights_of(&tiny_config()));
    assert_eq!(loaded.model, tiny_config());
    assert_eq!(loaded.features, tiny_features());
    assert_eq!(loaded.tokens, Tokens::characters());
    assert_eq!(loaded.beam, Some(BeamConfig::default()));
    assert_eq!(loaded.card, card_info());
    assert_eq!(
        loaded.manifest.parameters,
        tiny_config().num_parameters() as u64
    );
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let expected = [
        "README.md",
        "config.json",
        "manifest.json",
        "model.safetensors",
        "tokens.txt",
    ];
    assert_eq!(names, expected);
}

#[test]
fn an_f16_folder_holds_matrices_rounded_and_vectors_whole() {
    let loaded = read_model(&tiny_folder(Precision::F16, &[])).unwrap();
    for (name, weight) in weights_of(&tiny_config()) {
        let expected: Vec<f32> = weight
            .data
            .iter()
            .map(|v| {
                if weight.shape.len() > 1 {
                    f16::from_f32(*v).to_f32()
                } else {
                    *v
                }
            })
            .collect();
        assert_eq!(loaded.weights[&name].data, expected, "{name}");
    }
}

#[cfg(feature = "cpu")]
#[test]
fn a_network_of_int8_weights_multiplies_integers_and_stays_near_its_floats() {
    let config = tiny_config();
    let weights = CtcModel::init(&config, 3, &Device::flex())
        .unwrap()
        .weights();
    let files = write_model(&ModelParts {
        features: &tiny_features(),
        model: &config,
        tokens: &Tokens::characters(),
        weights: &weights,
        beam: None,
        precision: Precision::Int8,
        evaluations: &[],
        card: &card_info(),
    });
    let loaded = read_model(&files.unwrap()).unwrap();
    let linear = [
        "ffn1.up",
        "ffn2.down",
        "attention.qkv",
        "attention.out",
        "conv.gate",
        "conv.out",
    ];
    for name in linear {
        let name = format!("encoder.blocks.0.{name}.weight");
        assert!(loaded.int8.get(&name).is_some(), "{name}");
    }
    let device = Device::flex();
    let floats = CtcModel::from_weights(&config, &loaded.weights, &device).unwrap();
    let integers =
        CtcModel::from_quantized_weights(&config, &loaded.weights, &loaded.int8, &device).unwrap();
    let logits = |model: &CtcModel, operations| -> Vec<f32> {
        let values: Vec<f32> = (0..40 * 16)
            .map(|i| ((i * 7919) % 1009) as f32 / 500.0)
            .collect();
        let features = Tensor::from_data(TensorData::new(values, [1, 40, 16]), &device);
        let model = model.clone().with_operations(operations);
        let output = model.forward(features, &[40], &mut Mode::Eval);
        output.logits.into_data().iter().collect()
    };
    let exact = logits(&floats, CpuOperations::Composed);
    assert_eq!(logits(&integers, CpuOperations::Composed), exact);
    let most = exact.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let found = logits(&integers, CpuOperations::Fused);
    let worst = found
        .iter()
        .zip(&exact)
        .fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
    // Rounding to 16 bits in each product; none at all would mean that floats were used.
    assert!(worst > 0.0 && worst < 1e-3 * most, "{worst} of {most}");
}

#[test]
fn an_int8_weight_is_off_by_half_its_scale_at_most() {
    let config = ModelConfig {
        d_model: 64,
        ..tiny_config()
    };
    let weights = weights_of(&config);
    let files = write_model(&ModelParts {
        features: &tiny_features(),
        model: &config,
        tokens: &Tokens::characters(),
        weights: &weights,
        beam: None,
        precision: Precision::Int8,
        evaluations: &[],
        card: &card_info(),
    })
    .unwrap();
    let loaded = read_model(&files).unwrap();
    let mut num_rounded = 0;
    for (name, weight) in &weights {
        let columns = *weight.shape.last().unwrap();
        let largest = |column: usize| {
            let values = weight.data.iter().skip(column).step_by(columns);
            values.fold(0.0f32, |most, value| most.max(value.abs()))
        };
        let read = &loaded.weights[name];
        if read == weight {
            assert!(
                weight.shape.len() == 1 || weight.data.len() < 1024,
                "{name}"
            );
            continue;
        }
        num_rounded += 1;
        for (index, (found, value)) in read.data.iter().zip(&weight.data).enumerate() {
            let scale = largest(index % columns) / 127.0;
            assert!(
                (found - value).abs() <= 0.5001 * scale,
                "{name}: {found} {value} {scale}"
            );
        }
    }
    assert!(num_rounded >= 8);
    let f32_bytes: usize = weights.values().map(|w| w.data.len() * 4).sum();
    assert!(files["model-q8.safetensors"].len() < f32_bytes / 2);
}

#[test]
fn the_output_channel_is_the_last_axis_of_matrices_and_the_first_of_convolutions() {
    assert_eq!(channel_axis(&[3]), None);
    assert_eq!(channel_axis(&[2, 3]), Some(1));
    assert_eq!(channel_axis(&[4, 3, 5]), Some(0));
    // Two channels of very different size: each must keep its own resolution.
    for shape in [vec![512, 2], vec![2, 32, 16]] {
        let is_matrix = shape.len() == 2;
        let channel_of = |index: usize| if is_matrix { index % 2 } else { index / 512 };
        let data: Vec<f32> = (0..1024)
            .map(|i| {
                let size = if channel_of(i) == 0 { 1000.0 } else { 0.001 };
                size * (i as f32 / 1024.0 - 0.5)
            })
            .collect();
        let weight = WeightTensor { shape, data };
        let quantized = quantize(&weight).unwrap();
        assert_eq!(quantized.scales.len(), 2);
        assert!(quantized.scales[0] > 1.0 && quantized.scales[1] < 1e-5);
        let bytes: Vec<u8> = quantized.values.iter().map(|v| v.cast_unsigned()).collect();
        let axis = channel_axis(&weight.shape).unwrap();
        let read = dequantize(&bytes, &quantized.scales, &weight.shape, axis);
        for (index, (found, value)) in read.iter().zip(&weight.data).enumerate() {
            let size = if channel_of(index) == 0 {
                500.0
            } else {
                0.0005
            };
            assert!(
                (found - value).abs() < 0.51 * size / 127.0,
                "{found} {value}"
            );
        }
    }
}

#[test]
fn a_channel_of_zeros_stays_zero() {
    let weight = WeightTensor {
        shape: vec![1024, 1],
        data: vec![0.0; 1024],
    };
    let quantized = quantize(&weight).unwrap();
    assert!(quantized.values.iter().all(|v| *v == 0));
    assert!(quantized.scales[0] > 0.0);
}

#[test]
fn the_same_parts_give_the_same_bytes() {
    for precision in [Precision::F32, Precision::F16, Precision::Int8] {
        let first = tiny_folder(precision, &[evaluation()]);
        assert_eq!(first, tiny_folder(precision, &[evaluation()]));
    }
}

#[test]
fn new_evaluations_change_card_and_manifest_only() {
    let before = tiny_folder(Precision::Int8, &[]);
    let after = with_evaluations(&before, &[evaluation()]).unwrap();
    assert_eq!(after, tiny_folder(Precision::Int8, &[evaluation()]));
    for (name, bytes) in &before {
        let is_same = after[name] == *bytes;
        assert_eq!(
            is_same,
            name != CARD_FILE && name != MANIFEST_FILE,
            "{name}"
        );
    }
    let evaluations = read_model(&after).unwrap().manifest.evaluations;
    assert_eq!(evaluations.len(), 1);
    assert!((evaluations[0].wer - 1.0 / 30.0).abs() < 1e-12);
}

#[test]
fn the_card_states_the_measured_figures() {
    let files = tiny_folder(Precision::Int8, &[evaluation()]);
    let card = String::from_utf8(files[CARD_FILE].clone()).unwrap();
    for line in [
        "library_name: fledge",
        "pipeline_tag: automatic-speech-recognition",
        "license: \"MIT\"",
        "language: \"en\"",
        "- \"nothing: \\\"quoted\\\" - a line that tries to break out\"",
        "metrics:\n- wer",
        "model-index:",
        "      name: \"WER, beam with commands.arpa, int8\"",
        "      value: 3.33",
        "| starter test | beam with commands.arpa | int8 | 3.33 | 1.00 to 6.10 | 1.23 | 300 | 60 |",
        "Not trained.\n\nAt all.",
        "- Knows nothing.",
    ] {
        assert!(card.contains(line), "{line}\n---\n{card}");
    }
    let unmeasured = tiny_folder(Precision::Int8, &[]);
    let card = String::from_utf8(unmeasured[CARD_FILE].clone()).unwrap();
    assert!(!card.contains("model-index") && card.contains("Not measured."));
}

#[test]
fn each_missing_file_is_named() {
    for name in [MANIFEST_FILE, CONFIG_FILE, TOKENS_FILE, "model.safetensors"] {
        let mut files = tiny_folder(Precision::F32, &[]);
        files.remove(name);
        let error = read_model(&files).unwrap_err();
        assert!(
            matches!(&error, BundleError::MissingFile { file } if file == name),
            "{error}"
        );
    }
}

#[test]
fn a_file_cut_short_or_grown_is_a_size_error() {
    for name in [CONFIG_FILE, TOKENS_FILE, CARD_FILE, "model.safetensors"] {
        let mut files = tiny_folder(Precision::F32, &[]);
        files.get_mut(name).unwrap().pop();
        assert!(
            matches!(read_model(&files), Err(BundleError::Size { .. })),
            "{name}"
        );
        files.get_mut(name).unwrap().extend([0, 0]);
        assert!(
            matches!(read_model(&files), Err(BundleError::Size { .. })),
            "{name}"
        );
    }
}

#[test]
fn a_header_that_claims_two_gigabytes_is_refused() {
    let mut files = tiny_folder(Precision::F32, &[]);
    let bytes = files.get_mut("model.safetensors").unwrap();
    bytes[..8].copy_from_slice(&(2u64 << 30).to_le_bytes());
    assert!(matches!(read_model(&files), Err(BundleError::Hash { .. })));
    let error = read_model(&reseal(files)).unwrap_err().to_string();
    assert!(error.contains("header claims 2147483648 bytes"), "{error}");
}

#[test]
fn a_longer_header_than_the_limit_is_refused() {
    let mut files = tiny_folder(Precision::F32, &[]);
    let mut bytes = (2u64 << 20).to_le_bytes().to_vec();
    bytes.resize(8 + (2 << 20), b' ');
    files.insert("model.safetensors".into(), bytes);
    let error = read_model(&reseal(files)).unwrap_err().to_string();
    assert!(error.contains("over the limit"), "{error}");
}

#[test]
fn an_unknown_version_is_said_before_unknown_fields() {
    let mut files = tiny_folder(Precision::F32, &[]);
    let config = br#"{"format_version": 7, "news": true}"#.to_vec();
    files.insert(CONFIG_FILE.into(), config);
    let error = read_model(&reseal(files.clone())).unwrap_err();
    assert!(
        matches!(error, BundleError::Version { found: 7, .. }),
        "{error}"
    );
    let manifest = br#"{"format_version": 2}"#.to_vec();
    files.insert(MANIFEST_FILE.into(), manifest);
    let error = read_model(&files).unwrap_err();
    assert!(
        matches!(error, BundleError::Version { found: 2, .. }),
        "{error}"
    );
}

#[test]
fn weights_of_another_shape_name_type_or_value_are_refused() {
    let change = |edit: &dyn Fn(&mut serde_json::Value, &mut Vec<u8>)| {
        let mut files = tiny_folder(Precision::F32, &[]);
        let (mut header, data) = header_of(&files["model.safetensors"]);
        let mut data = data.to_vec();
        edit(&mut header, &mut data);
        files.insert("model.safetensors".into(), with_header(&header, &data));
        read_model(&reseal(files)).unwrap_err()
    };
    let error = change(&|header, _| header["head.weight"]["shape"] = serde_json::json!([29, 32]));
    assert!(
        matches!(error, BundleError::Weights(WeightError::Shape { .. })),
        "{error}"
    );
    let error = change(&|header, _| {
        let weight = header
            .as_object_mut()
            .unwrap()
            .remove("head.weight")
            .unwrap();
        header["other.weight"] = weight;
    });
    assert!(
        matches!(error, BundleError::Weights(WeightError::Unknown { .. })),
        "{error}"
    );
    let error = change(&|header, data| {
        let weight = header
            .as_object_mut()
            .unwrap()
            .remove("head.weight")
            .unwrap();
        let range = weight["data_offsets"].clone();
        let (start, end) = (range[0].as_u64().unwrap(), range[1].as_u64().unwrap());
        data.drain(start as usize..end as usize);
        for info in header.as_object_mut().unwrap().values_mut() {
            for side in 0..2 {
                if info["data_offsets"][side]
                    .as_u64()
                    .is_some_and(|offset| offset >= end)
                {
                    let moved = info["data_offsets"][side].as_u64().unwrap() - (end - start);
                    info["data_offsets"][side] = moved.into();
                }
            }
        }
    });
    assert!(
        matches!(error, BundleError::Weights(WeightError::Missing { .. })),
        "{error}"
    );
    let error = change(&|header, _| header["head.weight"]["dtype"] = "I32".into());
    assert!(error.to_string().contains("stored as I32"), "{error}");
    let error = change(&|header, _| header["head.weight"]["dtype"] = "Q4".into());
    assert!(
        error.to_string().contains("not a safetensors file"),
        "{error}"
    );
    let error = change(&|header, _| {
        header["head.weight"]["shape"] = serde_json::json!([u64::MAX, u64::MAX]);
    });
    assert!(
        error.to_string().contains("not a safetensors file"),
        "{error}"
    );
    let error = change(&|_, data| {
        let end = data.len();
        data[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    assert!(
        matches!(error, BundleError::Weights(WeightError::NotFinite { .. })),
        "{error}"
    );
}

#[test]
fn a_scale_that_is_not_positive_is_refused() {
    for scale in [0.0f32, -1.0, f32::NAN, f32::INFINITY] {
        let mut files = tiny_folder(Precision::Int8, &[]);
        let (header, data) = header_of(&files["model-q8.safetensors"]);
        let mut data = data.to_vec();
        let range = &header["encoder.blocks.0.attention.qkv.weight.scale"];
        let start = range["data_offsets"][0].as_u64().unwrap() as usize;
        data[start..start + 4].copy_from_slice(&scale.to_le_bytes());
        files.insert("model-q8.safetensors".into(), with_header(&header, &data));
        let error = read_model(&reseal(files)).unwrap_err().to_string();
        assert!(error.contains("expected a positive number"), "{error}");
    }
}

#[test]
fn parts_that_do_not_fit_are_not_written() {
    let config = tiny_config();
    let weights = weights_of(&config);
    let write = |weights: &Weights, precision| {
        write_model(&ModelParts {
            features: &tiny_features(),
            model: &config,
            tokens: &Tokens::characters(),
            weights,
            beam: None,
            precision,
            evaluations: &[],
            card: &card_info(),
        })
    };
    let mut broken = weights.clone();
    broken.get_mut("head.weight").unwrap().data[3] = f32::NAN;
    assert!(matches!(
        write(&broken, Precision::F32),
        Err(BundleError::Weights(WeightError::NotFinite { .. }))
    ));
    broken.get_mut("head.weight").unwrap().data[3] = 1e6;
    let error = write(&broken, Precision::F16).unwrap_err().to_string();
    assert!(error.contains("too large for f16"), "{error}");
    broken.remove("head.weight");
    assert!(matches!(
        write(&broken, Precision::F32),
        Err(BundleError::Weights(WeightError::Missing { .. }))
    ));
    let mut more = weights;
    more.insert("more".into(), more["head.bias"].clone());
    assert!(matches!(
        write(&more, Precision::F32),
        Err(BundleError::Weights(WeightError::Unknown { .. }))
    ));
}

#[test]
fn a_folder_that_could_not_be_read_back_is_not_written() {
    let config = tiny_config();
    let mut card = card_info();
    card.method = vec!["much".repeat(200); 100];
    let result = write_model(&ModelParts {
        features: &tiny_features(),
        model: &config,
        tokens: &Tokens::characters(),
        weights: &weights_of(&config),
        beam: None,
        precision: Precision::F32,
        evaluations: &[],
        card: &card,
    });
    assert!(matches!(result, Err(BundleError::TooLarge { file, .. }) if file == CONFIG_FILE));
}

#[test]
fn names_that_could_leave_the_folder_are_refused() {
    for name in [
        "../x",
        "a/b",
        "a\\b",
        "",
        ".hidden",
        "manifest.json",
        "a b",
        "C:",
    ] {
        let mut manifest =
            Manifest::from_json(&tiny_folder(Precision::F32, &[])[MANIFEST_FILE]).unwrap();
        manifest.files[0].name = name.into();
        assert!(manifest.to_json().is_err(), "{name:?}");
    }
}

#[test]
fn sha256_is_the_published_one() {
    // FIPS 180-2, appendix B.1.
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256_hex(b"abc"), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_flipped_bit_is_noticed(file in 0usize..5, place in 0usize..1 << 24, bit in 0u32..8) {
        let mut files = tiny_folder(Precision::Int8, &[evaluation()]);
        let bytes = files.values_mut().nth(file).unwrap();
        let place = place % bytes.len();
        bytes[place] ^= 1 << bit;
        prop_assert!(read_model(&files).is_err());
    }

    #[test]
    fn a_changed_file_with_a_matching_manifest_never_panics(
        file in 0usize..4, place in 0usize..1 << 24, value in any::<u8>(), cut in 0usize..1 << 24,
    ) {
        let mut files = tiny_folder(Precision::Int8, &[]);
        let names = [CONFIG_FILE, TOKENS_FILE, "model-q8.safetensors", "model-q8.safetensors"];
        let bytes = files.get_mut(names[file]).unwrap();
        // Half of the changes of the weights fall into the header, where they matter most.
        let span = if file == 3 { 2000.min(bytes.len()) } else { bytes.len() };
        bytes[place % span] = value;
        if cut % 4 == 0 {
            let length = cut % bytes.len();
            bytes.truncate(length);
        }
        let _ = read_model(&reseal(files));
    }

    #[test]
    fn no_manifest_text_panics(text in "[ -~]{0,200}") {
        let mut files = tiny_folder(Precision::F32, &[]);
        files.insert(MANIFEST_FILE.into(), text.clone().into_bytes());
        prop_assert!(read_model(&files).is_err());
        let text = format!("{{\"format_version\": 1, {text}");
        files.insert(MANIFEST_FILE.into(), text.into_bytes());
        prop_assert!(read_model(&files).is_err());
    }
}

#[test]
fn a_stored_decoder_is_read_back_with_its_language_model_and_nothing_else_changes() {
    let before = tiny_folder(Precision::F32, &[]);
    let beam = BeamConfig {
        beam: 7,
        word_bonus: 0.25,
        ..BeamConfig::default()
    };
    let tuned = with_decoder(&before, &beam, None).unwrap();
    let loaded = read_model(&tuned).unwrap();
    assert_eq!((loaded.beam, loaded.lm), (Some(beam.clone()), None));
    assert_eq!(tuned["model.safetensors"], before["model.safetensors"]);

    let with_lm = with_decoder(&tuned, &beam, Some(b"a language model")).unwrap();
    let loaded = read_model(&with_lm).unwrap();
    assert_eq!(loaded.lm.as_deref(), Some(&b"a language model"[..]));
    let needed: Vec<&str> = loaded
        .manifest
        .needed_files()
        .iter()
        .map(|f| f.name.as_str())
        .collect();
    assert!(
        !needed.contains(&LM_FILE),
        "it is fetched only when it is asked for"
    );
    // Settings change, the language model stays.
    let again = with_decoder(&with_lm, &BeamConfig::default(), None).unwrap();
    assert_eq!(again[LM_FILE], with_lm[LM_FILE]);

    let mut damaged = with_lm.clone();
    damaged.insert(LM_FILE.into(), b"a language muddle".to_vec());
    assert!(matches!(
        read_model(&damaged),
        Err(BundleError::Size { .. })
    ));
    damaged.insert(LM_FILE.into(), b"a language modem".to_vec());
    assert!(matches!(
        read_model(&damaged),
        Err(BundleError::Hash { .. })
    ));
}

#[test]
fn calibrations_are_read_back_and_those_of_other_decoder_settings_are_dropped() {
    let before = tiny_folder(Precision::F32, &[]);
    assert!(read_model(&before).unwrap().calibrations.is_empty());
    let text = |files: &Files| String::from_utf8(files[CONFIG_FILE].clone()).unwrap();
    assert!(!text(&before).contains("confidence"));
    let calibration = |bias| Calibration {
        weights: [bias, 0.5, -1.0, 0.25, 2.0],
    };
    let both = Calibrations {
        greedy: Some(calibration(1.0)),
        lm: Some(calibration(2.0)),
    };
    let calibrated = with_calibrations(&before, &both).unwrap();
    assert_eq!(read_model(&calibrated).unwrap().calibrations, both);
    assert_eq!(calibrated["model.safetensors"], before["model.safetensors"]);

    let tuned = with_decoder(&calibrated, &BeamConfig::default(), None).unwrap();
    let left = read_model(&tuned).unwrap().calibrations;
    assert_eq!((left.greedy, left.lm), (both.greedy, None));
}
