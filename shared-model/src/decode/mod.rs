//! CTC posteriors to words: greedy and prefix beam search, with an optional word list and n-gram
//! language model.
//!
//! A frame path `π` gives a token sequence `B(π)`: repeats collapse, then blanks go. With the
//! posteriors `p_t` of each frame `t` (everything in natural log), [`greedy`] scores the best path,
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
//! ```
//!
//! Without a language model only the first line counts. A word's terms are added when it ends, at
//! the next `▁` or at the end of the utterance. Paths that fell out of the beam are missing from
//! the sum; with a wide enough beam and no `token_min_log_prob` it is exact.

mod greedy;
mod lexicon;
pub mod lm;
mod prefix_beam;
mod prefix_tree;
mod word_model;
mod words;

pub use greedy::greedy;
pub use prefix_beam::{BeamConfig, BeamDecoder};
pub use words::{Word, words};

/// Natural-log posteriors of one utterance, `[num_frames, vocab_size]`, row-major.
#[derive(Debug, Clone, Copy)]
pub struct LogProbs<'a> {
    pub data: &'a [f32],
    pub vocab_size: usize,
}

impl<'a> LogProbs<'a> {
    /// Panics if `data` is not whole frames (a broken contract between our own functions).
    pub fn new(data: &'a [f32], vocab_size: usize) -> Self {
        assert!(
            vocab_size > 0 && data.len() % vocab_size == 0,
            "{} values, vocabulary {vocab_size}",
            data.len()
        );
        Self { data, vocab_size }
    }
    pub fn num_frames(&self) -> usize {
        self.data.len() / self.vocab_size
    }
    pub fn frame(&self, index: usize) -> &'a [f32] {
        &self.data[index * self.vocab_size..(index + 1) * self.vocab_size]
    }
}

/// One emitted token with the encoder frames it was read from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenSpan {
    pub id: u32,
    pub start_frame: usize,
    /// One past the last frame.
    pub end_frame: usize,
    /// Highest posterior of the token over its frames, natural log.
    pub log_prob: f32,
}

/// A decoder's result.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hypothesis {
    pub tokens: Vec<TokenSpan>,
    /// Natural log; greedy: of the best path, beam: of the prefix plus language model terms.
    pub score: f32,
}

#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    #[error("language model: {0}")]
    LanguageModel(String),
    #[error("language model line {line}: {reason}")]
    ArpaLine { line: usize, reason: String },
    #[error("word list: {0}")]
    WordList(String),
    #[error("decoder setting {name} is {value}: expected {expected}")]
    Setting {
        name: &'static str,
        value: String,
        expected: &'static str,
    },
}
