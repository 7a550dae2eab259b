#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::decode::{TokenSpan, greedy, words};

pub(super) const NO_PRUNING: BeamConfig = BeamConfig {
    beam: 4096,
    lm_weight: 0.0,
    word_bonus: 0.0,
    unknown_word_bonus: 0.0,
    blank_penalty: 0.0,
    token_min_log_prob: f32::NEG_INFINITY,
    score_margin: 1000.0,
};

pub(super) fn letters(letters: &str) -> Tokens {
    let pieces = letters.chars().map(String::from).collect();
    Tokens::from_pieces(pieces).unwrap()
}

pub(super) fn plain(tokens: &Tokens, config: BeamConfig) -> BeamDecoder {
    BeamDecoder::new(tokens, config, None, None).unwrap()
}

pub(super) fn ids(hypothesis: &Hypothesis) -> Vec<u32> {
    hypothesis.tokens.iter().map(|span| span.id).collect()
}

pub(super) fn log_softmax(logits: &[f32], vocab_size: usize) -> Vec<f32> {
    let rows = logits.chunks_exact(vocab_size);
    rows.flat_map(|row| {
        let sum: f32 = row.iter().map(|x| x.exp()).sum();
        row.iter().map(move |x| x - sum.ln())
    })
    .collect()
}

/// Every token sequence with the sum over all of its paths and its best path.
pub(super) fn brute_force(
    data: &[f32],
    vocab_size: usize,
) -> BTreeMap<Vec<u32>, (f64, f64, Vec<TokenSpan>)> {
    let num_frames = data.len() / vocab_size;
    let mut sums = BTreeMap::new();
    for code in 0..vocab_size.pow(num_frames as u32) {
        let mut digits = code;
        let path: Vec<usize> = (0..num_frames)
            .map(|_| {
                let class = digits % vocab_size;
                digits /= vocab_size;
                class
            })
            .collect();
        let mut spans: Vec<TokenSpan> = Vec::new();
        let mut log_prob = 0.0f64;
        for (frame, &class) in path.iter().enumerate() {
            let value = data[frame * vocab_size + class];
            log_prob += f64::from(value);
            if class == 0 {
                continue;
            }
            if frame > 0 && path[frame - 1] == class {
                let span = spans.last_mut().unwrap();
                span.end_frame = frame + 1;
                span.log_prob = span.log_prob.max(value);
            } else {
                spans.push(TokenSpan {
                    id: class as u32,
                    start_frame: frame,
                    end_frame: frame + 1,
                    log_prob: value,
                });
            }
        }
        let key = spans.iter().map(|span| span.id).collect();
        let entry = sums
            .entry(key)
            .or_insert((0.0, f64::NEG_INFINITY, Vec::new()));
        entry.0 += log_prob.exp();
        if log_prob > entry.1 {
            (entry.1, entry.2) = (log_prob, spans);
        }
    }
    sums
}

proptest! {
    #[test]
    fn without_pruning_scores_are_sums_over_all_paths(
        logits in (0usize..=5).prop_flat_map(|frames| prop::collection::vec(-4.0f32..4.0, 4 * frames)),
    ) {
        let data = log_softmax(&logits, 4);
        let found = plain(&letters("ab▁"), NO_PRUNING).decode(LogProbs::new(&data, 4));
        let expected = brute_force(&data, 4);
        prop_assert_eq!(found.len(), expected.len());
        prop_assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
        for hypothesis in &found {
            let (sum, _, spans) = &expected[&ids(hypothesis)];
            prop_assert!((f64::from(hypothesis.score) - sum.ln()).abs() < 1e-4);
            prop_assert_eq!(&hypothesis.tokens, spans, "frames of the best path");
        }
    }

    #[test]
    fn a_penalty_of_the_blank_is_a_lower_log_prob_of_the_blank(
        logits in prop::collection::vec(-4.0f32..4.0, 5 * 4),
        blank_penalty in -2.0f32..2.0,
    ) {
        let data = log_softmax(&logits, 4);
        let mut lowered = data.clone();
        lowered.iter_mut().step_by(4).for_each(|blank| *blank -= blank_penalty);
        let config = BeamConfig { blank_penalty, ..NO_PRUNING };
        let found = plain(&letters("ab▁"), config).decode(LogProbs::new(&data, 4));
        let expected = plain(&letters("ab▁"), NO_PRUNING).decode(LogProbs::new(&lowered, 4));
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn equals_greedy_on_peaked_posteriors_with_any_beam(
        classes in prop::collection::vec(0usize..4, 0..30),
        beam in 1usize..5,
    ) {
        let logits: Vec<f32> = classes
            .iter()
            .flat_map(|&class| (0..4).map(move |id| if id == class { 12.0 } else { 0.0 }))
            .collect();
        let data = log_softmax(&logits, 4);
        let config = BeamConfig { beam, ..BeamConfig::default() };
        let found = plain(&letters("ab▁"), config).decode(LogProbs::new(&data, 4));
        prop_assert_eq!(&found[0].tokens, &greedy(LogProbs::new(&data, 4)).tokens);
    }

    #[test]
    fn any_values_give_hypotheses_and_no_panic(
        data in prop::collection::vec(
            prop_oneof![
                4 => -20.0f32..0.0,
                1 => Just(f32::NAN),
                1 => Just(f32::INFINITY),
                2 => Just(f32::NEG_INFINITY),
                1 => Just(f32::MIN),
            ],
            0..60,
        ),
        listed in any::<bool>(),
    ) {
        let data = &data[..data.len() / 4 * 4];
        let list = ["ab".to_string(), "b".to_string()];
        let config = BeamConfig { beam: 3, ..BeamConfig::default() };
        let list = listed.then_some(list.as_slice());
        let decoder = BeamDecoder::new(&letters("ab▁"), config, list, None).unwrap();
        let found = decoder.decode(LogProbs::new(data, 4));
        prop_assert!(!found.is_empty());
        prop_assert!(found.iter().all(|hypothesis| !hypothesis.score.is_nan()));
    }

    #[test]
    fn a_word_list_gives_the_best_listed_words(
        logits in prop::collection::vec(-4.0f32..4.0, 5 * 4),
    ) {
        let data = log_softmax(&logits, 4);
        let tokens = letters("ab▁");
        let list = ["ab".to_string(), "b".to_string(), "bba".to_string()];
        let decoder = BeamDecoder::new(&tokens, NO_PRUNING, Some(&list), None).unwrap();
        let found = decoder.decode(LogProbs::new(&data, 4));
        let listed = |ids: &[u32]| {
            let text = tokens.decode(ids);
            text.split_whitespace().all(|word| list.iter().any(|listed| listed == word))
        };
        let mut expected = brute_force(&data, 4);
        expected.retain(|ids, _| listed(ids));
        prop_assert_eq!(found.len(), expected.len());
        for hypothesis in &found {
            let sum = expected[&ids(hypothesis)].0;
            prop_assert!((f64::from(hypothesis.score) - sum.ln()).abs() < 1e-4);
        }
    }
}

/// `a` and `ab` are words; `b` is unknown, and no `<unk>` is there.
pub(super) const SMALL_ARPA: &str = "\\data\\\nngram 1=4\nngram 2=3\n\\1-grams:\n-99\t<s>\t-0.3\n\
    -0.9\t</s>\n-0.5\ta\t-0.2\n-0.7\tab\t-0.1\n\\2-grams:\n-0.4\t<s> ab\n-0.2\tab a\n\
    -0.6\ta </s>\n\\end\\\n";

proptest! {
    #[test]
    fn every_finished_word_and_the_end_are_scored_by_the_language_model(
        logits in prop::collection::vec(-4.0f32..4.0, 5 * 4),
    ) {
        let data = log_softmax(&logits, 4);
        let tokens = letters("ab▁");
        let lm = Arc::new(NgramLm::from_arpa(SMALL_ARPA.as_bytes()).unwrap());
        let config = BeamConfig {
                lm_weight: 0.7,
                word_bonus: 0.4,
                unknown_word_bonus: -1.5,
                ..NO_PRUNING
            };
        let decoder = BeamDecoder::new(&tokens, config, None, Some(lm.clone())).unwrap();
        let found = decoder.decode(LogProbs::new(&data, 4));
        let expected = brute_force(&data, 4);
        prop_assert_eq!(found.len(), expected.len());
        prop_assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
        for hypothesis in &found {
            let mut score = expected[&ids(hypothesis)].0.ln();
            let mut state = lm.start();
            for word in tokens.decode(&ids(hypothesis)).split_whitespace() {
                let (ln_prob, next) = lm.score(&state, word);
                score += 0.7 * f64::from(ln_prob) + 0.4;
                    if !lm.knows(word) {
                        score -= 1.5;
                    }
                state = next;
            }
            score += 0.7 * f64::from(lm.end(&state));
            prop_assert!((f64::from(hypothesis.score) - score).abs() < 1e-4);
        }
    }
}

#[test]
fn the_language_model_decides_between_equal_sounds() {
    let lm = Arc::new(NgramLm::from_arpa(SMALL_ARPA.as_bytes()).unwrap());
    let config = BeamConfig {
        lm_weight: 1.0,
        ..BeamConfig::default()
    };
    let decoder = BeamDecoder::new(&letters("ab▁"), config, None, Some(lm)).unwrap();
    // `a` or `b` are equally probable in frame 1; only `a` is a word.
    let data = log_softmax(&[9.0, 0.0, 0.0, 0.0, 0.0, 9.0, 9.0, 0.0], 4);
    assert_eq!(ids(&decoder.decode(LogProbs::new(&data, 4))[0]), [1]);
}

#[test]
fn a_word_too_long_for_any_model_is_one_unknown_word() {
    let lm = Arc::new(NgramLm::from_arpa(SMALL_ARPA.as_bytes()).unwrap());
    let config = BeamConfig {
        beam: 1,
        lm_weight: 1.0,
        ..BeamConfig::default()
    };
    let decoder = BeamDecoder::new(&letters("ab▁"), config, None, Some(lm)).unwrap();
    let logits: Vec<f32> = (0..1000)
        .flat_map(|frame| match frame % 2 {
            0 => [0.0, 30.0, 0.0, 0.0],
            _ => [30.0, 0.0, 0.0, 0.0],
        })
        .collect();
    let found = decoder.decode(LogProbs::new(&log_softmax(&logits, 4), 4));
    assert_eq!(found[0].tokens.len(), 500);
    // The unknown word, the bonuses, and </s> without a history; the sound costs nothing.
    let unknown = crate::decode::lm::UNKNOWN_LN_PROB + 1.0 - 4.0;
    let expected = unknown - 0.9 * std::f32::consts::LN_10;
    assert!(
        (found[0].score - expected).abs() < 1e-3,
        "{}",
        found[0].score
    );
}

#[test]
fn a_language_model_of_other_letters_is_an_error() {
    let lm = Arc::new(NgramLm::from_arpa(SMALL_ARPA.as_bytes()).unwrap());
    let error = BeamDecoder::new(&letters("xy"), BeamConfig::default(), None, Some(lm)).err();
    assert!(matches!(error, Some(DecodeError::LanguageModel(_))));
}

#[test]
fn no_frames_give_one_empty_hypothesis_with_score_zero() {
    let decoder = plain(&letters("ab"), BeamConfig::default());
    assert_eq!(
        decoder.decode(LogProbs::new(&[], 3)),
        [Hypothesis::default()]
    );
}

#[test]
fn an_impossible_frame_changes_nothing() {
    let decoder = plain(&letters("ab"), BeamConfig::default());
    let data = log_softmax(&[0.0, 2.0, 1.0, 1.0, 0.0, 3.0], 3);
    let mut broken = data.clone();
    broken.splice(3..3, [f32::NAN; 3]);
    let (whole, skipped) = (LogProbs::new(&data, 3), LogProbs::new(&broken, 3));
    let scores = |found: Vec<Hypothesis>| -> Vec<(Vec<u32>, f32)> {
        found.iter().map(|h| (ids(h), h.score)).collect()
    };
    assert_eq!(
        scores(decoder.decode(whole)),
        scores(decoder.decode(skipped))
    );
}

#[test]
fn a_word_that_the_list_lacks_is_cut_off_when_nothing_else_is_left() {
    let tokens = letters("ab▁");
    let list = ["ab".to_string()];
    let config = BeamConfig {
        beam: 1,
        ..BeamConfig::default()
    };
    let decoder = BeamDecoder::new(&tokens, config, Some(&list), None).unwrap();
    let classes = [1, 2, 3, 1, 1];
    let logits: Vec<f32> = classes
        .iter()
        .flat_map(|&class| (0..4).map(move |id| if id == class { 12.0 } else { 0.0 }))
        .collect();
    let found = decoder.decode(LogProbs::new(&log_softmax(&logits, 4), 4));
    assert_eq!(found.len(), 1);
    let texts: Vec<String> = words(&found[0], &tokens, 0.04, 0.0)
        .into_iter()
        .map(|word| word.text)
        .collect();
    assert_eq!(texts, ["ab"]);
}

#[test]
fn a_word_list_holds_for_every_segmentation_into_pieces() {
    let pieces = ["▁a", "b", "▁ab", "▁", "a", "▁b"].map(String::from);
    let tokens = Tokens::from_pieces(pieces.to_vec()).unwrap();
    let list = ["ab".to_string()];
    let decoder = BeamDecoder::new(&tokens, NO_PRUNING, Some(&list), None).unwrap();
    let data = log_softmax(&[0.0; 7 * 3], 7);
    let found = decoder.decode(LogProbs::new(&data, 7));
    let texts: Vec<String> = found.iter().map(|h| tokens.decode(&ids(h))).collect();
    assert!(
        texts
            .iter()
            .all(|text| ["", "ab"].contains(&text.trim()) || text == "ab ab")
    );
    for wanted in [
        vec![1, 2],
        vec![3],
        vec![4, 5, 2],
        vec![3, 3],
        vec![3, 1, 2],
    ] {
        assert!(found.iter().any(|h| ids(h) == wanted), "{wanted:?}");
    }
}

#[test]
fn listed_words_in_capitals_are_written_in_the_tokens_letters() {
    let list = ["AB".to_string(), "Ä".to_string()];
    let found = BeamDecoder::new(&letters("ab▁"), NO_PRUNING, Some(&list), None)
        .unwrap()
        .decode(LogProbs::new(&log_softmax(&[0.0; 8], 4), 4));
    assert!(found.iter().any(|h| ids(h) == [1, 2]));
}

#[test]
fn useless_word_lists_are_errors() {
    for list in [vec![], vec![String::new()], vec!["xyz".to_string()]] {
        let error =
            BeamDecoder::new(&letters("ab"), BeamConfig::default(), Some(&list), None).err();
        assert!(matches!(error, Some(DecodeError::WordList(_))), "{list:?}");
    }
}

#[test]
fn a_beginning_that_no_word_has_does_not_push_a_word_out_of_the_smallest_beam() {
    let arpa = "\\data\\\nngram 1=4\n\\1-grams:\n-99 <s>\n-0.5 </s>\n-0.5 bab\n-2 <unk>\n\\end\\";
    let lm = Arc::new(NgramLm::from_arpa(arpa.as_bytes()).unwrap());
    let config = BeamConfig {
        beam: 1,
        ..BeamConfig::default()
    };
    // The first letter sounds like a, then a blank, then clearly a and b.
    let data = log_softmax(
        &[
            [0.0, 5.0, 4.0, 0.0],
            [9.0, 0.0, 0.0, 0.0],
            [0.0, 9.0, 0.0, 0.0],
            [0.0, 0.0, 9.0, 0.0],
        ]
        .concat(),
        4,
    );
    let with_lm = BeamDecoder::new(&letters("ab▁"), config.clone(), None, Some(lm)).unwrap();
    assert_eq!(ids(&with_lm.decode(LogProbs::new(&data, 4))[0]), [2, 1, 2]);
    let without = plain(&letters("ab▁"), config);
    assert_eq!(ids(&without.decode(LogProbs::new(&data, 4))[0]), [1, 1, 2]);
}

#[test]
fn a_margin_gives_up_what_is_far_behind_the_best() {
    let tokens = letters("ab▁");
    let data = log_softmax(&[0.0, 2.0, 1.0, 0.0, 0.0, 3.0, 1.0, 0.0], 4);
    let survivors = |score_margin| {
        let config = BeamConfig {
            score_margin,
            ..NO_PRUNING
        };
        plain(&tokens, config).decode(LogProbs::new(&data, 4))
    };
    let (all, few, one) = (survivors(1000.0), survivors(3.0), survivors(0.0));
    assert!(all.len() > few.len() && few.len() > one.len());
    assert_eq!(one.len(), 1);
    // Paths that were given up are missing from the sum.
    assert_eq!(ids(&few[0]), ids(&all[0]));
    assert!(few[0].score <= all[0].score && all[0].score - few[0].score < 0.2);
}
