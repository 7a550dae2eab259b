//! Weights as a safetensors file and back.

use std::collections::BTreeMap;

use half::f16;
use safetensors::{Dtype, tensor::TensorView};

use super::{
    BundleError, Precision,
    quantize::{channel_axis, dequantize, quantize},
};
use crate::{
    kernels::int8::Int8Matrix,
    weights::{
        Int8Weights, SafetensorsError, WeightError, WeightTensor, Weights,
        safetensors_file::{StoredTensor, check_len, f32_values, parse_tensors, serialize_tensors},
    },
};

/// Ends the name of an int8 weight's scales.
const SCALE_SUFFIX: &str = ".scale";
const LAYOUT: &str = "linear [d_in, d_out]; convolution [out, in/groups, kernel]; an I8 weight is \
     multiplied by NAME.scale of its output channel, the last axis of 2-d weights and the first \
     axis of weights with more dimensions";

/// The bytes of the weights file; the same weights give the same bytes.
pub(super) fn write(weights: &Weights, precision: Precision) -> Result<Vec<u8>, BundleError> {
    let file = precision.file_name();
    let mut stored: BTreeMap<String, StoredTensor> = BTreeMap::new();
    for (name, weight) in weights {
        check_len(name, weight).map_err(in_file(file))?;
        if !weight.data.iter().all(|value| value.is_finite()) {
            return Err(WeightError::NotFinite { name: name.clone() }.into());
        }
        let quantized = match precision {
            Precision::Int8 => quantize(weight),
            Precision::F32 | Precision::F16 => None,
        };
        let entry = if let Some(quantized) = quantized {
            let scale = format!("{name}{SCALE_SUFFIX}");
            if weights.contains_key(&scale) {
                return Err(content(file, format!("two tensors are called \"{scale}\"")));
            }
            stored.insert(
                scale,
                StoredTensor::of_f32(&[quantized.scales.len()], &quantized.scales),
            );
            StoredTensor {
                dtype: Dtype::I8,
                shape: weight.shape.clone(),
                bytes: quantized.values.iter().map(|v| v.cast_unsigned()).collect(),
            }
        } else if precision == Precision::F16 && weight.shape.len() > 1 {
            f16_stored(file, name, weight)?
        } else {
            StoredTensor::of_f32(&weight.shape, &weight.data)
        };
        stored.insert(name.clone(), entry);
    }
    serialize_tensors(stored, Some(("fledge", LAYOUT))).map_err(in_file(file))
}

fn f16_stored(file: &str, name: &str, weight: &WeightTensor) -> Result<StoredTensor, BundleError> {
    let mut bytes = Vec::with_capacity(weight.data.len() * 2);
    for value in &weight.data {
        let half = f16::from_f32(*value);
        if !half.is_finite() {
            return Err(content(
                file,
                format!("weight \"{name}\" holds {value}, too large for f16; export as f32"),
            ));
        }
        bytes.extend(half.to_le_bytes());
    }
    Ok(StoredTensor {
        dtype: Dtype::F16,
        shape: weight.shape.clone(),
        bytes,
    })
}

/// Reads a weights file. `expected` is every weight's shape by name: the file must hold exactly
/// these, and nothing is expanded before all shapes and types agree.
pub(super) fn read(
    bytes: &[u8],
    precision: Precision,
    expected: &BTreeMap<String, Vec<usize>>,
) -> Result<(Weights, Int8Weights), BundleError> {
    let file = precision.file_name();
    let tensors = parse_tensors(bytes).map_err(in_file(file))?;
    let found: BTreeMap<&str, TensorView<'_>> = tensors.iter().collect();
    check_names(&found, expected)?;
    for (name, shape) in expected {
        let missing = || WeightError::Missing { name: name.clone() };
        let view = found.get(name.as_str()).ok_or_else(missing)?;
        check_view(file, name, view, shape, precision)?;
        if view.dtype() == Dtype::I8 {
            let scale_name = format!("{name}{SCALE_SUFFIX}");
            let scale = found
                .get(scale_name.as_str())
                .ok_or_else(|| WeightError::Missing {
                    name: scale_name.clone(),
                })?;
            let channels = channel_axis(shape).map_or(0, |axis| shape[axis]);
            check_view(file, &scale_name, scale, &[channels], Precision::F32)?;
        }
    }
    let (mut weights, mut int8) = (Weights::new(), Int8Weights::default());
    for (name, shape) in expected {
        let view = &found[name.as_str()];
        let data = match view.dtype() {
            Dtype::I8 => {
                let scales = f32_values(found[format!("{name}{SCALE_SUFFIX}").as_str()].data());
                if let Some(scale) = scales.iter().find(|s| !s.is_finite() || **s <= 0.0) {
                    return Err(content(
                        file,
                        format!(
                            "a scale of weight \"{name}\" is {scale}: expected a positive number"
                        ),
                    ));
                }
                let axis = channel_axis(shape).unwrap_or(0);
                if shape.len() == 2 {
                    let values: Vec<i8> = view.data().iter().map(|v| v.cast_signed()).collect();
                    int8.push(name, Int8Matrix::new(&values, &scales));
                }
                dequantize(view.data(), &scales, shape, axis)
            }
            Dtype::F16 => view
                .data()
                .chunks_exact(2)
                .map(|pair| f16::from_le_bytes([pair[0], pair[1]]).to_f32())
                .collect(),
            _ => f32_values(view.data()),
        };
        if !data.iter().all(|value| value.is_finite()) {
            return Err(WeightError::NotFinite { name: name.clone() }.into());
        }
        let shape = shape.clone();
        weights.insert(name.clone(), WeightTensor { shape, data });
    }
    Ok((weights, int8))
}

fn check_names(
    found: &BTreeMap<&str, TensorView<'_>>,
    expected: &BTreeMap<String, Vec<usize>>,
) -> Result<(), BundleError> {
    for name in found.keys() {
        let is_scale = name.strip_suffix(SCALE_SUFFIX).is_some_and(|weight| {
            expected.contains_key(weight)
                && found
                    .get(weight)
                    .is_some_and(|view| view.dtype() == Dtype::I8)
        });
        if !expected.contains_key(*name) && !is_scale {
            let name = name.chars().take(200).collect();
            return Err(WeightError::Unknown { name }.into());
        }
    }
    Ok(())
}

fn check_view(
    file: &str,
    name: &str,
    view: &TensorView<'_>,
    shape: &[usize],
    precision: Precision,
) -> Result<(), BundleError> {
    if view.shape() != shape {
        return Err(WeightError::Shape {
            name: name.into(),
            found: view.shape().to_vec(),
            expected: shape.to_vec(),
        }
        .into());
    }
    let allowed = match precision {
        Precision::F32 => view.dtype() == Dtype::F32,
        Precision::F16 => matches!(view.dtype(), Dtype::F16 | Dtype::F32),
        Precision::Int8 => match view.dtype() {
            Dtype::F32 => true,
            Dtype::I8 => channel_axis(shape).is_some(),
            _ => false,
        },
    };
    if !allowed {
        return Err(content(
            file,
            format!(
                "weight \"{name}\" is stored as {:?}, which precision {precision} does not have",
                view.dtype()
            ),
        ));
    }
    Ok(())
}

fn in_file(file: &'static str) -> impl FnOnce(SafetensorsError) -> BundleError {
    move |error| BundleError::Tensors { file, error }
}

fn content(file: &str, reason: String) -> BundleError {
    BundleError::Content {
        file: file.into(),
        reason,
    }
}
