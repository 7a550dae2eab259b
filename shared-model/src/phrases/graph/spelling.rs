//! What a model's tokens can write.

use std::collections::BTreeSet;

use crate::{
    decode::{WORD_MARK, spell, written_piece},
    phrases::grammar::{PhraseError, Place},
    tokens::Tokens,
};

pub(super) struct Spelling {
    alphabet: BTreeSet<char>,
    tokens: Tokens,
}

impl Spelling {
    pub(super) fn new(tokens: &Tokens) -> Self {
        let pieces = (0..tokens.len() as u32).filter_map(|id| written_piece(tokens, id));
        let mut alphabet: BTreeSet<char> = pieces.flat_map(str::chars).collect();
        alphabet.remove(&WORD_MARK);
        Self {
            alphabet,
            tokens: tokens.clone(),
        }
    }

    /// The word as the tokens write it: as given, else in lower case, else in capitals.
    pub(super) fn spell(&self, word: &str, at: Place) -> Result<String, PhraseError> {
        let spelled = spell(word, &self.alphabet);
        if let Some(spelled) = spelled.filter(|spelled| self.tokens.encode(spelled).is_ok()) {
            return Ok(spelled);
        }
        let lower = word.to_lowercase();
        let mut characters = word.chars().zip(lower.chars());
        let unknown = characters.find(|(given, lower)| {
            !self.alphabet.contains(given) && !self.alphabet.contains(lower)
        });
        let first = word.chars().next().unwrap_or_default();
        Err(PhraseError::Unspellable {
            at,
            character: unknown.map_or(first, |(given, _)| given),
            word: word.to_owned(),
            alphabet: self.described(),
        })
    }

    /// `a-z and '`: runs of neighbours by their ends.
    fn described(&self) -> String {
        let mut runs: Vec<(char, char)> = Vec::new();
        for &character in &self.alphabet {
            match runs.last_mut() {
                Some((_, last)) if u32::from(*last) + 1 == u32::from(character) => {
                    *last = character
                }
                _ => runs.push((character, character)),
            }
        }
        let shown = runs.iter().take(12).map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        });
        let mut text = shown.collect::<Vec<_>>().join(" ");
        if runs.len() > 12 {
            text.push_str(" ...");
        }
        text
    }
}
