//! The phones of transcripts: what phone heads learn.

use std::path::Path;

use shared_model::tokens::{
    MAX_PRONUNCIATIONS_BYTES, Pronunciations, Tokens, normalize_text, phone_tokens,
};

use super::{DataError, Example};
use crate::{files::read_limited, loss::is_feasible};

/// Spells transcripts in phones: each word as its first pronunciation, `▁` between words.
#[derive(Debug, Clone)]
pub struct PhoneSpelling {
    tokens: Tokens,
    pronunciations: Pronunciations,
    phones: Tokens,
}

/// How words are pronounced, from a file.
///
/// # Errors
/// A file that cannot be read, or is none of pronunciations.
pub fn read_pronunciations(path: &Path) -> Result<Pronunciations, DataError> {
    let failed = |reason: String| DataError::Pronunciations {
        path: path.to_owned(),
        reason,
    };
    let bytes = read_limited(path, MAX_PRONUNCIATIONS_BYTES as u64)
        .map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text".into()))?;
    Pronunciations::from_text(&text).map_err(|error| failed(error.to_string()))
}

/// Of how many utterances a phone head can learn.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PhoneCoverage {
    /// All of them.
    pub utterances: usize,
    /// Those with a word that has no pronunciation.
    pub unknown: usize,
    /// Those with more phones than frames.
    pub infeasible: usize,
    /// A word without a pronunciation.
    pub example: Option<String>,
}

impl PhoneSpelling {
    /// - `tokens`: what transcripts are spelled with.
    pub fn new(tokens: &Tokens, pronunciations: Pronunciations) -> Self {
        Self {
            tokens: tokens.clone(),
            pronunciations,
            phones: phone_tokens(),
        }
    }

    /// As [`Self::new`], from a file of pronunciations.
    ///
    /// # Errors
    /// A file that cannot be read, or is none of pronunciations.
    pub fn read(path: &Path, tokens: &Tokens) -> Result<Self, DataError> {
        Ok(Self::new(tokens, read_pronunciations(path)?))
    }

    /// How words are pronounced.
    pub fn pronunciations(&self) -> &Pronunciations {
        &self.pronunciations
    }

    /// What phones are spelled with.
    pub fn phones(&self) -> &Tokens {
        &self.phones
    }

    /// The phones of a transcript's tokens; empty if there are none, or a word has no pronunciation.
    pub fn targets(&self, transcript: &[u32]) -> Vec<u32> {
        let spelled = self.pronunciations.spell(&self.tokens.decode(transcript));
        let ids = spelled.and_then(|phones| self.phones.encode(&phones).ok());
        ids.unwrap_or_default()
    }

    /// Of how many of `examples` a phone head can learn.
    ///
    /// - `frames`: encoder frames of an utterance of so many seconds; 0 where the length is unknown.
    pub fn coverage(&self, examples: &[Example], frames: &dyn Fn(f64) -> usize) -> PhoneCoverage {
        let mut coverage = PhoneCoverage {
            utterances: examples.len(),
            ..PhoneCoverage::default()
        };
        for Example { utterance, targets } in examples {
            let phones = self.targets(targets);
            let secs = utterance.duration_secs;
            if phones.is_empty() {
                coverage.unknown += 1;
                let text = normalize_text(&utterance.text);
                let mut words = text.split_whitespace();
                let unknown = words.find(|word| self.pronunciations.get(word).is_none());
                let example = coverage.example.take();
                coverage.example = example.or_else(|| unknown.map(str::to_owned));
            } else if secs > 0.0 && !is_feasible(frames(secs), &phones) {
                coverage.infeasible += 1;
            }
        }
        coverage
    }
}

impl std::fmt::Display for PhoneCoverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let usable = self.utterances - self.unknown - self.infeasible;
        write!(f, "{usable} of {} utterances", self.utterances)?;
        if usable == self.utterances {
            return Ok(());
        }
        write!(f, "; for characters alone count")?;
        let mut separator = " ";
        if self.unknown > 0 {
            write!(f, " {} with a word without a pronunciation", self.unknown)?;
            if let Some(example) = &self.example {
                write!(f, " (such as \"{example}\")")?;
            }
            separator = ", ";
        }
        if self.infeasible > 0 {
            write!(
                f,
                "{separator}{} with more phones than frames",
                self.infeasible
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::data::Utterance;

    fn spelling() -> PhoneSpelling {
        let lexicon = "the DH AH0\nthe DH IY0\ncheese CH IY1 Z\n";
        let pronunciations = Pronunciations::from_text(lexicon).unwrap();
        PhoneSpelling::new(&Tokens::characters(), pronunciations)
    }

    #[test]
    fn a_transcript_becomes_the_first_pronunciations_of_its_words() {
        let spelling = spelling();
        let phones = |text: &str| {
            let targets = spelling.targets(&Tokens::characters().encode(text).unwrap());
            spelling.phones().decode(&targets)
        };
        assert_eq!(phones("the cheese"), "ðʌ ʧiz");
        assert_eq!(phones("the whey"), "");
        assert_eq!(phones(""), "");
    }

    #[test]
    fn utterances_that_a_phone_head_cannot_learn_are_counted() {
        let example = |text: &str, duration_secs| Example {
            targets: Tokens::characters().encode(text).unwrap(),
            utterance: Utterance {
                id: text.into(),
                audio_path: "a.wav".into(),
                member: None,
                offset_secs: 0.0,
                duration_secs,
                text: text.into(),
                speaker: None,
                confidence: None,
            },
        };
        let examples = [
            example("the cheese", 1.0),
            example("the whey", 1.0),
            // Five phones and a space.
            example("the cheese", 0.5),
            example("the cheese", 0.0),
        ];
        let coverage = spelling().coverage(&examples, &|secs| (10.0 * secs) as usize);
        assert_eq!((coverage.unknown, coverage.infeasible), (1, 1));
        assert_eq!(
            coverage.to_string(),
            "2 of 4 utterances; for characters alone count 1 with a word without a pronunciation \
             (such as \"whey\"), 1 with more phones than frames"
        );
    }
}
