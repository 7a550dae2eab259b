//! speechocean762, and other folders laid out for Kaldi: `<split>/{wav.scp,text}`, with `utt2spk`
//! and `segments` where there are such (<https://kaldi-asr.org/doc/data_prep.html>).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Entry, Found, files_below, lines_of, name_of};

pub(super) fn find(source: &Path) -> Found {
    let mut found = Found::default();
    for path in files_below(source, &mut found) {
        if path.file_name().is_some_and(|name| name == "wav.scp") {
            add_split(source, &path, &mut found);
        }
    }
    found
}

/// The utterances of one `wav.scp` and the tables beside it.
fn add_split(source: &Path, wav_scp: &Path, found: &mut Found) {
    let folder = wav_scp.parent().unwrap_or(source);
    let split = match name_of(Some(folder)) {
        Some(name) if folder != source => name,
        _ => "all".to_owned(),
    };
    let mut texts = table(&folder.join("text"), found);
    let speakers = optional_table(&folder.join("utt2spk"), found);
    let recordings = recordings(source, folder, wav_scp, found);
    for place in places(folder, &recordings, found) {
        let Some(text) = texts.remove(&place.id) else {
            found.problem(wav_scp, format!("{} has no line in text", place.id));
            continue;
        };
        let speaker = speakers.get(&place.id).cloned();
        found.add(
            &split,
            Entry {
                confidence: None,
                id: place.id,
                audio_path: place.audio_path,
                segment: place.segment,
                text,
                speaker,
            },
        );
    }
    let mut left: Vec<_> = texts.into_keys().collect();
    left.sort_unstable();
    for id in left {
        found.problem(&folder.join("text"), format!("{id} has no audio"));
    }
}

/// Where an utterance is.
struct Place {
    id: String,
    audio_path: PathBuf,
    segment: Option<(f64, Option<f64>)>,
}

/// The lines of `segments`; without one every recording is an utterance.
fn places(folder: &Path, recordings: &[(String, PathBuf)], found: &mut Found) -> Vec<Place> {
    let path = folder.join("segments");
    if !path.is_file() {
        let whole = |(id, audio_path): &(String, PathBuf)| Place {
            id: id.clone(),
            audio_path: audio_path.clone(),
            segment: None,
        };
        return recordings.iter().map(whole).collect();
    }
    let by_id: HashMap<&str, &PathBuf> = recordings
        .iter()
        .map(|(id, path)| (id.as_str(), path))
        .collect();
    let mut places = Vec::new();
    for line in lines_of(&path, found) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let times = |start: &str, end: &str| {
            let (start, end): (f64, f64) = (start.parse().ok()?, end.parse().ok()?);
            // An end of -1 is the recording's.
            let end = (end != -1.0).then_some(end);
            (start >= 0.0 && end.is_none_or(|end| end > start)).then_some((start, end))
        };
        let (id, recording, segment) = match fields[..] {
            [] => continue,
            [id, recording, start, end] => (id, recording, times(start, end)),
            [id, ..] => (id, "", None),
        };
        match (segment, by_id.get(recording)) {
            (None, _) => found.problem(&path, format!("line \"{line}\" is not a segment")),
            (_, None) => found.problem(&path, format!("{id}: {recording} is not in wav.scp")),
            (segment, Some(audio_path)) => places.push(Place {
                id: id.to_owned(),
                audio_path: audio_path.to_path_buf(),
                segment,
            }),
        }
    }
    places
}

/// Recordings of a `wav.scp` with their files.
fn recordings(
    source: &Path,
    folder: &Path,
    wav_scp: &Path,
    found: &mut Found,
) -> Vec<(String, PathBuf)> {
    let mut recordings = Vec::new();
    for line in lines_of(wav_scp, found) {
        let Some((id, audio)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let audio = audio.trim();
        if audio.ends_with('|') {
            found.problem(wav_scp, format!("{id} is a command, which is not run"));
            continue;
        }
        // Paths count from the corpus's root, in other releases from the split.
        let below = folder.join(audio);
        let audio_path = if below.is_file() {
            below
        } else {
            source.join(audio)
        };
        recordings.push((id.to_owned(), audio_path));
    }
    recordings
}

/// A file of `key value` lines.
fn table(path: &Path, found: &mut Found) -> HashMap<String, String> {
    lines_of(path, found)
        .iter()
        .filter_map(|line| line.split_once(char::is_whitespace))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect()
}

/// As [`table`]; none where there is no such file.
fn optional_table(path: &Path, found: &mut Found) -> HashMap<String, String> {
    if path.is_file() {
        table(path, found)
    } else {
        HashMap::new()
    }
}
