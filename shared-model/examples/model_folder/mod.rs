//! Reading a model folder from disk: the crate itself opens no file.

use std::{error::Error, fs, path::Path};

use shared_model::bundle::{Files, LoadedModel, max_bytes, read_model};

/// The model in `folder`, checked.
pub fn load(folder: &Path) -> Result<LoadedModel, Box<dyn Error>> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let metadata = entry.metadata()?;
        if metadata.is_file() && metadata.len() <= max_bytes(&name) {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(read_model(&files)?)
}
