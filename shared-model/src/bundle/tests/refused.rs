//! Folders that cannot be used, and parts that make none.

use super::*;

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
