//! Tokens to words with times and confidence.

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use serde::{Deserialize, Serialize};

use super::{Hypothesis, TokenSpan, WordEvidence};
use crate::tokens::Tokens;

/// U+2581, the mark that begins a word (or is the space, in a character set).
pub const WORD_MARK: char = '▁';

/// One written word of a transcript.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// Without spaces.
    pub text: String,
    /// Beginning of its first token, seconds.
    pub start_secs: f32,
    /// End of its last token, seconds.
    pub end_secs: f32,
    /// How probably it is right, where the model is calibrated ([`super::Calibrations`]); else the
    /// geometric mean of the tokens' posteriors. 0 to 1.
    pub confidence: f32,
}

/// Groups a hypothesis' tokens into words at each `▁`, which belongs to no word itself: a lone `▁`
/// changes neither times nor confidence. The texts joined by spaces are [`Tokens::decode`] of the
/// ids, or [`Hypothesis::words`] where the tokens are phones. Ids that write nothing (blank, `<unk>` and the like) are left out.
///
/// `frame_secs`: seconds per encoder frame; `offset_secs`: time of frame 0.
pub fn words(
    hypothesis: &Hypothesis,
    tokens: &Tokens,
    frame_secs: f32,
    offset_secs: f32,
) -> Vec<Word> {
    let words = evident_words(hypothesis, tokens, frame_secs, offset_secs);
    words.into_iter().map(|(word, _)| word).collect()
}

/// As [`words()`], each with what its confidence is computed from.
pub(crate) fn evident_words(
    hypothesis: &Hypothesis,
    tokens: &Tokens,
    frame_secs: f32,
    offset_secs: f32,
) -> Vec<(Word, WordEvidence)> {
    let mut words = Vec::new();
    let mut open = OpenWord::default();
    for span in &hypothesis.tokens {
        let Some(piece) = written_piece(tokens, span.id) else {
            continue;
        };
        for (index, part) in piece.split(WORD_MARK).enumerate() {
            if index > 0 {
                words.extend(open.take(frame_secs, offset_secs));
            }
            if !part.is_empty() {
                open.push(part, span);
            }
        }
    }
    words.extend(open.take(frame_secs, offset_secs));
    if let Some(texts) = &hypothesis.words {
        for ((word, _), text) in words.iter_mut().zip(texts) {
            word.text.clone_from(text);
        }
    }
    words
}

/// The piece of an id that stands for text; `None` for blank, special pieces and unknown ids.
pub fn written_piece(tokens: &Tokens, id: u32) -> Option<&str> {
    let piece = tokens.piece(id)?;
    let only_marks = piece.chars().all(|character| character == WORD_MARK);
    (only_marks || !tokens.decode(&[id]).is_empty()).then_some(piece)
}

/// Letters that an id adds to a transcript.
pub(crate) fn num_letters(tokens: &Tokens, id: u32) -> usize {
    let parts = written_piece(tokens, id).map(|piece| piece.split(WORD_MARK));
    parts.map_or(0, |parts| parts.map(str::len).sum())
}

#[derive(Default)]
struct OpenWord {
    text: String,
    start_frame: usize,
    end_frame: usize,
    log_prob_sum: f32,
    least_log_prob: f32,
    num_tokens: usize,
}

impl OpenWord {
    fn push(&mut self, part: &str, span: &TokenSpan) {
        if self.text.is_empty() {
            self.start_frame = span.start_frame;
        }
        self.text.push_str(part);
        self.end_frame = span.end_frame;
        self.log_prob_sum += span.log_prob;
        self.least_log_prob = self.least_log_prob.min(span.log_prob);
        self.num_tokens += 1;
    }

    /// The finished word, if there is one; leaves an empty one.
    fn take(&mut self, frame_secs: f32, offset_secs: f32) -> Option<(Word, WordEvidence)> {
        let open = std::mem::take(self);
        if open.text.is_empty() {
            return None;
        }
        let evidence = WordEvidence {
            mean_ln_posterior: open.log_prob_sum / open.num_tokens as f32,
            least_ln_posterior: open.least_log_prob,
            num_tokens: open.num_tokens,
        };
        let word = Word {
            text: open.text,
            start_secs: open.start_frame as f32 * frame_secs + offset_secs,
            end_secs: open.end_frame as f32 * frame_secs + offset_secs,
            confidence: evidence.mean_posterior(),
        };
        Some((word, evidence))
    }
}
