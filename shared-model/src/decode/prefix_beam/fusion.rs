//! A language model with its words as the tokens write them: by letters, or by how they sound.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use super::{BeamConfig, lexicon::Lexicon, tree::NONE, word_model::spell};
use crate::decode::{
    DecodeError,
    lm::{LmState, NgramLm},
};

pub(super) struct Fusion {
    pub(super) lm: Arc<NgramLm>,
    /// Over letters or over phones.
    pub(super) words: Lexicon,
    /// By node: where its words begin in `word_ids`; how many there are at the end.
    first_word: Vec<u32>,
    /// The model's ids of the words that end at each node. By letters there is one at most; words
    /// that sound alike have one node.
    word_ids: Vec<u32>,
    /// Whether nothing else can be written.
    pub(super) is_closed: bool,
    /// Words by phones that the model does not know, by id from its number of words on.
    pub(super) new_words: NewWords,
    /// By node: the score of the best word that goes on from there, or of an unknown one where there
    /// are such, whatever stands before; bonuses included.
    open_scores: Vec<f64>,
    unknown_open_score: f64,
    pub(super) lm_weight: f64,
    word_bonus: f64,
    unknown_word_bonus: f64,
}

/// Words whose sound was guessed.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct NewWords {
    /// The word, its sound, and its id if the language model knows it, but not its sound.
    words: Vec<(Box<str>, Box<str>, Option<u32>)>,
}

impl NewWords {
    /// Those of some words whose sound the language model does not know, but can guess.
    pub(super) fn of<'a>(words: impl Iterator<Item = &'a str>, lm: &NgramLm) -> Self {
        let mut new = Self::default();
        for word in words {
            let id = lm.word_id(word);
            let word = word.to_lowercase();
            let sounds = id.is_some_and(|id| lm.pronunciations(id).next().is_some());
            if sounds || new.words.iter().any(|(known, _, _)| **known == *word) {
                continue;
            }
            if let Some(sound) = lm.guess_pronunciation(&word) {
                new.words.push((word.into(), sound.into(), id));
            }
        }
        new
    }

    /// Each with its id and its sound.
    fn ids<'a>(&'a self, lm: &NgramLm) -> impl Iterator<Item = (u32, &'a str, &'a str)> {
        let first = lm.num_words();
        let all = (first..).zip(&self.words);
        all.map(|(id, (word, sound, known))| (known.unwrap_or(id), &**word, &**sound))
    }
}

impl Fusion {
    /// Any word can be written.
    ///
    /// # Errors
    /// No word that the alphabet can write.
    pub(super) fn of_letters(
        lm: Arc<NgramLm>,
        config: &BeamConfig,
        alphabet: &BTreeSet<char>,
    ) -> Result<Self, DecodeError> {
        let spelled = lm.word_ids();
        let mut spelled: Vec<(String, u32)> = spelled
            .filter_map(|(id, word)| Some((spell(word, alphabet)?, id)))
            .collect();
        if spelled.is_empty() {
            let reason = "none of its words can be written with the model's tokens".to_string();
            return Err(DecodeError::LanguageModel(reason));
        }
        // A word that is spelled as it is comes before one in other letters.
        spelled.sort_by_cached_key(|(word, id)| lm.word(*id) != word);
        let words = spelled.iter().map(|(word, id)| (word.as_str(), *id));
        let (words, mut ends) = lexicon_of(words.collect());
        ends.dedup_by_key(|(node, _)| *node);
        Ok(Self::new(lm.clone(), config, words, &ends, false))
    }

    /// Words with a pronunciation, those of `new_words` among them, and no others.
    ///
    /// # Errors
    /// A model without pronunciations.
    pub(super) fn of_phones(
        lm: Arc<NgramLm>,
        config: &BeamConfig,
        new_words: NewWords,
    ) -> Result<Self, DecodeError> {
        if !lm.has_pronunciations() {
            let reason = "it does not hold how its words sound: make it with \
                          `fledge lm --pronunciations`";
            return Err(DecodeError::LanguageModel(reason.to_string()));
        }
        let ids = lm.word_ids().map(|(id, _)| id);
        let sounds = ids.flat_map(|id| lm.pronunciations(id).map(move |sound| (sound, id)));
        let new = new_words.ids(&lm).map(|(id, _, sound)| (sound, id));
        let (words, ends) = lexicon_of(sounds.chain(new).collect());
        let mut fusion = Self::new(lm.clone(), config, words, &ends, true);
        fusion.new_words = new_words;
        Ok(fusion)
    }

    /// The word with this id.
    pub(super) fn word(&self, id: u32) -> &str {
        let new = id.checked_sub(self.lm.num_words());
        let new = new.and_then(|at| self.new_words.words.get(at as usize));
        new.map_or_else(|| self.lm.word(id), |(word, _, _)| word)
    }

    /// Over phones: the id of a word, and how it sounds; `None` of one whose sound is not known.
    pub(super) fn sounding(&self, word: &str) -> Option<(u32, Vec<&str>)> {
        let known = self.lm.word_id(word);
        if let Some(id) = known {
            let sounds: Vec<&str> = self.lm.pronunciations(id).collect();
            if !sounds.is_empty() {
                return Some((id, sounds));
            }
        }
        let word = word.to_lowercase();
        let mut new = self.new_words.ids(&self.lm);
        let (id, _, sound) = new.find(|(_, new, _)| **new == *word)?;
        Some((id, vec![sound]))
    }

    /// `ends`: nodes with the words that end there, sorted by node.
    fn new(
        lm: Arc<NgramLm>,
        config: &BeamConfig,
        words: Lexicon,
        ends: &[(u32, u32)],
        is_closed: bool,
    ) -> Self {
        let first_word = (0..=words.num_nodes() as u32)
            .map(|node| ends.partition_point(|&(end, _)| end < node) as u32);
        let mut fusion = Self {
            first_word: first_word.collect(),
            word_ids: ends.iter().map(|&(_, id)| id).collect(),
            words,
            is_closed,
            new_words: NewWords::default(),
            open_scores: Vec::new(),
            unknown_open_score: 0.0,
            lm_weight: f64::from(config.lm_weight),
            word_bonus: f64::from(config.word_bonus),
            unknown_word_bonus: f64::from(config.unknown_word_bonus),
            lm,
        };
        fusion.look_ahead();
        fusion
    }

    /// What an open word counts with at each node.
    fn look_ahead(&mut self) {
        let no_history = LmState::default();
        self.unknown_open_score = match self.is_closed {
            true => f64::NEG_INFINITY,
            false => self.unknown_word_score(&no_history, false).0,
        };
        let mut open_scores = vec![self.unknown_open_score; self.words.num_nodes()];
        for node in (0..open_scores.len() as u32).rev() {
            let below = open_scores[self.words.children(node)].iter().copied();
            let own = self.words_at(node).iter();
            let own = own.map(|&id| self.word_score(&no_history, id).0);
            let best = below.chain(own).fold(f64::NEG_INFINITY, f64::max);
            let open = &mut open_scores[node as usize];
            *open = open.max(best);
        }
        self.open_scores = open_scores;
    }

    /// The model's ids of the words that end at a node, which may be none.
    pub(super) fn words_at(&self, node: u32) -> &[u32] {
        let Some(&[first, end]) = self
            .first_word
            .get(node as usize..)
            .and_then(<[u32]>::first_chunk)
        else {
            return &[];
        };
        let range: Range<usize> = first as usize..end as usize;
        &self.word_ids[range]
    }

    /// As in [`Self::open_scores`]; `node` may be none.
    pub(super) fn open_score(&self, node: u32) -> f64 {
        let known = self.open_scores.get(node as usize);
        known.copied().unwrap_or(self.unknown_open_score)
    }

    /// As [`Self::open_score`], of a boosted word that the model does not know.
    pub(super) fn new_open_score(&self) -> f64 {
        self.unknown_open_score - self.unknown_word_bonus
    }

    pub(super) fn knows(&self, word: &str) -> bool {
        let node = self.words.advance(Lexicon::ROOT, word);
        !self.words_at(node.unwrap_or(NONE)).is_empty()
    }

    /// What a word adds, and the state after it.
    pub(super) fn word_score(&self, state: &LmState, id: u32) -> (f64, LmState) {
        if id >= self.lm.num_words() {
            return self.unknown_word_score(state, true);
        }
        let (ln_prob, next) = self.lm.score_id(state, Some(id));
        (self.weighed(ln_prob), next)
    }

    /// The same of a word that the model does not know. `is_new`: it is boosted; how it is spelled is
    /// known then, for which the bonus of unknown words stands.
    pub(super) fn unknown_word_score(&self, state: &LmState, is_new: bool) -> (f64, LmState) {
        let (ln_prob, next) = self.lm.score_id(state, None);
        let bonus = if is_new { 0.0 } else { self.unknown_word_bonus };
        (self.weighed(ln_prob) + bonus, next)
    }

    fn weighed(&self, ln_prob: f32) -> f64 {
        self.lm_weight * f64::from(ln_prob) + self.word_bonus
    }
}

/// Texts as a tree, and the ids of each node where a text ends, in the order of nodes, then as given.
fn lexicon_of(texts: Vec<(&str, u32)>) -> (Lexicon, Vec<(u32, u32)>) {
    let words = Lexicon::new(texts.iter().map(|(text, _)| *text).collect());
    let ends = texts.iter();
    let mut ends: Vec<(u32, u32)> = ends
        .filter_map(|(text, id)| Some((words.advance(Lexicon::ROOT, text)?, *id)))
        .collect();
    ends.sort_by_key(|(node, _)| *node);
    (words, ends)
}
