//! Word n-gram language model: ARPA text in, a compact binary form for the browser.
//!
//! Back-off semantics (Katz; ARPA's own): with `h` the longest known history,
//!
//! ```text
//! ln p(w | h) = listed value               if the n-gram (h, w) is listed
//!             = ln b(h) + ln p(w | h')     else, h' = h without its first word; b is 1 if unlisted
//! ```
//!
//! N-grams are nodes of a tree: the root is the empty n-gram, a child adds a word on the right.
//! Nodes lie in breadth-first order, siblings sorted by word, so every level is sorted by context
//! and the children of a node are one range. A suffix link leads from each n-gram to its longest
//! listed suffix, so the search for a shorter history is one step.

mod alignment;
mod arpa;
mod binary;
mod letter_sounds;
mod mixed_bits;
mod pronunciations;
mod range_coder;
mod table;

pub use pronunciations::{MAX_PHONES, MAX_WORD_PRONUNCIATIONS};
pub use table::NgramTable;

use super::DecodeError;
use letter_sounds::OtherSounds;

/// Highest order that is read.
pub const MAX_ORDER: usize = 5;
/// Longest word, in bytes of UTF-8.
pub const MAX_WORD_BYTES: usize = 256;
/// Most n-grams of all orders together.
pub const MAX_NGRAMS: usize = 1 << 26;

/// Natural-log probability of a word that the model does not know, if it has no `<unk>`: 1e-7.
pub const UNKNOWN_LN_PROB: f32 = -16.118_095;

/// The history at the beginning of a sentence.
pub const SENTENCE_START: &str = "<s>";
/// What follows the last word.
pub const SENTENCE_END: &str = "</s>";
/// What stands for every word that a model does not know.
pub const UNKNOWN_WORD: &str = "<unk>";

const UNKNOWN: [&str; 2] = [UNKNOWN_WORD, "<UNK>"];

const ROOT: u32 = 0;

/// State of the model after some words (at most order - 1 of them). The default is no history,
/// not even the beginning of a sentence. States of one model mean nothing to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LmState {
    node: u32,
}

/// A word that is listed after a history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListedWord {
    /// See [`NgramLm::word`].
    pub id: u32,
    /// Natural log of its probability.
    pub ln_prob: f32,
    /// The state after it.
    pub next: LmState,
}

/// A back-off model of order 1 to 5.
#[derive(Debug, Clone, PartialEq)]
pub struct NgramLm {
    order: usize,
    /// By word id; ids go from frequent to rare words.
    words: Vec<Box<str>>,
    /// Word ids sorted by word.
    by_name: Vec<u32>,
    /// Last word of each node; node 0 is the root, and unigram `w` is node `w + 1`.
    node_words: Vec<u32>,
    /// Natural log, by node.
    ln_probs: Vec<f32>,
    /// Node of the longest listed suffix, by node.
    suffixes: Vec<u32>,
    /// Natural log, by node below the highest order.
    ln_backoffs: Vec<f32>,
    /// First child of each node below the highest order, and the number of nodes at the end.
    first_child: Vec<u32>,
    unknown: Option<u32>,
    /// By word id, joined; empty if the model does not know how words sound.
    pronunciations: Vec<Box<str>>,
    sounds: OtherSounds,
}

/// The parts of a model that cannot be computed from the others.
struct Levels {
    order: usize,
    words: Vec<Box<str>>,
    node_words: Vec<u32>,
    /// NaN where an n-gram is not listed and is only there because longer ones begin with it.
    ln_probs: Vec<f32>,
    ln_backoffs: Vec<f32>,
    first_child: Vec<u32>,
    /// Of every node, where they are known already; else empty.
    suffixes: Vec<u32>,
    /// In the order of the words' names, joined; empty if the model does not know how words sound.
    pronunciations: Vec<Box<str>>,
    /// How many phones each letter of the words writes, if the pronunciations were read.
    phones_of_letters: Vec<u8>,
}

impl NgramLm {
    /// ARPA text, order 1 to 5, line ends LF or CRLF. Unlisted beginnings of listed n-grams are
    /// added with the value that back-off gives them.
    ///
    /// # Errors
    /// The line and what is wrong with it.
    pub fn from_arpa(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_table(arpa::parse(bytes)?)
    }

    /// The form that [`Self::to_binary`] writes.
    ///
    /// # Errors
    /// Another version, damage, or a count that the bytes cannot hold.
    pub fn from_binary(bytes: &[u8]) -> Result<Self, DecodeError> {
        let levels = binary::read(bytes).map_err(DecodeError::LanguageModel)?;
        Self::assemble(levels).map_err(DecodeError::LanguageModel)
    }

    /// A compact form, pronunciations included, in which every log-probability and back-off is rounded to
    /// [`Self::BINARY_STEP`], so each is off by at most half of it (natural log). Reading it back
    /// and writing it again gives the same bytes.
    pub fn to_binary(&self) -> Vec<u8> {
        binary::write(self)
    }

    /// Rounding of the binary form, natural log.
    pub const BINARY_STEP: f32 = 1.0 / binary::STEPS_PER_NAT as f32;

    /// Either form, told apart by the first bytes.
    ///
    /// # Errors
    /// As [`Self::from_arpa`] and [`Self::from_binary`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.starts_with(binary::MAGIC) {
            Self::from_binary(bytes)
        } else {
            Self::from_arpa(bytes)
        }
    }

    /// A model of the n-grams of a table. Unlisted beginnings of listed n-grams are added.
    ///
    /// # Errors
    /// No words, or an n-gram that occurs twice.
    pub fn from_table(table: NgramTable) -> Result<Self, DecodeError> {
        let levels = table.into_levels().map_err(DecodeError::LanguageModel)?;
        Self::assemble(levels).map_err(DecodeError::LanguageModel)
    }

    /// The same model, which knows how words sound. `of`: the pronunciations of a word, likeliest
    /// first, each a character a phone ([`crate::tokens::phone_tokens`]); of each word at most
    /// [`MAX_WORD_PRONUNCIATIONS`] are kept.
    ///
    /// # Errors
    /// No word with a pronunciation, or one of no phones, of other characters or of more than
    /// [`MAX_PHONES`].
    pub fn with_pronunciations<'a, T: IntoIterator<Item = &'a str>>(
        mut self,
        of: impl Fn(&str) -> T,
    ) -> Result<Self, DecodeError> {
        let phones = pronunciations::Phones::new();
        let mut all = vec![Box::default(); self.words.len()];
        for (id, word) in self.word_ids() {
            all[id as usize] =
                pronunciations::join(of(word).into_iter(), &phones).map_err(|reason| {
                    DecodeError::LanguageModel(format!("word \"{word}\": {reason}"))
                })?;
        }
        if all.iter().all(|joined| joined.is_empty()) {
            let reason = "none of its words has a pronunciation".to_string();
            return Err(DecodeError::LanguageModel(reason));
        }
        self.pronunciations = all;
        Ok(self)
    }

    /// Whether the model knows how words sound.
    pub fn has_pronunciations(&self) -> bool {
        !self.pronunciations.is_empty()
    }

    /// How the word with this id sounds, each a character a phone; nothing where that is not known.
    pub fn pronunciations(&self, id: u32) -> impl Iterator<Item = &str> {
        let joined = self.pronunciations.get(id as usize);
        joined
            .into_iter()
            .flat_map(|joined| pronunciations::split(joined))
    }

    /// How a word that the model does not know most likely sounds, each character a phone; `word` in lower
    /// case. `None` of a word with other characters than a to z and apostrophes, and always in a model that
    /// was not read with pronunciations from its compact form.
    pub fn guess_pronunciation(&self, word: &str) -> Option<String> {
        let ids = self.by_name.iter().map(|&id| id as usize);
        let words = ids.map(|id| (&*self.words[id], &*self.pronunciations[id]));
        self.sounds.guess(word, words)
    }

    /// ARPA text with LF line ends and base-10 logarithms; it does not hold how words sound.
    pub fn to_arpa(&self) -> String {
        arpa::write(self)
    }

    fn assemble(levels: Levels) -> Result<Self, String> {
        let words = levels.words;
        let mut by_name: Vec<u32> = (0..words.len() as u32).collect();
        by_name.sort_unstable_by(|&a, &b| words[a as usize].cmp(&words[b as usize]));
        let twice = |pair: &&[u32]| words[pair[0] as usize] == words[pair[1] as usize];
        if let Some(pair) = by_name.windows(2).find(twice) {
            return Err(format!("word \"{}\" occurs twice", words[pair[0] as usize]));
        }
        let mut lm = Self {
            order: levels.order,
            by_name,
            suffixes: levels.suffixes,
            node_words: levels.node_words,
            ln_probs: levels.ln_probs,
            ln_backoffs: levels.ln_backoffs,
            first_child: levels.first_child,
            unknown: None,
            pronunciations: levels.pronunciations,
            sounds: OtherSounds::new(levels.phones_of_letters),
            words,
        };
        if !lm.pronunciations.is_empty() {
            let mut by_id = vec![Box::default(); lm.words.len()];
            for (&id, joined) in lm.by_name.iter().zip(lm.pronunciations) {
                by_id[id as usize] = joined;
            }
            lm.pronunciations = by_id;
        }
        lm.unknown = UNKNOWN.iter().find_map(|word| lm.exact_word_id(word));
        if lm.suffixes.len() != lm.node_words.len() {
            lm.find_suffixes();
        }
        Ok(lm)
    }

    /// Fills the suffix links in, and the values that back-off gives to unlisted n-grams.
    fn find_suffixes(&mut self) {
        self.suffixes = vec![ROOT; self.node_words.len()];
        for parent in 1..self.ln_backoffs.len() as u32 {
            let shorter = self.suffixes[parent as usize];
            for child in self.children(parent) {
                let (ln_prob, suffix) = self.score_from(shorter, self.node_words[child as usize]);
                self.suffixes[child as usize] = suffix;
                if self.ln_probs[child as usize].is_nan() {
                    // Above 1 only where the file holds no distribution.
                    let implied = self.ln_backoffs[parent as usize] + ln_prob;
                    self.ln_probs[child as usize] = implied.min(0.0);
                }
            }
        }
    }

    /// After `<s>`.
    pub fn start(&self) -> LmState {
        let start = self.exact_word_id(SENTENCE_START);
        start.map_or_else(LmState::default, |word| self.state_at(word + 1))
    }

    /// Natural-log probability of `word` after `state`, and the state after it.
    ///
    /// A word that is not in the model is tried in capitals, then in lower case, then as `<unk>`;
    /// without that it has [`UNKNOWN_LN_PROB`] and leaves no history.
    pub fn score(&self, state: &LmState, word: &str) -> (f32, LmState) {
        self.score_id(state, self.word_id(word))
    }

    /// As [`Self::score`] of the word with this id, or of an unknown one.
    pub(super) fn score_id(&self, state: &LmState, word: Option<u32>) -> (f32, LmState) {
        match word.or(self.unknown) {
            Some(word) => {
                let (ln_prob, node) = self.score_from(state.node, word);
                (ln_prob, self.state_at(node))
            }
            None => (UNKNOWN_LN_PROB, LmState::default()),
        }
    }

    /// Natural-log probability of `</s>` after `state`; 0 in a model without it.
    pub fn end(&self, state: &LmState) -> f32 {
        let end = self.exact_word_id(SENTENCE_END);
        end.map_or(0.0, |word| self.score_from(state.node, word).0)
    }

    /// The words that are listed after the history of `state`, all words where it is empty: `<s>`,
    /// `</s>` and `<unk>` among them.
    pub fn listed(&self, state: &LmState) -> impl Iterator<Item = ListedWord> + '_ {
        self.children(state.node).map(|child| ListedWord {
            id: self.node_words[child as usize],
            ln_prob: self.ln_probs[child as usize],
            next: self.state_at(child),
        })
    }

    /// What the other words cost after `state`, a natural logarithm, and the state of the longest
    /// listed suffix of its history, which knows more of them; `None` for the empty history.
    pub fn back_off(&self, state: &LmState) -> Option<(f32, LmState)> {
        let node = state.node as usize;
        let ln_backoff = self.ln_backoffs.get(node).copied().unwrap_or(0.0);
        let node = self.suffixes.get(node).copied().unwrap_or(ROOT);
        (state.node != ROOT).then_some((ln_backoff, LmState { node }))
    }

    /// Words of the longest n-gram, 1 to 5.
    pub fn order(&self) -> usize {
        self.order
    }

    /// Whether `word` is in the model, as [`Self::score`] looks for it.
    pub fn knows(&self, word: &str) -> bool {
        self.word_id(word).is_some()
    }

    /// N-grams of each order, from 1.
    pub fn num_ngrams(&self) -> Vec<usize> {
        let mut counts = Vec::with_capacity(self.order);
        let mut level = 1..self.words.len() + 1;
        while counts.len() < self.order {
            counts.push(level.len());
            let child = |node: usize| self.first_child.get(node).copied();
            let end = self.node_words.len();
            let first = child(level.start).map_or(end, |first| first as usize);
            level = first..child(level.end).map_or(end, |end| end as usize);
        }
        counts
    }

    /// Every word from frequent to rare, without `<s>`, `</s>` and `<unk>`.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.word_ids().map(|(_, word)| word)
    }

    /// As [`Self::words`], each with its id.
    pub fn word_ids(&self) -> impl Iterator<Item = (u32, &str)> {
        let special =
            |word: &str| word == SENTENCE_START || word == SENTENCE_END || UNKNOWN.contains(&word);
        let words = self.words.iter().map(AsRef::as_ref);
        (0..).zip(words).filter(move |(_, word)| !special(word))
    }

    /// How many words there are, `<s>`, `</s>` and `<unk>` among them: ids are below.
    pub(super) fn num_words(&self) -> u32 {
        self.words.len() as u32
    }

    /// The word with this id.
    ///
    /// # Panics
    /// For an id that no word of the model has.
    pub fn word(&self, id: u32) -> &str {
        &self.words[id as usize]
    }

    /// The id of a word as it is spelled, in capitals or in lower case.
    pub(super) fn word_id(&self, word: &str) -> Option<u32> {
        self.exact_word_id(word)
            .or_else(|| self.exact_word_id(&word.to_uppercase()))
            .or_else(|| self.exact_word_id(&word.to_lowercase()))
    }

    fn exact_word_id(&self, word: &str) -> Option<u32> {
        let name = |&id: &u32| (*self.words[id as usize]).cmp(word);
        let index = self.by_name.binary_search_by(name).ok()?;
        Some(self.by_name[index])
    }

    /// The state whose history is the n-gram at `node`; the highest order is no history.
    fn state_at(&self, node: u32) -> LmState {
        let is_history = (node as usize) < self.ln_backoffs.len();
        LmState {
            node: if is_history {
                node
            } else {
                self.suffixes.get(node as usize).copied().unwrap_or(ROOT)
            },
        }
    }

    fn children(&self, node: u32) -> std::ops::Range<u32> {
        match self.first_child.get(node as usize..node as usize + 2) {
            Some(&[first, end]) => first..end,
            _ => 0..0,
        }
    }

    fn child(&self, node: u32, word: u32) -> Option<u32> {
        if node == ROOT {
            return Some(word + 1);
        }
        let children = self.children(node);
        let words = &self.node_words[children.start as usize..children.end as usize];
        let index = words.binary_search(&word).ok()?;
        Some(children.start + index as u32)
    }

    /// Natural-log probability of a known word after the n-gram at `node`, and the longest listed
    /// n-gram that ends with the word.
    fn score_from(&self, mut node: u32, word: u32) -> (f32, u32) {
        let mut ln_backoff = 0.0;
        loop {
            if let Some(child) = self.child(node, word) {
                return (ln_backoff + self.ln_probs[child as usize], child);
            }
            ln_backoff += self.ln_backoffs.get(node as usize).copied().unwrap_or(0.0);
            node = self.suffixes.get(node as usize).copied().unwrap_or(ROOT);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
