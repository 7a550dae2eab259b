#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::super::estimate::tests::{NAMES, corpus, prob, sums, texts};
use super::super::estimate::{EstimateConfig, estimate};
use super::*;

#[test]
fn without_a_threshold_nothing_changes_and_above_all_only_words_are_left() {
    let corpus = corpus(&["a b c", "a b d", "a c d", "b b c"]);
    let estimate = estimate(&corpus, &EstimateConfig::new(3)).unwrap();
    let (whole, pruner) = (estimate.to_lm().unwrap(), Pruner::new(&estimate));
    let same = pruner.prune(0.0).unwrap();
    assert_eq!(same.num_ngrams(), whole.num_ngrams());
    for history in [&[][..], &["a"], &["a", "b"], &["c", "d"]] {
        for word in NAMES.into_iter().chain(["</s>"]) {
            let (found, expected) = (prob(&same, history, word), prob(&whole, history, word));
            assert!((found - expected).abs() < 1e-6, "{history:?} {word}");
        }
    }
    let words = pruner.prune(f64::INFINITY).unwrap();
    assert_eq!((words.order(), words.num_ngrams()), (1, vec![7]));
}

#[test]
fn the_loss_is_the_relative_entropy_computed_over_the_whole_vocabulary() {
    let text = ["a b c", "a b d", "d c d", "b b c", "a b c", "d a b", "c a"];
    let corpus = corpus(&text);
    let estimate = estimate(&corpus, &EstimateConfig::new(2)).unwrap();
    let pruner = Pruner::new(&estimate);
    let whole = estimate.to_lm().unwrap();
    // Only the least valuable n-gram goes.
    let mut thresholds = pruner.thresholds();
    thresholds.sort_by(f64::total_cmp);
    let pruned = pruner.prune((thresholds[0] + thresholds[1]) / 2.0).unwrap();
    assert_eq!(pruned.num_ngrams()[1], whole.num_ngrams()[1] - 1);
    let num_tokens: f64 = text
        .iter()
        .map(|line| line.split(' ').count() as f64 + 1.0)
        .sum();
    let mut entropy = 0.0;
    for name in ["a", "b", "c", "d"] {
        let occurs: usize = text.iter().map(|line| line.matches(name).count()).sum();
        for word in NAMES.into_iter().chain(["</s>"]) {
            let history = [name];
            let p = prob(&whole, &history, word);
            entropy += occurs as f64 / num_tokens * p * (p / prob(&pruned, &history, word)).ln();
        }
    }
    for word in NAMES.into_iter().chain(["</s>"]) {
        let p = prob(&whole, &[], word);
        entropy += text.len() as f64 / num_tokens * p * (p / prob(&pruned, &[], word)).ln();
    }
    let expected = thresholds[0].ln_1p();
    assert!(
        (entropy - expected).abs() < 1e-6,
        "{entropy}, expected {expected}"
    );
    assert!(expected > 1e-4, "a loss that can be told from rounding");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_pruned_model_still_sums_to_one_after_every_history(
        text in texts(),
        order in 1usize..=4,
        share in 0.0f64..1.0,
    ) {
        let text: Vec<&str> = text.iter().map(String::as_str).collect();
        let estimate = estimate(&corpus(&text), &EstimateConfig::new(order)).unwrap();
        let pruner = Pruner::new(&estimate);
        let mut thresholds = pruner.thresholds();
        thresholds.sort_by(f64::total_cmp);
        let at = (share * thresholds.len() as f64) as usize;
        let threshold = thresholds.get(at).copied().unwrap_or(0.0);
        let lm = pruner.prune(threshold).unwrap();
        let known: Vec<&str> = NAMES.into_iter().filter(|name| lm.knows(name) || *name == "zebra").collect();
        for sum in sums(&lm, &known, 3) {
            prop_assert!((sum - 1.0).abs() < 1e-5, "{}", sum);
        }
    }
}
