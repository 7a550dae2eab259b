//! Published corpora, as they are when unpacked, to NeMo-style manifests.

mod common_voice;
mod folder;
mod kaldi;
mod librispeech;
mod tedlium;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Component, Path, PathBuf};

use serde::Serialize;
use shared_model::tokens::normalize_text;

use super::{DataError, read_info};

/// What kind of corpus a folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Corpus {
    /// LibriSpeech: speaker and chapter folders with .trans.txt files
    Librispeech,
    /// TED-LIUM release 3: stm and sph folders
    Tedlium,
    /// speechocean762, or any folder with Kaldi's wav.scp, text and utt2spk
    Speechocean762,
    /// Common Voice: train.tsv, dev.tsv, test.tsv and clips/
    CommonVoice,
    /// Audio files with a .txt of the same name beside each
    Folder,
}

/// An utterance as a corpus gives it.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    id: String,
    audio_path: PathBuf,
    /// Start and end in the file, seconds; absent: the whole file.
    segment: Option<(f64, f64)>,
    text: String,
    speaker: Option<String>,
}

/// Entries by split, and what could not be used.
#[derive(Debug, Default)]
struct Found {
    splits: BTreeMap<String, Vec<Entry>>,
    problems: Vec<String>,
}

impl Found {
    fn add(&mut self, split: &str, entry: Entry) {
        self.splits.entry(split.to_owned()).or_default().push(entry);
    }
    fn problem(&mut self, path: &Path, reason: impl std::fmt::Display) {
        self.problems.push(format!("{}: {reason}", path.display()));
    }
}

/// A manifest that was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WrittenManifest {
    pub path: PathBuf,
    pub utterances: usize,
    pub audio_seconds: f64,
}

/// The result of [`prepare`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrepareReport {
    pub manifests: Vec<WrittenManifest>,
    /// Entries left out, one line each.
    pub problems: Vec<String>,
}

/// Finds the utterances of `source`, reads each header, and writes one manifest per split into
/// `out`, with paths relative to it.
///
/// # Errors
/// A folder that cannot be read or written. Entries that cannot be used are listed, not errors.
pub fn prepare(corpus: Corpus, source: &Path, out: &Path) -> Result<PrepareReport, DataError> {
    let read_error = |source_error| DataError::ReadManifest {
        path: source.to_owned(),
        source: source_error,
    };
    let metadata = fs::metadata(source).map_err(read_error)?;
    if !metadata.is_dir() {
        return Err(read_error(std::io::Error::other(
            "expected the corpus's folder",
        )));
    }
    let mut found = match corpus {
        Corpus::Librispeech => librispeech::find(source),
        Corpus::Tedlium => tedlium::find(source),
        Corpus::Speechocean762 => kaldi::find(source),
        Corpus::CommonVoice => common_voice::find(source),
        Corpus::Folder => folder::find(source),
    };
    let write_error = |path: &Path, source| DataError::Write {
        path: path.to_owned(),
        source,
    };
    fs::create_dir_all(out).map_err(|e| write_error(out, e))?;
    let mut manifests = Vec::new();
    for (split, entries) in std::mem::take(&mut found.splits) {
        let path = out.join(format!("{split}.jsonl"));
        let written = write_manifest(&path, entries, &mut found)
            .map_err(|source| write_error(&path, source))?;
        manifests.extend(written);
    }
    Ok(PrepareReport {
        manifests,
        problems: found.problems,
    })
}

#[derive(Serialize)]
struct Line<'a> {
    audio_filepath: String,
    duration: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<f64>,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<&'a str>,
    id: &'a str,
}

/// `None`, and no file, if no entry can be used.
fn write_manifest(
    path: &Path,
    mut entries: Vec<Entry>,
    found: &mut Found,
) -> std::io::Result<Option<WrittenManifest>> {
    entries.sort_by(|a, b| a.id.cmp(&b.id));
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut lines = Vec::new();
    let mut audio_seconds = 0.0;
    for entry in &entries {
        let text = normalize_text(&entry.text);
        if text.is_empty() {
            found.problem(&entry.audio_path, "has an empty transcript");
            continue;
        }
        let duration = match entry.segment {
            Some((start, end)) if end > start && start >= 0.0 && entry.audio_path.is_file() => {
                end - start
            }
            Some(_) if !entry.audio_path.is_file() => {
                found.problem(&entry.audio_path, "no such file");
                continue;
            }
            Some((start, end)) => {
                found.problem(
                    &entry.audio_path,
                    format!("has a segment from {start} to {end} s"),
                );
                continue;
            }
            None => match read_info(&entry.audio_path) {
                Ok(info) => match info.duration_secs {
                    Some(secs) => secs,
                    None => {
                        found.problem(&entry.audio_path, "does not say how long it is");
                        continue;
                    }
                },
                Err(error) => {
                    found.problems.push(error.to_string());
                    continue;
                }
            },
        };
        audio_seconds += duration;
        let line = Line {
            audio_filepath: relative_path(folder, &entry.audio_path),
            duration: (duration * 1e4).round() / 1e4,
            offset: entry.segment.map(|(start, _)| start),
            text,
            speaker: entry.speaker.as_deref(),
            id: &entry.id,
        };
        lines.push(serde_json::to_string(&line)?);
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let mut file = BufWriter::new(fs::File::create(path)?);
    for line in &lines {
        writeln!(file, "{line}")?;
    }
    file.flush()?;
    Ok(Some(WrittenManifest {
        path: path.to_owned(),
        utterances: lines.len(),
        audio_seconds,
    }))
}

/// `path` as seen from `folder`, with `..` where needed.
fn relative_path(folder: &Path, path: &Path) -> String {
    let real = |path: &Path| {
        path.canonicalize()
            .or_else(|_| std::path::absolute(path))
            .unwrap_or_else(|_| path.to_owned())
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
    relative.display().to_string()
}

/// Every file below `folder`, sorted by path; links to folders are not followed.
fn files_below(folder: &Path, found: &mut Found) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                found.problem(&folder, error);
                continue;
            }
        };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => files.push(entry.path()),
                Err(error) => found.problem(&entry.path(), error),
            }
        }
    }
    files.sort();
    files
}

/// A text file as lines; one that cannot be read is a problem and gives none.
fn lines_of(path: &Path, found: &mut Found) -> Vec<String> {
    match fs::read_to_string(path) {
        Ok(text) => text.lines().map(str::to_owned).collect(),
        Err(error) => {
            found.problem(path, error);
            vec![]
        }
    }
}

/// `stem` with the first extension that exists, in lower or upper case; else with the first.
fn audio_beside(stem: &Path, extensions: &[&str]) -> PathBuf {
    let with = |extension: &str| {
        let mut name = stem.as_os_str().to_owned();
        name.push(".");
        name.push(extension);
        PathBuf::from(name)
    };
    extensions
        .iter()
        .flat_map(|extension| [with(extension), with(&extension.to_uppercase())])
        .find(|path| path.is_file())
        .unwrap_or_else(|| with(extensions.first().unwrap_or(&"wav")))
}

fn extension_of(path: &Path) -> String {
    path.extension()
        .map(|extension| extension.to_string_lossy().to_lowercase())
        .unwrap_or_default()
}

fn name_of(path: Option<&Path>) -> Option<String> {
    Some(path?.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests;
