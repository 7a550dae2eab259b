//! Phrases that are likelier than the language model believes.

use serde::{Deserialize, Serialize};

use super::DecodeError;

/// Longest text of a list.
pub const MAX_BOOST_BYTES: usize = 1 << 20;
/// Most that a word may be boosted by, nats.
const MAX_WEIGHT: f32 = 100.0;

/// One phrase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Boost {
    /// Its words.
    pub phrase: String,
    /// What is added to the score of a hypothesis for each word of the phrase where it stands in it,
    /// nats, 0 to 100.
    pub weight: f32,
    /// Where it was written, from 1: its line, or its place in a list of another form.
    pub line: usize,
}

/// Phrases, each with its weight.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BoostList {
    /// In the order they were written.
    pub boosts: Vec<Boost>,
}

impl BoostList {
    /// Of a word that has no other weight. Chosen on development sets (docs/own-words.md).
    pub const DEFAULT_WEIGHT: f32 = 4.0;

    /// Of phrases in order, each with a weight or the usual one.
    ///
    /// # Errors
    /// [`DecodeError::Boost`] for a phrase without a word or with a weight out of range; none, and more
    /// than [`MAX_BOOST_BYTES`] of them, are errors, too.
    pub fn new(
        phrases: impl IntoIterator<Item = (String, Option<f32>)>,
    ) -> Result<Self, DecodeError> {
        let boosts = (1..).zip(phrases).map(|(line, (phrase, weight))| {
            Boost::new(phrase.trim(), weight.unwrap_or(Self::DEFAULT_WEIGHT), line)
        });
        let boosts = boosts.collect::<Result<Vec<_>, _>>()?;
        Self { boosts }.checked()
    }

    /// Reads a list: a phrase a line, and behind ` :` a weight of its own (`mister quilter :2.5`). `#`
    /// begins a comment.
    ///
    /// # Errors
    /// [`DecodeError::Boost`] for a line that is wrong, [`DecodeError::Setting`] for a weight out of
    /// range, and if there is no phrase or the text is over [`MAX_BOOST_BYTES`].
    pub fn parse(text: &str, weight: f32) -> Result<Self, DecodeError> {
        check_weight(weight).map_err(|expected| DecodeError::Setting {
            name: "boost_weight",
            value: weight.to_string(),
            expected,
        })?;
        check_bytes(text.len())?;
        let mut boosts = Vec::new();
        for (line, content) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let content = content.split('#').next().unwrap_or_default().trim();
            if content.is_empty() {
                continue;
            }
            let (phrase, weight) = match content.rsplit_once(':') {
                Some((phrase, own)) => {
                    let own = own.trim();
                    let value: f32 = own
                        .parse()
                        .map_err(|_| failed(line, format!("{own:?} is no weight, such as :2.5")))?;
                    (phrase.trim(), value)
                }
                None => (content, weight),
            };
            boosts.push(Boost::new(phrase, weight, line)?);
        }
        Self { boosts }.checked()
    }

    fn checked(self) -> Result<Self, DecodeError> {
        if self.boosts.is_empty() {
            return Err(failed(1, "the list holds no phrase"));
        }
        let bytes = self.boosts.iter().map(|boost| boost.phrase.len());
        check_bytes(bytes.sum())?;
        Ok(self)
    }
}

impl Boost {
    fn new(phrase: &str, weight: f32, line: usize) -> Result<Self, DecodeError> {
        check_weight(weight)
            .map_err(|expected| failed(line, format!("the weight is {weight}: {expected}")))?;
        if phrase.is_empty() {
            return Err(failed(line, "there is no word"));
        }
        Ok(Self {
            phrase: phrase.to_owned(),
            weight,
            line,
        })
    }
}

fn failed(line: usize, reason: impl Into<String>) -> DecodeError {
    let reason = reason.into();
    DecodeError::Boost { line, reason }
}

fn check_bytes(bytes: usize) -> Result<(), DecodeError> {
    if bytes <= MAX_BOOST_BYTES {
        return Ok(());
    }
    let reason = format!("the list has {bytes} bytes, more than the limit of {MAX_BOOST_BYTES}");
    Err(failed(1, reason))
}

fn check_weight(weight: f32) -> Result<(), &'static str> {
    if (0.0..=MAX_WEIGHT).contains(&weight) {
        Ok(())
    } else {
        Err("expected 0 to 100")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_is_a_phrase_with_the_usual_weight_or_its_own() {
        let text = "\u{feff}# names\nmister quilter :2.5\n\n Linnell  # a painter\n";
        let list = BoostList::parse(text, 4.0).unwrap();
        let found: Vec<(&str, f32, usize)> = list
            .boosts
            .iter()
            .map(|boost| (boost.phrase.as_str(), boost.weight, boost.line))
            .collect();
        assert_eq!(found, [("mister quilter", 2.5, 2), ("Linnell", 4.0, 4)]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, wrong_line, told) in [
            ("one\ntwo :much", 2, "no weight"),
            ("one\n\n:3", 3, "no word"),
            ("one :-1", 1, "expected 0 to 100"),
            ("one :NaN", 1, "expected 0 to 100"),
            ("# nothing", 1, "no phrase"),
        ] {
            match BoostList::parse(text, 4.0) {
                Err(DecodeError::Boost { line, reason }) => {
                    assert_eq!(line, wrong_line, "{text}");
                    assert!(reason.contains(told), "{text}: {reason}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        for phrases in [
            vec![],
            vec![(" ".to_owned(), None)],
            vec![("one".to_owned(), Some(-1.0))],
        ] {
            assert!(BoostList::new(phrases).is_err());
        }
        let weight = BoostList::parse("one", 101.0);
        assert!(matches!(weight, Err(DecodeError::Setting { .. })));
        let long = "one\n".repeat(MAX_BOOST_BYTES / 4 + 1);
        assert!(BoostList::parse(&long, 4.0).is_err());
    }
}
