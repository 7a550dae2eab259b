//! Settings of the search for phrases.

use serde::{Deserialize, Serialize};

/// How phrases are heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhraseConfig {
    /// Phrases with a lower score were not said, 0 to 1.
    pub threshold: f32,
    /// Whether phrases are heard inside other speech. Otherwise everything between two pauses must
    /// be phrases.
    pub inside_speech: bool,
}

/// Unless it was tuned. Chosen on development sets (docs/own-words.md).
pub const DEFAULT_THRESHOLD: f32 = 0.35;

impl Default for PhraseConfig {
    fn default() -> Self {
        Self {
            threshold: DEFAULT_THRESHOLD,
            inside_speech: false,
        }
    }
}

/// What a letter that belongs to no phrase costs, nats. More forces more speech into phrases; what
/// was forced has a low score.
pub(super) const BACKGROUND_LETTER_COST: f32 = 2.0;
/// Paths that are so many nats worse than the best one are dropped.
pub(super) const MARGIN: f32 = 14.0;
/// Paths inside phrases that are kept after each frame.
pub(super) const MAX_ACTIVE: usize = 1000;
/// Without any letter for so long an utterance is over.
pub(super) const PAUSE_SECS: f32 = 0.5;

/// The geometric mean over the letters of a phrase of how probable the network holds them:
/// `exp(log_prob / letters)`. `log_prob`: natural-log probability that the network writes exactly
/// the phrase, and nothing else, where it was found, summed over all alignments.
///
/// By the letter, so that one threshold fits short and long phrases.
pub fn phrase_score(log_prob: f32, letters: usize) -> f32 {
    (log_prob / letters.max(1) as f32).exp().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_a_mean_over_letters_and_at_most_one() {
        // Four letters of one half each.
        assert!((phrase_score(4.0 * 0.5f32.ln(), 4) - 0.5).abs() < 1e-6);
        assert_eq!(phrase_score(0.0, 3), 1.0);
        assert_eq!(phrase_score(1e-3, 1), 1.0);
        assert_eq!(phrase_score(f32::NEG_INFINITY, 0), 0.0);
    }
}
