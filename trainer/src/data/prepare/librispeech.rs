//! LibriSpeech: `<split>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt` and a FLAC per line.

use std::path::Path;

use super::{Entry, Found, audio_beside, files_below, lines_of, name_of};

pub(super) fn find(source: &Path) -> Found {
    let mut found = Found::default();
    for path in files_below(source, &mut found) {
        if !path.to_string_lossy().ends_with(".trans.txt") {
            continue;
        }
        let chapter = path.parent();
        let speaker = chapter.and_then(Path::parent);
        let split = name_of(speaker.and_then(Path::parent)).unwrap_or_else(|| "all".to_owned());
        for line in lines_of(&path, &mut found) {
            let Some((id, text)) = line.split_once(' ') else {
                if !line.trim().is_empty() {
                    found.problem(&path, format!("line \"{line}\" has no text"));
                }
                continue;
            };
            let stem = path.with_file_name(id);
            found.add(
                &split,
                Entry {
                    confidence: None,
                    id: id.to_owned(),
                    audio_path: audio_beside(&stem, &["flac", "wav", "ogg", "mp3"]),
                    segment: None,
                    text: text.to_owned(),
                    speaker: name_of(speaker),
                },
            );
        }
    }
    found
}
