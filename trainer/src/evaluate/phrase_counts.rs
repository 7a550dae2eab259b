//! Counts of phrases: right, wrong, missed, and heard where none was said.

use shared_model::metrics::{ErrorCounts, align};
use shared_model::phrases::{Meaning, PhraseConfig, PhraseHit};

use super::phrases::HeardPhrases;

/// Counts over utterances; what is added up is in the same order of utterances.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PhraseCounts {
    /// Of the phrases, by utterance that is nothing but phrases.
    pub phrases: Vec<ErrorCounts>,
    /// Slots of phrases that were heard right, and those with a wrong value.
    pub slots: usize,
    /// Of them.
    pub slot_errors: usize,
    /// Utterances that are not only phrases.
    pub outside: usize,
    /// Their length.
    pub outside_secs: f64,
    /// Phrases that were heard in them and that their texts do not hold.
    pub false_accepts: usize,
    /// Phrases inside them that were said, where phrases are heard inside other speech.
    pub inside: usize,
    /// Of those, heard.
    pub inside_heard: usize,
}

impl PhraseCounts {
    /// What these settings give.
    pub fn of(heard: &[HeardPhrases], config: &PhraseConfig) -> Self {
        let mut counts = Self::default();
        for utterance in heard {
            let hits = utterance.found.iter().flat_map(|found| found.hits(config));
            counts.add(utterance, &hits.collect::<Vec<_>>(), config);
        }
        counts
    }

    fn add(&mut self, utterance: &HeardPhrases, hits: &[PhraseHit], config: &PhraseConfig) {
        let heard: Vec<&str> = hits.iter().map(|hit| hit.phrase.as_str()).collect();
        if let Some(said) = &utterance.said {
            let said_phrases: Vec<&str> = said.iter().map(|said| said.phrase.as_str()).collect();
            let (counts, pairs) = align(&said_phrases, &heard);
            self.phrases.push(counts);
            for pair in pairs {
                let (Some(said_at), Some(heard_at)) = (pair.reference, pair.hypothesis) else {
                    continue;
                };
                if said_phrases[said_at] == heard[heard_at] {
                    self.add_slots(&said[said_at], &hits[heard_at]);
                }
            }
            return;
        }
        self.outside += 1;
        self.outside_secs += utterance.audio_secs;
        // What the text holds was said, even if it stands alone only in the sound.
        let said = utterance.inside.iter().map(|said| said.phrase.as_str());
        let said: Vec<&str> = said.collect();
        let (counts, _) = align(&said, &heard);
        self.false_accepts += counts.insertions + counts.substitutions;
        if config.inside_speech {
            self.inside += said.len();
            self.inside_heard += said.len() - counts.deletions - counts.substitutions;
        }
    }

    fn add_slots(&mut self, said: &Meaning, heard: &PhraseHit) {
        for ((_, value), slot) in said.slots.iter().zip(&heard.slots) {
            self.slots += 1;
            self.slot_errors += usize::from(*value != slot.value);
        }
    }

    /// All utterances of phrases together.
    pub fn total(&self) -> ErrorCounts {
        let mut total = ErrorCounts::default();
        self.phrases.iter().for_each(|counts| total.add(counts));
        total
    }

    /// Phrases that were said and heard, a fraction.
    pub fn detection(&self) -> f64 {
        let total = self.total();
        let right = total.reference_len - total.deletions - total.substitutions;
        right as f64 / total.reference_len.max(1) as f64
    }

    /// False accepts per hour of speech that is not only phrases; none without such speech.
    pub fn false_accepts_per_hour(&self) -> Option<f64> {
        let hours = self.outside_secs / 3600.0;
        (hours > 0.0).then(|| self.false_accepts as f64 / hours)
    }

    /// With 95 % confidence there are no more of them per hour (Poisson).
    pub fn most_false_accepts_per_hour(&self) -> Option<f64> {
        let hours = self.outside_secs / 3600.0;
        (hours > 0.0).then(|| most_expected(self.false_accepts) / hours)
    }
}

/// The mean of a Poisson distribution that gives at most `count` in one of twenty cases, within 1 %
/// (Wilson and Hilferty, "The distribution of chi-square", PNAS 17, 1931).
fn most_expected(count: usize) -> f64 {
    const ONE_IN_TWENTY: f64 = 1.6449;
    let next = count as f64 + 1.0;
    next * (1.0 - 1.0 / (9.0 * next) + ONE_IN_TWENTY / (3.0 * next.sqrt())).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_an_hour_may_still_be_three_an_hour() {
        for (count, exact) in [(0, 2.9957), (1, 4.7439), (10, 16.962), (100, 118.08)] {
            let found = most_expected(count);
            assert!((found / exact - 1.0).abs() < 0.01, "{count}: {found}");
        }
    }
}
