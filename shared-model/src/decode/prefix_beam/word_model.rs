//! What a search knows about words: pieces to words, the closed list, the language model.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    BeamConfig,
    boosts::Boosts,
    fusion::{Fusion, NewWords},
    lexicon::Lexicon,
    tree::NONE,
};
use crate::{
    decode::{
        BoostList, DecodeError,
        lm::{LmState, NgramLm},
        words::{WORD_MARK, written_piece},
    },
    tokens::{Tokens, phone_tokens},
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
    pub(super) in_word: bool,
    lm_state: LmState,
    /// Language model terms of the finished words and bonuses of whole phrases, natural log.
    pub(super) fusion: f64,
    /// The same of the open word, if it becomes the best of the words that begin like it, and the
    /// part of an open phrase's bonus.
    pub(super) open: f64,
}

impl WordState {
    /// What states are ranked by.
    pub(super) fn score(&self) -> f64 {
        self.fusion + self.open
    }

    /// Whether the same words are as likely after both, which are outside a word.
    pub(super) fn has_history_of(&self, other: &Self) -> bool {
        self.lm_state == other.lm_state && self.boost_node == other.boost_node
    }
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
        let pieces = pieces_of(tokens);
        let alphabet = alphabet_of(&pieces);
        let list = words.map(|words| spelled_lexicon(words, &alphabet));
        let lm = lm
            .map(|lm| Fusion::of_letters(lm, config, &alphabet))
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

    /// Over phones, with the words of a language model that knows how they sound.
    ///
    /// # Errors
    /// A language model that does not.
    pub(super) fn of_phones(config: &BeamConfig, lm: Arc<NgramLm>) -> Result<Self, DecodeError> {
        Ok(Self {
            pieces: Arc::new(pieces_of(&phone_tokens())),
            list: None,
            lm: Some(Arc::new(Fusion::of_phones(
                lm,
                config,
                NewWords::default(),
            )?)),
            boosts: None,
            most: Most {
                bonus: f64::from(config.word_bonus).max(0.0),
                ..Most::default()
            },
        })
    }

    /// The same with phrases that are likelier. Over phones, words whose sound the language model does not
    /// know are written as it guesses them.
    pub(super) fn boosting(
        &self,
        list: &BoostList,
        config: &BeamConfig,
    ) -> Result<Self, DecodeError> {
        let fusion = match &self.lm {
            Some(fusion) if fusion.is_closed => Some(with_new_words(fusion, list, config)?),
            lm => lm.clone(),
        };
        let boosts = match &fusion {
            Some(fusion) if fusion.is_closed => Boosts::of_phones(list, fusion)?,
            lm => {
                let is_known = |word: &str| lm.as_ref().is_none_or(|fusion| fusion.knows(word));
                Boosts::new(list, &alphabet_of(&self.pieces), is_known)?
            }
        };
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
            lm: fusion,
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

    /// Whether tokens are phones: which words they are is the language model's choice.
    pub(super) fn is_of_phones(&self) -> bool {
        self.lm.as_ref().is_some_and(|fusion| fusion.is_closed)
    }

    /// The word with this id of the language model.
    pub(super) fn word(&self, id: u32) -> &str {
        self.lm.as_ref().map_or("", |fusion| fusion.word(id))
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
            if fusion.is_closed && next.known_node == NONE {
                return None;
            }
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

    /// Ends the open word, if there is one; `None` if it is not in the list or sounds like no word. Of
    /// words that sound alike, the likeliest after those before.
    pub(super) fn finish_word(&self, state: WordState) -> Option<WordState> {
        if !state.in_word {
            return Some(state);
        }
        if self.is_of_phones() {
            let all = self.endings(&state).map(|(next, _)| next);
            return all.reduce(|best, next| match next.score() > best.score() {
                true => next,
                false => best,
            });
        }
        if let Some(list) = &self.list
            && !list.is_word(state.listed_node)
        {
            return None;
        }
        let word = self.lm.as_ref().map(|fusion| {
            let known = fusion.words_at(state.known_node).first();
            known.copied()
        });
        Some(self.end_with(&state, word.flatten()))
    }

    /// Every word of the language model that the open word can be, with the state after it.
    pub(super) fn endings(&self, state: &WordState) -> impl Iterator<Item = (WordState, u32)> {
        let fusion = self.lm.as_ref();
        let words = fusion.map_or(&[][..], |fusion| fusion.words_at(state.known_node));
        words.iter().map(|&id| (self.end_with(state, Some(id)), id))
    }

    /// Ends the open word as this one of the language model, or as one that it does not know.
    fn end_with(&self, state: &WordState, word: Option<u32>) -> WordState {
        let mut next = WordState {
            listed_node: Lexicon::ROOT,
            known_node: Lexicon::ROOT,
            new_node: Lexicon::ROOT,
            in_word: false,
            open: 0.0,
            ..*state
        };
        if let Some(fusion) = &self.lm {
            let boosts = self.boosts.as_ref();
            let is_new = || boosts.is_some_and(|boosts| boosts.is_new_word(state.new_node));
            let (gain, lm_state) = match word {
                Some(id) => fusion.word_score(&state.lm_state, id),
                None => fusion.unknown_word_score(&state.lm_state, is_new()),
            };
            next.fusion += gain;
            next.lm_state = lm_state;
        }
        if let Some(boosts) = &self.boosts {
            let (node, bonus) = boosts.finish_word(state.boost_node, word);
            next.boost_node = node;
            next.fusion += bonus;
            next.open = boosts.open(node);
        }
        next
    }

    /// Fusion terms of a finished hypothesis, the end of the sentence included.
    pub(super) fn end(&self, state: &WordState) -> f64 {
        let end = self.lm.as_ref().map_or(0.0, |fusion| {
            fusion.lm_weight * f64::from(fusion.lm.end(&state.lm_state))
        });
        state.fusion + end
    }
}

/// A search over phones that can write the words of a list that are no language model's, as far as their
/// sound can be guessed.
fn with_new_words(
    fusion: &Arc<Fusion>,
    list: &BoostList,
    config: &BeamConfig,
) -> Result<Arc<Fusion>, DecodeError> {
    let phrases = list.boosts.iter();
    let words = phrases.flat_map(|boost| boost.phrase.split_whitespace());
    let new = NewWords::of(words, &fusion.lm);
    if new == fusion.new_words {
        return Ok(fusion.clone());
    }
    Ok(Arc::new(Fusion::of_phones(fusion.lm.clone(), config, new)?))
}

fn pieces_of(tokens: &Tokens) -> Vec<Vec<Box<str>>> {
    let parts = |id| {
        let piece = written_piece(tokens, id);
        piece.map_or_else(Vec::new, |piece| {
            piece.split(WORD_MARK).map(Box::from).collect()
        })
    };
    (0..tokens.len() as u32).map(parts).collect()
}

fn alphabet_of(pieces: &[Vec<Box<str>>]) -> BTreeSet<char> {
    let parts = pieces.iter().flatten();
    parts.flat_map(|part| part.chars()).collect()
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
