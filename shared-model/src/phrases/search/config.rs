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
/// Paths that are so many nats worse than the best one are dropped. With 14 the search of 10,000
/// phrases takes half as long again, and hears one phrase in 150 more inside read English; with 10
/// it is faster again and hears one in 40 less.
pub(super) const MARGIN: f32 = 12.0;
/// Paths inside phrases that are kept after each frame.
pub(super) const MAX_ACTIVE: usize = 1000;
/// Without any letter for so long an utterance is over.
pub(super) const PAUSE_SECS: f32 = 0.5;
/// Letters of one phrase that are further apart were not said as one. More than [`PAUSE_SECS`], since
/// people stop to think within a phrase; live audio ends an utterance after 0.7 s of silence, and a
/// letter may stand a little before its sound ends.
pub(super) const MAX_GAP_SECS: f32 = 1.0;

/// Letters up to which a score is the plain mean.
const PLAIN_LETTERS: f32 = 6.0;

/// How probable the network holds the letters of a phrase, as a geometric mean,
/// `exp(log_prob / letters)`; of a phrase of more than six letters the mean to the power of six over
/// its letters. `log_prob`: natural-log probability that the network writes exactly the phrase, and
/// nothing else, where it was found, summed over all alignments.
///
/// Other speech comes near a phrase by chance, the less often the longer it is: by the mean alone, a
/// threshold that keeps short words from being heard in read English rejects long phrases that
/// nothing else resembles (RESULTS.md, "Scores of long phrases").
pub fn phrase_score(log_prob: f32, letters: usize) -> f32 {
    let letters = letters.max(1) as f32;
    let power = (PLAIN_LETTERS / letters).min(1.0);
    (power * log_prob / letters).exp().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_a_mean_over_letters_milder_for_long_phrases_and_at_most_one() {
        // Letters of one half each: four, six, and twice six.
        assert!((phrase_score(4.0 * 0.5f32.ln(), 4) - 0.5).abs() < 1e-6);
        assert!((phrase_score(6.0 * 0.5f32.ln(), 6) - 0.5).abs() < 1e-6);
        assert!((phrase_score(12.0 * 0.5f32.ln(), 12) - 0.5f32.sqrt()).abs() < 1e-6);
        assert_eq!(phrase_score(0.0, 3), 1.0);
        assert_eq!(phrase_score(1e-3, 1), 1.0);
        assert_eq!(phrase_score(f32::NEG_INFINITY, 0), 0.0);
    }
}
