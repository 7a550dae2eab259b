//! N-gram tables, from which models are made.

use std::collections::HashMap;

use super::{Levels, MAX_NGRAMS, MAX_ORDER, MAX_WORD_BYTES, binary::quantize};
use crate::decode::DecodeError;

/// Lowest natural-log probability that is kept: ARPA files write -99 (base 10) for zero.
const MIN_LN_PROB: f32 = -2400.0;

/// A list of n-grams with natural-log probabilities and back-offs, in any order.
#[derive(Debug, Clone)]
pub struct NgramTable {
    words: Vec<Box<str>>,
    ids: HashMap<Box<str>, u32>,
    levels: Vec<Level>,
}

/// The n-grams of one order `k`.
#[derive(Debug, Clone, Default)]
struct Level {
    /// `k` word ids per n-gram.
    ids: Vec<u32>,
    ln_probs: Vec<f32>,
    ln_backoffs: Vec<f32>,
}

impl NgramTable {
    /// An empty table for n-grams of 1 to `order` words.
    ///
    /// # Errors
    /// An order that is not 1 to 5.
    pub fn new(order: usize) -> Result<Self, DecodeError> {
        if !(1..=MAX_ORDER).contains(&order) {
            let reason = format!("order {order}: 1 to {MAX_ORDER} are supported");
            return Err(DecodeError::LanguageModel(reason));
        }
        Ok(Self {
            words: Vec::new(),
            ids: HashMap::new(),
            levels: vec![Level::default(); order],
        })
    }

    /// Adds a unigram and gives its word's id: 0 for the first, then one more each.
    ///
    /// # Errors
    /// A word that is there already, is empty or overlong, or holds a space or control character;
    /// a probability over 1 or a value that is not finite.
    pub fn push_word(
        &mut self,
        word: &str,
        ln_prob: f32,
        ln_backoff: f32,
    ) -> Result<u32, DecodeError> {
        self.try_push_word(word, ln_prob, ln_backoff)
            .map_err(DecodeError::LanguageModel)
    }

    /// Adds an n-gram of order 2 or more by its word ids.
    ///
    /// # Errors
    /// An order above the table's, an unknown id, a probability over 1 or a value that is not
    /// finite.
    pub fn push(
        &mut self,
        ngram: &[u32],
        ln_prob: f32,
        ln_backoff: f32,
    ) -> Result<(), DecodeError> {
        self.try_push(ngram, ln_prob, ln_backoff)
            .map_err(DecodeError::LanguageModel)
    }

    /// Words of the longest n-gram it can take.
    pub fn order(&self) -> usize {
        self.levels.len()
    }

    /// The id that [`Self::push_word`] gave a word.
    pub fn word_id(&self, word: &str) -> Option<u32> {
        self.ids.get(word).copied()
    }

    /// N-grams of one order, 1 to the table's.
    pub(super) fn len(&self, order: usize) -> usize {
        self.levels[order - 1].ln_probs.len()
    }

    pub(super) fn try_push_word(
        &mut self,
        word: &str,
        ln_prob: f32,
        ln_backoff: f32,
    ) -> Result<u32, String> {
        check_word(word)?;
        let id = self.words.len() as u32;
        if self.ids.contains_key(word) {
            return Err(format!("word \"{word}\" occurs twice"));
        }
        self.add(&[id], ln_prob, ln_backoff)?;
        self.words.push(word.into());
        self.ids.insert(word.into(), id);
        Ok(id)
    }

    pub(super) fn try_push(
        &mut self,
        ngram: &[u32],
        ln_prob: f32,
        ln_backoff: f32,
    ) -> Result<(), String> {
        if !(2..=self.order()).contains(&ngram.len()) {
            let (given, order) = (ngram.len(), self.order());
            return Err(format!("{given} words in an n-gram, expected 2 to {order}"));
        }
        if let Some(id) = ngram.iter().find(|&&id| id as usize >= self.words.len()) {
            return Err(format!("word id {id} of {} words", self.words.len()));
        }
        self.add(ngram, ln_prob, ln_backoff)
    }

    fn add(&mut self, ngram: &[u32], ln_prob: f32, ln_backoff: f32) -> Result<(), String> {
        // Rounding in other tools leaves certain words a hair above 1.
        if ln_prob.is_nan() || ln_prob > 1e-3 {
            return Err(format!(
                "natural-log probability {ln_prob}, expected at most 0"
            ));
        }
        if !ln_backoff.is_finite() || ln_backoff.abs() > -MIN_LN_PROB {
            return Err(format!("natural-log back-off {ln_backoff} out of range"));
        }
        if self
            .levels
            .iter()
            .map(|level| level.ln_probs.len())
            .sum::<usize>()
            >= MAX_NGRAMS
        {
            return Err(format!("more than {MAX_NGRAMS} n-grams"));
        }
        let level = &mut self.levels[ngram.len() - 1];
        level.ids.extend_from_slice(ngram);
        level.ln_probs.push(ln_prob.clamp(MIN_LN_PROB, 0.0));
        level.ln_backoffs.push(ln_backoff);
        Ok(())
    }

    /// Words from frequent to rare, then every level in lexicographic order of ids, with the
    /// beginnings that longer n-grams lack.
    pub(super) fn into_levels(mut self) -> Result<Levels, String> {
        if self.words.is_empty() {
            return Err("it has no words".to_string());
        }
        let rank = self.rank_words();
        for (index, level) in self.levels.iter_mut().enumerate() {
            for id in &mut level.ids {
                *id = rank[*id as usize];
            }
            level.sort(index + 1);
        }
        let mut words: Vec<Box<str>> = vec![Box::default(); self.words.len()];
        for (word, &new) in self.words.into_iter().zip(&rank) {
            words[new as usize] = word;
        }
        for upper in (1..self.levels.len()).rev() {
            let (lower, upper_levels) = self.levels.split_at_mut(upper);
            lower[upper - 1].add_beginnings(upper, &upper_levels[0]);
        }
        flatten(words, &self.levels)
    }

    /// The new id of each word. The rounded probability comes first so that the order is the same
    /// after a round trip through the binary form.
    fn rank_words(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.words.len() as u32).collect();
        order.sort_unstable_by_key(|&id| {
            let id = id as usize;
            (quantize(-self.levels[0].ln_probs[id]), &self.words[id])
        });
        let mut rank = vec![0; order.len()];
        for (new, old) in (0u32..).zip(order) {
            rank[old as usize] = new;
        }
        rank
    }
}

impl Level {
    fn ngram(&self, order: usize, index: usize) -> &[u32] {
        &self.ids[index * order..(index + 1) * order]
    }

    fn sort(&mut self, order: usize) {
        let mut sorted: Vec<usize> = (0..self.ln_probs.len()).collect();
        sorted.sort_unstable_by(|&a, &b| self.ngram(order, a).cmp(self.ngram(order, b)));
        let ids = sorted
            .iter()
            .flat_map(|&at| self.ngram(order, at).iter().copied());
        *self = Self {
            ids: ids.collect(),
            ln_probs: sorted.iter().map(|&at| self.ln_probs[at]).collect(),
            ln_backoffs: sorted.iter().map(|&at| self.ln_backoffs[at]).collect(),
        };
    }

    /// Inserts what the n-grams of `longer` begin with and this level lacks; both are sorted.
    fn add_beginnings(&mut self, order: usize, longer: &Level) {
        let mut merged = Self::default();
        let mut push = |ngram: &[u32], ln_prob, ln_backoff| {
            merged.ids.extend_from_slice(ngram);
            merged.ln_probs.push(ln_prob);
            merged.ln_backoffs.push(ln_backoff);
        };
        let mut own = 0;
        let mut previous: Option<&[u32]> = None;
        for at in 0..longer.ln_probs.len() {
            let beginning = &longer.ngram(order + 1, at)[..order];
            if previous == Some(beginning) {
                continue;
            }
            previous = Some(beginning);
            while own < self.ln_probs.len() && self.ngram(order, own) <= beginning {
                push(
                    self.ngram(order, own),
                    self.ln_probs[own],
                    self.ln_backoffs[own],
                );
                own += 1;
            }
            let last = own.checked_sub(1).map(|last| self.ngram(order, last));
            if last != Some(beginning) {
                push(beginning, f32::NAN, 0.0);
            }
        }
        for at in own..self.ln_probs.len() {
            push(
                self.ngram(order, at),
                self.ln_probs[at],
                self.ln_backoffs[at],
            );
        }
        *self = merged;
    }
}

fn flatten(words: Vec<Box<str>>, levels: &[Level]) -> Result<Levels, String> {
    let num_nodes = 1 + levels
        .iter()
        .map(|level| level.ln_probs.len())
        .sum::<usize>();
    if num_nodes > MAX_NGRAMS + 1 {
        return Err(format!("more than {MAX_NGRAMS} n-grams"));
    }
    let mut flat = Levels {
        order: levels.len(),
        node_words: vec![0],
        ln_probs: vec![0.0],
        ln_backoffs: vec![0.0],
        first_child: vec![1],
        suffixes: Vec::new(),
        pronunciations: Vec::new(),
        phones_of_letters: Vec::new(),
        words,
    };
    for (index, level) in levels.iter().enumerate() {
        let order = index + 1;
        for at in 0..level.ln_probs.len() {
            let ngram = level.ngram(order, at);
            if at > 0 && level.ngram(order, at - 1) == ngram {
                let words: Vec<&str> = ngram.iter().map(|&id| &*flat.words[id as usize]).collect();
                return Err(format!("n-gram \"{}\" occurs twice", words.join(" ")));
            }
            flat.node_words.push(ngram[index]);
            flat.ln_probs.push(level.ln_probs[at]);
        }
        let Some(longer) = levels.get(order) else {
            break;
        };
        flat.ln_backoffs.extend_from_slice(&level.ln_backoffs);
        let first_of_longer = flat.node_words.len();
        let mut below = 0;
        for at in 0..level.ln_probs.len() {
            flat.first_child.push((first_of_longer + below) as u32);
            let ngram = level.ngram(order, at);
            while below < longer.ln_probs.len() && longer.ngram(order + 1, below).starts_with(ngram)
            {
                below += 1;
            }
        }
    }
    flat.first_child.push(flat.node_words.len() as u32);
    Ok(flat)
}

pub(super) fn check_word(word: &str) -> Result<(), String> {
    if word.is_empty() {
        return Err("a word is empty".to_string());
    }
    if word.len() > MAX_WORD_BYTES {
        let length = word.len();
        return Err(format!(
            "a word has {length} bytes: at most {MAX_WORD_BYTES} are allowed"
        ));
    }
    if word
        .bytes()
        .any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
    {
        return Err(format!("word {word:?} holds a space or control character"));
    }
    Ok(())
}
