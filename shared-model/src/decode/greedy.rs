//! Best path: the most probable class of each frame, repeats collapsed, blanks removed.

use super::{Hypothesis, LogProbs, TokenSpan};
use crate::tokens::BLANK_ID;

/// The score is the sum of each frame's highest log-probability. Values that are not finite count
/// as impossible; a frame without any finite value is read as a certain blank. Ties go to the
/// lower id, so to blank first. No frames give an empty hypothesis with score 0.
pub fn greedy(log_probs: LogProbs<'_>) -> Hypothesis {
    let mut tokens: Vec<TokenSpan> = Vec::new();
    let mut score = 0.0f64;
    let mut previous_id = BLANK_ID;
    for (frame, (id, log_prob)) in best_path(log_probs).enumerate() {
        score += f64::from(log_prob);
        if id != BLANK_ID {
            match tokens.last_mut() {
                Some(span) if id == previous_id => {
                    span.end_frame = frame + 1;
                    span.log_prob = span.log_prob.max(log_prob);
                }
                _ => tokens.push(TokenSpan {
                    id,
                    start_frame: frame,
                    end_frame: frame + 1,
                    log_prob,
                }),
            }
        }
        previous_id = id;
    }
    Hypothesis {
        tokens,
        score: score as f32,
        words: None,
    }
}

/// Ids of [`greedy`]'s tokens, found as they are asked for.
pub(crate) fn greedy_ids(log_probs: LogProbs<'_>) -> impl Iterator<Item = u32> {
    let mut previous_id = BLANK_ID;
    best_path(log_probs).filter_map(move |(id, _)| {
        let is_new = id != BLANK_ID && id != previous_id;
        previous_id = id;
        is_new.then_some(id)
    })
}

/// Class and log-probability of each frame.
fn best_path(log_probs: LogProbs<'_>) -> impl Iterator<Item = (u32, f32)> {
    (0..log_probs.num_frames())
        .map(move |frame| best_class(log_probs.frame(frame)).unwrap_or((BLANK_ID, 0.0)))
}

fn best_class(frame: &[f32]) -> Option<(u32, f32)> {
    let mut best: Option<(u32, f32)> = None;
    for (id, &value) in (0u32..).zip(frame) {
        if value.is_finite() && best.is_none_or(|(_, highest)| value > highest) {
            best = Some((id, value));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows in which the class at each position has log-probability -0.1 and the others -3.
    fn peaked(classes: &[usize], vocab_size: usize) -> Vec<f32> {
        classes
            .iter()
            .flat_map(|&class| (0..vocab_size).map(move |id| if id == class { -0.1 } else { -3.0 }))
            .collect()
    }

    fn spans(hypothesis: &Hypothesis) -> Vec<(u32, usize, usize)> {
        let spans = hypothesis.tokens.iter();
        spans.map(|s| (s.id, s.start_frame, s.end_frame)).collect()
    }

    #[test]
    fn repeats_collapse_and_a_blank_between_keeps_both() {
        let data = peaked(&[0, 1, 1, 0, 1, 2, 2, 2, 0], 3);
        let hypothesis = greedy(LogProbs::new(&data, 3));
        assert_eq!(
            spans(&hypothesis),
            [(1, 1, 3), (1, 4, 5), (2, 5, 8)],
            "two ones because of the blank at frame 3"
        );
        let ids: Vec<u32> = greedy_ids(LogProbs::new(&data, 3)).collect();
        assert_eq!(ids, [1, 1, 2]);
        assert!((hypothesis.score + 0.9).abs() < 1e-6, "nine frames of -0.1");
    }

    #[test]
    fn a_span_keeps_its_highest_log_probability() {
        let data = [-2.0, -0.7, -2.0, -0.2, -2.0, -0.4];
        let hypothesis = greedy(LogProbs::new(&data, 2));
        assert_eq!(hypothesis.tokens.len(), 1);
        assert_eq!(hypothesis.tokens[0].log_prob, -0.2);
        assert!((hypothesis.score + 1.3).abs() < 1e-6);
    }

    #[test]
    fn no_frames_give_an_empty_hypothesis_with_score_zero() {
        assert_eq!(greedy(LogProbs::new(&[], 5)), Hypothesis::default());
    }

    #[test]
    fn values_that_are_not_finite_are_impossible_classes() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        #[rustfmt::skip]
        let data = [
            nan, -1.0, nan,
            nan, nan, nan,
            inf, -inf, -2.0,
            -inf, -inf, -inf,
        ];
        let hypothesis = greedy(LogProbs::new(&data, 3));
        assert_eq!(spans(&hypothesis), [(1, 0, 1), (2, 2, 3)]);
        assert_eq!(hypothesis.score, -3.0);
    }

    #[test]
    fn a_tie_goes_to_the_blank() {
        let hypothesis = greedy(LogProbs::new(&[-1.0, -1.0], 2));
        assert!(hypothesis.tokens.is_empty());
    }
}
