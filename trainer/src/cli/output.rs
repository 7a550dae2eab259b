//! What a command is asked to write: tried before the work, written after it.

use std::path::{Path, PathBuf};

use super::{CliResult, Failure};
use crate::files::{partial_path, write_atomically};

/// A file that will be written.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
}

impl OutputFile {
    /// Finds out whether the file can be written; what it holds stays until [`Self::write`].
    ///
    /// # Errors
    /// Wrong arguments: a folder that does not exist or lets nothing be written into it, or a
    /// folder in place of a file. `option` is named.
    pub fn try_new(option: &str, path: &Path) -> CliResult<Self> {
        let refused = |reason: String| {
            let path = path.display();
            Failure::usage(format!("{option} {path} cannot be written: {reason}"))
        };
        if path.is_dir() {
            return Err(refused("it is a folder".to_owned()));
        }
        // Pipes and devices are opened when there is something to write.
        if is_plain(path) {
            try_beside(path).map_err(|error| refused(error.to_string()))?;
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// The file's new content, all of it or none.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, content: &[u8]) -> CliResult<()> {
        let written = if is_plain(&self.path) {
            write_atomically(&self.path, content)
        } else {
            std::fs::write(&self.path, content)
        };
        let path = self.path.display();
        written.map_err(Failure::while_doing(format!("cannot write {path}")))
    }
}

/// Finds out whether files of a folder can be written.
///
/// # Errors
/// Wrong arguments; `option` is named.
pub fn try_folder(option: &str, folder: &Path) -> CliResult<()> {
    try_beside(&folder.join("manifest.json")).map_err(|error| {
        let folder = folder.display();
        Failure::usage(format!("{option}: {folder} cannot be written: {error}"))
    })
}

/// A regular file, or nothing yet.
fn is_plain(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file()) || !path.exists()
}

fn try_beside(path: &Path) -> std::io::Result<()> {
    let is_locked = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().readonly())
    };
    if is_locked(path) {
        return Err(std::io::ErrorKind::PermissionDenied.into());
    }
    let partial = partial_path(path);
    std::fs::File::create(&partial)?;
    std::fs::remove_file(&partial)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::exit_status::ExitStatus;

    #[test]
    fn what_cannot_be_written_is_refused_before_and_what_can_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("h.jsonl");
        std::fs::write(&good, "old").unwrap();
        let output = OutputFile::try_new("--hypotheses", &good).unwrap();
        assert_eq!(std::fs::read(&good).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        output.write(b"new").unwrap();
        assert_eq!(std::fs::read(&good).unwrap(), b"new");

        for bad in [folder.path().join("none/h.jsonl"), folder.path().to_owned()] {
            let failure = OutputFile::try_new("--hypotheses", &bad).unwrap_err();
            assert_eq!(failure.exit_status(), ExitStatus::Usage);
            assert!(failure.to_string().contains("--hypotheses"), "{failure}");
        }
        assert!(try_folder("--store", folder.path()).is_ok());
        assert!(try_folder("--store", &folder.path().join("none")).is_err());
    }
}
