//! The C library between fledge and an MPI: where it is, and how it is made.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use super::ClusterError;

const SOURCE: &str = include_str!("fledge_mpi.c");
const NAME: &str = "libfledge_mpi.so";
/// Names the library where it is not beside the program.
const VARIABLE: &str = "FLEDGE_MPI_LIBRARY";

/// Where the library is looked for, and where it is built unless told otherwise: what the environment
/// names, else beside the program, where every machine that has the program has it.
pub fn default_path() -> PathBuf {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return path.into();
    }
    let program = std::env::current_exe().and_then(|path| path.canonicalize());
    let folder = program
        .ok()
        .and_then(|path| Some(path.parent()?.to_owned()));
    folder.unwrap_or_default().join(NAME)
}

/// Compiles the library with the compiler of an MPI.
///
/// # Errors
/// No such compiler, a compiler that fails, or a place that cannot be written.
pub fn build(compiler: &str, path: &Path) -> Result<(), ClusterError> {
    let written = |source| ClusterError::Write {
        path: path.to_owned(),
        source,
    };
    let mut source = tempfile::Builder::new()
        .suffix(".c")
        .tempfile()
        .map_err(written)?;
    source.write_all(SOURCE.as_bytes()).map_err(written)?;
    if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
        std::fs::create_dir_all(folder).map_err(written)?;
    }
    // A new file under the name: the old one may be in use by a training.
    let partial = crate::files::partial_path(path);
    let finished = Command::new(compiler)
        .args(["-O2", "-Wall", "-shared", "-fPIC", "-o"])
        .arg(&partial)
        .arg(source.path())
        .output()
        .map_err(|source| ClusterError::NoCompiler {
            compiler: compiler.to_owned(),
            source,
        })?;
    if !finished.status.success() {
        let said = String::from_utf8_lossy(&finished.stderr);
        let error = said.lines().find(|line| line.contains("error"));
        let reason = error.or(said.lines().last()).unwrap_or("it says nothing");
        return Err(ClusterError::Compile {
            compiler: compiler.to_owned(),
            reason: reason.to_owned(),
        });
    }
    std::fs::rename(&partial, path).map_err(written)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_that_is_not_there_is_named_with_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.so");
        let error = build("no-such-mpicc", &path).unwrap_err().to_string();
        assert!(
            error.contains("no-such-mpicc") && error.contains("apt-get"),
            "{error}"
        );
        assert!(!path.exists());
    }

    #[test]
    fn what_the_compiler_says_is_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.so");
        // A compiler of C that knows no MPI.
        match build("cc", &path) {
            Err(ClusterError::Compile { reason, .. }) => {
                assert!(reason.contains("mpi.h"), "{reason}");
            }
            Err(ClusterError::NoCompiler { .. }) | Ok(()) => {}
            Err(other) => panic!("{other}"),
        }
    }
}
