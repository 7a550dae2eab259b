//! Named tensors as the bytes of a safetensors file, and back.

use std::{borrow::Cow, collections::BTreeMap};

use safetensors::{Dtype, SafeTensorError, SafeTensors, View, tensor::serialize};

use super::{WeightTensor, Weights};

/// Largest header of a file: names, types, shapes and places of its tensors.
pub(crate) const MAX_HEADER_BYTES: u64 = 1 << 20;

/// What keeps bytes from being a safetensors file, or tensors from becoming one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// Bytes that do not follow the format.
    #[error("not a safetensors file: {0}")]
    Read(SafeTensorError),
    /// Tensors that the format does not hold.
    #[error("{0}")]
    Write(SafeTensorError),
    /// What this crate demands beyond the format: a sentence that goes on after the file's name.
    #[error("{0}")]
    Content(String),
}

/// The bytes of a file of f32 tensors; the same weights give the same bytes.
///
/// # Errors
/// If a tensor has another number of values than its shape says, or names and shapes are too long
/// for a file that [`read_safetensors`] reads.
pub fn write_safetensors(weights: &Weights) -> Result<Vec<u8>, SafetensorsError> {
    let mut stored = BTreeMap::new();
    for (name, weight) in weights {
        check_len(name, weight)?;
        let tensor = StoredTensor::of_f32(&weight.shape, &weight.data);
        stored.insert(name.clone(), tensor);
    }
    let bytes = serialize_tensors(stored, None)?;
    check_header(&bytes)?;
    Ok(bytes)
}

/// The tensors of a file that [`write_safetensors`] made.
///
/// # Errors
/// If the bytes are no safetensors file, its header is over 1 MiB, or a tensor is not f32.
pub fn read_safetensors(bytes: &[u8]) -> Result<Weights, SafetensorsError> {
    let tensors = parse_tensors(bytes)?;
    let mut weights = Weights::new();
    for (name, view) in tensors.iter() {
        if view.dtype() != Dtype::F32 {
            let reason = format!("\"{name}\" is stored as {:?}, not as F32", view.dtype());
            return Err(SafetensorsError::Content(reason));
        }
        let weight = WeightTensor {
            shape: view.shape().to_vec(),
            data: f32_values(view.data()),
        };
        weights.insert(name.to_string(), weight);
    }
    Ok(weights)
}

/// A tensor as it stands in a file.
pub(crate) struct StoredTensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Row-major, little-endian.
    pub bytes: Vec<u8>,
}

impl StoredTensor {
    pub(crate) fn of_f32(shape: &[usize], data: &[f32]) -> Self {
        Self {
            dtype: Dtype::F32,
            shape: shape.to_vec(),
            bytes: data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }
}

impl View for StoredTensor {
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

/// An error unless `weight` has as many values as its shape says.
pub(crate) fn check_len(name: &str, weight: &WeightTensor) -> Result<(), SafetensorsError> {
    if weight.shape.iter().product::<usize>() == weight.data.len() {
        return Ok(());
    }
    Err(SafetensorsError::Content(format!(
        "weight \"{name}\" has {} values for shape {:?}",
        weight.data.len(),
        weight.shape
    )))
}

/// `note`: a key and a value for the file's own description. No more than one: the format's crate
/// writes several in the random order of a hash map.
pub(crate) fn serialize_tensors(
    tensors: BTreeMap<String, StoredTensor>,
    note: Option<(&str, &str)>,
) -> Result<Vec<u8>, SafetensorsError> {
    let note = note.map(|(key, value)| [(key.to_string(), value.to_string())].into());
    serialize(tensors, note).map_err(SafetensorsError::Write)
}

/// Reads the header; tensors keep to the bytes.
pub(crate) fn parse_tensors(bytes: &[u8]) -> Result<SafeTensors<'_>, SafetensorsError> {
    check_header(bytes)?;
    SafeTensors::deserialize(bytes).map_err(SafetensorsError::Read)
}

/// The first eight bytes are the header's length: it must lie inside the file and the limit before
/// any of it is believed.
fn check_header(bytes: &[u8]) -> Result<(), SafetensorsError> {
    let Some(length) = bytes.first_chunk::<8>() else {
        let reason = format!("{} bytes are no safetensors file", bytes.len());
        return Err(SafetensorsError::Content(reason));
    };
    let header = u64::from_le_bytes(*length);
    let rest = bytes.len() as u64 - 8;
    if header > rest {
        let reason =
            format!("its header claims {header} bytes, the file has {rest} after the length");
        return Err(SafetensorsError::Content(reason));
    }
    if header > MAX_HEADER_BYTES {
        let reason =
            format!("its header of {header} bytes is over the limit of {MAX_HEADER_BYTES}");
        return Err(SafetensorsError::Content(reason));
    }
    Ok(())
}

pub(crate) fn f32_values(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<4>();
    values.iter().map(|&v| f32::from_le_bytes(v)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], data: &[f32]) -> WeightTensor {
        WeightTensor {
            shape: shape.to_vec(),
            data: data.to_vec(),
        }
    }

    #[test]
    fn tensors_come_back_bit_for_bit() {
        let odd = [1.0, -0.0, f32::MIN_POSITIVE / 2.0, f32::NAN];
        let weights = Weights::from([
            ("m/one".into(), tensor(&[2, 2], &odd)),
            ("two".into(), tensor(&[0], &[])),
        ]);
        let read_back = read_safetensors(&write_safetensors(&weights).unwrap()).unwrap();
        let bits = |weights: &Weights| -> Vec<(String, Vec<usize>, Vec<u32>)> {
            let tensors = weights.iter();
            tensors
                .map(|(name, weight)| {
                    let bits = weight.data.iter().map(|value| value.to_bits()).collect();
                    (name.clone(), weight.shape.clone(), bits)
                })
                .collect()
        };
        assert_eq!(bits(&read_back), bits(&weights));
    }

    #[test]
    fn bytes_cut_short_are_an_error() {
        let weights = Weights::from([("w".into(), tensor(&[3], &[1.0; 3]))]);
        let bytes = write_safetensors(&weights).unwrap();
        for len in [0, 4, 20, bytes.len() - 1] {
            assert!(read_safetensors(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn what_could_not_be_read_back_is_not_written() {
        let short = Weights::from([("w".into(), tensor(&[2, 2], &[1.0; 3]))]);
        let error = write_safetensors(&short).unwrap_err().to_string();
        assert_eq!(error, "weight \"w\" has 3 values for shape [2, 2]");
        let long_name = "w".repeat(MAX_HEADER_BYTES as usize);
        let long = Weights::from([(long_name, tensor(&[1], &[1.0]))]);
        let error = write_safetensors(&long).unwrap_err().to_string();
        assert!(error.contains("over the limit"), "{error}");
    }
}
