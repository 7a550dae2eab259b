use std::path::Path;

use super::LabelError;
use crate::data::{Utterance, prepare::audio_files, read_manifest};

/// The utterances of a manifest, or the audio files below a folder: their whole length each, under
/// their path in the folder as name. The second value lists what could not be looked into.
///
/// # Errors
/// A manifest or folder that cannot be read.
pub fn utterances_of(source: &Path) -> Result<(Vec<Utterance>, Vec<String>), LabelError> {
    if !source.is_dir() {
        return Ok((read_manifest(source)?, vec![]));
    }
    let (files, problems) = audio_files(source);
    let utterance = |path: std::path::PathBuf| {
        let name = path.strip_prefix(source).unwrap_or(&path);
        Utterance {
            id: name.with_extension("").display().to_string(),
            offset_secs: 0.0,
            duration_secs: 0.0,
            text: String::new(),
            speaker: None,
            confidence: None,
            audio_path: path,
            member: None,
        }
    };
    Ok((files.into_iter().map(utterance).collect(), problems))
}
