//! Named tensors in a file, for checkpoints and finished phases.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use shared_model::weights::{SafetensorsError, Weights, read_safetensors, write_safetensors};

use crate::files::write_atomically;

/// A file of tensors that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TensorFileError {
    /// The system refuses it.
    #[error("{path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Bytes that are no tensors, or tensors that make no file.
    #[error("{path}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SafetensorsError,
    },
}

impl TensorFileError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }

    fn content(path: &Path) -> impl FnOnce(SafetensorsError) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Content { path, source }
    }
}

/// For who fills a folder and names it where that fails: the cause without the file.
impl From<TensorFileError> for io::Error {
    fn from(error: TensorFileError) -> Self {
        match error {
            TensorFileError::Io { source, .. } => source,
            TensorFileError::Content { source, .. } => Self::other(source),
        }
    }
}

/// Writes `weights` so that `path` holds either its old content or all of the new one.
pub(crate) fn write(path: &Path, weights: &Weights) -> Result<(), TensorFileError> {
    let content = write_safetensors(weights).map_err(TensorFileError::content(path))?;
    write_atomically(path, &content).map_err(TensorFileError::io(path))
}

pub(crate) fn read(path: &Path) -> Result<Weights, TensorFileError> {
    let content = fs::read(path).map_err(TensorFileError::io(path))?;
    read_safetensors(&content).map_err(TensorFileError::content(path))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use shared_model::weights::WeightTensor;

    use super::*;
    use crate::fault::error_line;

    #[test]
    fn tensors_come_back_and_a_file_cut_short_is_an_error_that_names_it_and_its_cause() {
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
        let error = read(&path).unwrap_err();
        assert!(matches!(error, TensorFileError::Content { .. }));
        let told = error_line(&error);
        let named = format!("{}: not a safetensors file", path.display());
        assert!(told.starts_with(&named), "{told}");
        let missing = read(&folder.path().join("b")).unwrap_err();
        assert!(matches!(missing, TensorFileError::Io { .. }));
    }
}
