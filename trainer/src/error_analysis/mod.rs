//! Where a system's errors come from: which words are wrong, whose, which sounds are confused.
//!
//! All of it follows from one alignment of each utterance's words, and one of its characters, with
//! fewest errors ([`shared_model::metrics::align`]): the counts are those of `fledge evaluate`.

mod confusions;
mod page;
mod tables;
mod word_classes;

pub use confusions::{Confusion, Confusions, Frequency};
pub use word_classes::{Vocabulary, WordClass};

use std::collections::BTreeMap;

use serde::Serialize;
use shared_model::metrics::{ErrorCounts, align};
use shared_model::tokens::normalize_text;

use crate::evaluate::Hypothesis;
use word_classes::Classes;

/// Where the errors of a file of hypotheses come from.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorAnalysis {
    /// Utterances.
    pub utterances: usize,
    /// Of the words, together.
    pub words: ErrorCounts,
    /// Of the characters, spaces included.
    pub characters: ErrorCounts,
    /// Words of the references by how often the given texts hold them; empty without texts.
    pub by_text_count: Vec<WordClass>,
    /// Words of the references by rank in the language model; empty without one.
    pub by_lm_rank: Vec<WordClass>,
    /// Words of the references by their letters.
    pub by_length: Vec<WordClass>,
    /// Whoever the file names, the highest error rate first.
    pub speakers: Vec<SpeakerErrors>,
    /// Words taken for others, left out and put in.
    pub word_confusions: Confusions,
    /// Characters taken for others, left out and put in.
    pub character_confusions: Confusions,
    /// Every utterance with an error, the most errors first.
    pub erroneous: Vec<ErroneousUtterance>,
}

/// One speaker's errors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeakerErrors {
    /// As the file names them.
    pub speaker: String,
    /// Word errors over words of the references, a fraction.
    pub wer: f64,
    /// Of the words.
    pub words: ErrorCounts,
}

/// An utterance with an error.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErroneousUtterance {
    /// Audio file and offset.
    pub utterance: String,
    /// Who speaks, if the file says.
    pub speaker: Option<String>,
    /// Of the words.
    pub words: ErrorCounts,
    /// Reference and hypothesis, aligned.
    pub columns: Vec<AlignedWords>,
}

/// A word of the reference and what was heard for it; nothing where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlignedWords {
    /// Of the reference.
    pub reference: Option<String>,
    /// Of the hypothesis.
    pub hypothesis: Option<String>,
}

impl AlignedWords {
    /// Whether the word was heard as it is.
    pub fn is_right(&self) -> bool {
        self.reference == self.hypothesis
    }
}

/// Counts the errors of every utterance.
///
/// - `vocabulary`: what tells frequent words from rare ones.
pub fn analyse_errors(hypotheses: &[Hypothesis], vocabulary: &Vocabulary) -> ErrorAnalysis {
    let mut classes = Classes::new(vocabulary);
    let (mut words, mut characters) = (ErrorCounts::default(), ErrorCounts::default());
    let mut speakers: BTreeMap<&str, ErrorCounts> = BTreeMap::new();
    let (mut of_words, mut of_characters) = (Confusions::counter(), Confusions::counter());
    let mut erroneous = Vec::new();
    for hypothesis in hypotheses {
        let texts = [&hypothesis.text, &hypothesis.pred_text].map(|text| normalize_text(text));
        let (counts, columns) = aligned_words(&texts);
        words.add(&counts);
        characters.add(&count_characters(&texts, &mut of_characters));
        if let Some(speaker) = &hypothesis.speaker {
            speakers.entry(speaker).or_default().add(&counts);
        }
        for column in &columns {
            classes.count(column);
            of_words.count(column.reference.as_deref(), column.hypothesis.as_deref());
        }
        if counts.errors() > 0 {
            erroneous.push(ErroneousUtterance {
                utterance: hypothesis.name(),
                speaker: hypothesis.speaker.clone(),
                words: counts,
                columns,
            });
        }
    }
    erroneous.sort_by_key(|utterance| std::cmp::Reverse(utterance.words.errors()));
    let [by_text_count, by_lm_rank, by_length] = classes.finish();
    ErrorAnalysis {
        utterances: hypotheses.len(),
        words,
        characters,
        by_text_count,
        by_lm_rank,
        by_length,
        speakers: speaker_errors(speakers),
        word_confusions: of_words.finish(),
        character_confusions: of_characters.finish(),
        erroneous,
    }
}

/// Reference and hypothesis, word by word.
fn aligned_words(texts: &[String; 2]) -> (ErrorCounts, Vec<AlignedWords>) {
    let [reference, hypothesis] = texts
        .each_ref()
        .map(|text| text.split_whitespace().collect::<Vec<_>>());
    let (counts, pairs) = align(&reference, &hypothesis);
    let word = |words: &[&str], at: Option<usize>| at.map(|at| words[at].to_owned());
    let columns = pairs.iter().map(|pair| AlignedWords {
        reference: word(&reference, pair.reference),
        hypothesis: word(&hypothesis, pair.hypothesis),
    });
    (counts, columns.collect())
}

fn count_characters(texts: &[String; 2], counter: &mut confusions::Counter) -> ErrorCounts {
    let [reference, hypothesis] = texts
        .each_ref()
        .map(|text| text.chars().map(String::from).collect::<Vec<_>>());
    let (counts, pairs) = align(&reference, &hypothesis);
    for pair in pairs {
        counter.count(
            pair.reference.map(|at| reference[at].as_str()),
            pair.hypothesis.map(|at| hypothesis[at].as_str()),
        );
    }
    counts
}

fn speaker_errors(speakers: BTreeMap<&str, ErrorCounts>) -> Vec<SpeakerErrors> {
    let mut errors: Vec<SpeakerErrors> = speakers
        .into_iter()
        .map(|(speaker, words)| SpeakerErrors {
            speaker: speaker.to_owned(),
            wer: words.rate(),
            words,
        })
        .collect();
    errors.sort_by(|a, b| b.wer.total_cmp(&a.wer));
    errors
}

#[cfg(test)]
mod tests;
