//! Tokens to words with times and confidence.

use serde::{Deserialize, Serialize};

use super::Hypothesis;
use crate::tokens::Tokens;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    pub text: String,
    pub start_secs: f32,
    pub end_secs: f32,
    /// Geometric mean of the tokens' posteriors, 0 to 1.
    pub confidence: f32,
}

/// `frame_secs`: seconds per encoder frame; `offset_secs`: time of frame 0.
pub fn words(
    hypothesis: &Hypothesis,
    tokens: &Tokens,
    frame_secs: f32,
    offset_secs: f32,
) -> Vec<Word> {
    let _ = (hypothesis, tokens, frame_secs, offset_secs);
    unimplemented!()
}
