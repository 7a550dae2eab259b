//! A language model as one graph of tokens, for decoders that follow the frames through an automaton
//! (sherpa-onnx's `ctc_graph`, kaldi-decoder).
//!
//! Tools make such graphs by composing automata: CTC's rules (H), the words' spellings (L) and the
//! n-grams (G), and then determinise and minimise the result, which takes gigabytes. Here the graph
//! is written down as it is to be:
//!
//! - each history of the language model that lists words has a tree of their letters. What the likeliest
//!   word of a branch costs is paid at the branch, so that a decoder can prune before a word ends;
//! - from where only one word is left, its letters are a chain that all trees share which go on to the
//!   same history;
//! - a letter is two states, one for frames that repeat it and one for blanks after it, so that doubled
//!   letters keep a blank between them;
//! - a word ends with the mark `▁`, which leads to the tree of the new history and, for what backing
//!   off costs, to those of the shorter ones. So every arc reads a frame: sherpa-onnx counts arcs as
//!   frames when it tells times.
//! - words that are not in the model are spelled freely, for what Fledge's beam search takes for them.

#![warn(missing_docs)]

mod fst;
mod spelling;
#[cfg(test)]
mod tests;
mod words;

use std::collections::HashMap;

use shared_model::decode::BeamConfig;
use shared_model::decode::lm::{LmState, NgramLm, UNKNOWN_LN_PROB, UNKNOWN_WORD};
use shared_model::tokens::{BLANK_ID, Tokens};

use crate::exit_status::{ExitStatus, HasExitStatus};
use fst::{Fst, State};
use spelling::Spelling;
use words::Words;

/// Most n-grams of a model: a graph of so many takes about 2 GB.
const MAX_NGRAMS: usize = 10_000_000;

/// What it costs to end inside a word: more than any way to end after one, and not so much that a
/// decoder which has kept no other path would give nothing at all.
const UNFINISHED: f32 = 1000.0;

/// A graph that cannot be made.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum GraphError {
    /// Tokens that are not letters and a word mark.
    #[error(
        "the decoding graph spells words letter by letter with \"▁\" between them, and token \"{piece}\" is no such \
         piece: only models with characters as tokens can have one"
    )]
    Tokens {
        /// The first piece that is neither.
        piece: String,
    },
    /// Tokens without `▁`.
    #[error("the tokens have no \"▁\", so that the decoding graph cannot tell where words end")]
    NoMark,
    /// None of the words can be written.
    #[error("none of the language model's words can be written with the model's tokens")]
    NoWords,
    /// A language model that is too large.
    #[error(
        "the language model has {ngrams} n-grams, a decoding graph at most {MAX_NGRAMS}: make a smaller one, for \
         instance with `fledge lm --max-bytes`"
    )]
    TooLarge {
        /// Of all orders.
        ngrams: usize,
    },
}

impl HasExitStatus for GraphError {
    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Data
    }
}

/// The two states of a token that was just read.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Read {
    label: u32,
    /// Frames that repeat the token stay here.
    token: State,
    /// Blanks after it stay here.
    blank: State,
}

/// A graph in the form of OpenFST, `VectorFst<StdArc>`: labels are token ids + 1, weights are the
/// costs of words and blanks by `config` and `lm`, and every state is final.
///
/// # Errors
/// Tokens that are not characters, or a language model that is too large or has none of their words.
pub fn decoding_graph(
    tokens: &Tokens,
    lm: &NgramLm,
    config: &BeamConfig,
) -> Result<Vec<u8>, GraphError> {
    let ngrams = lm.num_ngrams().iter().sum();
    if ngrams > MAX_NGRAMS {
        return Err(GraphError::TooLarge { ngrams });
    }
    let spelling = Spelling::new(tokens)?;
    let words = Words::new(lm, &spelling);
    if words.is_empty() {
        return Err(GraphError::NoWords);
    }
    let mut builder = Builder {
        lm,
        config,
        spelling,
        words,
        fst: Fst::default(),
        roots: HashMap::new(),
        chains: HashMap::new(),
        waiting: Vec::new(),
    };
    let start = builder.build();
    Ok(builder.fst.to_openfst(start))
}

/// A word of a tree, and what comes after it.
#[derive(Debug, Clone, Copy)]
struct Branch {
    word: u32,
    cost: f32,
    next: LmState,
}

struct Builder<'a> {
    lm: &'a NgramLm,
    config: &'a BeamConfig,
    spelling: Spelling,
    words: Words,
    fst: Fst,
    /// The mark before the words of a history.
    roots: HashMap<LmState, Read>,
    /// What follows the first letters of a word: by word, number of letters and the history after it.
    chains: HashMap<(u32, usize, LmState), Read>,
    /// Histories that have a root but no tree yet.
    waiting: Vec<LmState>,
}

impl Builder<'_> {
    fn build(&mut self) -> State {
        let start = self.lm.start();
        let roots = self.roots_after(start);
        while let Some(history) = self.waiting.pop() {
            self.grow(history);
        }
        // Nothing is read before the first word, so the start has the first letters of all its roots.
        let begin = self.read(self.spelling.mark);
        self.end(begin, self.cost_of_end(start));
        for (cost, root) in roots {
            let letters: Vec<_> = self.fst.arcs(root.blank).to_vec();
            for arc in letters.into_iter().filter(|arc| arc.next != root.blank) {
                self.fst
                    .add_arc(begin.token, arc.label, arc.weight + cost, arc.next);
                self.fst
                    .add_arc(begin.blank, arc.label, arc.weight + cost, arc.next);
            }
        }
        begin.token
    }

    /// The states of a token that is read.
    fn read(&mut self, label: u32) -> Read {
        let (token, blank) = (self.fst.add_state(), self.fst.add_state());
        let of_blank = self.config.blank_penalty;
        self.fst.add_arc(token, label, 0.0, token);
        self.fst.add_arc(token, BLANK_ID + 1, of_blank, blank);
        self.fst.add_arc(blank, BLANK_ID + 1, of_blank, blank);
        let read = Read {
            label,
            token,
            blank,
        };
        self.end(read, UNFINISHED);
        read
    }

    fn end(&mut self, read: Read, cost: f32) {
        self.fst.end(read.token, cost);
        self.fst.end(read.blank, cost);
    }

    /// The token of `to` after that of `from`; the same one only after a blank.
    fn join(&mut self, from: Read, cost: f32, to: Read) {
        if from.label != to.label {
            self.fst.add_arc(from.token, to.label, cost, to.token);
        }
        self.fst.add_arc(from.blank, to.label, cost, to.token);
    }

    /// What a word costs.
    fn cost(&self, ln_prob: f32) -> f32 {
        -(self.config.lm_weight * ln_prob + self.config.word_bonus)
    }

    /// What a word costs that the language model does not know, without history.
    fn cost_of_unknown(&self) -> f32 {
        let ln_prob = match self.lm.knows(UNKNOWN_WORD) {
            true => self.lm.score(&LmState::default(), UNKNOWN_WORD).0,
            false => UNKNOWN_LN_PROB,
        };
        self.cost(ln_prob) - self.config.unknown_word_bonus
    }

    fn cost_of_end(&self, history: LmState) -> f32 {
        -self.config.lm_weight * self.lm.end(&history)
    }

    /// Without the histories that list nothing, whose back-off is paid: the same for every word.
    fn listing(&self, mut history: LmState) -> (f32, LmState) {
        let mut cost = 0.0;
        while self.lm.listed(&history).next().is_none() {
            let Some((ln_backoff, shorter)) = self.lm.back_off(&history) else {
                break;
            };
            cost -= self.config.lm_weight * ln_backoff;
            history = shorter;
        }
        (cost, history)
    }

    /// The roots of the trees that may follow a history, and what backing off to them costs.
    fn roots_after(&mut self, mut history: LmState) -> Vec<(f32, Read)> {
        let mut cost = 0.0;
        let mut roots = Vec::new();
        loop {
            // Where nothing but the end is listed, it may still come after a mark.
            if self.lm.listed(&history).next().is_some() {
                roots.push((cost, self.root(history)));
            }
            let Some((ln_backoff, shorter)) = self.lm.back_off(&history) else {
                return roots;
            };
            cost -= self.config.lm_weight * ln_backoff;
            history = shorter;
        }
    }

    fn root(&mut self, history: LmState) -> Read {
        if let Some(&root) = self.roots.get(&history) {
            return root;
        }
        let root = self.read(self.spelling.mark);
        self.end(root, self.cost_of_end(history));
        self.roots.insert(history, root);
        self.waiting.push(history);
        root
    }

    /// The tree of a history's words; that of the empty one has the unknown words, too.
    fn grow(&mut self, history: LmState) {
        let mut branches = Vec::new();
        for listed in self.lm.listed(&history) {
            if self.words.letters(listed.id).is_some() {
                let (cost, next) = self.listing(listed.next);
                branches.push(Branch {
                    word: listed.id,
                    cost: self.cost(listed.ln_prob) + cost,
                    next,
                });
            }
        }
        branches.sort_by(|a, b| self.words.letters(a.word).cmp(&self.words.letters(b.word)));
        let root = self.root(history);
        self.branch(root, 0, 0.0, &branches);
        if history == LmState::default() {
            self.add_unknown_words(root);
        }
    }

    /// Words that share their first `depth` letters, the last of which is `from`, where `paid` of their
    /// cost is paid. Sorted by their letters.
    fn branch(&mut self, from: Read, depth: usize, paid: f32, words: &[Branch]) {
        let mut words = words;
        while let Some(first) = words.first() {
            let Some(label) = self.words.letter(first.word, depth) else {
                self.finish(from, first.cost - paid, first.next);
                words = &words[1..];
                continue;
            };
            let is_same = |branch: &Branch| self.words.letter(branch.word, depth) == Some(label);
            let (group, rest) = words.split_at(words.partition_point(is_same));
            words = rest;
            let cost = group
                .iter()
                .map(|branch| branch.cost)
                .fold(f32::INFINITY, f32::min);
            if let [only] = group {
                let to = self.chain(only.word, depth + 1, only.next);
                self.join(from, cost - paid, to);
            } else {
                let to = self.read(label);
                self.join(from, cost - paid, to);
                self.branch(to, depth + 1, cost, group);
            }
        }
    }

    /// The states after the first `letters` letters of a word, whose cost is paid.
    fn chain(&mut self, word: u32, letters: usize, next: LmState) -> Read {
        let key = (word, letters, next);
        if let Some(&known) = self.chains.get(&key) {
            return known;
        }
        let label = self
            .words
            .letter(word, letters - 1)
            .unwrap_or(self.spelling.mark);
        let read = self.read(label);
        self.chains.insert(key, read);
        if self.words.letter(word, letters).is_some() {
            let to = self.chain(word, letters + 1, next);
            self.join(read, 0.0, to);
        } else {
            self.finish(read, 0.0, next);
        }
        read
    }

    /// A word ends with the token `last`: the sentence may, or the next word begins.
    fn finish(&mut self, last: Read, cost: f32, next: LmState) {
        self.end(last, cost + self.cost_of_end(next));
        for (back_off, root) in self.roots_after(next) {
            self.join(last, cost + back_off, root);
        }
    }

    /// Any letters after the mark `root`.
    fn add_unknown_words(&mut self, root: Read) {
        let cost = self.cost_of_unknown();
        let (_, next) = self.lm.score(&LmState::default(), UNKNOWN_WORD);
        let (back_off, next) = self.listing(next);
        let labels = self.spelling.letters.clone();
        let letters: Vec<Read> = labels.iter().map(|&label| self.read(label)).collect();
        for &letter in &letters {
            self.join(root, cost, letter);
            for &other in &letters {
                self.join(letter, 0.0, other);
            }
            self.finish(letter, back_off, next);
        }
    }
}
