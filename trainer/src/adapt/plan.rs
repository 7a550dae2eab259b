//! What an adaptation was asked for, kept in its folder: the same command goes on, another one is
//! refused.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shared_model::phrases::without_thresholds;

use super::{AdaptError, AdaptOptions};
use crate::files::{remove_folder, write_atomically};

const PLAN: &str = "plan.json";
/// Everything that an adaptation puts into its folder, the plan last.
const CONTENT: [&str; 10] = [
    "speech",
    "recordings",
    "recipe.toml",
    "training",
    "models",
    "phrases.txt",
    "phrases.jsgf",
    "report.json",
    "report.md",
    PLAN,
];

/// What the result depends on, beside the voices that are installed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    phrases: String,
    from: Vec<PathBuf>,
    teacher: PathBuf,
    speech: Vec<PathBuf>,
    lm: Option<PathBuf>,
    recordings: Option<PathBuf>,
    minutes: f64,
    seed: u64,
}

impl Plan {
    /// The plan of a command; `text`: of the list.
    pub fn of(options: &AdaptOptions, text: &str, teacher: &Path) -> Self {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let all = |paths: &[PathBuf]| paths.iter().map(|path| real(path)).collect();
        Self {
            phrases: without_thresholds(text),
            from: all(&options.from),
            teacher: real(teacher),
            speech: all(&options.speech),
            lm: options.lm.as_deref().map(real),
            recordings: options.recordings.as_deref().map(real),
            minutes: options.minutes,
            seed: options.seed,
        }
    }

    /// In what another plan differs.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        let differences = [
            (self.phrases != other.phrases, "list of phrases"),
            (self.from != other.from, "--from"),
            (self.teacher != other.teacher, "--teacher"),
            (self.speech != other.speech, "--speech"),
            (self.lm != other.lm, "--lm"),
            (self.recordings != other.recordings, "--recordings"),
            (self.minutes != other.minutes, "--minutes"),
            (self.seed != other.seed, "--seed"),
        ];
        let first = differences.into_iter().find(|(differs, _)| *differs);
        first.map(|(_, what)| what)
    }

    /// Takes a folder for this plan, new or as it was left.
    ///
    /// # Errors
    /// A folder of something else or of another plan, or one that cannot be written.
    pub fn open(&self, folder: &Path, fresh: bool) -> Result<(), AdaptError> {
        fs::create_dir_all(folder).map_err(AdaptError::file(folder))?;
        let path = folder.join(PLAN);
        if !path.exists() {
            let mut entries = fs::read_dir(folder).map_err(AdaptError::file(folder))?;
            if entries.next().is_some() {
                return Err(AdaptError::NotAnAdaptation {
                    path: folder.to_owned(),
                });
            }
        } else if fresh {
            clear(folder)?;
        } else {
            let text = fs::read(&path).map_err(AdaptError::file(&path))?;
            let old: Option<Self> = serde_json::from_slice(&text).ok();
            let difference = old.map_or(Some("version of fledge"), |old| old.difference(self));
            if let Some(what) = difference {
                let path = folder.to_owned();
                return Err(AdaptError::OtherPlan { path, what });
            }
        }
        let json = serde_json::to_vec_pretty(self).map_err(std::io::Error::other);
        let json = json.map_err(AdaptError::file(&path))?;
        write_atomically(&path, &json).map_err(AdaptError::file(&path))
    }
}

/// Deletes what an adaptation made and nothing else.
fn clear(folder: &Path) -> Result<(), AdaptError> {
    for name in CONTENT {
        let path = folder.join(name);
        let removed = if path.is_dir() {
            remove_folder(&path)
        } else if path.exists() {
            fs::remove_file(&path)
        } else {
            Ok(())
        };
        removed.map_err(AdaptError::file(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn plan(minutes: f64, text: &str) -> Plan {
        let options = AdaptOptions {
            minutes,
            ..AdaptOptions::default()
        };
        Plan::of(&options, text, Path::new("teacher"))
    }

    #[test]
    fn the_same_plan_goes_on_another_is_refused_and_fresh_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        plan(10.0, "stop\n").open(&run, false).unwrap();
        fs::create_dir(run.join("speech")).unwrap();
        fs::write(run.join("notes.txt"), "mine").unwrap();
        // A threshold that was stored since changes no phrase.
        let tuned = "#@ threshold 0.240 3f4001e62e87 medium\nstop\n";
        plan(10.0, tuned).open(&run, false).unwrap();
        let other = plan(5.0, "stop\n");
        assert!(
            other
                .open(&run, false)
                .unwrap_err()
                .to_string()
                .contains("--minutes")
        );
        let list = plan(10.0, "go\n").open(&run, false).unwrap_err();
        assert!(list.to_string().contains("list of phrases"), "{list}");
        other.open(&run, true).unwrap();
        assert!(!run.join("speech").exists() && run.join("notes.txt").exists());
        other.open(&run, false).unwrap();
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "x").unwrap();
        for fresh in [false, true] {
            let refused = plan(10.0, "stop\n").open(folder.path(), fresh).unwrap_err();
            assert!(matches!(refused, AdaptError::NotAnAdaptation { .. }));
        }
        assert!(folder.path().join("thesis.txt").exists());
    }
}
