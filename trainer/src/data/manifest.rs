//! NeMo-style manifests: one JSON object a line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use shared_model::tokens::normalize_text;

use super::audio_file::{self, AudioPlace, Member};
use super::shards::{Sample, ShardError, is_shards, scan, tar_files};
use super::{DataError, Utterance};

const MAX_LINE_BYTES: u64 = 1 << 20;
const MAX_UTTERANCES: usize = 20_000_000;
const MAX_DURATION_SECS: f64 = 100.0 * 3600.0;

/// One line as written. Keys that are not listed are ignored.
#[derive(Debug, Deserialize)]
struct Line {
    audio_filepath: String,
    member: Option<Member>,
    duration: Option<f64>,
    #[serde(default)]
    offset: f64,
    text: Option<String>,
    speaker: Option<serde_json::Value>,
    confidence: Option<f32>,
    id: Option<serde_json::Value>,
}

/// Reads a manifest, or a tar file of a corpus, or a folder of such. Relative audio paths are looked for beside the manifest, then in the folder
/// above it, then in the current folder. Texts are normalised.
///
/// # Errors
/// A line that is not a JSON object with `audio_filepath`, or whose values make no sense, is named
/// with its number.
pub fn read_manifest(path: &Path) -> Result<Vec<Utterance>, DataError> {
    let mut utterances = Vec::new();
    visit_manifest(path, |utterance, _| utterances.push(utterance))?;
    Ok(utterances)
}

/// As [`read_manifest`], handing each utterance to `visit` with its text as it is written.
pub(crate) fn visit_manifest(
    path: &Path,
    mut visit: impl FnMut(Utterance, &str),
) -> Result<(), DataError> {
    let read_error = |source| DataError::ReadManifest {
        path: path.to_owned(),
        source,
    };
    if is_shards(path) {
        for shard in tar_files(path).map_err(read_error)? {
            visit_shard(&shard, &mut visit)?;
        }
        return Ok(());
    }
    if path.is_dir() {
        return Err(DataError::ManifestIsFolder {
            path: path.to_owned(),
        });
    }
    let mut reader = BufReader::with_capacity(1 << 18, File::open(path).map_err(read_error)?);
    let folders = search_folders(path);
    let mut count = 0_usize;
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let read = (&mut reader)
            .take(MAX_LINE_BYTES + 1)
            .read_until(b'\n', &mut bytes)
            .map_err(read_error)?;
        if read == 0 {
            break;
        }
        let utterance = parse_line(&bytes, number == 1, &folders).map_err(|reason| {
            DataError::ManifestLine {
                path: path.to_owned(),
                line: number,
                reason,
            }
        })?;
        if let Some((utterance, text)) = utterance {
            visit(utterance, &text);
            count += 1;
        }
        if count > MAX_UTTERANCES {
            return Err(DataError::ManifestLine {
                path: path.to_owned(),
                line: number,
                reason: format!("more than {MAX_UTTERANCES} utterances"),
            });
        }
    }
    if count == 0 {
        return Err(DataError::EmptyManifest {
            path: path.to_owned(),
        });
    }
    Ok(())
}

/// Hands the utterances of a tar file to `visit`, as [`visit_manifest`] does.
///
/// # Errors
/// A tar file that is damaged or cut off, or a member that is no utterance; what comes before was
/// handed over.
pub(crate) fn visit_shard(
    shard: &Path,
    mut visit: impl FnMut(Utterance, &str),
) -> Result<(), ShardError> {
    let absolute = std::path::absolute(shard).unwrap_or_else(|_| shard.to_owned());
    scan(shard, |sample| {
        let Sample { member, described } = sample;
        let wrong = |reason: String| ShardError::Member {
            shard: shard.to_owned(),
            member: member.name.clone(),
            reason,
        };
        let unreadable = |error: serde_json::Error| wrong(json_reason(&error));
        let mut line = described;
        // A key of the description itself would be another corpus's.
        line.insert("audio_filepath".to_owned(), ".".into());
        line.insert("member".to_owned(), serde_json::Value::Null);
        let line: Line = serde_json::from_value(line.into()).map_err(unreadable)?;
        let line = Line {
            member: Some(member.clone()),
            ..line
        };
        let (utterance, text) = utterance_of(line, absolute.clone()).map_err(wrong)?;
        visit(utterance, &text);
        Ok(())
    })
}

/// The folders that relative audio paths may count from, in the order of search.
fn search_folders(manifest: &Path) -> Vec<PathBuf> {
    let absolute = std::path::absolute(manifest).unwrap_or_else(|_| manifest.to_owned());
    let beside = absolute.parent().map(Path::to_owned).unwrap_or_default();
    let above = beside.parent().map(Path::to_owned);
    let current = std::env::current_dir().ok();
    [Some(beside), above, current]
        .into_iter()
        .flatten()
        .collect()
}

/// An utterance and its text as written, nothing for a blank line, or what is wrong.
fn parse_line(
    bytes: &[u8],
    is_first: bool,
    folders: &[PathBuf],
) -> Result<Option<(Utterance, String)>, String> {
    if bytes.len() as u64 > MAX_LINE_BYTES {
        return Err(format!("is longer than {MAX_LINE_BYTES} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    let text = if is_first {
        text.trim_start_matches('\u{feff}')
    } else {
        text
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    let line: Line = serde_json::from_str(text).map_err(|error| json_reason(&error))?;
    if line.audio_filepath.is_empty() || line.audio_filepath.contains('\0') {
        return Err("`audio_filepath` is not a path".to_owned());
    }
    let audio_path = locate(Path::new(&line.audio_filepath), folders);
    utterance_of(line, audio_path).map(Some)
}

/// The utterance of a line whose audio is at `audio_path`, and its text as written; or what is wrong.
fn utterance_of(line: Line, audio_path: PathBuf) -> Result<(Utterance, String), String> {
    if !(line.offset >= 0.0 && line.offset <= MAX_DURATION_SECS) {
        return Err(format!("`offset` is {}: expected seconds", line.offset));
    }
    if let Some(confidence) = line.confidence
        && !(0.0..=1.0).contains(&confidence)
    {
        return Err(format!("`confidence` is {confidence}: expected 0 to 1"));
    }
    let member = line.member.map(Box::new);
    let place = AudioPlace::new(&audio_path, member.as_deref());
    let duration_secs = match line.duration {
        Some(secs) if secs > 0.0 && secs <= MAX_DURATION_SECS => secs,
        Some(secs) => return Err(format!("`duration` is {secs}: expected seconds above 0")),
        // Without a duration the header is asked; what cannot be read is found out later.
        None => audio_file::read_info(place)
            .ok()
            .and_then(|info| info.duration_secs)
            .map_or(0.0, |secs| (secs - line.offset).max(0.0)),
    };
    let stem = || {
        let name = place.name();
        let stem = name.file_stem().unwrap_or(name.as_os_str());
        let stem = stem.to_string_lossy();
        if line.offset > 0.0 {
            format!("{stem}@{:.2}", line.offset)
        } else {
            stem.into_owned()
        }
    };
    let id = line.id.as_ref().and_then(name_of).unwrap_or_else(stem);
    let raw_text = line.text.unwrap_or_default();
    let utterance = Utterance {
        id,
        offset_secs: line.offset,
        duration_secs,
        text: normalize_text(&raw_text),
        speaker: line.speaker.as_ref().and_then(name_of),
        confidence: line.confidence,
        audio_path,
        member,
    };
    Ok((utterance, raw_text))
}

/// serde's message without its position in the line, in our words where that helps.
fn json_reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text);
    if error.is_data() {
        reason.to_owned()
    } else {
        format!("is not a JSON object ({reason}, column {})", error.column())
    }
}

fn name_of(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(name) if !name.is_empty() => Some(name.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn locate(path: &Path, folders: &[PathBuf]) -> PathBuf {
    if path.is_absolute() {
        return path.to_owned();
    }
    let mut candidates = folders.iter().map(|folder| folder.join(path));
    let first = candidates.next().unwrap_or_else(|| path.to_owned());
    if first.exists() {
        return first;
    }
    candidates.find(|path| path.exists()).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn write(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifests/m.jsonl");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_line_gives_its_utterance_with_normalised_text() {
        let (_folder, path) = write(
            b"\xef\xbb\xbf{\"audio_filepath\": \"/a/b.wav\", \"duration\": 2.5, \"text\": \"Don't STOP!\", \"speaker\": 7, \"lang\": \"en\"}\n\n{\"audio_filepath\": \"/a/c.wav\", \"duration\": 1, \"offset\": 3.5, \"id\": \"x\"}",
        );
        let read = read_manifest(&path).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].id, "b");
        assert_eq!(read[0].text, "don't stop");
        assert_eq!(read[0].speaker.as_deref(), Some("7"));
        assert_eq!(read[0].duration_secs, 2.5);
        assert_eq!(
            (
                read[1].id.as_str(),
                read[1].offset_secs,
                read[1].text.as_str()
            ),
            ("x", 3.5, "")
        );
    }

    #[test]
    fn relative_paths_are_found_beside_the_manifest_then_above_it() {
        let (folder, path) = write(b"{\"audio_filepath\": \"audio/a.wav\", \"duration\": 1}\n");
        let beside = folder.path().join("manifests/audio/a.wav");
        let above = folder.path().join("audio/a.wav");
        let found = || read_manifest(&path).unwrap()[0].audio_path.clone();
        assert_eq!(found(), beside);
        std::fs::create_dir(above.parent().unwrap()).unwrap();
        std::fs::write(&above, "x").unwrap();
        assert_eq!(found(), above);
        std::fs::create_dir(beside.parent().unwrap()).unwrap();
        std::fs::write(&beside, "x").unwrap();
        assert_eq!(found(), beside);
    }

    #[test]
    fn a_broken_line_is_named_with_its_number_in_one_line() {
        let good = "{\"audio_filepath\": \"a.wav\", \"duration\": 1}\n";
        for (line, expected) in [
            (
                "{\"audio_filepath\": \"a.wav\", \"dur",
                "line 2: is not a JSON object",
            ),
            (
                "{\"duration\": 1}",
                "line 2: missing field `audio_filepath`",
            ),
            (
                "{\"audio_filepath\": \"a\", \"duration\": \"x\"}",
                "line 2: invalid type: string",
            ),
            (
                "{\"audio_filepath\": \"a\", \"duration\": -1}",
                "line 2: `duration` is -1",
            ),
            (
                "{\"audio_filepath\": \"a\", \"offset\": -1}",
                "line 2: `offset` is -1",
            ),
            (
                "{\"audio_filepath\": \"a\", \"confidence\": 1.5}",
                "line 2: `confidence` is 1.5",
            ),
            ("[1, 2]", "line 2: "),
            ("\u{7}", "line 2: is not a JSON object"),
        ] {
            let (_folder, path) = write(format!("{good}{line}\n").as_bytes());
            let message = read_manifest(&path).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert_eq!(message.lines().count(), 1);
        }
        let (_folder, path) = write(&[good.as_bytes(), &[0xff, 0xfe, b'\n']].concat());
        assert!(
            read_manifest(&path)
                .unwrap_err()
                .to_string()
                .ends_with("line 2: is not UTF-8 text")
        );
    }

    #[test]
    fn a_folder_an_empty_file_and_a_missing_one_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| crate::fault::error_line(&read_manifest(path).unwrap_err());
        assert!(message(folder.path()).contains("is a folder"));
        let (_folder, path) = write(b"\n\n");
        assert!(message(&path).ends_with("has no utterances"));
        assert!(message(&folder.path().join("none")).contains("No such file"));
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_line(&bytes, true, &[]);
        }

        #[test]
        fn no_json_makes_the_reader_panic(
            key in "(audio_filepath|duration|offset|text|speaker|confidence|id)",
            value in "(\"[a-z/.]{0,9}\"|-?[0-9]{1,400}|[0-9]e[0-9]{1,3}|null|true|\\[\\]|\\{\\})",
        ) {
            let line = format!("{{\"audio_filepath\": \"/none/x\", \"{key}\": {value}}}");
            let _ = parse_line(line.as_bytes(), false, &[]);
        }
    }
}
