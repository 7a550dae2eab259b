#![allow(clippy::unwrap_used)]

mod quantized;
mod refused;

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
    model::{CtcModel, Mode, ModelConfig, NormKind, Operations, SubsamplingPadding},
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
                phone_head: factor == 8,
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
    let tune = |files: &Files, beam: &BeamConfig, lm: Option<&[u8]>| {
        let tuned = TunedDecoder {
            beam: Some(beam),
            lm,
            ..TunedDecoder::default()
        };
        with_decoder(files, &tuned).unwrap()
    };
    let tuned = tune(&before, &beam, None);
    let loaded = read_model(&tuned).unwrap();
    assert_eq!((loaded.beam, loaded.lm), (Some(beam.clone()), None));
    assert_eq!(tuned["model.safetensors"], before["model.safetensors"]);

    let with_lm = tune(&tuned, &beam, Some(b"a language model"));
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
    let again = tune(&with_lm, &BeamConfig::default(), None);
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
        phones: Some(calibration(3.0)),
    };
    let calibrated = with_calibrations(&before, &both).unwrap();
    assert_eq!(read_model(&calibrated).unwrap().calibrations, both);
    assert_eq!(calibrated["model.safetensors"], before["model.safetensors"]);

    let default = BeamConfig::default();
    let left = |beam, phone_beam| {
        let lm = None;
        let tuned = TunedDecoder {
            beam,
            phone_beam,
            lm,
        };
        let tuned = with_decoder(&calibrated, &tuned).unwrap();
        assert_eq!(text(&tuned).contains("phone_beam"), phone_beam.is_some());
        let loaded = read_model(&tuned).unwrap();
        assert_eq!(loaded.phone_beam.as_ref(), phone_beam);
        loaded.calibrations
    };
    let without_lm = Calibrations { lm: None, ..both };
    assert_eq!(left(Some(&default), None), without_lm);
    let without_phones = Calibrations {
        phones: None,
        ..both
    };
    assert_eq!(left(None, Some(&default)), without_phones);
}
