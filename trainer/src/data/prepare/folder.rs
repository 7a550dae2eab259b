//! A plain folder: audio files, each with a text file of the same name.

use std::collections::HashSet;
use std::path::Path;

use super::{Entry, Found, extension_of, files_below, name_of};
use crate::data::read_info;

const MAX_TEXT_BYTES: u64 = 1 << 20;

pub(super) fn find(source: &Path) -> Found {
    let mut found = Found::default();
    let files = files_below(source, &mut found);
    let (texts, others): (Vec<_>, Vec<_>) = files
        .into_iter()
        .filter(|path| !is_hidden(path))
        .partition(|path| extension_of(path) == "txt");
    let stems: HashSet<_> = others.iter().map(|path| path.with_extension("")).collect();
    for text in &texts {
        if !stems.contains(&text.with_extension("")) {
            found.problem(text, "has no audio file of the same name beside it");
        }
    }
    let texts: HashSet<_> = texts.into_iter().collect();
    for path in others {
        let beside = ["txt", "TXT"].map(|extension| path.with_extension(extension));
        let Some(text_path) = beside.iter().find(|path| texts.contains(*path)) else {
            // What is no audio has better reasons than a missing text.
            match read_info(&path) {
                Ok(_) => found.problem(&path, format!("no transcript {}", beside[0].display())),
                Err(error) => found.problems.push(error.to_string()),
            }
            continue;
        };
        let text = match read_text(text_path) {
            Ok(text) => text,
            Err(error) => {
                found.problem(text_path, error);
                continue;
            }
        };
        let folder = path.parent().filter(|folder| *folder != source);
        let id = path
            .strip_prefix(source)
            .unwrap_or(&path)
            .with_extension("")
            .display()
            .to_string();
        found.add(
            "all",
            Entry {
                confidence: None,
                id,
                segment: None,
                text,
                speaker: name_of(folder),
                audio_path: path,
            },
        );
    }
    found
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with('.')
}

fn read_text(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > MAX_TEXT_BYTES {
        return Err(std::io::Error::other("more than 1 MiB of text"));
    }
    std::fs::read_to_string(path)
}
