//! Files that are whole or absent, whatever moment the process or the machine stops at.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

/// Where something is written before it gets its name.
pub(crate) fn partial_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path.file_name().unwrap_or_default());
    name.push(".partial");
    path.with_file_name(name)
}

/// Writes beside `path`, flushes to the disk, then renames: afterwards, and at any moment before,
/// `path` holds its old content or all of the new one.
///
/// # Errors
/// What the system says; `path` is as it was.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let partial = partial_path(path);
    write_synced(&partial, content)?;
    fs::rename(&partial, path)?;
    sync_folder(path.parent())
}

/// Makes a folder of what `fill` writes into an empty one beside it: afterwards, and at any moment
/// before, `path` is absent, the old folder or all of the new one.
///
/// # Errors
/// What `fill` or the system says.
pub(crate) fn write_folder_atomically(
    path: &Path,
    fill: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let partial = partial_path(path);
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial)?;
    fill(&partial)?;
    sync_folder(Some(&partial))?;
    remove_folder(path)?;
    fs::rename(&partial, path)?;
    sync_folder(path.parent())
}

/// Removes a folder with all that is in it, out of sight first: half of it never stands under its
/// own name. Nothing happens where there is none.
///
/// # Errors
/// What the system says.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let mut name = OsString::from(path.file_name().unwrap_or_default());
    name.push(".old.partial");
    let doomed = path.with_file_name(name);
    if doomed.exists() {
        fs::remove_dir_all(&doomed)?;
    }
    fs::rename(path, &doomed)?;
    fs::remove_dir_all(&doomed)
}

/// Writes a file and waits until it is on the disk.
///
/// # Errors
/// What the system says; half a file may be left.
pub(crate) fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes the names in a folder durable.
fn sync_folder(folder: Option<&Path>) -> io::Result<()> {
    match folder {
        // Other systems do not open folders as files; a bare name's parent is the empty path.
        Some(folder) if cfg!(unix) && !folder.as_os_str().is_empty() => {
            fs::File::open(folder)?.sync_all()
        }
        _ => Ok(()),
    }
}

/// A file's bytes, or an error before more than `max_bytes` of them are in memory.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`] beyond the limit, else what the system says.
pub(crate) fn read_limited(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    let mut bytes = Vec::new();
    // One more than allowed tells a file that is too large, or grows, from one that just fits.
    file.take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {max_bytes} bytes, the most that is read"),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_atomically(&path, b"old and longer").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn a_folder_that_cannot_be_filled_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        let fill = |text: &'static str| move |to: &Path| fs::write(to.join("file"), text);
        write_folder_atomically(&path, fill("old")).unwrap();
        let result = write_folder_atomically(&path, |to: &Path| {
            fs::write(to.join("file"), "half")?;
            Err(io::Error::other("no space"))
        });
        assert!(result.is_err());
        assert_eq!(fs::read(path.join("file")).unwrap(), b"old");
        write_folder_atomically(&path, fill("new")).unwrap();
        assert_eq!(fs::read(path.join("file")).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["model"]);
    }

    #[test]
    fn a_file_is_read_up_to_its_limit_and_no_further() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, [7; 10]).unwrap();
        assert_eq!(read_limited(&path, 10).unwrap(), [7; 10]);
        let error = read_limited(&path, 9).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
