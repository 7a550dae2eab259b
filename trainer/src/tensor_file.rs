//! Named tensors in a file, for checkpoints and finished phases.

use std::{
    fs,
    path::{Path, PathBuf},
};

use shared_model::weights::{Weights, read_safetensors, write_safetensors};

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

impl TensorFileError {
    fn at(path: &Path, reason: impl ToString) -> Self {
        Self {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        }
    }
}

/// Writes `weights` so that `path` holds either its old content or all of the new one.
pub(crate) fn write(path: &Path, weights: &Weights) -> Result<(), TensorFileError> {
    let content = write_safetensors(weights).map_err(|error| TensorFileError::at(path, error))?;
    write_atomically(path, &content).map_err(|error| TensorFileError::at(path, error))
}

pub(crate) fn read(path: &Path) -> Result<Weights, TensorFileError> {
    let content = fs::read(path).map_err(|error| TensorFileError::at(path, error))?;
    read_safetensors(&content).map_err(|error| TensorFileError::at(path, error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use shared_model::weights::WeightTensor;

    use super::*;

    #[test]
    fn tensors_come_back_and_a_file_cut_short_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let weight = WeightTensor {
            shape: vec![3],
            data: vec![1.0, 2.0, 3.0],
        };
        let weights = Weights::from([("w".into(), weight)]);
        write(&path, &weights).unwrap();
        assert_eq!(read(&path).unwrap(), weights);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let content = fs::read(&path).unwrap();
        fs::write(&path, &content[..content.len() - 1]).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
    }
}
