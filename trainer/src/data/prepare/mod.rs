//! Published corpora, as they are when unpacked, to NeMo-style manifests.

mod common_voice;
mod ctm;
mod folder;
mod kaldi;
mod librispeech;
mod shards;
mod subtitles;
mod tedlium;
mod transcript_json;
mod transcripts;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use shared_model::tokens::normalize_text;

use super::audio_file::{AUDIO_EXTENSIONS, is_audio_name};
use super::manifest_line::{ManifestLine, relative_path, rounded};
use super::{AudioFileError, DataError, Depth, Examined, examine};
use crate::fault::error_line;
use crate::parallel::{Task, run_all};

/// What kind of corpus a folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Corpus {
    /// LibriSpeech: speaker and chapter folders with .trans.txt files
    Librispeech,
    /// TED-LIUM release 3: stm and sph folders
    Tedlium,
    /// speechocean762, or any folder with Kaldi's wav.scp, text, utt2spk and segments
    Speechocean762,
    /// Common Voice: train.tsv, dev.tsv, test.tsv and clips/
    CommonVoice,
    /// Audio files with a .txt of the same name beside each
    Folder,
    /// What another recogniser wrote, beside the audio: .srt, .vtt, .ctm, .json or .jsonl
    Transcripts,
    /// Tar files with a .json or .txt beside each audio file in them (WebDataset); or, to write such,
    /// a manifest
    Shards,
}

/// An utterance as a corpus gives it.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    id: String,
    audio_path: PathBuf,
    /// Start and end in the file, seconds; absent: the whole file, or to its end.
    segment: Option<(f64, Option<f64>)>,
    text: String,
    speaker: Option<String>,
    /// How sure a recogniser was of the text, 0 to 1.
    confidence: Option<f32>,
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

/// Of a tar file that is written, unless told: some hundred utterances to thousands.
pub const SHARD_BYTES: u64 = 100_000_000;

/// How audio is looked at.
#[derive(Debug, Clone, Copy)]
pub struct PrepareOptions {
    /// How closely.
    pub depth: Depth,
    /// On so many threads.
    pub threads: usize,
    /// Of a tar file that is written: it is closed when it has so many.
    pub shard_bytes: u64,
}

/// A manifest that was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WrittenManifest {
    /// The file.
    pub path: PathBuf,
    /// Lines of it.
    pub utterances: usize,
    /// Of its utterances, together.
    pub audio_seconds: f64,
}

/// Entries of one piece of work.
const ENTRIES_PER_TASK: usize = 32;

/// The result of [`prepare`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrepareReport {
    /// One a split, in the order of their names.
    pub manifests: Vec<WrittenManifest>,
    /// Entries left out, one line each.
    pub problems: Vec<String>,
}

/// Finds the utterances of `source`, looks at the audio of each, and writes one manifest per split
/// into `out`, with paths relative to it.
///
/// # Errors
/// A folder that cannot be read or written. Entries that cannot be used are listed, not errors.
pub fn prepare(
    corpus: Corpus,
    source: &Path,
    out: &Path,
    options: &PrepareOptions,
) -> Result<PrepareReport, DataError> {
    let read_error = |source_error| DataError::ReadManifest {
        path: source.to_owned(),
        source: source_error,
    };
    let metadata = fs::metadata(source).map_err(read_error)?;
    if corpus == Corpus::Shards {
        return shards::prepare(source, out, options);
    }
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
        Corpus::Transcripts => transcripts::find(source),
        Corpus::Shards => Found::default(),
    };
    let write_error = |path: &Path, source| DataError::Write {
        path: path.to_owned(),
        source,
    };
    fs::create_dir_all(out).map_err(|e| write_error(out, e))?;
    let mut manifests = Vec::new();
    for (split, entries) in std::mem::take(&mut found.splits) {
        let path = out.join(format!("{split}.jsonl"));
        let written = write_manifest(&path, entries, options, &mut found)
            .map_err(|source| write_error(&path, source))?;
        manifests.extend(written);
    }
    Ok(PrepareReport {
        manifests,
        problems: found.problems,
    })
}

/// `None`, and no file, if no entry can be used.
fn write_manifest(
    path: &Path,
    mut entries: Vec<Entry>,
    options: &PrepareOptions,
    found: &mut Found,
) -> std::io::Result<Option<WrittenManifest>> {
    entries.sort_by(|a, b| a.id.cmp(&b.id));
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut lines = Vec::new();
    let mut audio_seconds = 0.0;
    for (entry, verdict) in entries.iter().zip(verdicts(&entries, options)) {
        match line(entry, verdict, folder) {
            Ok(line) => {
                audio_seconds += line.duration;
                lines.push(serde_json::to_string(&line)?);
            }
            Err(problem) => found.problems.push(problem),
        }
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

/// Verdicts on the audio of entries, in their order.
fn verdicts(
    entries: &[Entry],
    options: &PrepareOptions,
) -> impl Iterator<Item = Result<Examined, AudioFileError>> {
    let depth = options.depth;
    let look = move |entry: &Entry| {
        let (start, end) = entry.segment.unwrap_or((0.0, None));
        let duration_secs = end.map(|end| end - start).filter(|secs| *secs > 0.0);
        examine(&entry.audio_path, start.max(0.0), duration_secs, depth)
    };
    let tasks = entries.chunks(ENTRIES_PER_TASK).map(|some| {
        let task = move || some.iter().map(look).collect::<Vec<_>>();
        Box::new(task) as Task<'_, Vec<Result<Examined, AudioFileError>>>
    });
    run_all(options.threads, tasks.collect())
        .into_iter()
        .flatten()
}

/// An entry's line of a manifest in `folder`, or why it has none.
fn line<'a>(
    entry: &'a Entry,
    verdict: Result<Examined, AudioFileError>,
    folder: &Path,
) -> Result<ManifestLine<'a>, String> {
    let problem = |reason: &str| format!("{}: {reason}", entry.audio_path.display());
    let text = normalize_text(&entry.text);
    if text.is_empty() {
        return Err(problem("has an empty transcript"));
    }
    let segment = entry.segment;
    if let Some((start, Some(end))) = segment
        && !(end > start && start >= 0.0)
    {
        return Err(problem(&format!("has a segment from {start} to {end} s")));
    }
    let found = verdict.map_err(|error| error_line(&error))?;
    let audio_filepath = relative_path(folder, &entry.audio_path)
        .ok_or_else(|| problem("its name is not UTF-8 text, as a manifest is: rename it"))?;
    Ok(ManifestLine {
        audio_filepath,
        member: None,
        duration: rounded(found.length_secs),
        offset: segment.map(|(start, _)| rounded(start)),
        text,
        confidence: entry.confidence,
        speaker: entry.speaker.as_deref(),
        id: &entry.id,
    })
}

/// Every file below `folder`, sorted by path. Links are followed, but to no folder a second time.
fn files_below(folder: &Path, found: &mut Found) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    let mut seen = HashSet::new();
    while let Some(folder) = folders.pop() {
        let entries = folder
            .canonicalize()
            .and_then(|real| Ok((seen.insert(real), fs::read_dir(&folder)?)));
        let entries = match entries {
            Ok((true, entries)) => entries,
            Ok((false, _)) => {
                found.problem(&folder, "is a link to a folder that was read already");
                continue;
            }
            Err(error) => {
                found.problem(&folder, error);
                continue;
            }
        };
        for entry in entries {
            // The entry's own kind would be that of the link.
            let kind = entry.map(|entry| (entry.path(), fs::metadata(entry.path())));
            match kind {
                Ok((path, Ok(kind))) if kind.is_dir() => folders.push(path),
                Ok((path, Ok(_))) => files.push(path),
                Ok((path, Err(error))) => found.problem(&path, error),
                Err(error) => found.problem(&folder, error),
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

/// Every audio file below a folder, by its extension, and what could not be looked into.
pub(crate) fn audio_files(folder: &Path) -> (Vec<PathBuf>, Vec<String>) {
    let mut found = Found::default();
    let mut files = files_below(folder, &mut found);
    files.retain(|path| is_audio_name(path));
    (files, found.problems)
}

/// The audio file of this stem, if there is one.
fn audio_of(stem: &Path) -> Option<PathBuf> {
    Some(audio_beside(stem, AUDIO_EXTENSIONS)).filter(|path| path.is_file())
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
