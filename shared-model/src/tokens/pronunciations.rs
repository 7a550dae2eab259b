//! How words are pronounced: a lexicon as the CMU Pronouncing Dictionary writes one.

use std::collections::{BTreeMap, btree_map::Entry};

use super::phone_character;

/// Longest text of a lexicon.
pub const MAX_PRONUNCIATIONS_BYTES: usize = 64 << 20;
/// Most pronunciations of all words together.
pub const MAX_PRONUNCIATIONS: usize = 1_000_000;
/// Most pronunciations of one word.
pub const MAX_PRONUNCIATIONS_PER_WORD: usize = 16;
/// Longest word of a lexicon, in bytes of UTF-8.
pub const MAX_PRONOUNCED_WORD_BYTES: usize = 128;
/// Longest pronunciation, in phones.
pub const MAX_PRONUNCIATION_PHONES: usize = 64;

/// A lexicon that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum PronunciationError {
    /// What is wrong with a line.
    #[error("line {line} of the pronunciations: {reason}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// What is wrong with the text as a whole.
    #[error("pronunciations: {0}")]
    Text(String),
}

/// Words with their pronunciations.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pronunciations {
    words: BTreeMap<String, Vec<String>>,
}

impl Pronunciations {
    /// Reads a lexicon: a line is a word and its phones in ARPAbet, with or without stress
    /// (`cheese CH IY1 Z`). A word may have several lines; `cheese(2)` counts as `cheese`, and
    /// capitals as small letters. Blank lines are left out, and so is what stands behind `;;;`, or
    /// behind a `#` that begins a line or follows a space. A pronunciation that differs from an earlier
    /// one of its word in stress alone is the same.
    ///
    /// # Errors
    /// [`PronunciationError::Line`] for a word without phones, a phone that ARPAbet lacks, and a word
    /// or a pronunciation over its limit; [`PronunciationError::Text`] if there is no word, or more
    /// than [`MAX_PRONUNCIATIONS_BYTES`] or [`MAX_PRONUNCIATIONS`].
    pub fn from_text(text: &str) -> Result<Self, PronunciationError> {
        if text.len() > MAX_PRONUNCIATIONS_BYTES {
            return Err(PronunciationError::Text(format!(
                "the text has {} bytes, more than the limit of {MAX_PRONUNCIATIONS_BYTES}",
                text.len()
            )));
        }
        let mut all = Self::default();
        let mut num_pronunciations = 0;
        for (line, content) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let failed = |reason| PronunciationError::Line { line, reason };
            let Some((word, phones)) = read_line(content).map_err(failed)? else {
                continue;
            };
            num_pronunciations += usize::from(all.add(word, phones).map_err(failed)?);
            if num_pronunciations > MAX_PRONUNCIATIONS {
                return Err(failed(format!(
                    "the lexicon has more than the limit of {MAX_PRONUNCIATIONS} pronunciations"
                )));
            }
        }
        if all.words.is_empty() {
            return Err(PronunciationError::Text("there is no word".into()));
        }
        Ok(all)
    }

    /// The pronunciations of a word in the order of its lines, each a character a phone
    /// ([`super::phone_tokens`]).
    pub fn get(&self, word: &str) -> Option<&[String]> {
        self.words.get(word).map(Vec::as_slice)
    }

    /// All words in the order of their bytes, with their pronunciations as [`Self::get`] gives them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        let words = self.words.iter();
        words.map(|(word, pronunciations)| (word.as_str(), pronunciations.as_slice()))
    }

    /// How many words there are.
    pub fn num_words(&self) -> usize {
        self.words.len()
    }

    /// The phones of a text's words, each in its first pronunciation, a space between words; none if
    /// a word has no pronunciation.
    pub fn spell(&self, text: &str) -> Option<String> {
        let words = text.split_whitespace();
        let phones: Option<Vec<&str>> = words
            .map(|word| Some(self.get(word)?.first()?.as_str()))
            .collect();
        Some(phones?.join(" "))
    }

    /// Whether the word had no such pronunciation before.
    fn add(&mut self, word: String, phones: String) -> Result<bool, String> {
        match self.words.entry(word) {
            Entry::Vacant(new) => {
                new.insert(vec![phones]);
            }
            Entry::Occupied(known) if known.get().contains(&phones) => return Ok(false),
            Entry::Occupied(known) if known.get().len() == MAX_PRONUNCIATIONS_PER_WORD => {
                return Err(format!(
                    "{:?} has more than the limit of {MAX_PRONUNCIATIONS_PER_WORD} pronunciations",
                    known.key()
                ));
            }
            Entry::Occupied(mut known) => known.get_mut().push(phones),
        }
        Ok(true)
    }
}

/// A line's word and its phones, a character each; nothing for a line without a word.
fn read_line(content: &str) -> Result<Option<(String, String)>, String> {
    let content = content.split(";;;").next().unwrap_or_default();
    let mut fields = content
        .split_whitespace()
        .take_while(|field| !field.starts_with('#'));
    let Some(word) = fields.next().map(without_number) else {
        return Ok(None);
    };
    if word.len() > MAX_PRONOUNCED_WORD_BYTES {
        return Err(format!(
            "the word has {} bytes, more than the limit of {MAX_PRONOUNCED_WORD_BYTES}",
            word.len()
        ));
    }
    let mut phones = String::new();
    for (index, field) in fields.enumerate() {
        if index == MAX_PRONUNCIATION_PHONES {
            return Err(format!(
                "{word:?} has more than the limit of {MAX_PRONUNCIATION_PHONES} phones"
            ));
        }
        let phone = phone_character(field)
            .ok_or_else(|| format!("{field:?} is no phone of ARPAbet, such as CH or IY1"))?;
        phones.push(phone);
    }
    if phones.is_empty() {
        return Err(format!("{word:?} has no phone behind it"));
    }
    Ok(Some((word.to_lowercase(), phones)))
}

/// `word` of `word(2)`.
fn without_number(word: &str) -> &str {
    let number = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    match word
        .strip_suffix(')')
        .and_then(|word| word.rsplit_once('('))
    {
        Some((base, rest)) if !base.is_empty() && number(rest) => base,
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(text: &str, wrong_line: usize, told: &str) {
        match Pronunciations::from_text(text) {
            Err(PronunciationError::Line { line, reason }) => {
                assert_eq!(line, wrong_line, "{text}");
                assert!(reason.contains(told), "{text}: {reason}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_word_has_the_pronunciations_of_its_lines_in_order() {
        let text = "\u{feff};;; a lexicon\n# of two words\n\nTHE DH AH0\nthe(2)\tDH  IY1\n\
                    the(3) DH AH1\ncheese CH IY1 Z # dairy\n";
        let lexicon = Pronunciations::from_text(text).unwrap();
        let all: Vec<(&str, Vec<&str>)> = lexicon
            .iter()
            .map(|(word, all)| (word, all.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(all, [("cheese", vec!["ʧiz"]), ("the", vec!["ðʌ", "ði"])]);
        assert_eq!(lexicon.num_words(), 2);
        assert_eq!(lexicon.get("the(2)"), None);
    }

    #[test]
    fn a_text_is_spelt_with_first_pronunciations_if_all_its_words_have_one() {
        let lexicon = Pronunciations::from_text("the DH AH0\nthe DH IY0\ncheese CH IY1 Z").unwrap();
        assert_eq!(lexicon.spell("the cheese").as_deref(), Some("ðʌ ʧiz"));
        assert_eq!(lexicon.spell("the whey"), None);
        assert_eq!(lexicon.spell("").as_deref(), Some(""));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        refused("the DH AH0\n\ncheese", 3, "no phone behind it");
        refused("the DH AH0\ncheese CH IE Z", 2, "\"IE\" is no phone");
        refused("the # DH AH0", 1, "no phone behind it");
        refused(
            &format!("{} AH0", "a".repeat(MAX_PRONOUNCED_WORD_BYTES + 1)),
            1,
            "129 bytes",
        );
        let phones = " AH0".repeat(MAX_PRONUNCIATION_PHONES);
        assert!(Pronunciations::from_text(&format!("a{phones}")).is_ok());
        refused(&format!("a{phones} AH0"), 1, "64 phones");
        let lines: String = (0..=MAX_PRONUNCIATIONS_PER_WORD)
            .map(|n| format!("a{}\n", " AH0".repeat(n + 1)))
            .collect();
        refused(&lines, 17, "16 pronunciations");
    }

    #[test]
    fn a_lexicon_without_a_word_or_over_its_limit_is_refused() {
        for text in ["", "# nothing\n"] {
            let error = Pronunciations::from_text(text).unwrap_err();
            assert_eq!(error.to_string(), "pronunciations: there is no word");
        }
        let long = " ".repeat(MAX_PRONUNCIATIONS_BYTES + 1);
        assert!(matches!(
            Pronunciations::from_text(&long),
            Err(PronunciationError::Text(reason)) if reason.contains("limit")
        ));
    }
}
