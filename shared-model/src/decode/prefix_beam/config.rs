//! Settings of the beam search.

use serde::{Deserialize, Serialize};

use crate::decode::DecodeError;

const MAX_BEAM: usize = 4096;
const MAX_WEIGHT: f32 = 1000.0;

/// Settings of the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BeamConfig {
    /// Prefixes kept after each frame, 1 to 4096. More is slower and misses less.
    pub beam: usize,
    /// Weight of the language model's natural-log probabilities, 0 to 1000. More follows the
    /// language model against the sound.
    pub lm_weight: f32,
    /// Added per finished word when there is a language model, -1000 to 1000. More favours many
    /// short words.
    pub word_bonus: f32,
    /// Added per word that the language model does not know, beside its `<unk>` and the word
    /// bonus, -1000 to 1000. It stands for the probability of the word's spelling, so it is
    /// usually negative; less favours known words.
    pub unknown_word_bonus: f32,
    /// Taken from each frame's natural-log probability of the blank, -1000 to 1000. More favours
    /// tokens that the network is not sure of.
    pub blank_penalty: f32,
    /// Classes below this natural-log posterior are not expanded, at most 0. Higher is faster and
    /// misses more; a frame's best token is always expanded.
    pub token_min_log_prob: f32,
    /// Prefixes whose score is so many nats below the best are dropped, 0 to 1000. Less is faster
    /// and misses more.
    pub score_margin: f32,
}

impl Default for BeamConfig {
    fn default() -> Self {
        Self {
            beam: 16,
            lm_weight: 0.5,
            word_bonus: 1.0,
            unknown_word_bonus: -4.0,
            blank_penalty: 0.0,
            token_min_log_prob: -8.0,
            score_margin: 14.0,
        }
    }
}

impl BeamConfig {
    /// # Errors
    /// The first setting that is out of range.
    pub fn validate(&self) -> Result<(), DecodeError> {
        let setting = |name, value: &dyn ToString, expected| DecodeError::Setting {
            name,
            value: value.to_string(),
            expected,
        };
        if !(1..=MAX_BEAM).contains(&self.beam) {
            return Err(setting("beam", &self.beam, "1 to 4096"));
        }
        if self.token_min_log_prob.is_nan() || self.token_min_log_prob > 0.0 {
            let value = &self.token_min_log_prob;
            return Err(setting("token_min_log_prob", value, "at most 0"));
        }
        for (name, value) in [
            ("lm_weight", self.lm_weight),
            ("score_margin", self.score_margin),
        ] {
            if !(0.0..=MAX_WEIGHT).contains(&value) {
                return Err(setting(name, &value, "0 to 1000"));
            }
        }
        let bonuses = [
            ("word_bonus", self.word_bonus),
            ("unknown_word_bonus", self.unknown_word_bonus),
            ("blank_penalty", self.blank_penalty),
        ];
        for (name, value) in bonuses {
            if !(-MAX_WEIGHT..=MAX_WEIGHT).contains(&value) {
                return Err(setting(name, &value, "-1000 to 1000"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_errors_that_name_them() {
        assert_eq!(BeamConfig::default().validate(), Ok(()));
        type Change = fn(&mut BeamConfig);
        let bad: [(&str, Change); 10] = [
            ("beam", |config| config.beam = 0),
            ("beam", |config| config.beam = 5000),
            ("lm_weight", |config| config.lm_weight = -1.0),
            ("lm_weight", |config| config.lm_weight = f32::NAN),
            ("word_bonus", |config| config.word_bonus = f32::INFINITY),
            ("unknown_word_bonus", |config| {
                config.unknown_word_bonus = -2000.0
            }),
            ("blank_penalty", |config| config.blank_penalty = f32::NAN),
            ("token_min_log_prob", |config| {
                config.token_min_log_prob = 0.1
            }),
            ("token_min_log_prob", |config| {
                config.token_min_log_prob = f32::NAN
            }),
            ("score_margin", |config| config.score_margin = -0.5),
        ];
        for (wrong, change) in bad {
            let mut config = BeamConfig::default();
            change(&mut config);
            match config.validate() {
                Err(DecodeError::Setting { name, .. }) => assert_eq!(name, wrong),
                other => panic!("{wrong}: {other:?}"),
            }
        }
    }

    #[test]
    fn settings_that_a_file_lacks_have_their_defaults() {
        let config: Result<BeamConfig, _> = serde_json::from_str(r#"{"beam": 3}"#);
        let expected = BeamConfig {
            beam: 3,
            ..BeamConfig::default()
        };
        assert_eq!(config.ok(), Some(expected));
    }
}
