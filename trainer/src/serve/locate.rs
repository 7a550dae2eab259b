//! From a request's path to a file of the served folder.

use std::path::{Component, Path, PathBuf};

pub(super) enum Located {
    File(PathBuf),
    /// A folder named without its final slash: relative links would miss it.
    Folder,
    Nothing,
}

/// The file that a request path means, never one outside `root` (links are followed and checked).
pub(super) fn locate(root: &Path, path: &str) -> Located {
    let Some(relative) = path.strip_prefix('/') else {
        return Located::Nothing;
    };
    let is_plain = Path::new(relative)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !is_plain || relative.contains('\\') {
        return Located::Nothing;
    }
    let Ok(found) = root.join(relative).canonicalize() else {
        return Located::Nothing;
    };
    if !found.starts_with(root) {
        return Located::Nothing;
    }
    if found.is_file() {
        return Located::File(found);
    }
    if !path.ends_with('/') {
        return Located::Folder;
    }
    match found.join("index.html").canonicalize() {
        Ok(index) if index.starts_with(root) && index.is_file() => Located::File(index),
        _ => Located::Nothing,
    }
}
