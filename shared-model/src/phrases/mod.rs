//! Your own words: lists of phrases and small grammars, made into a graph over a model's tokens,
//! heard live and in files, with an honest "none of these". docs/own-words.md explains the forms of
//! a list, the score and its threshold.
//!
//! ```
//! use shared_model::{
//!     phrases::{PhraseConfig, PhraseDecoder, PhraseList, SlotValue},
//!     tokens::Tokens,
//! };
//!
//! let list = PhraseList::parse("turn [the] (light|lamp) (on|off)\nset timer <number:minutes> minutes\n")?;
//! let decoder = PhraseDecoder::new(&list, &Tokens::characters(), PhraseConfig::default())?;
//! let words = ["set", "timer", "twenty", "five", "minutes"];
//! let meaning = decoder.graph().meaning(&words).expect("a phrase of the list");
//! assert_eq!(meaning.phrase, "set timer {minutes} minutes");
//! assert_eq!(meaning.slots, [("minutes".to_owned(), SlotValue::Number(25))]);
//! # Ok::<(), shared_model::phrases::PhraseError>(())
//! ```

mod decoder;
mod edit_distance;
mod grammar;
mod graph;
mod search;
mod sentences;
mod similar;

pub use decoder::{
    FoundPhrases, NearPhrase, OtherSpeech, PhraseDecoder, PhraseHit, PhraseSearch, Slot,
};
pub use grammar::{
    MAX_LIST_BYTES, PhraseError, PhraseWarning, Place, SlotValue, with_threshold,
    without_thresholds,
};
pub use graph::{MAX_LETTERS, Meaning, PhraseGraph};
pub use search::{DEFAULT_THRESHOLD, PhraseConfig, phrase_score};

use grammar::Source;

/// A list of phrases or a grammar, read but not yet bound to a model.
#[derive(Debug)]
pub struct PhraseList {
    source: Source,
}

impl PhraseList {
    /// Reads either form: one phrase a line, or a grammar that begins with `#JSGF`.
    ///
    /// # Errors
    /// What is not written as it should be, and where; no phrase; a text over [`MAX_LIST_BYTES`].
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        Ok(Self {
            source: Source::read(text)?,
        })
    }

    /// Phrases, each alternative of a public rule counted.
    pub fn len(&self) -> usize {
        self.source.phrases.len()
    }

    /// Never: a list without a phrase is an error.
    pub fn is_empty(&self) -> bool {
        self.source.phrases.is_empty()
    }

    /// `count` sentences of the list, for voices to speak: every phrase and every alternative in it
    /// comes its turn, more often where there is more to say. The same seed gives the same ones;
    /// fewer come where a rule does not end.
    ///
    /// # Errors
    /// None of a list that was read: only of the rules that every list has.
    pub fn sentences(&self, count: usize, seed: u64) -> Result<Vec<String>, PhraseError> {
        sentences::draw(&self.source, count, seed)
    }

    /// What will work worse than its author thinks: phrases that sound alike.
    pub fn warnings(&self) -> Vec<PhraseWarning> {
        similar::warnings(&self.source)
    }

    /// The threshold that `fledge tune-phrases` stored for a model, by
    /// [`weights_id`](crate::bundle::Manifest::weights_id).
    pub fn threshold(&self, model: &str) -> Option<f32> {
        let stored = self.source.thresholds.iter();
        let mut of_model = stored.filter(|stored| stored.model == model);
        of_model.next().map(|stored| stored.threshold)
    }

    /// How the list is heard with a model, by its stored threshold unless one is given.
    pub fn config(&self, model: &str, threshold: Option<f32>, inside_speech: bool) -> PhraseConfig {
        let threshold = threshold.or_else(|| self.threshold(model));
        PhraseConfig {
            threshold: threshold.unwrap_or(DEFAULT_THRESHOLD),
            inside_speech,
        }
    }

    /// Whether thresholds are stored for other models.
    pub fn has_thresholds(&self) -> bool {
        !self.source.thresholds.is_empty()
    }
}
