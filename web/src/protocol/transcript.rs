//! What engines heard.

use serde::{Deserialize, Serialize};

use super::{OtherSpeech, Phrase};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    pub text: String,
    pub start_secs: f32,
    pub end_secs: f32,
    /// 0 to 1.
    pub confidence: f32,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Transcript {
    pub text: String,
    pub words: Vec<Word>,
    /// Where nothing but phrases is heard: those that the words are.
    #[serde(default)]
    pub phrases: Option<Vec<Phrase>>,
    /// And what was said that is none of them.
    #[serde(default)]
    pub others: Vec<OtherSpeech>,
}

/// Word errors against a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WordErrors {
    pub reference_words: usize,
    pub errors: usize,
}

/// A word of the reference, a word of the transcript, or both where they stand for each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aligned {
    pub said: Option<String>,
    /// Its number in the transcript.
    pub heard: Option<usize>,
    pub is_right: bool,
}

/// A live segment. It opens once, changes, and ends with one final form that never changes again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveSegment {
    pub segment: f64,
    pub is_final: bool,
    pub transcript: Transcript,
}
