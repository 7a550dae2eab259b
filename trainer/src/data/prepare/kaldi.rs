//! speechocean762, and other folders laid out for Kaldi: `<split>/{wav.scp,text,utt2spk}`.

use std::collections::HashMap;
use std::path::Path;

use super::{Entry, Found, files_below, lines_of, name_of};

pub(super) fn find(source: &Path) -> Found {
    let mut found = Found::default();
    for path in files_below(source, &mut found) {
        if path.file_name().is_none_or(|name| name != "wav.scp") {
            continue;
        }
        let folder = path.parent().unwrap_or(source);
        let split = if folder == source {
            "all".to_owned()
        } else {
            name_of(Some(folder)).unwrap_or_else(|| "all".to_owned())
        };
        let texts = table(&folder.join("text"), &mut found);
        let speakers = if folder.join("utt2spk").is_file() {
            table(&folder.join("utt2spk"), &mut found)
        } else {
            HashMap::new()
        };
        for line in lines_of(&path, &mut found) {
            let Some((id, audio)) = line.split_once(char::is_whitespace) else {
                continue;
            };
            let audio = audio.trim();
            if audio.ends_with('|') {
                found.problem(&path, format!("{id} is a command, which is not run"));
                continue;
            }
            let Some(text) = texts.get(id) else {
                found.problem(&path, format!("{id} has no line in text"));
                continue;
            };
            // Paths count from the corpus's root, in other releases from the split.
            let below = folder.join(audio);
            found.add(
                &split,
                Entry {
                    id: id.to_owned(),
                    audio_path: if below.is_file() {
                        below
                    } else {
                        source.join(audio)
                    },
                    segment: None,
                    text: text.clone(),
                    speaker: speakers.get(id).cloned(),
                },
            );
        }
    }
    found
}

/// A file of `key value` lines.
fn table(path: &Path, found: &mut Found) -> HashMap<String, String> {
    lines_of(path, found)
        .iter()
        .filter_map(|line| line.split_once(char::is_whitespace))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect()
}
