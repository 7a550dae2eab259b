//! What a check of the published figures measured, as a report that can be kept and shared.

use serde::{Deserialize, Serialize};

use crate::{figures, json};

/// One student with one decoder on one engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub student: String,
    /// Of the download, a language model left out.
    pub bytes: f64,
    /// `greedy`, or `beam` with a language model.
    pub decoder: String,
    /// What computed.
    pub engine: String,
    pub clips: usize,
    pub words: usize,
    pub errors: usize,
    /// Fractions; the interval is 95 % by bootstrap over clips.
    pub wer: f64,
    pub wer_low: f64,
    pub wer_high: f64,
    /// The card's figure of the same decoder on the whole test set, and its words.
    pub published_wer: Option<f64>,
    pub published_words: u64,
    /// Milliseconds from samples to words: of the first clip after loading, and of the clips after
    /// it, at the least, in the middle, at the most.
    pub first_ms: f64,
    pub least_ms: f64,
    pub median_ms: f64,
    pub most_ms: f64,
    /// Seconds of sound a second of computing.
    pub speed: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub family: String,
    /// The test set that the clips are part of.
    pub set: String,
    /// What the browser says of itself.
    pub browser: String,
    pub rows: Vec<Row>,
}

/// Headings of [`Row::cells`].
pub const HEADINGS: [&str; 8] = [
    "Student",
    "Decoder",
    "Engine",
    "Wrong words here",
    "Published",
    "First clip",
    "Median clip",
    "Speed",
];

impl Row {
    pub fn decoder_words(&self) -> &'static str {
        if self.decoder == "beam" {
            "language model"
        } else {
            "greedy"
        }
    }

    /// Whoever makes a link can write anything into it.
    fn is_plausible(&self) -> bool {
        let figures = [
            self.wer,
            self.wer_low,
            self.wer_high,
            self.first_ms,
            self.least_ms,
            self.median_ms,
            self.most_ms,
            self.speed,
        ];
        self.bytes >= 1.0
            && [self.bytes]
                .iter()
                .chain(&figures)
                .all(|value| (0.0..1e15).contains(value))
    }

    pub fn cells(&self) -> [String; 8] {
        let percent = figures::percent;
        let published = self.published_wer.map_or_else(
            || "–".to_owned(),
            |wer| format!("{} ({} words)", percent(wer), self.published_words),
        );
        [
            format!("{}, {}", self.student, figures::bytes(self.bytes)),
            self.decoder_words().to_owned(),
            self.engine.clone(),
            format!(
                "{} ({} to {}), {} of {}",
                percent(self.wer),
                percent(self.wer_low),
                percent(self.wer_high),
                self.errors,
                self.words
            ),
            published,
            figures::milliseconds(self.first_ms),
            format!(
                "{} ({} to {})",
                figures::milliseconds(self.median_ms),
                figures::milliseconds(self.least_ms),
                figures::milliseconds(self.most_ms)
            ),
            format!("{} real time", figures::times(self.speed)),
        ]
    }
}

impl Report {
    /// A table as Markdown writes it.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let headings = HEADINGS.map(str::to_owned);
        let mut text = format!("{}, {} ({})\n\n", self.family, self.set, self.browser);
        text += &line(&headings);
        text += &line(&headings.map(|_| "---".to_owned()));
        for row in &self.rows {
            text += &line(&row.cells().map(|cell| cell.replace('|', "\\|")));
        }
        text
    }

    pub fn json(&self) -> String {
        json::write(self)
    }

    /// Reads what [`Self::json`] wrote; `None` for anything else, and for figures that no machine measures.
    pub fn from_json(text: &str) -> Option<Self> {
        let report: Self = json::read(text).ok()?;
        report.rows.iter().all(Row::is_plausible).then_some(report)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn report() -> Report {
        let row = Row {
            student: "a|b".to_owned(),
            bytes: 322_152.0,
            decoder: "beam".to_owned(),
            engine: "CPU".to_owned(),
            clips: 20,
            words: 200,
            errors: 50,
            wer: 0.25,
            wer_low: 0.2,
            wer_high: 0.31,
            published_wer: Some(0.27),
            published_words: 5_278,
            first_ms: 61.2,
            least_ms: 20.0,
            median_ms: 25.4,
            most_ms: 31.0,
            speed: 180.4,
        };
        Report {
            family: "Read English".to_owned(),
            set: "libri-test".to_owned(),
            browser: "X".to_owned(),
            rows: vec![row],
        }
    }

    #[test]
    fn a_table_names_decoder_engine_interval_and_counts() {
        let lines: Vec<String> = report().markdown().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(
            lines[4],
            "| a\\|b, 322 kB | language model | CPU | 25.0 % (20.0 % to 31.0 %), 50 of 200 | \
             27.0 % (5278 words) | 61 ms | 25 ms (20 ms to 31 ms) | 180× real time |"
        );
    }

    #[test]
    fn a_report_survives_being_written() {
        assert_eq!(Report::from_json(&report().json()), Some(report()));
        assert_eq!(Report::from_json("{}"), None);
    }

    #[test]
    fn a_link_with_figures_that_nobody_measures_is_no_report() {
        let changed = |change: fn(&mut Row)| {
            let mut report = report();
            change(&mut report.rows[0]);
            Report::from_json(&report.json())
        };
        assert!(changed(|row| row.least_ms = 0.0).is_some());
        assert_eq!(changed(|row| row.bytes = 1e-310), None);
        assert_eq!(changed(|row| row.median_ms = 1e300), None);
        assert_eq!(changed(|row| row.wer = -0.1), None);
    }
}
