//! Own recordings of the phrases: most teach, and where there are enough, some are kept back and tell
//! how far the students should go.

use std::fs;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;

use super::{AdaptError, Adaptation};
use crate::data::AugmentRng;
use crate::data::Depth;
use crate::data::prepare::{Corpus as Kind, PrepareOptions, SHARD_BYTES, prepare};
use crate::files::write_atomically;

/// One recording of so many is kept back.
const KEPT_BACK_ONE_OF: usize = 8;
/// Where there are fewer, all of them teach: six phrases tell nothing.
const LEAST_TO_KEEP_BACK: usize = 48;

/// What became of a folder of recordings. Manifests are relative to the folder of the adaptation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recordings {
    /// The manifest of those that teach.
    pub taught: String,
    /// How many they are.
    pub num_taught: usize,
    /// The manifest of those that were kept back, if any were.
    pub kept_back: Option<String>,
}

impl Adaptation<'_> {
    /// Prepares the folder of recordings, if there is one.
    pub(super) fn recordings(&self) -> Result<Option<Recordings>, AdaptError> {
        let Some(folder) = &self.options.recordings else {
            return Ok(None);
        };
        let options = PrepareOptions {
            depth: Depth::Decode,
            threads: self.options.threads,
            shard_bytes: SHARD_BYTES,
        };
        let report = prepare(Kind::Folder, folder, &self.path("recordings"), &options)?;
        for problem in &report.problems {
            (self.tell)(problem.clone());
        }
        if report.manifests.is_empty() {
            return Err(AdaptError::NoRecordings {
                folder: folder.clone(),
                reason: report.problems.into_iter().next().unwrap_or_else(|| {
                    "it needs audio files with a .txt of the same name beside each".to_owned()
                }),
            });
        }
        split(&self.options.run, self.options.seed).map(Some)
    }
}

/// Parts `recordings/all.jsonl` of a folder where there is enough in it.
fn split(run: &Path, seed: u64) -> Result<Recordings, AdaptError> {
    let all = "recordings/all.jsonl";
    let path = run.join(all);
    let text = fs::read_to_string(&path).map_err(AdaptError::file(&path))?;
    let mut lines: Vec<&str> = text.lines().collect();
    if lines.len() < LEAST_TO_KEEP_BACK {
        return Ok(Recordings {
            taught: all.to_owned(),
            num_taught: lines.len(),
            kept_back: None,
        });
    }
    // Not every eighth as they come: lists of eight phrases are read in turn.
    lines.shuffle(&mut AugmentRng::seed_from_u64(seed));
    let (kept_back, taught) = lines.split_at(lines.len() / KEPT_BACK_ONE_OF);
    let write = |name: &str, lines: &[&str]| {
        let path = run.join(name);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        write_atomically(&path, text.as_bytes()).map_err(AdaptError::file(&path))
    };
    let names = ["recordings/taught.jsonl", "recordings/kept-back.jsonl"];
    write(names[0], taught)?;
    write(names[1], kept_back)?;
    Ok(Recordings {
        taught: names[0].to_owned(),
        num_taught: taught.len(),
        kept_back: Some(names[1].to_owned()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;

    fn folder(count: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("recordings")).unwrap();
        let lines: String = (0..count)
            .map(|line| format!("{{\"n\":{line}}}\n"))
            .collect();
        fs::write(folder.path().join("recordings/all.jsonl"), lines).unwrap();
        folder
    }

    #[test]
    fn of_many_recordings_an_eighth_is_kept_back_and_every_one_is_used_once() {
        let folder = folder(80);
        let recordings = split(folder.path(), 7).unwrap();
        let lines = |name: &str| {
            let text = fs::read_to_string(folder.path().join(name)).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let kept_back = lines(recordings.kept_back.as_ref().unwrap());
        let taught = lines(&recordings.taught);
        assert_eq!((kept_back.len(), taught.len()), (10, 70));
        assert_eq!(recordings.num_taught, 70);
        let all: BTreeSet<&String> = kept_back.iter().chain(&taught).collect();
        assert_eq!(all.len(), 80);
        // Takes of a list of eight phrases in turn are not all of one phrase.
        let phrases: BTreeSet<usize> = kept_back
            .iter()
            .map(|line| line[5..line.len() - 1].parse::<usize>().unwrap() % 8)
            .collect();
        assert!(phrases.len() > 3, "{phrases:?}");
        assert_eq!(split(folder.path(), 7).unwrap(), recordings);
        assert_eq!(lines(recordings.kept_back.as_ref().unwrap()), kept_back);
    }

    #[test]
    fn of_few_recordings_all_teach() {
        let folder = folder(LEAST_TO_KEEP_BACK - 1);
        let recordings = split(folder.path(), 7).unwrap();
        assert_eq!(recordings.taught, "recordings/all.jsonl");
        assert_eq!((recordings.num_taught, recordings.kept_back), (47, None));
    }
}
