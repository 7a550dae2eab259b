//! CTC prefix beam search (Hannun et al., arXiv 1408.2873) with word-level fusion.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DecodeError, Hypothesis, LogProbs, lm::NgramLm};
use crate::tokens::Tokens;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BeamConfig {
    /// Prefixes kept after each frame.
    pub beam: usize,
    /// Weight of the language model's natural-log probabilities.
    pub lm_weight: f32,
    /// Added per finished word.
    pub word_bonus: f32,
    /// Classes below this natural-log posterior are not expanded.
    pub token_min_log_prob: f32,
}

impl Default for BeamConfig {
    fn default() -> Self {
        Self {
            beam: 16,
            lm_weight: 0.5,
            word_bonus: 1.0,
            token_min_log_prob: -8.0,
        }
    }
}

pub struct BeamDecoder {}

impl BeamDecoder {
    /// `words`: if given, only these words can be written. `lm`: if given, finished words are scored.
    pub fn new(
        tokens: &Tokens,
        config: BeamConfig,
        words: Option<&[String]>,
        lm: Option<Arc<NgramLm>>,
    ) -> Result<Self, DecodeError> {
        let _ = (tokens, config, words, lm);
        unimplemented!()
    }
    /// The best hypotheses, best first; never empty.
    pub fn decode(&self, log_probs: LogProbs<'_>) -> Vec<Hypothesis> {
        let _ = log_probs;
        unimplemented!()
    }
}
