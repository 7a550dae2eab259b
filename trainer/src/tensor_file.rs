//! Named tensors in a file (safetensors), for checkpoints and finished phases.

use std::{
    fs,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use shared_model::weights::{WeightTensor, Weights};

use crate::files::write_atomically;

/// A file of tensors that cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct TensorFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Writes `weights` so that `path` holds either its old content or all of the new one.
pub(crate) fn write(path: &Path, weights: &Weights) -> Result<(), TensorFileError> {
    let failed = |reason: String| TensorFileError {
        path: path.to_path_buf(),
        reason,
    };
    let bytes: Vec<(&str, &[usize], Vec<u8>)> = weights
        .iter()
        .map(|(name, weight)| {
            let bytes = weight.data.iter().flat_map(|v| v.to_le_bytes()).collect();
            (name.as_str(), weight.shape.as_slice(), bytes)
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes);
            view.map(|view| (*name, view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| failed(e.to_string()))?;
    let content = safetensors::serialize(views, None).map_err(|e| failed(e.to_string()))?;
    write_atomically(path, &content).map_err(|e| failed(e.to_string()))
}

pub(crate) fn read(path: &Path) -> Result<Weights, TensorFileError> {
    let failed = |reason: String| TensorFileError {
        path: path.to_path_buf(),
        reason,
    };
    let content = fs::read(path).map_err(|e| failed(e.to_string()))?;
    let tensors = SafeTensors::deserialize(&content).map_err(|e| failed(e.to_string()))?;
    let mut weights = Weights::new();
    for (name, view) in tensors.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(failed(format!("\"{name}\" is not f32")));
        }
        let (values, _) = view.data().as_chunks::<4>();
        let weight = WeightTensor {
            shape: view.shape().to_vec(),
            data: values.iter().map(|&v| f32::from_le_bytes(v)).collect(),
        };
        weights.insert(name.to_string(), weight);
    }
    Ok(weights)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tensors_come_back_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let weights = Weights::from([
            (
                "m/one".into(),
                WeightTensor {
                    shape: vec![2, 2],
                    data: vec![1.0, -0.0, f32::MIN_POSITIVE / 2.0, f32::MAX],
                },
            ),
            (
                "two".into(),
                WeightTensor {
                    shape: vec![0],
                    data: vec![],
                },
            ),
        ]);
        write(&path, &weights).unwrap();
        let read_back = read(&path).unwrap();
        let bits = |w: &Weights| -> Vec<u32> {
            w.values()
                .flat_map(|w| w.data.iter().map(|v| v.to_bits()))
                .collect()
        };
        assert_eq!(read_back, weights);
        assert_eq!(bits(&read_back), bits(&weights));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_cut_short_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let weight = WeightTensor {
            shape: vec![3],
            data: vec![1.0; 3],
        };
        write(&path, &Weights::from([("w".into(), weight)])).unwrap();
        let content = fs::read(&path).unwrap();
        for len in [0, 4, 20, content.len() - 1] {
            fs::write(&path, &content[..len]).unwrap();
            assert!(matches!(read(&path), Err(TensorFileError { .. })));
        }
    }
}
