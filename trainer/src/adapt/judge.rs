//! What students hear of the list before and after, and the threshold in between.

use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use shared_model::bundle::LoadedModel;
use shared_model::phrases::{DEFAULT_THRESHOLD, PhraseDecoder};

use super::AdaptError;
use super::corpus::Corpus;
use crate::data::Utterance;
use crate::device::OpenDevice;
use crate::evaluate::{
    HeardPhrases, PhraseFile, PhraseReport, ThresholdCurve, ThresholdPoint, choose_threshold,
    hear_phrases,
};

/// Hears sets of a corpus with one list.
pub struct Judge<'a> {
    /// The list.
    pub file: &'a PhraseFile,
    /// Its sets.
    pub corpus: &'a Corpus,
    /// What computes.
    pub device: &'a OpenDevice,
    /// Threads on the CPU.
    pub threads: usize,
    /// Set from outside to stop before the next utterance.
    pub stop: &'a AtomicBool,
}

/// Of one student on the held-out test voices; rates are fractions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Least score that counts.
    pub threshold: f32,
    /// That were said.
    pub phrases: usize,
    /// Wrong, missed and invented phrases over them.
    pub phrase_error_rate: f64,
    /// 95 % interval.
    pub phrase_error_low: f64,
    /// Its upper end.
    pub phrase_error_high: f64,
    /// Slots of phrases that were heard right.
    pub slots: usize,
    /// Of them, with a wrong value.
    pub slot_errors: usize,
    /// Clips that are nearly phrases, or pieces of sentences.
    pub others: usize,
    /// Phrases heard in them.
    pub others_accepted: usize,
    /// Other speech.
    pub general_hours: f64,
    /// Phrases heard in it.
    pub general_accepted: usize,
}

/// False accepts in an hour of other speech, at most, where the threshold is found.
pub const MOST_FALSE_ACCEPTS: f64 = 0.5;

impl Judge<'_> {
    fn hear(
        &self,
        loaded: &LoadedModel,
        decoder: &PhraseDecoder,
        sets: &[&str],
    ) -> Result<Vec<HeardPhrases>, AdaptError> {
        let mut all = Vec::new();
        for set in sets {
            let utterances = self.corpus.utterances(set)?;
            if !utterances.is_empty() {
                all.extend(self.hear_all(loaded, decoder, &utterances)?);
            }
        }
        Ok(all)
    }

    fn hear_all(
        &self,
        loaded: &LoadedModel,
        decoder: &PhraseDecoder,
        utterances: &[Utterance],
    ) -> Result<Vec<HeardPhrases>, AdaptError> {
        let (device, threads) = (self.device, self.threads);
        Ok(hear_phrases(
            loaded,
            decoder,
            utterances,
            device,
            threads,
            self.stop,
            &|_, _| {},
        )?)
    }

    /// Wrong, missed and invented phrases and wrong slots of utterances, and how many phrases were
    /// said, with nothing rejected.
    ///
    /// # Errors
    /// Utterances that cannot be read or heard.
    pub fn errors(
        &self,
        loaded: &LoadedModel,
        utterances: &[Utterance],
    ) -> Result<(usize, usize), AdaptError> {
        let decoder = self.file.decoder(loaded, Some(0.0), false)?;
        let heard = self.hear_all(loaded, &decoder, utterances)?;
        let report = PhraseReport::new(&heard, &decoder);
        let errors = report.wrong + report.missed + report.invented + report.slot_errors;
        Ok((errors, report.phrases))
    }

    /// The threshold with the fewest errors on the development voices, phrases that are not heard
    /// and sentences that are taken for one, among those that keep to [`MOST_FALSE_ACCEPTS`]. Of those
    /// that are as good, the nearest to the default is taken.
    ///
    /// # Errors
    /// Sets that cannot be read or heard.
    pub fn threshold(&self, loaded: &LoadedModel) -> Result<f32, AdaptError> {
        let decoder = self.file.decoder(loaded, Some(0.0), false)?;
        let general = self.hear(loaded, &decoder, &["dev-general"])?;
        let least = choose_threshold(
            &ThresholdCurve::of(&general, false).points,
            MOST_FALSE_ACCEPTS,
        );
        let heard = self.hear(loaded, &decoder, &["dev-phrases", "dev-others"])?;
        let curve = ThresholdCurve::of(&heard, false);
        Ok(fewest_errors(&curve, least.threshold))
    }

    /// Figures on the test voices, by this threshold or the one that the list has for the model.
    ///
    /// # Errors
    /// Sets that cannot be read or heard.
    pub fn figures(
        &self,
        loaded: &LoadedModel,
        threshold: Option<f32>,
    ) -> Result<Figures, AdaptError> {
        let decoder = self.file.decoder(loaded, threshold, false)?;
        let report = |set: &str| -> Result<PhraseReport, AdaptError> {
            let heard = self.hear(loaded, &decoder, &[set])?;
            Ok(PhraseReport::new(&heard, &decoder))
        };
        let phrases = report("test-phrases")?;
        let (others, general) = (report("test-others")?, report("test-general")?);
        Ok(Figures {
            threshold: phrases.threshold,
            phrases: phrases.phrases,
            phrase_error_rate: phrases.phrase_error_rate,
            phrase_error_low: phrases.phrase_error_low,
            phrase_error_high: phrases.phrase_error_high,
            slots: phrases.slots,
            slot_errors: phrases.slot_errors,
            others: others.outside,
            others_accepted: others.false_accepts,
            general_hours: general.outside_hours,
            general_accepted: general.false_accepts,
        })
    }
}

/// From `least` on; shares become counts again. Counts that differ from the fewest by no more than
/// chance makes them differ, one standard error of a count (Breiman et al., "Classification and
/// Regression Trees", 1984), are as good: a threshold far from the default for one error less lets in
/// what the few minutes of other speech do not show.
fn fewest_errors(curve: &ThresholdCurve, least: f32) -> f32 {
    let errors = |point: &ThresholdPoint| {
        let wrong = (point.phrase_error_rate * curve.phrases as f64).round() as usize;
        wrong + point.false_accepts
    };
    let distance = |point: &ThresholdPoint| (point.threshold - DEFAULT_THRESHOLD).abs();
    let allowed = || curve.points.iter().filter(|point| point.threshold >= least);
    let fewest = allowed().map(errors).min().unwrap_or_default() as f64;
    let as_good = allowed().filter(|point| errors(point) as f64 <= fewest + fewest.sqrt());
    let best = as_good.min_by(|a, b| distance(a).total_cmp(&distance(b)));
    best.map_or(least, |point| point.threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_thresholds_that_are_as_good_the_nearest_to_the_default_is_taken() {
        // Wrong phrases of ten, and near misses taken for one, at 0.0, 0.1, ...
        let curve = |errors: &[(u8, usize)]| {
            let points = errors
                .iter()
                .zip(0u8..)
                .map(|((wrong, accepts), step)| ThresholdPoint {
                    threshold: f32::from(step) / 10.0,
                    detection: 0.0,
                    phrase_error_rate: f64::from(*wrong) / 10.0,
                    false_accepts: *accepts,
                    false_accepts_per_hour: None,
                    most_false_accepts_per_hour: None,
                });
            ThresholdCurve {
                points: points.collect(),
                phrases: 10,
                outside_hours: 0.1,
            }
        };
        // All from 0.1 to 0.5 have two errors.
        let equal = curve(&[(0, 4), (0, 2), (1, 1), (2, 0), (2, 0), (2, 0), (9, 0)]);
        assert_eq!(fewest_errors(&equal, 0.0), 0.3);
        assert_eq!(fewest_errors(&equal, 0.45), 0.5);
        assert_eq!(fewest_errors(&equal, 0.9), 0.9);
        // Four errors and six are not told apart, four and seven are.
        let falling = curve(&[(4, 0), (5, 0), (6, 0), (7, 0), (9, 0)]);
        assert_eq!(fewest_errors(&falling, 0.0), 0.2);
        // No error is less than one.
        let none = curve(&[(0, 0), (1, 0), (1, 0)]);
        assert_eq!(fewest_errors(&none, 0.0), 0.0);
    }
}
