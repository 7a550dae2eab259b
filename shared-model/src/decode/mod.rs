//! CTC posteriors to words: greedy and prefix beam search, with an optional word list and n-gram
//! language model.
//!
//! A frame path `π` gives a token sequence `B(π)`: repeats collapse, then blanks go. With the
//! posteriors `p_t` of each frame `t` (everything in natural log), [`greedy()`] scores the best path,
//!
//! ```text
//! score = max over π of  sum over t of  ln p_t(π_t)
//! ```
//!
//! and [`BeamDecoder`] scores a token sequence `y` that spells the words `w_1 .. w_n` by
//!
//! ```text
//! score(y) =  ln  sum over π with B(π) = y  of  prod over t of p_t(π_t)
//!           + lm_weight * ( sum over i of ln p(w_i | w_1 .. w_(i-1)) + ln p(</s> | w_1 .. w_n) )
//!           + word_bonus * n
//!           + unknown_word_bonus * (words that neither the language model nor a boosted phrase has)
//!           + sum over boosted phrases b that stand in w_1 .. w_n, each time, of  weight(b) * (words of b)
//! ```
//!
//! where `blank_penalty` has already been subtracted from the blank's `ln p_t`. Without a language
//! model only the first and the last line count. A word's terms are added when it ends, at the next `▁` or at
//! the end of the utterance.
//!
//! Over phones ([`BeamDecoder::of_phones`]), `y` are phones and `▁`, and the words are the language
//! model's that sound like them: each stretch of phones between two `▁` is a pronunciation of `w_i`.
//! Of all such words those with the highest score count, not their sum. There are no unknown words. Where
//! a word sounds like others and the network's letters are given, 0.6 of the log probability by which
//! its spelling fits them worse than the best of these is taken away.
//!
//! Paths that fell out of the beam are missing from the sum; it is exact
//! if beam and margin are wide enough and `token_min_log_prob` is not set.

mod boost_list;
mod confidence;
mod greedy;
pub mod lm;
mod prefix_beam;
mod words;

pub use boost_list::{Boost, BoostList, MAX_BOOST_BYTES};
pub use confidence::{Calibration, Calibrations, WordEvidence};
pub use greedy::greedy;
pub(crate) use greedy::greedy_ids;
pub use prefix_beam::{BeamConfig, BeamDecoder, spell};
pub use words::{WORD_MARK, Word, words, written_piece};
pub(crate) use words::{evident_words, num_letters};

/// Natural-log posteriors of one utterance, `[num_frames, vocab_size]`, row-major.
#[derive(Debug, Clone, Copy)]
pub struct LogProbs<'a> {
    /// Frame after frame.
    pub data: &'a [f32],
    /// Classes per frame, blank included.
    pub vocab_size: usize,
}

impl<'a> LogProbs<'a> {
    /// Frame after frame of `vocab_size` values.
    ///
    /// # Panics
    /// If `data` is not whole frames.
    pub fn new(data: &'a [f32], vocab_size: usize) -> Self {
        assert!(
            vocab_size > 0 && data.len().is_multiple_of(vocab_size),
            "{} values, vocabulary {vocab_size}",
            data.len()
        );
        Self { data, vocab_size }
    }
    /// Whole frames in the data.
    pub fn num_frames(&self) -> usize {
        self.data.len() / self.vocab_size
    }
    /// Posteriors of one frame, `[vocab_size]`.
    ///
    /// # Panics
    /// Past the last frame.
    pub fn frame(&self, index: usize) -> &'a [f32] {
        &self.data[index * self.vocab_size..(index + 1) * self.vocab_size]
    }
}

/// One emitted token with the encoder frames it was read from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenSpan {
    /// Token id, never blank.
    pub id: u32,
    /// First frame.
    pub start_frame: usize,
    /// One past the last frame.
    pub end_frame: usize,
    /// Highest posterior of the token over its frames, natural log.
    pub log_prob: f32,
}

/// A decoder's result.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hypothesis {
    /// In the order they were said.
    pub tokens: Vec<TokenSpan>,
    /// Natural log; greedy: of the best path, beam: of the prefix plus language model terms.
    pub score: f32,
    /// Where tokens are phones, the words that they were taken for; elsewhere the tokens spell them.
    pub words: Option<Vec<String>>,
}

/// Why a decoder or its language model could not be made.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// What is wrong with a language model as a whole.
    #[error("language model: {0}")]
    LanguageModel(String),
    /// What is wrong with one line of an ARPA file.
    #[error("language model line {line}: {reason}")]
    ArpaLine {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// What is wrong with a line of a list of boosted phrases.
    #[error("boosted phrases, line {line}: {reason}")]
    Boost {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// What is wrong with a word list.
    #[error("word list: {0}")]
    WordList(String),
    /// A value of [`BeamConfig`] that is out of range.
    #[error("decoder setting {name} is {value}: expected {expected}")]
    Setting {
        /// The field.
        name: &'static str,
        /// As it was given.
        value: String,
        /// The range.
        expected: &'static str,
    },
}
