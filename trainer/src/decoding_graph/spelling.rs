//! What the tokens of a model write.

use std::collections::{BTreeMap, BTreeSet};

use shared_model::decode::{WORD_MARK, spell, written_piece};
use shared_model::tokens::Tokens;

use super::GraphError;

/// Labels of letters: token ids + 1.
pub(super) struct Spelling {
    /// Of the word mark.
    pub mark: u32,
    /// Of all letters.
    pub letters: Vec<u32>,
    by_letter: BTreeMap<char, u32>,
    alphabet: BTreeSet<char>,
}

impl Spelling {
    pub(super) fn new(tokens: &Tokens) -> Result<Self, GraphError> {
        let mut mark = None;
        let mut by_letter = BTreeMap::new();
        for id in 0..tokens.len() as u32 {
            let Some(piece) = written_piece(tokens, id) else {
                continue;
            };
            let mut characters = piece.chars();
            match (characters.next(), characters.next()) {
                (Some(WORD_MARK), None) => mark = Some(id + 1),
                (Some(letter), None) => drop(by_letter.insert(letter, id + 1)),
                _ => {
                    let piece = piece.to_owned();
                    return Err(GraphError::Tokens { piece });
                }
            }
        }
        Ok(Self {
            mark: mark.ok_or(GraphError::NoMark)?,
            letters: by_letter.values().copied().collect(),
            alphabet: by_letter.keys().copied().collect(),
            by_letter,
        })
    }

    /// The letters of a word, if the tokens can write it.
    pub(super) fn labels(&self, word: &str) -> Option<Vec<u32>> {
        let word = spell(word, &self.alphabet)?;
        word.chars()
            .map(|letter| self.by_letter.get(&letter).copied())
            .collect()
    }
}
