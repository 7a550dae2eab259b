//! Model folders on disk. What is in the files is `shared_model::bundle`'s business.

use std::io;
use std::path::{Path, PathBuf};

use shared_model::bundle::{BundleError, Files, LoadedModel, Manifest, read_model};

use crate::exit_status::{ExitStatus, HasExitStatus};
use crate::files::{write_atomically, write_folder_atomically, write_synced};

/// The files a model folder may hold; others are not read.
const NAMES: [&str; 7] = [
    "config.json",
    "manifest.json",
    "tokens.txt",
    "model.safetensors",
    "model-q8.safetensors",
    "README.md",
    "lm.bin",
];

/// Greatest size of one file, checked before it is read: the largest sensible model here is a
/// hundred times smaller.
const MAX_FILE_BYTES: u64 = 4 << 30;

/// A model folder that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelFolderError {
    /// It cannot be looked into.
    #[error("model folder {folder}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file where a folder should be.
    #[error("{folder} is a file: --model takes the folder that holds model and config.json")]
    NotAFolder {
        /// The file.
        folder: PathBuf,
    },
    /// None of a model's files is in it.
    #[error(
        "{folder} is not a model folder: it has no config.json and manifest.json (the models of a run are below its models folder)"
    )]
    NotAModel {
        /// The folder.
        folder: PathBuf,
    },
    /// A file is over the limit.
    #[error(
        "model folder {folder}: {name} is {bytes} bytes, more than the limit of {MAX_FILE_BYTES}"
    )]
    TooLarge {
        /// The folder.
        folder: PathBuf,
        /// The file.
        name: &'static str,
        /// Its size.
        bytes: u64,
    },
    /// A file cannot be read or written.
    #[error("{path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Its files do not make a model.
    #[error("model folder {folder}")]
    Content {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with which.
        source: Box<BundleError>,
    },
}

impl HasExitStatus for ModelFolderError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Folder { .. }
            | Self::NotAFolder { .. }
            | Self::NotAModel { .. }
            | Self::TooLarge { .. }
            | Self::File { .. } => ExitStatus::Data,
            Self::Content { source, .. } => source.exit_status(),
        }
    }
}

/// Reads the files of a model folder.
///
/// # Errors
/// A path that is no model folder, or a file of it that cannot be read or is over 4 GiB.
pub fn read_files(folder: &Path) -> Result<Files, ModelFolderError> {
    let metadata = std::fs::metadata(folder).map_err(|source| ModelFolderError::Folder {
        folder: folder.to_owned(),
        source,
    })?;
    if !metadata.is_dir() {
        return Err(ModelFolderError::NotAFolder {
            folder: folder.to_owned(),
        });
    }
    let mut files = Files::new();
    for name in NAMES {
        let path = folder.join(name);
        let bytes = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(ModelFolderError::File { path, source }),
        };
        if bytes > MAX_FILE_BYTES {
            return Err(ModelFolderError::TooLarge {
                folder: folder.to_owned(),
                name,
                bytes,
            });
        }
        let content =
            std::fs::read(&path).map_err(|source| ModelFolderError::File { path, source })?;
        files.insert(name.to_owned(), content);
    }
    if !files.contains_key("config.json") && !files.contains_key("manifest.json") {
        return Err(ModelFolderError::NotAModel {
            folder: folder.to_owned(),
        });
    }
    Ok(files)
}

/// Reads and checks a model folder.
///
/// # Errors
/// As [`read_files`] and [`check`].
pub fn read(folder: &Path) -> Result<LoadedModel, ModelFolderError> {
    check(folder, &read_files(folder)?)
}

/// The model that the files of a folder hold.
///
/// # Errors
/// What is wrong with their content.
pub fn check(folder: &Path, files: &Files) -> Result<LoadedModel, ModelFolderError> {
    read_model(files).map_err(|source| ModelFolderError::Content {
        folder: folder.to_owned(),
        source: Box::new(source),
    })
}

/// What a page downloads to run the model: everything but the manifest, the card and a language
/// model.
pub fn model_bytes(manifest: &Manifest) -> u64 {
    let needed = manifest.needed_files();
    needed.iter().map(|file| file.bytes).sum()
}

/// Writes those of `files` that are not in the folder as they are, each at once, the manifest
/// last: until then the folder is refused and never taken for something else.
///
/// # Errors
/// As [`read_files`], or a file that cannot be written.
pub fn update(folder: &Path, files: &Files) -> Result<(), ModelFolderError> {
    let before = read_files(folder)?;
    let mut changed: Vec<_> = files
        .iter()
        .filter(|(name, content)| before.get(*name) != Some(content))
        .collect();
    changed.sort_by_key(|(name, _)| *name == "manifest.json");
    for (name, content) in changed {
        let path = folder.join(name);
        write_atomically(&path, content)
            .map_err(|source| ModelFolderError::File { path, source })?;
    }
    Ok(())
}

/// Writes a model folder. The files are written beside it first, so that a stopped export never
/// leaves a half-written model under the final name.
///
/// # Errors
/// Something else than a model folder stands there, or a file cannot be written.
pub fn write(folder: &Path, files: &Files) -> Result<(), ModelFolderError> {
    if folder.exists() {
        // Only what was a model folder is replaced.
        read_files(folder)?;
    }
    write_folder_atomically(folder, |partial| {
        let mut files = files.iter();
        files.try_for_each(|(name, content)| write_synced(&partial.join(name), content))
    })
    .map_err(|source| ModelFolderError::File {
        path: folder.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn files() -> Files {
        [("config.json", "{}"), ("manifest.json", "{}")]
            .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
            .into()
    }

    #[test]
    fn what_is_no_model_folder_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none");
        assert!(matches!(
            read_files(&missing),
            Err(ModelFolderError::Folder { .. })
        ));
        assert!(matches!(
            read_files(folder.path()),
            Err(ModelFolderError::NotAModel { .. })
        ));
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(matches!(
            read_files(&file),
            Err(ModelFolderError::NotAFolder { .. })
        ));
    }

    #[test]
    fn a_written_folder_reads_back_and_can_be_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("deep/small");
        write(&model, &files()).unwrap();
        write(&model, &files()).unwrap();
        assert_eq!(read_files(&model).unwrap(), files());
        assert!(!model.with_file_name("small.partial").exists());
    }

    #[test]
    fn an_update_writes_what_changed_and_keeps_files_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("small");
        write(&model, &files()).unwrap();
        std::fs::write(model.join("notes.txt"), "mine").unwrap();
        let mut changed = files();
        changed.insert("manifest.json".to_owned(), b"{\"a\": 1}".to_vec());
        changed.insert("lm.bin".to_owned(), b"words".to_vec());
        update(&model, &changed).unwrap();
        assert_eq!(read_files(&model).unwrap(), changed);
        assert_eq!(std::fs::read_dir(&model).unwrap().count(), 4);
        assert_eq!(std::fs::read(model.join("notes.txt")).unwrap(), b"mine");
        assert!(update(&folder.path().join("none"), &changed).is_err());
    }

    #[test]
    fn a_folder_of_something_else_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("thesis");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("thesis.txt"), "years of work").unwrap();
        assert!(write(&other, &files()).is_err());
        assert!(other.join("thesis.txt").exists());
    }
}
