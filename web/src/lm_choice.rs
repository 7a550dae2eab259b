//! Which of a family's language models a student writes with.

use crate::{catalog::ModelSummary, figures, protocol::RemoteFile};

/// What the visitor asked for (`?lm=` or the page's settings).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LmChoice {
    /// The student's own spelling.
    None,
    #[default]
    Small,
    Large,
}

impl LmChoice {
    pub const ALL: [Self; 3] = [Self::None, Self::Small, Self::Large];

    /// Reads the value of `lm`; anything unknown is the small one.
    pub fn from_name(name: &str) -> Self {
        match name {
            "none" => Self::None,
            "large" => Self::Large,
            _ => Self::Small,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Small => "small",
            Self::Large => "large",
        }
    }
}

/// The language models that go with a student.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LanguageModels {
    pub small: Option<RemoteFile>,
    pub large: Option<RemoteFile>,
}

impl LanguageModels {
    /// What a choice comes to: where there is no larger one, to the small one.
    pub fn within(&self, choice: LmChoice) -> LmChoice {
        match (choice, &self.large) {
            (LmChoice::Large, None) => LmChoice::Small,
            _ => choice,
        }
    }

    /// The file that a choice comes to.
    pub fn file(&self, choice: LmChoice) -> Option<&RemoteFile> {
        match self.within(choice) {
            LmChoice::None => None,
            LmChoice::Small => self.small.as_ref(),
            LmChoice::Large => self.large.as_ref(),
        }
    }
}

/// What a choice costs and gives: the size of its file, and the published error rates on a test set of
/// the students that have one with exactly this file.
pub fn told<'a>(
    lm: Option<&RemoteFile>,
    set: &str,
    students: impl Iterator<Item = &'a ModelSummary>,
) -> String {
    let bytes = lm.and_then(|file| file.bytes);
    let mut text = bytes.map_or_else(String::new, figures::bytes);
    let mut is_first = true;
    for student in students {
        let Some(found) = student.evaluation(set, lm.map(RemoteFile::name)) else {
            continue;
        };
        if !text.is_empty() {
            text += ", ";
        }
        if is_first {
            text += "wrong words on ";
            text += set;
            text += ": ";
        }
        is_first = false;
        // No line ends between a student and its rate.
        text += &student.name;
        text += "\u{a0}";
        text += &figures::percent(found.wer).replace(' ', "\u{a0}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn file(name: &str, bytes: f64) -> RemoteFile {
        RemoteFile {
            url: format!("https://example.org/lm/{name}"),
            bytes: Some(bytes),
            sha256: None,
        }
    }

    fn student(name: &str, evaluations: &str) -> ModelSummary {
        let text = format!(
            r#"{{"name":"{name}","parameters":1,"files":[],"evaluations":[{evaluations}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_choice_survives_being_named_and_anything_else_is_the_small_one() {
        for choice in LmChoice::ALL {
            assert_eq!(LmChoice::from_name(choice.name()), choice);
        }
        assert_eq!(LmChoice::from_name("largest"), LmChoice::Small);
    }

    #[test]
    fn where_there_is_no_larger_one_the_small_one_is_taken() {
        let (small, large) = (file("x.bin", 1e6), file("x-large.bin", 3e6));
        let mut lms = LanguageModels {
            small: Some(small.clone()),
            large: Some(large.clone()),
        };
        let files = LmChoice::ALL.map(|choice| lms.file(choice));
        assert_eq!(files, [None, Some(&small), Some(&large)]);
        lms.large = None;
        assert_eq!(lms.within(LmChoice::Large), LmChoice::Small);
        assert_eq!(lms.file(LmChoice::Large), Some(&small));
        assert_eq!(LanguageModels::default().file(LmChoice::Large), None);
    }

    #[test]
    fn a_choice_tells_its_size_and_the_rates_that_are_published_with_that_file() {
        let medium = student(
            "medium",
            r#"{"set":"test","decoder":"greedy","words":20,"wer":0.4},
               {"set":"test","decoder":"beam","lm":"x.bin","words":20,"wer":0.3},
               {"set":"dev","decoder":"beam","lm":"x-large.bin","words":10,"wer":0.1}"#,
        );
        let tiny = student(
            "tiny",
            r#"{"set":"test","decoder":"greedy","words":20,"wer":0.5}"#,
        );
        let told = |lm| {
            let told = told(lm, "test", [&medium, &tiny].into_iter());
            told.replace('\u{a0}', " ")
        };
        assert_eq!(
            told(None),
            "wrong words on test: medium 40.0 %, tiny 50.0 %"
        );
        let (small, large) = (file("x.bin", 1.3e6), file("x-large.bin", 3.3e6));
        assert_eq!(
            told(Some(&small)),
            "1.3 MB, wrong words on test: medium 30.0 %"
        );
        // A rate on another set is none of this one.
        assert_eq!(told(Some(&large)), "3.3 MB");
    }
}
