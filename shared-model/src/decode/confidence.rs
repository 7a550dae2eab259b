//! From what the network gave a word's tokens to how probably the word is right.

use serde::{Deserialize, Serialize};

/// Natural logs below this tell no more than this.
const LEAST_LN: f32 = -20.0;

/// What is known of a written word.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WordEvidence {
    /// Mean of the natural-log posteriors of the word's tokens.
    pub mean_ln_posterior: f32,
    /// The lowest of them.
    pub least_ln_posterior: f32,
    /// Tokens of the word, at least 1.
    pub num_tokens: usize,
}

impl WordEvidence {
    /// What [`Calibration`] multiplies: 1, the mean, the lowest, the natural log of the number of
    /// tokens, and how the mean leaves certainty, `ln(1 - posterior)`.
    pub fn inputs(&self) -> [f64; Calibration::NUM_WEIGHTS] {
        let ln = |value: f32| match value.is_nan() {
            true => f64::from(LEAST_LN),
            false => f64::from(value.clamp(LEAST_LN, 0.0)),
        };
        let mean = ln(self.mean_ln_posterior);
        let doubt = (-mean.exp_m1()).max(f64::from(LEAST_LN).exp()).ln();
        let num_tokens = self.num_tokens.max(1) as f64;
        [
            1.0,
            mean,
            ln(self.least_ln_posterior),
            num_tokens.ln(),
            doubt,
        ]
    }

    /// Geometric mean of the tokens' posteriors, 0 to 1.
    pub fn mean_posterior(&self) -> f32 {
        match self.mean_ln_posterior.exp() {
            mean if mean.is_nan() => 0.0,
            mean => mean.clamp(0.0, 1.0),
        }
    }
}

/// Logistic regression of "this word is right" on [`WordEvidence::inputs`] (Platt, "Probabilistic
/// outputs for support vector machines", 1999, with more inputs than one).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calibration {
    /// One for each input.
    pub weights: [f64; Calibration::NUM_WEIGHTS],
}

impl Calibration {
    /// Inputs.
    pub const NUM_WEIGHTS: usize = 5;

    /// How probably the word is right, 0 to 1.
    pub fn confidence(&self, evidence: &WordEvidence) -> f32 {
        let inputs = evidence.inputs();
        let terms = self.weights.iter().zip(inputs);
        let log_odds: f64 = terms.map(|(weight, input)| weight * input).sum();
        (1.0 / (1.0 + (-log_odds).exp())) as f32
    }
}

/// The calibrations of a model; where there is none, a word's confidence is the geometric mean of
/// its tokens' posteriors.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calibrations {
    /// Of words by the greedy decoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub greedy: Option<Calibration>,
    /// Of words by the beam search over letters with a language model and any word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lm: Option<Calibration>,
    /// Of words by the beam search over phones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phones: Option<Calibration>,
}

impl Calibrations {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether every weight is a number.
    pub fn is_finite(&self) -> bool {
        let mut all = self.greedy.iter().chain(&self.lm).chain(&self.phones);
        all.all(|calibration| calibration.weights.iter().all(|weight| weight.is_finite()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIDENCE: WordEvidence = WordEvidence {
        mean_ln_posterior: -0.5,
        least_ln_posterior: -2.0,
        num_tokens: 4,
    };

    #[test]
    fn the_confidence_is_the_logistic_function_of_the_weighted_inputs() {
        let confidence = |weights| Calibration { weights }.confidence(&EVIDENCE);
        assert_eq!(confidence([0.0; 5]), 0.5);
        // 1 / (1 + e^-1)
        assert!((confidence([1.0, 0.0, 0.0, 0.0, 0.0]) - 0.731_058_6).abs() < 1e-6);
        // 2 * -0.5 + 1 * -2 = -3: 1 / (1 + e^3)
        assert!((confidence([0.0, 2.0, 1.0, 0.0, 0.0]) - 0.047_425_87).abs() < 1e-6);
        // ln 4: 1 / (1 + 1/4)
        assert!((confidence([0.0, 0.0, 0.0, 1.0, 0.0]) - 0.8).abs() < 1e-6);
        // -ln(1 - e^-0.5) = 0.932752: 1 / (1 + (1 - e^-0.5))
        assert!((confidence([0.0, 0.0, 0.0, 0.0, -1.0]) - 0.717_633_3).abs() < 1e-6);
    }

    #[test]
    fn certain_impossible_and_senseless_posteriors_give_a_number_between_zero_and_one() {
        let calibration = Calibration {
            weights: [1.0, 2.0, 0.5, -0.1, -0.4],
        };
        for value in [0.0, 0.5, -1e-30, f32::NEG_INFINITY, f32::NAN] {
            let evidence = WordEvidence {
                mean_ln_posterior: value,
                least_ln_posterior: value,
                num_tokens: 0,
            };
            let confidence = calibration.confidence(&evidence);
            assert!((0.0..=1.0).contains(&confidence), "{value}: {confidence}");
        }
    }

    #[test]
    fn calibrations_are_lists_of_weights_in_json() {
        let greedy = Some(Calibration {
            weights: [1.0, 2.0, 3.0, 4.0, 5.0],
        });
        let calibrations = Calibrations {
            greedy,
            ..Calibrations::default()
        };
        let json = r#"{"greedy":[1.0,2.0,3.0,4.0,5.0]}"#;
        assert_eq!(
            serde_json::to_string(&calibrations).ok().as_deref(),
            Some(json)
        );
        assert_eq!(serde_json::from_str(json).ok(), Some(calibrations));
        assert!(serde_json::from_str::<Calibrations>(r#"{"greedy":[1.0]}"#).is_err());
        assert!(!calibrations.is_empty() && Calibrations::default().is_empty());
    }
}
