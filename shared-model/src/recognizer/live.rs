//! Live audio: push samples, read partial and final words.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::{RecognizeError, Recognizer, Transcript};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LiveConfig {
    /// Seconds of new audio between partial results.
    pub partial_interval_secs: f32,
    /// Silence that ends an utterance, seconds.
    pub endpoint_silence_secs: f32,
    /// Longest utterance before its settled words are committed, seconds.
    pub max_utterance_secs: f32,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            partial_interval_secs: 0.25,
            endpoint_silence_secs: 0.7,
            max_utterance_secs: 15.0,
        }
    }
}

/// A segment opens once, changes through partials, and ends with exactly one final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum LiveEvent {
    Partial {
        segment: u64,
        transcript: Transcript,
    },
    /// Never changes afterwards. Times are seconds since the session began.
    Final {
        segment: u64,
        transcript: Transcript,
    },
}

pub struct LiveRecognizer {}

impl LiveRecognizer {
    pub fn new(recognizer: Rc<Recognizer>, config: LiveConfig) -> Result<Self, RecognizeError> {
        let _ = (recognizer, config);
        unimplemented!()
    }
    /// 16 kHz samples; work per pushed second is bounded however long the session runs.
    pub async fn push(&mut self, samples: &[f32]) -> Result<Vec<LiveEvent>, RecognizeError> {
        let _ = samples;
        unimplemented!()
    }
    /// Ends the session: the open segment, if any, becomes final.
    pub async fn finish(&mut self) -> Result<Vec<LiveEvent>, RecognizeError> {
        unimplemented!()
    }
}
