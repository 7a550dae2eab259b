//! Counts of phrases: right, wrong, missed, and heard where none was said.

use shared_model::metrics::{ErrorCounts, align};
use shared_model::phrases::{Meaning, PhraseConfig, PhraseHit};

use super::phrases::HeardPhrases;

/// Counts over utterances; what is added up is in the same order of utterances.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PhraseCounts {
    /// Of the phrases, by utterance that is nothing but phrases.
    pub phrases: Vec<ErrorCounts>,
    /// Of the slots of the phrases that were heard right: those with a wrong value are
    /// substitutions. By the same utterances.
    pub slots: Vec<ErrorCounts>,
    /// Of the phrases that were said: those not heard, or not with every value, are substitutions.
    /// By the same utterances.
    pub meanings: Vec<ErrorCounts>,
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
            let both = pairs
                .iter()
                .filter_map(|pair| Some((pair.reference?, pair.hypothesis?)));
            let right =
                both.filter(|(said_at, heard_at)| said_phrases[*said_at] == heard[*heard_at]);
            let right = right.map(|(said_at, heard_at)| (&said[said_at], &hits[heard_at]));
            self.add_meanings(said.len(), right);
            self.phrases.push(counts);
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

    /// Values of an utterance of `num_said` phrases, of which `right` were heard as they were said.
    fn add_meanings<'a>(
        &mut self,
        num_said: usize,
        right: impl Iterator<Item = (&'a Meaning, &'a PhraseHit)>,
    ) {
        let mut slots = ErrorCounts::default();
        let mut missed = num_said;
        for (said, heard) in right {
            let pairs = said.slots.iter().zip(&heard.slots);
            let wrong = pairs.filter(|((_, value), slot)| *value != slot.value);
            let wrong = wrong.count();
            slots.reference_len += said.slots.len();
            slots.substitutions += wrong;
            missed -= usize::from(wrong == 0);
        }
        self.slots.push(slots);
        self.meanings.push(ErrorCounts {
            reference_len: num_said,
            substitutions: missed,
            ..ErrorCounts::default()
        });
    }

    /// All utterances of phrases together.
    pub fn total(&self) -> ErrorCounts {
        sum(&self.phrases)
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

/// Counts of all utterances together.
pub(super) fn sum(utterances: &[ErrorCounts]) -> ErrorCounts {
    let mut sum = ErrorCounts::default();
    utterances.iter().for_each(|counts| sum.add(counts));
    sum
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
