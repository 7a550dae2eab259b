//! What an adaptation gave, for programs and for people.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::judge::Figures;
use crate::costs::Cost;

/// The result, kept as `report.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdaptReport {
    /// The list, with a threshold for each student in it.
    pub phrases: PathBuf,
    /// Who spoke.
    pub voices: String,
    /// How far the students went from their shipped weights to what was learned, 0 to 1.
    pub strength: f32,
    /// The strength that was asked for, if any was.
    #[serde(default)]
    pub asked_strength: Option<f32>,
    /// Strengths that were tried on recordings that were kept back.
    #[serde(default)]
    pub tried: Vec<TriedStrength>,
    /// Of training and its validation.
    pub training: Cost,
    /// By student.
    pub students: Vec<AdaptedStudent>,
}

/// What one strength gave, all students together, on recordings that taught nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TriedStrength {
    /// 0 to 1.
    pub strength: f32,
    /// Wrong, missed and invented phrases, and wrong slots.
    pub errors: usize,
    /// That were said.
    pub phrases: usize,
}

impl std::fmt::Display for TriedStrength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.0} % of the way to what was learned: {} errors in {} phrases that were kept back",
            self.strength * 100.0,
            self.errors,
            self.phrases
        )
    }
}

/// One student.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdaptedStudent {
    /// As its folder is called.
    pub name: String,
    /// Its model folder.
    pub folder: PathBuf,
    /// As it was shipped.
    pub before: Figures,
    /// As it is now.
    pub after: Figures,
}

impl AdaptReport {
    /// A Markdown table and what it is of.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# Adapted to {}\n\nSynthetic voices that taught nothing ({}); a person may be heard \
             worse. Errors in %, with 95 % intervals.\n\n",
            self.phrases.display(),
            self.voices
        );
        for line in self.table() {
            text.push_str(&line);
            text.push('\n');
        }
        text.push_str(&format!(
            "\nThe students went {:.0} % of the way from their weights to what was learned.\n",
            self.strength * 100.0
        ));
        for tried in &self.tried {
            text.push_str(&format!("\n- {tried}"));
        }
        text.push_str(&format!(
            "\nTraining took {:.0} s, {:.0} s of processors.\n",
            self.training.wall_secs, self.training.cpu_secs
        ));
        text
    }

    /// The table's lines.
    pub fn table(&self) -> Vec<String> {
        let mut lines = vec![
            "| student | phrase errors % | slots wrong | near misses taken for a phrase | false accepts | threshold |"
                .to_owned(),
            "| --- | ---: | ---: | ---: | ---: | ---: |".to_owned(),
        ];
        for student in &self.students {
            for (when, figures) in [("before", &student.before), ("after", &student.after)] {
                lines.push(row(&format!("{}, {when}", student.name), figures));
            }
        }
        lines
    }

    /// What to do next, a line each.
    pub fn next(&self) -> Vec<String> {
        let Some(student) = self.students.first() else {
            return Vec::new();
        };
        let (model, list) = (student.folder.display(), self.phrases.display());
        vec![
            format!("hear a file:      fledge transcribe CLIP.wav --model {model} --phrases {list}"),
            format!("measure it on people: fledge evaluate --model {model} --phrases {list} --manifest MANIFEST.jsonl"),
            "record your own:  fledge adapt --record recordings --phrases LIST, then adapt with --recordings recordings".to_owned(),
        ]
    }
}

fn row(name: &str, figures: &Figures) -> String {
    let percent = |rate: f64| rate * 100.0;
    format!(
        "| {name} | {:.1} ({:.1} to {:.1}) of {} | {} of {} | {} of {} | {} in {:.2} h | {:.2} |",
        percent(figures.phrase_error_rate),
        percent(figures.phrase_error_low),
        percent(figures.phrase_error_high),
        figures.phrases,
        figures.slot_errors,
        figures.slots,
        figures.others_accepted,
        figures.others,
        figures.general_accepted,
        figures.general_hours,
        figures.threshold
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_student_before_and_after() {
        let figures = |phrase_error_rate| Figures {
            threshold: 0.35,
            phrases: 200,
            phrase_error_rate,
            phrase_error_low: 0.01,
            phrase_error_high: 0.2,
            slots: 40,
            slot_errors: 2,
            others: 60,
            others_accepted: 3,
            general_hours: 0.25,
            general_accepted: 1,
        };
        let report = AdaptReport {
            phrases: "lights.txt".into(),
            voices: "flite (slt)".to_owned(),
            strength: 0.3,
            asked_strength: None,
            tried: Vec::new(),
            training: Cost::default(),
            students: vec![AdaptedStudent {
                name: "tiny".to_owned(),
                folder: "models/tiny".into(),
                before: figures(0.125),
                after: figures(0.03),
            }],
        };
        assert_eq!(
            report.table()[2..],
            [
                "| tiny, before | 12.5 (1.0 to 20.0) of 200 | 2 of 40 | 3 of 60 | 1 in 0.25 h | 0.35 |",
                "| tiny, after | 3.0 (1.0 to 20.0) of 200 | 2 of 40 | 3 of 60 | 1 in 0.25 h | 0.35 |",
            ]
        );
    }
}
