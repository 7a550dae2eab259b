//! Words by what is known of them: how often texts hold them, their rank in a language model, their
//! length.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;
use shared_model::decode::lm::NgramLm;

use super::AlignedWords;
use crate::data::{DataError, read_manifest};
use crate::language_model::{LmError, TextReader};

/// Words of the references that are alike in something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WordClass {
    /// What they have in common.
    pub class: String,
    /// In the references, each time they are said.
    pub words: usize,
    /// Of them, written as others.
    pub substituted: usize,
    /// Of them, left out.
    pub deleted: usize,
}

impl WordClass {
    /// Written as others or left out.
    pub fn wrong(&self) -> usize {
        self.substituted + self.deleted
    }
}

/// What tells frequent words from rare ones.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    /// How often texts hold each word, if there are any.
    text_counts: Option<HashMap<String, u32>>,
    /// Rank of each word from 1, if there is a language model.
    lm_ranks: Option<HashMap<String, usize>>,
}

impl Vocabulary {
    /// Adds the words of a text, one sentence a line, plain or gzip-compressed.
    ///
    /// # Errors
    /// As [`TextReader`].
    pub fn add_text(&mut self, path: &Path) -> Result<(), LmError> {
        let mut reader = TextReader::open(path)?;
        while let Some(sentence) = reader.next_sentence()? {
            self.add_sentence(&sentence);
        }
        Ok(())
    }

    /// Adds the words of a manifest's transcripts.
    ///
    /// # Errors
    /// As [`read_manifest`].
    pub fn add_manifest(&mut self, path: &Path) -> Result<(), DataError> {
        for utterance in read_manifest(path)? {
            self.add_sentence(&utterance.text);
        }
        Ok(())
    }

    fn add_sentence(&mut self, sentence: &str) {
        let counts = self.text_counts.get_or_insert_default();
        for word in sentence.split_ascii_whitespace() {
            match counts.get_mut(word) {
                Some(count) => *count = count.saturating_add(1),
                None => drop(counts.insert(word.to_owned(), 1)),
            }
        }
    }

    /// Takes the words of a language model, which it lists from frequent to rare.
    pub fn set_lm(&mut self, lm: &NgramLm) {
        let ranks = (1..).zip(lm.words());
        // As the references are normalised: models in capitals are used, too.
        let ranks = ranks.map(|(rank, word)| (word.to_lowercase(), rank));
        self.lm_ranks = Some(ranks.collect());
    }
}

/// Greatest value and name of each class but the last, which has no limit.
type Limits = &'static [(usize, &'static str)];

const TEXT_COUNTS: (Limits, &str) = (&[(0, "0"), (5, "1 to 5"), (50, "6 to 50")], "more");
const LM_RANKS: (Limits, &str) = (
    &[
        (100, "the 100 most frequent"),
        (1_000, "to 1,000"),
        (10_000, "to 10,000"),
    ],
    "rarer",
);
const LENGTHS: (Limits, &str) = (
    &[(2, "1 or 2"), (4, "3 or 4"), (6, "5 or 6"), (9, "7 to 9")],
    "10 or more",
);
const UNKNOWN: &str = "unknown";

/// Counts words by class.
pub(super) struct Classes<'a> {
    vocabulary: &'a Vocabulary,
    by_text_count: Vec<WordClass>,
    by_lm_rank: Vec<WordClass>,
    by_length: Vec<WordClass>,
}

impl<'a> Classes<'a> {
    pub fn new(vocabulary: &'a Vocabulary) -> Self {
        let empty = |(limits, last): (Limits, &'static str), more: &[&str]| {
            let names = limits.iter().map(|(_, name)| *name).chain([last]);
            let names = names.chain(more.iter().copied());
            let class = |class: &str| WordClass {
                class: class.to_owned(),
                words: 0,
                substituted: 0,
                deleted: 0,
            };
            names.map(class).collect()
        };
        Self {
            vocabulary,
            by_text_count: empty(TEXT_COUNTS, &[]),
            by_lm_rank: empty(LM_RANKS, &[UNKNOWN]),
            by_length: empty(LENGTHS, &[]),
        }
    }

    pub fn count(&mut self, column: &AlignedWords) {
        let Some(word) = &column.reference else {
            return;
        };
        let add = |class: &mut WordClass| {
            class.words += 1;
            match &column.hypothesis {
                None => class.deleted += 1,
                Some(heard) if heard != word => class.substituted += 1,
                Some(_) => {}
            }
        };
        if let Some(counts) = &self.vocabulary.text_counts {
            let count = counts.get(word).map_or(0, |&count| count as usize);
            add(&mut self.by_text_count[place(TEXT_COUNTS.0, count)]);
        }
        if let Some(ranks) = &self.vocabulary.lm_ranks {
            let place = match ranks.get(word) {
                Some(&rank) => place(LM_RANKS.0, rank),
                None => LM_RANKS.0.len() + 1,
            };
            add(&mut self.by_lm_rank[place]);
        }
        add(&mut self.by_length[place(LENGTHS.0, word.chars().count())]);
    }

    /// By count in the texts, by rank in the language model, and by length; classes without words
    /// are left out.
    pub fn finish(self) -> [Vec<WordClass>; 3] {
        [self.by_text_count, self.by_lm_rank, self.by_length].map(|mut classes| {
            classes.retain(|class| class.words > 0);
            classes
        })
    }
}

/// The class of a value.
fn place(limits: Limits, value: usize) -> usize {
    limits.partition_point(|&(greatest, _)| greatest < value)
}
