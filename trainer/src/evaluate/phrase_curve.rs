//! What each threshold of a list of phrases gives, and which of them is chosen.

use serde::Serialize;
use shared_model::phrases::PhraseConfig;

use super::{HeardPhrases, PhraseCounts};

/// Thresholds that are tried: every hundredth below one.
const STEPS: u8 = 100;

/// What one threshold gives; shares are fractions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ThresholdPoint {
    /// Least score that counts.
    pub threshold: f32,
    /// Phrases that were said and heard.
    pub detection: f64,
    /// Wrong, missed and invented phrases over those that were said.
    pub phrase_error_rate: f64,
    /// Phrases heard where none was said.
    pub false_accepts: usize,
    /// Per hour; none without speech that is no phrase.
    pub false_accepts_per_hour: Option<f64>,
    /// Upper end of the 95 % interval.
    pub most_false_accepts_per_hour: Option<f64>,
}

/// All thresholds, and what they were tried on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThresholdCurve {
    /// From the lowest threshold to the highest.
    pub points: Vec<ThresholdPoint>,
    /// That were said.
    pub phrases: usize,
    /// Of speech that is no phrase.
    pub outside_hours: f64,
}

impl ThresholdCurve {
    /// Counts at every threshold. `inside_speech`: phrases may be inside other speech.
    pub fn of(heard: &[HeardPhrases], inside_speech: bool) -> Self {
        let (mut phrases, mut outside_hours) = (0, 0.0);
        let points = (0..STEPS).map(|step| {
            let threshold = f32::from(step) / f32::from(STEPS);
            let config = PhraseConfig {
                threshold,
                inside_speech,
            };
            let counts = PhraseCounts::of(heard, &config);
            let total = counts.total();
            (phrases, outside_hours) = (total.reference_len, counts.outside_secs / 3600.0);
            ThresholdPoint {
                threshold,
                detection: counts.detection(),
                phrase_error_rate: total.rate(),
                false_accepts: counts.false_accepts,
                false_accepts_per_hour: counts.false_accepts_per_hour(),
                most_false_accepts_per_hour: counts.most_false_accepts_per_hour(),
            }
        });
        let points = points.collect();
        Self {
            points,
            phrases,
            outside_hours,
        }
    }
}

/// The lowest threshold from which on false accepts are rare enough; without other speech, the one
/// with the fewest phrase errors. `curve`: from the lowest threshold to the highest, not empty;
/// `most`: false accepts an hour.
pub fn choose_threshold(curve: &[ThresholdPoint], most: f64) -> ThresholdPoint {
    let is_rare =
        |point: &ThresholdPoint| point.false_accepts_per_hour.is_none_or(|rate| rate <= most);
    let last_bad = curve.iter().rposition(|point| !is_rare(point));
    let good = &curve[last_bad.map_or(0, |index| (index + 1).min(curve.len() - 1))..];
    let has_other_speech = curve
        .iter()
        .any(|point| point.false_accepts_per_hour.is_some());
    if has_other_speech {
        return good[0];
    }
    let fewest = |a: &&ThresholdPoint, b: &&ThresholdPoint| {
        a.phrase_error_rate.total_cmp(&b.phrase_error_rate)
    };
    *good.iter().min_by(fewest).unwrap_or(&good[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(threshold: f32, rate: Option<f64>, phrase_error_rate: f64) -> ThresholdPoint {
        ThresholdPoint {
            threshold,
            detection: 0.9,
            phrase_error_rate,
            false_accepts: 0,
            false_accepts_per_hour: rate,
            most_false_accepts_per_hour: rate,
        }
    }

    #[test]
    fn the_lowest_threshold_with_few_enough_false_accepts_from_there_on_is_chosen() {
        let rates = [9.0, 0.4, 2.0, 0.5, 0.0];
        let curve: Vec<ThresholdPoint> = rates
            .iter()
            .zip(0u8..)
            .map(|(rate, step)| point(f32::from(step) / 10.0, Some(*rate), 0.1))
            .collect();
        assert_eq!(choose_threshold(&curve, 0.5).threshold, 0.3);
        assert_eq!(choose_threshold(&curve, 9.0).threshold, 0.0);
        // None is good enough: the highest.
        assert_eq!(choose_threshold(&curve[..3], 0.1).threshold, 0.2);
    }

    #[test]
    fn without_other_speech_the_fewest_errors_decide() {
        let curve = [
            point(0.0, None, 0.2),
            point(0.1, None, 0.1),
            point(0.2, None, 0.3),
        ];
        assert_eq!(choose_threshold(&curve, 0.5).threshold, 0.1);
    }
}
