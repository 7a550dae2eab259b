//! The audio of shards as it is stored: of the windows under way, which are no more than two.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::Example;
use super::audio_file::{Member, read_members};

/// Windows that are in memory: batches of two are in work at once where one ends.
const RESIDENT: usize = 2;

/// Audio as it is stored, by index of its utterance.
pub(super) type Stored = HashMap<usize, Vec<u8>>;

type Window = Arc<OnceLock<Arc<Stored>>>;

/// Reads a window's shards from front to back when the first of its batches is asked for.
pub(super) struct ReadAhead {
    /// The window of each batch.
    window_of: Vec<usize>,
    /// Utterances that this process needs of each window.
    needed: Vec<Vec<usize>>,
    resident: Mutex<VecDeque<(usize, Window)>>,
}

impl ReadAhead {
    /// - `window_of`: of each batch, ascending.
    /// - `needed`: of each window, the utterances that are asked for.
    pub fn new(window_of: Vec<usize>, needed: Vec<Vec<usize>>) -> Self {
        Self {
            window_of,
            needed,
            resident: Mutex::default(),
        }
    }

    /// What is stored of the window of a batch. `is_known`: utterances that need not be read.
    pub fn of_batch(
        &self,
        batch: usize,
        examples: &[Example],
        is_known: impl Fn(usize) -> bool,
    ) -> Arc<Stored> {
        let Some(&number) = self.window_of.get(batch) else {
            return Arc::default();
        };
        let window = self.slot(number);
        // Whoever comes first reads, the others wait for it.
        let stored = window.get_or_init(|| {
            let needed = self.needed.get(number).into_iter().flatten().copied();
            Arc::new(read(needed.filter(|&index| !is_known(index)), examples))
        });
        Arc::clone(stored)
    }

    fn slot(&self, number: usize) -> Window {
        let mut resident = self.resident.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, window)) = resident.iter().find(|(of, _)| *of == number) {
            return Arc::clone(window);
        }
        while resident.len() >= RESIDENT {
            resident.pop_front();
        }
        let window = Window::default();
        resident.push_back((number, Arc::clone(&window)));
        window
    }
}

/// What can be read of these utterances, shard by shard. What cannot is missing: it is asked for once
/// more by itself, and told of then.
fn read(needed: impl Iterator<Item = usize>, examples: &[Example]) -> Stored {
    let mut shards: BTreeMap<&Path, Vec<(usize, &Member)>> = BTreeMap::new();
    for index in needed {
        let utterance = &examples[index].utterance;
        if let Some(member) = &utterance.member {
            let shard = shards.entry(&utterance.audio_path).or_default();
            shard.push((index, member));
        }
    }
    let mut stored = Stored::new();
    for (shard, mut utterances) in shards {
        utterances.sort_by_key(|(_, member)| member.start_byte);
        let members = utterances.iter().map(|(_, member)| *member);
        let Ok(contents) = read_members(shard, members) else {
            continue;
        };
        for (&(index, _), content) in utterances.iter().zip(contents) {
            if let Ok(content) = content {
                stored.insert(index, content);
            }
        }
    }
    stored
}
