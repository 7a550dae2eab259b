//! What a search knows about words: pieces to words, the closed list, the language model.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    BeamConfig, DecodeError,
    lexicon::Lexicon,
    lm::{LmState, NgramLm},
    words::{WORD_MARK, written_piece},
};
use crate::tokens::Tokens;

/// The word side of a prefix.
#[derive(Debug, Clone, Copy)]
pub(super) struct WordState {
    lexicon_node: u32,
    in_word: bool,
    lm_state: LmState,
    /// Language model terms of the finished words, natural log.
    pub(super) fusion: f64,
}

pub(super) struct WordModel {
    /// Per token id, the piece cut at its word marks: every cut finishes a word. Nothing for a
    /// token that writes nothing.
    pieces: Vec<Vec<Box<str>>>,
    lexicon: Option<Lexicon>,
    lm: Option<Arc<NgramLm>>,
    lm_weight: f64,
    word_bonus: f64,
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
        let characters = pieces.iter().flatten().flat_map(|part| part.chars());
        let alphabet: BTreeSet<char> = characters.collect();
        if let Some(lm) = &lm
            && !lm.words().any(|word| spell(word, &alphabet).is_some())
        {
            let reason = "none of its words can be written with the model's tokens".to_string();
            return Err(DecodeError::LanguageModel(reason));
        }
        let lexicon = words.map(|words| spelled_lexicon(words, &alphabet));
        Ok(Self {
            pieces,
            lexicon: lexicon.transpose()?,
            lm,
            lm_weight: f64::from(config.lm_weight),
            word_bonus: f64::from(config.word_bonus),
        })
    }

    /// Token ids, blank included.
    pub(super) fn vocab_size(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn start(&self) -> WordState {
        WordState {
            lexicon_node: Lexicon::ROOT,
            in_word: false,
            lm_state: self
                .lm
                .as_ref()
                .map_or_else(LmState::default, |lm| lm.start()),
            fusion: 0.0,
        }
    }

    /// The piece of a token, cut at its word marks.
    pub(super) fn parts(&self, token: u32) -> &[Box<str>] {
        &self.pieces[token as usize]
    }

    /// Adds characters to the open word; `None` if no listed word goes on like that.
    pub(super) fn write(&self, state: WordState, part: &str) -> Option<WordState> {
        let lexicon_node = match &self.lexicon {
            Some(lexicon) => lexicon.advance(state.lexicon_node, part)?,
            None => state.lexicon_node,
        };
        Some(WordState {
            lexicon_node,
            in_word: state.in_word || !part.is_empty(),
            ..state
        })
    }

    /// Ends the open word, if there is one; `None` if it is not in the list. `text` is asked for
    /// only where a language model needs it.
    pub(super) fn finish_word(
        &self,
        state: WordState,
        text: impl FnOnce() -> String,
    ) -> Option<WordState> {
        if !state.in_word {
            return Some(state);
        }
        if let Some(lexicon) = &self.lexicon
            && !lexicon.is_word(state.lexicon_node)
        {
            return None;
        }
        let (lm_state, fusion) = match &self.lm {
            Some(lm) => {
                let (log_prob, next) = lm.score(&state.lm_state, &text());
                let gain = self.lm_weight * f64::from(log_prob) + self.word_bonus;
                (next, state.fusion + gain)
            }
            None => (state.lm_state, state.fusion),
        };
        Some(WordState {
            lexicon_node: Lexicon::ROOT,
            in_word: false,
            lm_state,
            fusion,
        })
    }

    /// Fusion terms of a finished hypothesis, the end of the sentence included.
    pub(super) fn end(&self, state: &WordState) -> f64 {
        let end = self.lm.as_ref().map_or(0.0, |lm| lm.end(&state.lm_state));
        state.fusion + self.lm_weight * f64::from(end)
    }
}

/// The word as the tokens write it: as given, else in lower case; `None` if neither can be written.
fn spell(word: &str, alphabet: &BTreeSet<char>) -> Option<String> {
    [word.to_string(), word.to_lowercase()]
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
