//! What a search knows about words: pieces to words, the closed list, the language model.

use std::{collections::BTreeSet, sync::Arc};

use super::{BeamConfig, boosts::Boosts, lexicon::Lexicon, tree::NONE};
use crate::{
    decode::{
        BoostList, DecodeError,
        lm::{LmState, NgramLm},
        words::{WORD_MARK, written_piece},
    },
    tokens::Tokens,
};

/// The word side of a prefix.
#[derive(Debug, Clone, Copy)]
pub(super) struct WordState {
    /// In the closed list.
    listed_node: u32,
    /// Among the language model's words; [`NONE`] if it has no word that begins like the open one.
    known_node: u32,
    /// Among the boosted phrases.
    boost_node: u32,
    /// Among their words that the language model does not know; [`NONE`] if none of them begins like
    /// the open one.
    new_node: u32,
    in_word: bool,
    lm_state: LmState,
    /// Language model terms of the finished words and bonuses of whole phrases, natural log.
    pub(super) fusion: f64,
    /// The same of the open word, if it becomes the best of the words that begin like it, and the
    /// part of an open phrase's bonus.
    pub(super) open: f64,
}

#[derive(Clone)]
pub(super) struct WordModel {
    /// Per token id, the piece cut at its word marks: every cut finishes a word. Nothing for a
    /// token that writes nothing.
    pieces: Arc<Vec<Vec<Box<str>>>>,
    list: Option<Arc<Lexicon>>,
    lm: Option<Arc<Fusion>>,
    boosts: Option<Arc<Boosts>>,
    most: Most,
}

/// Upper bounds of what one more token adds.
#[derive(Clone, Copy, Default)]
struct Most {
    /// The bonuses of one word.
    bonus: f64,
    /// The phrases that end with a word.
    whole: f64,
    /// Phrases that are open.
    open: f64,
    /// To phrases that are open, by a token within a word.
    rise: f64,
}

impl WordModel {
    pub(super) fn new(
        tokens: &Tokens,
        config: &BeamConfig,
        words: Option<&[String]>,
        lm: Option<Arc<NgramLm>>,
    ) -> Result<Self, DecodeError> {
        let pieces: Vec<Vec<Box<str>>> = (0..tokens.len() as u32)
            .map(|id| {
                let piece = written_piece(tokens, id);
                piece.map_or_else(Vec::new, |piece| {
                    piece.split(WORD_MARK).map(Box::from).collect()
                })
            })
            .collect();
        let alphabet = alphabet_of(&pieces);
        let list = words.map(|words| spelled_lexicon(words, &alphabet));
        let lm = lm
            .map(|lm| Fusion::new(lm, config, &alphabet))
            .transpose()?;
        let bonus = f64::from(config.word_bonus).max(0.0);
        let unknown_bonus = f64::from(config.unknown_word_bonus).max(0.0);
        let most = Most {
            bonus: if lm.is_some() {
                bonus + unknown_bonus
            } else {
                0.0
            },
            ..Most::default()
        };
        Ok(Self {
            pieces: Arc::new(pieces),
            list: list.transpose()?.map(Arc::new),
            lm: lm.map(Arc::new),
            boosts: None,
            most,
        })
    }

    /// The same with phrases that are likelier.
    pub(super) fn boosting(&self, list: &BoostList) -> Result<Self, DecodeError> {
        let is_known = |word: &str| self.lm.as_ref().is_none_or(|fusion| fusion.knows(word));
        let boosts = Boosts::new(list, &alphabet_of(&self.pieces), is_known)?;
        let parts = self.pieces.iter().flatten();
        let longest = parts.map(|part| part.chars().count()).max();
        Ok(Self {
            most: Most {
                whole: boosts.most_whole(),
                open: boosts.most_open(),
                rise: boosts.most_rise() * longest.unwrap_or_default() as f64,
                ..self.most
            },
            boosts: Some(Arc::new(boosts)),
            ..self.clone()
        })
    }

    /// Token ids, blank included.
    pub(super) fn vocab_size(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn has_lm_and_no_list(&self) -> bool {
        self.lm.is_some() && self.list.is_none()
    }

    pub(super) fn start(&self) -> WordState {
        let lm_state = self.lm.as_ref().map(|fusion| fusion.lm.start());
        let boost_node = self.boosts.as_ref().map(|boosts| boosts.start());
        WordState {
            listed_node: Lexicon::ROOT,
            known_node: Lexicon::ROOT,
            boost_node: boost_node.unwrap_or(Lexicon::ROOT),
            new_node: Lexicon::ROOT,
            in_word: false,
            lm_state: lm_state.unwrap_or_default(),
            fusion: 0.0,
            open: 0.0,
        }
    }

    /// The piece of a token, cut at its word marks.
    pub(super) fn parts(&self, token: u32) -> &[Box<str>] {
        &self.pieces[token as usize]
    }

    /// More than `fusion + open` can be after `token`, at little cost.
    pub(super) fn most_fusion(&self, state: &WordState, token: u32) -> f64 {
        let num_cuts = self.pieces[token as usize].len().saturating_sub(1);
        if state.in_word && num_cuts == 0 {
            // More characters leave fewer words to become.
            state.fusion + state.open + self.most.rise
        } else {
            let Most {
                bonus, whole, open, ..
            } = self.most;
            state.fusion + bonus * (num_cuts + 1) as f64 + whole * num_cuts as f64 + open
        }
    }

    /// Adds characters to the open word; `None` if no listed word goes on like that.
    pub(super) fn write(&self, state: WordState, part: &str) -> Option<WordState> {
        if part.is_empty() {
            return Some(state);
        }
        let mut next = WordState {
            in_word: true,
            ..state
        };
        if let Some(list) = &self.list {
            next.listed_node = list.advance(state.listed_node, part)?;
        }
        if let Some(fusion) = &self.lm {
            next.known_node = match state.known_node {
                NONE => NONE,
                node => fusion.words.advance(node, part).unwrap_or(NONE),
            };
            next.open = fusion.open_score(next.known_node);
        }
        if let Some(boosts) = &self.boosts {
            next.boost_node = boosts.write(state.boost_node, part);
            next.new_node = match state.new_node {
                NONE => NONE,
                node => boosts.new_words.advance(node, part).unwrap_or(NONE),
            };
            let of_words = match &self.lm {
                Some(fusion) if next.new_node != NONE => next.open.max(fusion.new_open_score()),
                Some(_) => next.open,
                None => 0.0,
            };
            next.open = of_words + boosts.open(next.boost_node);
        }
        Some(next)
    }

    /// Ends the open word, if there is one; `None` if it is not in the list.
    pub(super) fn finish_word(&self, state: WordState) -> Option<WordState> {
        if !state.in_word {
            return Some(state);
        }
        if let Some(list) = &self.list
            && !list.is_word(state.listed_node)
        {
            return None;
        }
        let mut next = WordState {
            listed_node: Lexicon::ROOT,
            known_node: Lexicon::ROOT,
            new_node: Lexicon::ROOT,
            in_word: false,
            open: 0.0,
            ..state
        };
        if let Some(fusion) = &self.lm {
            let boosts = self.boosts.as_ref();
            let is_new = boosts.is_some_and(|boosts| boosts.is_new_word(state.new_node));
            let (gain, lm_state) = fusion.word_score(&state.lm_state, state.known_node, is_new);
            next.fusion += gain;
            next.lm_state = lm_state;
        }
        if let Some(boosts) = &self.boosts {
            let (node, bonus) = boosts.finish_word(state.boost_node);
            next.boost_node = node;
            next.fusion += bonus;
            next.open = boosts.open(node);
        }
        Some(next)
    }

    /// Fusion terms of a finished hypothesis, the end of the sentence included.
    pub(super) fn end(&self, state: &WordState) -> f64 {
        let end = self.lm.as_ref().map_or(0.0, |fusion| {
            fusion.lm_weight * f64::from(fusion.lm.end(&state.lm_state))
        });
        state.fusion + end
    }
}

fn alphabet_of(pieces: &[Vec<Box<str>>]) -> BTreeSet<char> {
    let parts = pieces.iter().flatten();
    parts.flat_map(|part| part.chars()).collect()
}

/// A language model with its words as the tokens write them.
struct Fusion {
    lm: Arc<NgramLm>,
    words: Lexicon,
    /// By node: the model's id of the word that ends there, or [`NONE`].
    word_ids: Vec<u32>,
    /// By node: the score of the best word that goes on from there, or of an unknown one,
    /// whatever stands before; bonuses included.
    open_scores: Vec<f64>,
    unknown_open_score: f64,
    lm_weight: f64,
    word_bonus: f64,
    unknown_word_bonus: f64,
}

impl Fusion {
    fn new(
        lm: Arc<NgramLm>,
        config: &BeamConfig,
        alphabet: &BTreeSet<char>,
    ) -> Result<Self, DecodeError> {
        let mut spelled: Vec<(String, u32)> = lm
            .word_ids()
            .filter_map(|(id, word)| Some((spell(word, alphabet)?, id)))
            .collect();
        if spelled.is_empty() {
            let reason = "none of its words can be written with the model's tokens".to_string();
            return Err(DecodeError::LanguageModel(reason));
        }
        // A word that is spelled as it is comes before one in other letters.
        spelled.sort_by_cached_key(|(word, id)| lm.word(*id) != word);
        let words = Lexicon::new(spelled.iter().map(|(word, _)| word.as_str()).collect());
        let mut word_ids = vec![NONE; words.num_nodes()];
        for (word, id) in &spelled {
            if let Some(node) = words.advance(Lexicon::ROOT, word)
                && word_ids[node as usize] == NONE
            {
                word_ids[node as usize] = *id;
            }
        }
        let mut fusion = Self {
            words,
            open_scores: Vec::new(),
            unknown_open_score: 0.0,
            word_ids,
            lm_weight: f64::from(config.lm_weight),
            word_bonus: f64::from(config.word_bonus),
            unknown_word_bonus: f64::from(config.unknown_word_bonus),
            lm,
        };
        let no_history = LmState::default();
        fusion.unknown_open_score = fusion.word_score(&no_history, NONE, false).0;
        let mut open_scores = vec![fusion.unknown_open_score; fusion.words.num_nodes()];
        for node in (0..open_scores.len() as u32).rev() {
            let below = &open_scores[fusion.words.children(node)];
            let best = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let own = fusion.word_score(&no_history, node, false).0;
            let open = &mut open_scores[node as usize];
            *open = open.max(own).max(best);
        }
        fusion.open_scores = open_scores;
        Ok(fusion)
    }

    fn open_score(&self, node: u32) -> f64 {
        let known = self.open_scores.get(node as usize);
        known.copied().unwrap_or(self.unknown_open_score)
    }

    /// As [`Self::open_score`], of a boosted word that the model does not know.
    fn new_open_score(&self) -> f64 {
        self.unknown_open_score - self.unknown_word_bonus
    }

    fn knows(&self, word: &str) -> bool {
        let node = self.words.advance(Lexicon::ROOT, word);
        node.is_some_and(|node| self.word_ids[node as usize] != NONE)
    }

    /// What the word that ends at `node` adds, and the state after it. `is_new`: it is boosted and
    /// unknown; how it is spelled is known then, for which the bonus of unknown words stands.
    fn word_score(&self, state: &LmState, node: u32, is_new: bool) -> (f64, LmState) {
        let id = self.word_ids.get(node as usize).copied();
        let id = id.filter(|&id| id != NONE);
        let (ln_prob, next) = self.lm.score_id(state, id);
        let mut score = self.lm_weight * f64::from(ln_prob) + self.word_bonus;
        if id.is_none() && !is_new {
            score += self.unknown_word_bonus;
        }
        (score, next)
    }
}

/// The word as the tokens write it: as given, else in lower case, else in capitals; `None` if none
/// can be written.
pub fn spell(word: &str, alphabet: &BTreeSet<char>) -> Option<String> {
    [word.to_string(), word.to_lowercase(), word.to_uppercase()]
        .into_iter()
        .find(|form| form.chars().all(|character| alphabet.contains(&character)))
}

fn spelled_lexicon(words: &[String], alphabet: &BTreeSet<char>) -> Result<Lexicon, DecodeError> {
    let spelled: Vec<String> = words
        .iter()
        .filter_map(|word| spell(word, alphabet))
        .collect();
    if spelled.iter().all(String::is_empty) {
        let count = words.len();
        let reason = format!("none of its {count} words can be written with the model's tokens");
        return Err(DecodeError::WordList(reason));
    }
    Ok(Lexicon::new(spelled.iter().map(String::as_str).collect()))
}
