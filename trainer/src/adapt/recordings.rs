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
/// With fewer, all of them teach: what could be kept back would tell too little.
pub const LEAST_TO_KEEP_BACK: usize = 48;
const ALL: &str = "recordings/all.jsonl";
const TAUGHT: &str = "recordings/taught.jsonl";
const KEPT_BACK: &str = "recordings/kept-back.jsonl";

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
        let run = &self.options.run;
        // Parted anew, a folder that has grown since then would keep back what has taught.
        let recordings = match fs::read_to_string(self.path("recipe.toml")) {
            Ok(recipe) => as_parted(run, &recipe)?,
            Err(_) => part(run, self.options.seed)?,
        };
        if recordings.kept_back.is_none() {
            (self.tell)(format!(
                "{} recordings, all of which teach; from {LEAST_TO_KEEP_BACK} on, some are kept back and tell how far the students should go",
                recordings.num_taught
            ));
        }
        Ok(Some(recordings))
    }
}

fn read_lines(run: &Path, manifest: &str) -> Result<Vec<String>, AdaptError> {
    let path = run.join(manifest);
    let text = fs::read_to_string(&path).map_err(AdaptError::file(&path))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// As they were parted when the recipe was written.
fn as_parted(run: &Path, recipe: &str) -> Result<Recordings, AdaptError> {
    let kept_back = recipe.contains(TAUGHT);
    let taught = if kept_back { TAUGHT } else { ALL };
    Ok(Recordings {
        taught: taught.to_owned(),
        num_taught: read_lines(run, taught)?.len(),
        kept_back: kept_back.then(|| KEPT_BACK.to_owned()),
    })
}

/// Parts the recordings of a folder, if there are enough.
fn part(run: &Path, seed: u64) -> Result<Recordings, AdaptError> {
    let mut lines = read_lines(run, ALL)?;
    if lines.len() < LEAST_TO_KEEP_BACK {
        return Ok(Recordings {
            taught: ALL.to_owned(),
            num_taught: lines.len(),
            kept_back: None,
        });
    }
    // Not every eighth as they come: lists of eight phrases are read in turn.
    lines.shuffle(&mut AugmentRng::seed_from_u64(seed));
    let (kept_back, taught) = lines.split_at(lines.len() / KEPT_BACK_ONE_OF);
    let write = |name: &str, lines: &[String]| {
        let path = run.join(name);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        write_atomically(&path, text.as_bytes()).map_err(AdaptError::file(&path))
    };
    write(TAUGHT, taught)?;
    write(KEPT_BACK, kept_back)?;
    Ok(Recordings {
        taught: TAUGHT.to_owned(),
        num_taught: taught.len(),
        kept_back: Some(KEPT_BACK.to_owned()),
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
        let recordings = part(folder.path(), 7).unwrap();
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
        assert_eq!(part(folder.path(), 7).unwrap(), recordings);
        assert_eq!(lines(recordings.kept_back.as_ref().unwrap()), kept_back);
    }

    #[test]
    fn what_teaches_already_is_never_kept_back_when_recordings_are_added() {
        let run = folder(60);
        let begun = part(run.path(), 7).unwrap();
        let more = folder(90);
        let all = |folder: &tempfile::TempDir| folder.path().join(ALL);
        fs::copy(all(&more), all(&run)).unwrap();
        let recipe = format!("train = [\"{TAUGHT}\"]");
        assert_eq!(as_parted(run.path(), &recipe).unwrap(), begun);
        // Begun with too few, of which all taught.
        let recipe = format!("train = [\"{ALL}\"]");
        assert_eq!(as_parted(run.path(), &recipe).unwrap().kept_back, None);
    }

    #[test]
    fn of_few_recordings_all_teach() {
        let folder = folder(LEAST_TO_KEEP_BACK - 1);
        let recordings = part(folder.path(), 7).unwrap();
        assert_eq!(recordings.taught, "recordings/all.jsonl");
        assert_eq!((recordings.num_taught, recordings.kept_back), (47, None));
    }
}
