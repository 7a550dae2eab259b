//! One folder holds everything about a run.
//!
//! ```text
//! recipe.toml          as given             metrics.jsonl, metrics.csv, tensorboard/
//! resolved.toml        every value stated   evaluations/
//! env.json             versions and machine quarantine.jsonl
//! tokens.txt           costs.json           models/NAME/   exported model folders
//! cell.txt             only of a study: which of its cells this is
//! checkpoints/PHASE/                        weights/PHASE/NAME.safetensors   finished phases
//! ```

mod difference;
mod environment;
mod error;

pub(crate) use difference::{flatten, is_free};

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use shared_model::{tokens::Tokens, weights::Weights};

use crate::{
    config::{Phase, Recipe},
    costs::PhaseCosts,
    files::{write_atomically, write_folder_atomically},
    tensor_file,
};
use difference::difference;
pub use environment::Environment;
pub use error::RunFolderError;

pub use crate::tensor_file::TensorFileError;

const RESOLVED: &str = "resolved.toml";
const COSTS: &str = "costs.json";
/// Which cell of a study the run is, written when its models are there.
const CELL: &str = "cell.txt";
const LOCK: &str = ".lock";

/// What a run puts into its folder; nothing else is ever deleted.
const CONTENT: [&str; 14] = [
    "recipe.toml",
    RESOLVED,
    "env.json",
    COSTS,
    CELL,
    "tokens.txt",
    "metrics.jsonl",
    "metrics.csv",
    "tensorboard",
    "checkpoints",
    "weights",
    "evaluations",
    "models",
    "quarantine.jsonl",
];

/// The folder of a run, held by this process until it is dropped.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Locked; the system unlocks it when the process ends in whatever way. None where another
    /// process writes the folder.
    lock: Option<File>,
}

/// A line of `quarantine.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
struct Quarantined {
    path: String,
    reason: String,
}

/// A resolved recipe with the keys that have been added to Fledge since, at their defaults: what a run
/// did before it knew them. As it is where it is no recipe any more.
fn with_newer_keys(resolved: String) -> Result<String, RunFolderError> {
    match toml::from_str::<Recipe>(&resolved) {
        Ok(recipe) => Ok(recipe.to_toml()?),
        Err(_) => Ok(resolved),
    }
}

impl RunFolder {
    /// Opens the folder for a run of `recipe`, makes it if it is not there.
    ///
    /// - `recipe_text`: the recipe as given, kept beside the resolved one.
    /// - `fresh`: delete what an earlier run left.
    ///
    /// # Errors
    /// A folder of something else, of another recipe, or in use.
    pub fn open(
        path: &Path,
        recipe: &Recipe,
        recipe_text: &str,
        fresh: bool,
    ) -> Result<Self, RunFolderError> {
        let folder = Self::lock(path)?;
        let resolved = folder.path.join(RESOLVED);
        let is_run = resolved.exists();
        if !is_run && folder.holds_something_else()? {
            return Err(RunFolderError::NotARun { path: path.into() });
        }
        if fresh {
            folder.clear()?;
        } else if is_run {
            let old = fs::read_to_string(&resolved).map_err(folder.io(&resolved))?;
            let old = with_newer_keys(old)?;
            let difference =
                difference(&old, &recipe.to_toml()?).map_err(|error| RunFolderError::Resolved {
                    path: resolved.clone(),
                    error,
                })?;
            if let Some(difference) = difference {
                return Err(RunFolderError::OtherRecipe {
                    path: path.into(),
                    difference,
                });
            }
        }
        folder.write("recipe.toml", recipe_text.as_bytes())?;
        folder.write(RESOLVED, recipe.to_toml()?.as_bytes())?;
        Ok(folder)
    }

    /// The folder that another process of the same training holds: nothing is written to it, and it
    /// need not be there.
    pub fn of_another(path: &Path) -> Self {
        Self {
            path: path.into(),
            lock: None,
        }
    }

    /// Whether this process writes it.
    pub fn is_ours(&self) -> bool {
        self.lock.is_some()
    }

    /// The number of shards that the run in a folder was begun with, if there is one.
    pub fn begun_with_shards(path: &Path) -> Option<usize> {
        let text = fs::read_to_string(path.join(RESOLVED)).ok()?;
        let recipe: toml::Table = toml::from_str(&text).ok()?;
        let shards = recipe.get("compute")?.get("shards")?.as_integer()?;
        usize::try_from(shards).ok()
    }

    /// Opens the folder of an earlier run as it is.
    ///
    /// # Errors
    /// A folder of something else, or in use.
    pub fn open_existing(path: &Path) -> Result<Self, RunFolderError> {
        if !path.join(RESOLVED).is_file() {
            return Err(RunFolderError::Content {
                path: path.into(),
                reason: "this is not the folder of a run: it has no resolved.toml".into(),
            });
        }
        Self::lock(path)
    }

    fn lock(path: &Path) -> Result<Self, RunFolderError> {
        let failed = |reason| RunFolderError::Io {
            path: path.into(),
            reason,
        };
        fs::create_dir_all(path).map_err(failed)?;
        let lock = File::create(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.into(),
                lock: Some(lock),
            }),
            Err(TryLockError::WouldBlock) => Err(RunFolderError::InUse { path: path.into() }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    fn io(&self, path: &Path) -> impl FnOnce(io::Error) -> RunFolderError + use<> {
        let path = path.to_path_buf();
        move |reason| RunFolderError::Io { path, reason }
    }

    fn holds_something_else(&self) -> Result<bool, RunFolderError> {
        for entry in fs::read_dir(&self.path).map_err(self.io(&self.path))? {
            let name = entry.map_err(self.io(&self.path))?.file_name();
            let name = name.to_string_lossy();
            if name != LOCK && !CONTENT.contains(&name.as_ref()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn clear(&self) -> Result<(), RunFolderError> {
        // The mark of a run goes last, so that a stopped deletion can be repeated.
        let names = CONTENT.iter().filter(|name| **name != RESOLVED);
        for name in names.chain([&RESOLVED]) {
            let path = self.path.join(name);
            let result = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else if path.exists() {
                fs::remove_file(&path)
            } else {
                Ok(())
            };
            result.map_err(self.io(&path))?;
        }
        Ok(())
    }

    /// Writes a file of the run whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), RunFolderError> {
        if !self.is_ours() {
            return Ok(());
        }
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(self.io(parent))?;
        }
        write_atomically(&path, content).map_err(self.io(&path))
    }

    /// Notes what the run is done with.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_environment(&self, environment: &Environment) -> Result<(), RunFolderError> {
        let json = serde_json::to_vec_pretty(environment)
            .map_err(io::Error::other)
            .map_err(self.io(&self.path))?;
        self.write("env.json", &json)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn tokens_path(&self) -> PathBuf {
        self.path.join("tokens.txt")
    }

    /// The token set of this run, if it was made already.
    ///
    /// # Errors
    /// `tokens.txt` cannot be read, or is not one.
    pub fn tokens(&self) -> Result<Option<Tokens>, RunFolderError> {
        let path = self.tokens_path();
        if !path.exists() {
            return Ok(None);
        }
        let bytes = fs::read(&path).map_err(self.io(&path))?;
        let tokens = Tokens::from_txt(&bytes);
        tokens
            .map(Some)
            .map_err(|source| RunFolderError::Tokens { path, source })
    }

    /// Keeps the token set of this run.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn store_tokens(&self, tokens: &Tokens) -> Result<(), RunFolderError> {
        self.write("tokens.txt", tokens.to_txt().as_bytes())
    }

    /// What each phase has cost so far; empty before the first checkpoint.
    ///
    /// # Errors
    /// `costs.json` cannot be read, or is not what this program writes.
    pub fn costs(&self) -> Result<BTreeMap<Phase, PhaseCosts>, RunFolderError> {
        let path = self.path.join(COSTS);
        if !path.exists() {
            return Ok(BTreeMap::new());
        }
        let bytes = fs::read(&path).map_err(self.io(&path))?;
        serde_json::from_slice(&bytes).map_err(|source| RunFolderError::Costs { path, source })
    }

    /// Keeps what a phase has cost.
    ///
    /// # Errors
    /// As [`Self::costs`], and `costs.json` cannot be written.
    pub fn store_costs(&self, phase: Phase, costs: &PhaseCosts) -> Result<(), RunFolderError> {
        if !self.is_ours() {
            return Ok(());
        }
        let mut all = self.costs()?;
        all.insert(phase, costs.clone());
        let json = serde_json::to_vec_pretty(&all)
            .map_err(io::Error::other)
            .map_err(self.io(&self.path))?;
        self.write(COSTS, &json)
    }

    /// Notes that the run is this cell of a study, and that its models are whole.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn store_cell(&self, cell: &str) -> Result<(), RunFolderError> {
        self.write(CELL, cell.as_bytes())
    }

    /// Which cell of a study the folder at `path` holds the models of.
    pub fn cell_of(path: &Path) -> Option<String> {
        fs::read_to_string(path.join(CELL)).ok()
    }

    /// Where checkpoints of a phase go.
    pub fn checkpoints(&self, phase: Phase) -> PathBuf {
        self.path.join("checkpoints").join(phase.as_str())
    }

    /// Where the exported model of a network goes.
    pub fn model(&self, name: &str) -> PathBuf {
        self.path.join("models").join(name)
    }

    fn phase_folder(&self, phase: Phase) -> PathBuf {
        self.path.join("weights").join(phase.as_str())
    }

    /// The final weights of a network; `None` before the phase has ended.
    ///
    /// # Errors
    /// Weights that are there and cannot be read.
    pub fn phase_weights(
        &self,
        phase: Phase,
        network: &str,
    ) -> Result<Option<Weights>, RunFolderError> {
        let path = weights_file(&self.phase_folder(phase), network);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(tensor_file::read(&path)?))
    }

    /// Keeps the final weights of all networks of a phase by name, all or none.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn store_phase<'a>(
        &self,
        phase: Phase,
        networks: impl Iterator<Item = (&'a str, &'a Weights)>,
    ) -> Result<(), RunFolderError> {
        if !self.is_ours() {
            return Ok(());
        }
        let folder = self.phase_folder(phase);
        let mut networks = networks;
        write_folder_atomically(&folder, |partial| {
            networks.try_for_each(|(name, weights)| {
                Ok(tensor_file::write(&weights_file(partial, name), weights)?)
            })
        })
        .map_err(self.io(&folder))
    }

    /// Notes a broken file, once.
    ///
    /// # Errors
    /// `quarantine.jsonl` cannot be read or written.
    pub fn quarantine(&self, file: &str, reason: &str) -> Result<(), RunFolderError> {
        if !self.is_ours() {
            return Ok(());
        }
        let path = self.path.join("quarantine.jsonl");
        let known: BTreeSet<String> = match fs::read_to_string(&path) {
            Ok(text) => text
                .lines()
                .filter_map(|line| serde_json::from_str::<Quarantined>(line).ok())
                .map(|entry| entry.path)
                .collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(self.io(&path)(error)),
        };
        if known.contains(file) {
            return Ok(());
        }
        let line = serde_json::to_string(&Quarantined {
            path: file.into(),
            reason: reason.into(),
        })
        .map_err(io::Error::other)
        .map_err(self.io(&path))?;
        let mut log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(self.io(&path))?;
        writeln!(log, "{line}").map_err(self.io(&path))
    }
}

fn weights_file(folder: &Path, network: &str) -> PathBuf {
    folder.join(format!("{network}.safetensors"))
}

#[cfg(test)]
mod tests;
