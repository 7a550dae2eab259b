//! Lines of manifests as they are written.

use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::Member;

/// One utterance.
#[derive(Debug, Serialize)]
pub(crate) struct ManifestLine<'a> {
    /// Relative to the manifest.
    pub audio_filepath: String,
    /// Which of it, if it is a tar file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<&'a Member>,
    /// Seconds.
    pub duration: f64,
    /// Seconds into the file; absent: its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<f64>,
    pub text: String,
    /// How sure a recogniser was of the text, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<&'a str>,
    pub id: &'a str,
}

/// Seconds to a tenth of a millisecond.
pub(crate) fn rounded(secs: f64) -> f64 {
    (secs * 1e4).round() / 1e4
}

/// `path` as seen from `folder`, with `..` where needed; `None` if it is not UTF-8 text.
pub(crate) fn relative_path(folder: &Path, path: &Path) -> Option<String> {
    let real = |path: &Path| {
        path.canonicalize()
            .or_else(|_| std::path::absolute(path))
            .unwrap_or_else(|_| path.to_owned())
    };
    // The parent of a bare file name is empty.
    let here = Path::new(".");
    let folder = if folder == Path::new("") {
        here
    } else {
        folder
    };
    let (folder, path) = (real(folder), real(path));
    let folder: Vec<Component<'_>> = folder.components().collect();
    let parts: Vec<Component<'_>> = path.components().collect();
    let shared = folder
        .iter()
        .zip(&parts)
        .take_while(|(a, b)| a == b)
        .count();
    let mut relative = PathBuf::new();
    for _ in shared..folder.len() {
        relative.push("..");
    }
    relative.extend(&parts[shared..]);
    relative.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_count_from_the_folder_and_from_the_current_one_where_it_has_no_name() {
        let file = Path::new("src/data/manifest_line.rs");
        let from = |folder: &str| relative_path(Path::new(folder), file);
        assert_eq!(from("").as_deref(), Some("src/data/manifest_line.rs"));
        assert_eq!(
            from("src/label").as_deref(),
            Some("../data/manifest_line.rs")
        );
    }
}
