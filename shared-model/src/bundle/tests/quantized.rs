//! Weights of fewer bits.

use super::*;

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
    let exact = logits(&floats, Operations::Composed);
    assert_eq!(logits(&integers, Operations::Composed), exact);
    let most = exact.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let found = logits(&integers, Operations::Fused);
    let worst = found
        .iter()
        .zip(&exact)
        .fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
    // Rounding to 16 bits in each product; none at all would mean that floats were used.
    assert!(worst > 0.0 && worst < 1e-3 * most, "{worst} of {most}");
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
fn an_int8_weight_is_off_by_half_its_scale_at_most() {
    let config = ModelConfig {
        d_model: 64,
        phone_head: true,
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
