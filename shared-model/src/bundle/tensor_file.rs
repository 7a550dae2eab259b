//! Weights as a safetensors file and back.

use std::{borrow::Cow, collections::BTreeMap};

use half::f16;
use safetensors::{
    Dtype, SafeTensors, View,
    tensor::{TensorView, serialize},
};

use super::{
    BundleError, Precision,
    limits::MAX_HEADER_BYTES,
    quantize::{channel_axis, dequantize, quantize},
};
use crate::{
    kernels::int8::Int8Matrix,
    weights::{Int8Weights, WeightError, WeightTensor, Weights},
};

/// Ends the name of an int8 weight's scales.
const SCALE_SUFFIX: &str = ".scale";
const LAYOUT: &str = "linear [d_in, d_out]; convolution [out, in/groups, kernel]; an I8 weight is \
     multiplied by NAME.scale of its output channel, the last axis of 2-d weights and the first \
     axis of weights with more dimensions";

struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// The bytes of the weights file; the same weights give the same bytes.
pub(super) fn write(weights: &Weights, precision: Precision) -> Result<Vec<u8>, BundleError> {
    let file = precision.file_name();
    let mut stored: BTreeMap<String, Stored> = BTreeMap::new();
    for (name, weight) in weights {
        if weight.shape.iter().product::<usize>() != weight.data.len() {
            return Err(content(
                file,
                format!(
                    "weight \"{name}\" has {} values for shape {:?}",
                    weight.data.len(),
                    weight.shape
                ),
            ));
        }
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
                f32_stored(&[quantized.scales.len()], &quantized.scales),
            );
            Stored {
                dtype: Dtype::I8,
                shape: weight.shape.clone(),
                bytes: quantized.values.iter().map(|v| v.cast_unsigned()).collect(),
            }
        } else if precision == Precision::F16 && weight.shape.len() > 1 {
            f16_stored(file, name, weight)?
        } else {
            f32_stored(&weight.shape, &weight.data)
        };
        stored.insert(name.clone(), entry);
    }
    // One key only: the crate writes several in the random order of a hash map.
    let metadata = [("fledge".to_string(), LAYOUT.to_string())];
    serialize(stored, Some(metadata.into_iter().collect()))
        .map_err(|error| content(file, error.to_string()))
}

fn f32_stored(shape: &[usize], data: &[f32]) -> Stored {
    Stored {
        dtype: Dtype::F32,
        shape: shape.to_vec(),
        bytes: data.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

fn f16_stored(file: &str, name: &str, weight: &WeightTensor) -> Result<Stored, BundleError> {
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
    Ok(Stored {
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
    check_header(file, bytes)?;
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|error| content(file, format!("not a safetensors file: {error}")))?;
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

/// The first eight bytes are the header's length: it must lie inside the file and the limit before
/// any of it is believed.
fn check_header(file: &str, bytes: &[u8]) -> Result<(), BundleError> {
    let Some(length) = bytes.first_chunk::<8>() else {
        return Err(content(
            file,
            format!("{} bytes are no safetensors file", bytes.len()),
        ));
    };
    let header = u64::from_le_bytes(*length);
    let rest = bytes.len() as u64 - 8;
    if header > rest {
        return Err(content(
            file,
            format!("its header claims {header} bytes, the file has {rest} after the length"),
        ));
    }
    if header > MAX_HEADER_BYTES {
        return Err(content(
            file,
            format!("its header of {header} bytes is over the limit of {MAX_HEADER_BYTES}"),
        ));
    }
    Ok(())
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

fn f32_values(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

fn content(file: &str, reason: String) -> BundleError {
    BundleError::Content {
        file: file.into(),
        reason,
    }
}
