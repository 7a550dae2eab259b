//! A plain folder: audio files, each with a text file of the same name.

use std::path::Path;

use super::{Entry, Found, extension_of, files_below, name_of};

const AUDIO_EXTENSIONS: [&str; 7] = ["wav", "flac", "ogg", "oga", "mp3", "sph", "wave"];
const MAX_TEXT_BYTES: u64 = 1 << 20;

pub(super) fn find(source: &Path) -> Found {
    let mut found = Found::default();
    for path in files_below(source, &mut found) {
        if !AUDIO_EXTENSIONS.contains(&extension_of(&path).as_str()) {
            continue;
        }
        let text_path = path.with_extension("txt");
        let text = match std::fs::metadata(&text_path) {
            Ok(metadata) if metadata.len() <= MAX_TEXT_BYTES => std::fs::read_to_string(&text_path),
            Ok(_) => Err(std::io::Error::other("more than 1 MiB of text")),
            Err(error) => Err(error),
        };
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                found.problem(
                    &path,
                    format!("no transcript {}: {error}", text_path.display()),
                );
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
