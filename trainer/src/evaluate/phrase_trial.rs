//! All that is measured of one model with one list: what is heard of it, and what is taken for it.

use serde::Serialize;
use shared_model::phrases::{PhraseConfig, PhraseDecoder};

use super::{AnswerDelays, HeardPhrases, PhraseCounts, PhraseReport, ThresholdCurve};
use crate::report::{Chart, ChartError, Line, Point, Series};

/// One model and one list.
#[derive(Debug, Clone, Serialize)]
pub struct PhraseTrial {
    /// The model's folder.
    pub model: String,
    /// The recordings of phrases, by the threshold of the list.
    pub report: PhraseReport,
    /// The highest threshold at which the wanted share of the phrases is heard, if one is.
    pub threshold_at_detection: Option<f32>,
    /// Sounds that are no phrase, set by set.
    pub rejected: Vec<RejectedSet>,
    /// Phrases heard against false accepts in the first of those sets, at every threshold.
    pub curve: Vec<CurvePoint>,
    /// How soon phrases are answered live.
    pub delays: Option<AnswerDelays>,
}

/// False accepts in a set of sounds that are no phrase.
#[derive(Debug, Clone, Serialize)]
pub struct RejectedSet {
    /// Its name.
    pub name: String,
    /// Its length.
    pub hours: f64,
    /// By the threshold of the list.
    pub at_threshold: FalseAccepts,
    /// By the one at which the wanted share of the phrases is heard.
    pub at_detection: Option<FalseAccepts>,
}

/// Phrases heard that the texts do not hold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FalseAccepts {
    /// All of them.
    pub count: usize,
    /// In an hour.
    pub per_hour: f64,
    /// With 95 % confidence there are no more of them in an hour.
    pub most_per_hour: f64,
}

/// What one threshold gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Least score that counts.
    pub threshold: f32,
    /// Phrases that were said and heard, a fraction.
    pub detection: f64,
    /// Phrases heard where none was said, in an hour.
    pub false_accepts_per_hour: f64,
}

impl PhraseTrial {
    /// `said`: recordings of phrases. `rejected`: names and sounds that are none. `detection`: the
    /// share of phrases at which false accepts are counted, too.
    pub fn new(
        model: String,
        decoder: &PhraseDecoder,
        said: &[HeardPhrases],
        rejected: &[(String, Vec<HeardPhrases>)],
        detection: f64,
    ) -> Self {
        let own = decoder.config();
        let thresholds = ThresholdCurve::of(said, own.inside_speech).points;
        let wanted = thresholds
            .iter()
            .rev()
            .find(|point| point.detection >= detection);
        let threshold_at_detection = wanted.map(|point| point.threshold);
        let sets = rejected.iter().map(|(name, heard)| RejectedSet {
            name: name.clone(),
            hours: heard.iter().map(|sound| sound.audio_secs).sum::<f64>() / 3600.0,
            at_threshold: false_accepts(heard, own),
            at_detection: threshold_at_detection
                .map(|threshold| false_accepts(heard, &with_threshold(own, threshold))),
        });
        let curve = rejected.first().into_iter().flat_map(|(_, heard)| {
            thresholds.iter().map(|point| CurvePoint {
                threshold: point.threshold,
                detection: point.detection,
                false_accepts_per_hour: false_accepts(heard, &with_threshold(own, point.threshold))
                    .per_hour,
            })
        });
        Self {
            model,
            report: PhraseReport::new(said, decoder),
            threshold_at_detection,
            rejected: sets.collect(),
            curve: curve.collect(),
            delays: None,
        }
    }

    /// For people. `detection`: as in [`Self::new`].
    pub fn summary(&self, detection: f64) -> Vec<String> {
        let mut lines = vec![self.model.clone()];
        lines.extend(self.report.summary());
        let share = detection * 100.0;
        lines.push(match self.threshold_at_detection {
            Some(threshold) => format!("{share:.0} % are heard by a threshold of {threshold:.2}"),
            None => format!("{share:.0} % are heard by no threshold"),
        });
        lines.extend(self.rejected.iter().map(|set| set.line(share)));
        lines.extend(self.delays.iter().map(AnswerDelays::line));
        lines
    }
}

impl RejectedSet {
    fn line(&self, share: f64) -> String {
        let shown = |accepts: FalseAccepts| {
            format!(
                "{} false accepts, {:.2} an hour (at most {:.2}, 95 %)",
                accepts.count, accepts.per_hour, accepts.most_per_hour
            )
        };
        let own = shown(self.at_threshold);
        let line = format!("{}, {:.3} h: {own}", self.name, self.hours);
        match self.at_detection {
            Some(accepts) => format!("{line}; at {share:.0} % detection {}", shown(accepts)),
            None => line,
        }
    }
}

fn with_threshold(config: &PhraseConfig, threshold: f32) -> PhraseConfig {
    PhraseConfig {
        threshold,
        ..config.clone()
    }
}

/// Of sounds that are not only phrases; what is nothing but phrases counts neither way.
fn false_accepts(heard: &[HeardPhrases], config: &PhraseConfig) -> FalseAccepts {
    let counts = PhraseCounts::of(heard, config);
    FalseAccepts {
        count: counts.false_accepts,
        per_hour: counts.false_accepts_per_hour().unwrap_or_default(),
        most_per_hour: counts.most_false_accepts_per_hour().unwrap_or_default(),
    }
}

/// Phrases heard in percent over false accepts an hour, a line a model, as SVG. The axis of false
/// accepts is logarithmic, and none at all stands where half of one in all of the sound would.
///
/// # Errors
/// What the drawing library refuses.
pub fn curve_chart(title: &str, trials: &[PhraseTrial]) -> Result<String, ChartError> {
    let hours = trials.iter().filter_map(|trial| trial.rejected.first());
    let hours = hours.map(|set| set.hours).fold(0.0, f64::max);
    let none = 0.5 / hours.max(1e-3);
    let series = trials.iter().enumerate().map(|(look, trial)| Series {
        label: trial.model.clone(),
        look,
        line: Line::Solid,
        is_hollow: false,
        points: corners(&trial.curve, none),
    });
    let chart = Chart {
        title,
        x_label: "false accepts an hour (at the left end: none)",
        y_label: "phrases heard, %",
        series: series.collect(),
        x_text: &|x| {
            let rate = 10f64.powf(x);
            let decimals = usize::from(rate < 10.0);
            format!("{rate:.decimals$}")
        },
    };
    chart.draw()
}

/// One point for each rate of false accepts: the threshold that hears most with it.
fn corners(curve: &[CurvePoint], none: f64) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    // From the highest threshold, that is from the fewest false accepts and detections, on.
    for point in curve.iter().rev() {
        let x = point.false_accepts_per_hour.max(none).log10();
        let y = point.detection * 100.0;
        match points.last_mut() {
            Some(last) if last.x == x => last.y = last.y.max(y),
            _ => points.push(Point {
                x,
                y,
                interval: None,
            }),
        }
    }
    points
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use shared_model::decode::LogProbs;
    use shared_model::phrases::PhraseList;
    use shared_model::tokens::Tokens;

    use super::super::phrases::nothing_but_phrases;
    use super::*;

    /// An utterance of half an hour whose network is so sure of the classes of `path`, one a frame.
    fn heard(decoder: &PhraseDecoder, text: &str, path: &str, sure: f32) -> HeardPhrases {
        let tokens = Tokens::characters();
        let rest = (1.0 - sure) / (tokens.len() - 1) as f32;
        let rows = path.chars().flat_map(|character| {
            let class = match character {
                '.' => 0,
                ' ' => tokens.id("▁").unwrap() as usize,
                letter => tokens.id(&letter.to_string()).unwrap() as usize,
            };
            let value = move |other| if other == class { sure } else { rest };
            (0..tokens.len()).map(move |other| value(other).ln())
        });
        let rows: Vec<f32> = rows.collect();
        let mut search = decoder.begin(0.04);
        search.push(LogProbs::new(&rows, tokens.len()), 0.0);
        let words: Vec<&str> = text.split_whitespace().collect();
        HeardPhrases {
            found: vec![search.found()],
            said: nothing_but_phrases(decoder, &words),
            inside: Vec::new(),
            audio_secs: 1800.0,
            encoding_secs: 18.0,
            searching_secs: 9.0,
        }
    }

    #[test]
    fn all_figures_of_a_list_are_those_counted_by_hand() {
        let list = PhraseList::parse("go <digit:n>\nstop\n").unwrap();
        let config = PhraseConfig {
            threshold: 0.3,
            inside_speech: false,
        };
        let decoder = PhraseDecoder::new(&list, &Tokens::characters(), config).unwrap();
        let said = [
            heard(&decoder, "go two", "..go. .two..", 0.9),
            heard(&decoder, "go three", "..go. .two..", 0.9),
            heard(&decoder, "stop", "..xyz. .abc..", 0.9),
            heard(&decoder, "stop", "..st.op..", 0.9),
        ];
        // Nobody said anything there, and the network is less sure.
        let noise = [
            heard(&decoder, "", "..st.op..", 0.7),
            heard(&decoder, "", ".........", 0.9),
        ];
        let rejected = [("noise".to_owned(), Vec::from(noise))];
        let trial = PhraseTrial::new("m".to_owned(), &decoder, &said, &rejected, 0.7);
        let report = &trial.report;
        assert_eq!((report.phrases, report.wrong, report.missed), (4, 0, 1));
        assert_eq!((report.phrase_error_rate, report.detection), (0.25, 0.75));
        // Of the three that were heard, two had a slot, and one of those a wrong value.
        assert_eq!((report.slots, report.slot_errors), (2, 1));
        assert_eq!((report.slot_error_rate, report.understood), (0.5, 0.5));
        assert!(report.understood_low < 0.5 && report.understood_high > 0.5);
        assert!((report.real_time_factor - 27.0 / 1800.0).abs() < 1e-9);
        // 9 frames of 0.9 and of 0.7 over four letters: 0.789 and 0.448; 12 of 0.9 over five: 0.777.
        let threshold = trial.threshold_at_detection.unwrap();
        assert!((0.75..0.8).contains(&threshold), "{threshold}");
        let set = &trial.rejected[0];
        assert_eq!((set.name.as_str(), set.hours), ("noise", 1.0));
        let once = set.at_threshold;
        assert_eq!((once.count, once.per_hour), (1, 1.0));
        assert!((once.most_per_hour - 4.74).abs() < 0.05, "{once:?}");
        assert_eq!(set.at_detection.unwrap().count, 0);
        let at = |threshold: f32| {
            let points = trial.curve.iter();
            let mut found = points.filter(|point| point.threshold == threshold);
            let point = found.next().unwrap();
            (point.detection, point.false_accepts_per_hour)
        };
        assert_eq!(at(0.3), (0.75, 1.0));
        assert_eq!(at(0.6), (0.75, 0.0));
        assert_eq!(at(0.9), (0.0, 0.0));
        let svg = curve_chart("a list", std::slice::from_ref(&trial)).unwrap();
        assert!(svg.contains("false accepts an hour (at the left end: none)"));
        let lines = trial.summary(0.7).join("\n");
        assert!(
            lines.contains("noise, 1.000 h: 1 false accepts, 1.00 an hour"),
            "{lines}"
        );
    }

    fn point(threshold: f32, detection: f64, false_accepts_per_hour: f64) -> CurvePoint {
        CurvePoint {
            threshold,
            detection,
            false_accepts_per_hour,
        }
    }

    #[test]
    fn of_thresholds_with_the_same_false_accepts_the_one_that_hears_most_is_drawn() {
        let curve = [
            point(0.0, 0.98, 100.0),
            point(0.1, 0.97, 10.0),
            point(0.2, 0.90, 10.0),
            point(0.3, 0.80, 0.0),
            point(0.4, 0.60, 0.0),
        ];
        let points: Vec<(f64, f64)> = corners(&curve, 0.1).iter().map(|p| (p.x, p.y)).collect();
        assert_eq!(points, [(-1.0, 80.0), (1.0, 97.0), (2.0, 98.0)]);
    }
}
