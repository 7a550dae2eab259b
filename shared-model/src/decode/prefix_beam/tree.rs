//! The prefixes a search has kept, as a tree with parent pointers, and the paths through them.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use super::word_model::{WordModel, WordState};
use crate::{decode::TokenSpan, tokens::BLANK_ID};

/// Index of the empty prefix.
pub(super) const ROOT: u32 = 0;
/// No prefix, no path link, no place in the beam.
pub(super) const NONE: u32 = u32::MAX;

pub(super) struct Prefix {
    pub(super) parent: u32,
    /// The last token; blank for the root.
    pub(super) token: u32,
    pub(super) word: WordState,
    /// The state after the open word ends here, once asked for.
    finished: Option<Option<WordState>>,
    /// Place among the current frame's candidates, or [`NONE`].
    pub(super) slot: u32,
}

/// Holds at most beam + 1 new prefixes and beam links a frame, whatever the vocabulary.
pub(super) struct PrefixTree {
    prefixes: Vec<Prefix>,
    children: HashMap<u64, u32, BuildHasherDefault<PairHasher>>,
    links: Vec<PathLink>,
}

/// One token of a best path and the link of the token before.
struct PathLink {
    previous: u32,
    span: TokenSpan,
}

impl PrefixTree {
    pub(super) fn new(root: WordState) -> Self {
        let root = Prefix {
            parent: NONE,
            token: BLANK_ID,
            word: root,
            finished: None,
            slot: NONE,
        };
        Self {
            prefixes: vec![root],
            children: HashMap::default(),
            links: Vec::new(),
        }
    }

    pub(super) fn get(&self, prefix: u32) -> &Prefix {
        &self.prefixes[prefix as usize]
    }

    pub(super) fn set_slot(&mut self, prefix: u32, slot: u32) {
        self.prefixes[prefix as usize].slot = slot;
    }

    /// The child of `parent` by `token`, made if it is new.
    pub(super) fn insert(&mut self, parent: u32, token: u32, word: WordState) -> u32 {
        let next = self.prefixes.len() as u32;
        let prefix = *self.children.entry(pair(parent, token)).or_insert(next);
        if prefix == next {
            self.prefixes.push(Prefix {
                parent,
                token,
                word,
                finished: None,
                slot: NONE,
            });
        }
        prefix
    }

    /// The word state of `prefix` followed by `token`; `None` if the word list forbids it.
    pub(super) fn extend(
        &mut self,
        model: &WordModel,
        prefix: u32,
        token: u32,
    ) -> Option<WordState> {
        let mut state = self.get(prefix).word;
        for (index, part) in model.parts(token).iter().enumerate() {
            state = match index {
                0 => state,
                // A token that begins with a word mark: many of them end the same word.
                1 if model.parts(token)[0].is_empty() => self.finish_word(model, prefix)?,
                _ => model.finish_word(state)?,
            };
            state = model.write(state, part)?;
        }
        Some(state)
    }

    /// The word state after the open word of `prefix` ends; `None` if it is not in the list.
    pub(super) fn finish_word(&mut self, model: &WordModel, prefix: u32) -> Option<WordState> {
        if let Some(finished) = self.get(prefix).finished {
            return finished;
        }
        let finished = model.finish_word(self.get(prefix).word);
        self.prefixes[prefix as usize].finished = Some(finished);
        finished
    }

    /// Remembers a token of a path after the link `previous`.
    pub(super) fn link(&mut self, previous: u32, span: TokenSpan) -> u32 {
        self.links.push(PathLink { previous, span });
        (self.links.len() - 1) as u32
    }

    /// Spans of the path that ends with `link`, in order.
    pub(super) fn spans(&self, mut link: u32) -> Vec<TokenSpan> {
        let mut spans = Vec::new();
        while link != NONE {
            let PathLink { previous, span } = &self.links[link as usize];
            spans.push(*span);
            link = *previous;
        }
        spans.reverse();
        spans
    }
}

fn pair(parent: u32, token: u32) -> u64 {
    u64::from(parent) << 32 | u64::from(token)
}

/// Multiplicative hashing of one u64: the keys are our own counters, so nobody can craft
/// collisions, and the default hasher would cost more than the rest of a lookup.
#[derive(Default)]
struct PairHasher(u64);

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }
    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
