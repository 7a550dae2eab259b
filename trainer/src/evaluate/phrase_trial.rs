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
                false_accepts_per_hour: false_accepts(
                    heard,
                    &with_threshold(own, point.threshold),
                )
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
        x_label: "false accepts an hour",
        y_label: "phrases heard, %",
        series: series.collect(),
        x_text: &|x| {
            let rate = 10f64.powf(x);
            if rate < none * 1.01 {
                return "none".to_owned();
            }
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
    use super::*;

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
