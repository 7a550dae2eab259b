//! Storage precisions of weights.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::weights::WeightTensor;

/// Matrices below this many elements stay f32: their scales and header lines would cost about what
/// the smaller elements save.
const MIN_QUANTIZED_ELEMENTS: usize = 1024;

/// How a folder stores its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As they were trained.
    F32,
    /// Matrices as IEEE half precision, vectors (biases, norms, statistics) as f32.
    F16,
    /// Matrices as int8 with one scale per output channel; everything else f32.
    Int8,
}

impl Precision {
    /// Name of the weights file.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::F32 | Self::F16 => "model.safetensors",
            Self::Int8 => "model-q8.safetensors",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        })
    }
}

/// The axis of the output channels: the last of a linear weight `[d_in, d_out]`, the first of a
/// convolution weight `[out, in / groups, kernel...]`. Vectors have none.
pub(super) fn channel_axis(shape: &[usize]) -> Option<usize> {
    match shape.len() {
        0 | 1 => None,
        2 => Some(1),
        _ => Some(0),
    }
}

/// Symmetric int8: value = integer * scale of its output channel.
pub(super) struct Quantized {
    pub values: Vec<i8>,
    /// One per output channel, finite and positive.
    pub scales: Vec<f32>,
}

/// `None` for what stays f32: vectors and small matrices.
pub(super) fn quantize(weight: &WeightTensor) -> Option<Quantized> {
    let axis = channel_axis(&weight.shape)?;
    if weight.data.len() < MIN_QUANTIZED_ELEMENTS {
        return None;
    }
    let channels = weight.shape[axis];
    let channel = channel_of(&weight.shape, axis);
    let mut scales = vec![0.0f32; channels];
    for (index, value) in weight.data.iter().enumerate() {
        let scale = &mut scales[channel(index)];
        *scale = scale.max(value.abs());
    }
    for scale in &mut scales {
        *scale /= 127.0;
        // A channel of zeros (or of values too small to divide) is stored as zeros.
        if *scale < f32::MIN_POSITIVE {
            *scale = 1.0;
        }
    }
    let values = weight
        .data
        .iter()
        .enumerate()
        .map(|(index, value)| {
            (value / scales[channel(index)])
                .round()
                .clamp(-127.0, 127.0) as i8
        })
        .collect();
    Some(Quantized { values, scales })
}

/// `values` has as many elements as `shape`; `scales` one per channel of [`channel_axis`].
pub(super) fn dequantize(values: &[u8], scales: &[f32], shape: &[usize], axis: usize) -> Vec<f32> {
    let channel = channel_of(shape, axis);
    values
        .iter()
        .enumerate()
        .map(|(index, value)| f32::from(value.cast_signed()) * scales[channel(index)])
        .collect()
}

/// Channel of the element at a row-major index.
fn channel_of(shape: &[usize], axis: usize) -> impl Fn(usize) -> usize {
    let inner: usize = shape[axis + 1..].iter().product::<usize>().max(1);
    let channels = shape[axis].max(1);
    move |index| index / inner % channels
}
