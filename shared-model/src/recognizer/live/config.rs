//! When live audio gives results.

use serde::{Deserialize, Serialize};

use crate::recognizer::RecognizeError;

/// When live audio gives results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LiveConfig {
    /// Seconds of new audio between partial results; longer in long segments.
    pub partial_interval_secs: f32,
    /// Silence that ends an utterance, seconds.
    pub endpoint_silence_secs: f32,
    /// Longest utterance before its settled words are committed, seconds.
    pub max_utterance_secs: f32,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            partial_interval_secs: 0.1,
            endpoint_silence_secs: 0.7,
            max_utterance_secs: 15.0,
        }
    }
}

impl LiveConfig {
    pub(super) fn validate(&self) -> Result<(), RecognizeError> {
        let settings = [
            (
                "partial_interval_secs",
                self.partial_interval_secs,
                0.05,
                60.0,
                "0.05 to 60",
            ),
            (
                "endpoint_silence_secs",
                self.endpoint_silence_secs,
                0.1,
                10.0,
                "0.1 to 10",
            ),
            (
                "max_utterance_secs",
                self.max_utterance_secs,
                2.0,
                60.0,
                "2 to 60",
            ),
        ];
        for (name, value, least, most, expected) in settings {
            if !(least..=most).contains(&value) {
                return Err(RecognizeError::Setting {
                    name,
                    value,
                    expected,
                });
            }
        }
        Ok(())
    }
}
