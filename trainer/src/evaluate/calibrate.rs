//! Confidences that are probabilities: which words are right, and the regression that predicts it.

use std::sync::atomic::AtomicBool;

use serde::Serialize;
use shared_model::decode::{Calibration, WordEvidence};
use shared_model::metrics::{ConfidenceBin, align, confidence_bins, expected_calibration_error};
use shared_model::recognizer::Decoder;
use shared_model::tokens::{Tokens, normalize_text};

use super::{EvaluateError, HeardUtterance, workers::spread};

/// Parts that words are held out in, for [`CalibrationFit::held_out`].
const NUM_FOLDS: usize = 5;
/// Keeps weights finite where right and wrong words can be told apart without error.
const RIDGE: f64 = 1e-3;
const MAX_STEPS: usize = 50;

const N: usize = Calibration::NUM_WEIGHTS;
type Weights = [f64; N];

/// A written word and whether it was said.
type Judged<T> = (T, bool);

/// Which of the written words are right: those that an alignment with fewest errors matches with
/// the same word of the reference. Texts are normalised; what becomes several words is judged as
/// several.
pub fn judge<T: Copy>(written: &[(String, T)], reference: &str) -> Vec<Judged<T>> {
    let reference = normalize_text(reference);
    let reference: Vec<&str> = reference.split_whitespace().collect();
    let (mut words, mut of) = (Vec::new(), Vec::new());
    for (text, what) in written {
        for word in normalize_text(text).split_whitespace() {
            words.push(word.to_owned());
            of.push(*what);
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut judged: Vec<Judged<T>> = of.into_iter().map(|what| (what, false)).collect();
    for pair in align(&reference, &words).1 {
        if let (Some(said), Some(written)) = (pair.reference, pair.hypothesis) {
            judged[written].1 = reference[said] == words[written];
        }
    }
    judged
}

/// What a calibration gives on the words that it was fitted to.
#[derive(Debug, Clone, Serialize)]
pub struct CalibrationFit {
    /// The calibration.
    pub calibration: Calibration,
    /// Words that were written.
    pub words: usize,
    /// Expected calibration error of the tokens' mean posteriors.
    pub before: f64,
    /// Of the calibrated confidences.
    pub after: f64,
    /// Of confidences by calibrations that were fitted to the other four fifths of the utterances.
    pub held_out: f64,
    /// Calibrated words by confidence.
    pub bins: Vec<ConfidenceBin>,
}

/// Decodes what was heard and fits a calibration to it; `None` if no word, or none of the right or
/// of the wrong ones, is written.
///
/// # Errors
/// A stop.
pub fn fit_calibration(
    heard: &[HeardUtterance],
    decoder: &Decoder,
    tokens: &Tokens,
    frame_secs: f32,
    threads: usize,
    stop: &AtomicBool,
) -> Result<Option<CalibrationFit>, EvaluateError> {
    let judged = spread(
        heard.len(),
        threads,
        stop,
        &|_, _| {},
        &|| Ok(()),
        &|(), index| {
            let utterance = &heard[index];
            let words = utterance.posteriors.iter().flat_map(|posteriors| {
                let words = posteriors.evident_words(decoder, tokens, frame_secs);
                words
                    .into_iter()
                    .map(|(word, evidence)| (word.text, evidence))
            });
            let words: Vec<_> = words.collect();
            Ok(judge(&words, &utterance.reference))
        },
    )?;
    Ok(fit(&judged))
}

/// Of the words of each utterance.
fn fit(utterances: &[Vec<Judged<WordEvidence>>]) -> Option<CalibrationFit> {
    let all: Vec<_> = utterances.iter().flatten().copied().collect();
    let calibration = regression(&all)?;
    let error = |words: Vec<Judged<f32>>| expected_calibration_error(&confidence_bins(words));
    let confidences = |of: &Calibration, words: &[Judged<WordEvidence>]| -> Vec<Judged<f32>> {
        let confidence = |(evidence, right): &Judged<_>| (of.confidence(evidence), *right);
        words.iter().map(confidence).collect()
    };
    let mut held_out = Vec::new();
    for fold in 0..NUM_FOLDS {
        let part = |is_inside: bool| -> Vec<_> {
            let chosen = utterances.iter().enumerate();
            let chosen = chosen.filter(|(index, _)| (index % NUM_FOLDS == fold) == is_inside);
            chosen
                .flat_map(|(_, words)| words.iter().copied())
                .collect()
        };
        // A fold that leaves too little to fit is judged by the whole.
        let of_others = regression(&part(false)).unwrap_or(calibration);
        held_out.extend(confidences(&of_others, &part(true)));
    }
    let before = all
        .iter()
        .map(|(evidence, right)| (evidence.mean_posterior(), *right));
    let bins = confidence_bins(confidences(&calibration, &all));
    Some(CalibrationFit {
        calibration,
        words: all.len(),
        before: error(before.collect()),
        after: expected_calibration_error(&bins),
        held_out: error(held_out),
        bins: bins.to_vec(),
    })
}

/// Logistic regression by Newton's method, with a little ridge on all weights but the first.
fn regression(words: &[Judged<WordEvidence>]) -> Option<Calibration> {
    let right = words.iter().filter(|(_, is_right)| *is_right).count();
    if right == 0 || right == words.len() {
        return None;
    }
    let inputs: Vec<(Weights, f64)> = words
        .iter()
        .map(|(evidence, is_right)| (evidence.inputs(), f64::from(u8::from(*is_right))))
        .collect();
    let mut weights = Weights::default();
    for _ in 0..MAX_STEPS {
        let (gradient, curvature) = slope(&inputs, &weights);
        let step = solve(curvature, gradient);
        // A step that is too long would leave for good the region where the curvature says anything.
        let longest = step
            .iter()
            .fold(1.0, |most: f64, value| most.max(value.abs()));
        let scale = (4.0 / longest).min(1.0);
        for (weight, step) in weights.iter_mut().zip(step) {
            *weight += scale * step;
        }
        if longest <= 1.0 && step.iter().all(|value| value.abs() < 1e-9) {
            break;
        }
    }
    weights
        .iter()
        .all(|weight| weight.is_finite())
        .then_some(Calibration { weights })
}

/// Gradient and negative second derivatives of the log-likelihood.
fn slope(inputs: &[(Weights, f64)], weights: &Weights) -> (Weights, [Weights; N]) {
    let (mut gradient, mut curvature) = (Weights::default(), [Weights::default(); N]);
    for (input, right) in inputs {
        let log_odds: f64 = weights.iter().zip(input).map(|(w, x)| w * x).sum();
        let confidence = 1.0 / (1.0 + (-log_odds).exp());
        let spread = confidence * (1.0 - confidence);
        let rows = gradient.iter_mut().zip(&mut curvature).zip(input);
        for ((gradient, row), of_row) in rows {
            *gradient += (right - confidence) * of_row;
            for (value, of_column) in row.iter_mut().zip(input) {
                *value += spread * of_row * of_column;
            }
        }
    }
    for (row, (gradient, weight)) in gradient.iter_mut().zip(weights).enumerate() {
        let ridge = if row == 0 { 1e-9 } else { RIDGE };
        *gradient -= ridge * weight;
        curvature[row][row] += ridge;
    }
    (gradient, curvature)
}

/// `matrix * solution = right`, for a matrix that is symmetric and positive definite.
fn solve(mut matrix: [Weights; N], mut right: Weights) -> Weights {
    for pivot in 0..N {
        let (of_pivot, right_of_pivot) = (matrix[pivot], right[pivot]);
        for (row, right) in matrix.iter_mut().zip(&mut right).skip(pivot + 1) {
            let factor = row[pivot] / of_pivot[pivot];
            for (value, of_pivot) in row.iter_mut().zip(of_pivot) {
                *value -= factor * of_pivot;
            }
            *right -= factor * right_of_pivot;
        }
    }
    let mut solution = Weights::default();
    for row in (0..N).rev() {
        // What is not solved yet is 0.
        let known: f64 = matrix[row].iter().zip(solution).map(|(a, x)| a * x).sum();
        solution[row] = (right[row] - known) / matrix[row][row];
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_right_where_the_reference_has_them() {
        let words = |text: &str| -> Vec<(String, usize)> {
            let words = text.split(' ').enumerate();
            words
                .map(|(index, word)| (word.to_owned(), index))
                .collect()
        };
        let rights = |text, reference| -> Vec<bool> {
            let judged = judge(&words(text), reference);
            judged.into_iter().map(|(_, is_right)| is_right).collect()
        };
        assert_eq!(
            rights("the hat sat now", "the cat sat"),
            [true, false, true, false]
        );
        assert_eq!(rights("a b", ""), [false, false]);
        assert_eq!(rights("Cat", "cat!"), [true]);
        // One written word that stands for two.
        assert_eq!(
            judge(&[("21".to_owned(), 7)], "twenty two"),
            [(7, true), (7, false)]
        );
        assert_eq!(judge::<u8>(&[], "a"), []);
    }

    fn evidence(mean_ln_posterior: f32) -> WordEvidence {
        WordEvidence {
            mean_ln_posterior,
            least_ln_posterior: -1.0,
            num_tokens: 1,
        }
    }

    /// Words of the same evidence: so many right, so many wrong.
    fn words(mean: f32, right: usize, wrong: usize) -> Vec<Judged<WordEvidence>> {
        let all = [vec![true; right], vec![false; wrong]].concat();
        all.into_iter()
            .map(|is_right| (evidence(mean), is_right))
            .collect()
    }

    #[test]
    fn a_regression_over_two_kinds_of_words_gives_the_share_of_right_ones_of_each() {
        // With two values of one input, the likeliest weights hit both shares: 0.9 and 0.25.
        let judged = [words(-0.1, 900, 100), words(-1.5, 250, 750)].concat();
        let calibration = regression(&judged).expect("both kinds");
        let confidence = |mean| calibration.confidence(&evidence(mean));
        assert!((confidence(-0.1) - 0.9).abs() < 1e-3);
        assert!((confidence(-1.5) - 0.25).abs() < 1e-3);
    }

    #[test]
    fn words_that_can_be_told_apart_without_error_have_finite_weights() {
        let judged = [words(-0.1, 40, 0), words(-2.0, 0, 40)].concat();
        let calibration = regression(&judged).expect("both kinds");
        assert!(calibration.weights.iter().all(|weight| weight.is_finite()));
        assert!(calibration.confidence(&evidence(-0.1)) > 0.95);
        assert!(calibration.confidence(&evidence(-2.0)) < 0.05);
        assert_eq!(regression(&words(-0.1, 9, 0)), None);
        assert_eq!(regression(&[]), None);
    }

    #[test]
    fn the_error_falls_by_calibration_and_is_told_of_words_held_out_too() {
        // The mean posterior is e^-0.1 = 0.905 where 0.6 are right, in every utterance alike.
        let utterances: Vec<_> = (0..50).map(|_| words(-0.1, 6, 4)).collect();
        let fit = fit(&utterances).expect("right and wrong words");
        assert_eq!(fit.words, 500);
        assert!(
            (fit.before - (0.904_837 - 0.6)).abs() < 1e-4,
            "{}",
            fit.before
        );
        assert!(fit.after < 1e-3 && fit.held_out < 1e-3, "{fit:?}");
        // Another share in every fifth utterance: the others say 0.6 where 0.1 are right.
        let mixed = (0..50).map(|index| match index % 5 {
            0 => words(-0.1, 1, 9),
            _ => words(-0.1, 6, 4),
        });
        let mixed = super::fit(&mixed.collect::<Vec<_>>()).expect("right and wrong words");
        assert!(mixed.after < 1e-3, "all together 0.5 are right: {mixed:?}");
        assert!(mixed.held_out > 0.01, "{mixed:?}");
    }
}
