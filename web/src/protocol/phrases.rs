//! What is said between page and engines about phrases.

use serde::{Deserialize, Serialize};

/// The only things that may be said.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WantedPhrases {
    /// The text of a list or a grammar.
    pub list: String,
    /// Whether they are heard inside other speech.
    #[serde(default)]
    pub inside_speech: bool,
    /// Least score, 0 to 1; absent: what is stored in the list for the model, or the usual one.
    #[serde(default)]
    pub threshold: Option<f64>,
}

/// Phrases that are likelier than the language model believes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Boosts {
    #[default]
    None,
    Each(Vec<Boost>),
    /// The text of a list, as `fledge transcribe --boost` reads it.
    List(String),
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Boost {
    pub phrase: String,
    /// Nats for each of its words; absent: the usual one.
    #[serde(default)]
    pub weight: Option<f32>,
}

/// A phrase that was heard; its words are among those of its transcript, in the same order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phrase {
    /// With `{slot}` where a slot was filled.
    pub phrase: String,
    pub text: String,
    /// Names and values, in the order they were said.
    pub slots: Vec<(String, SlotValue)>,
    pub tags: Vec<String>,
    pub start_secs: f32,
    pub end_secs: f32,
    /// 0 to 1.
    pub score: f32,
    /// Whether a program may act on it: always, but in partial results of live audio.
    pub is_settled: bool,
}

impl Phrase {
    pub fn num_words(&self) -> usize {
        self.text.split_whitespace().count()
    }
}

/// Speech in which no phrase was heard, from pause to pause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OtherSpeech {
    /// What would have been written without phrases.
    pub text: String,
    pub start_secs: f32,
    pub end_secs: f32,
    /// The phrase that it resembled most, if any.
    pub nearest: Option<NearPhrase>,
}

/// A phrase that does not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NearPhrase {
    pub text: String,
    /// 0 to 1.
    pub score: f32,
    /// The least score of a phrase that counts.
    pub threshold: f32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SlotValue {
    Number(f64),
    Text(String),
}

/// A place in the text of a list, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// What will work worse than the list's author thinks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhraseWarning {
    pub at: Place,
    pub message: String,
}
