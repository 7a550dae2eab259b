//! Interpolated modified Kneser-Ney probabilities.
//!
//! With the counts `a` (how often at the highest order, in how many different words' company
//! below), the discount `D` of the order and `h'` the history without its first word:
//!
//! ```text
//! p(w | h)  = max(a(h w) - D(a(h w)), 0) / sum over v of a(h v)  +  b(h) p(w | h')
//! b(h)      = what the discounts and the n-grams below the cut-off leave of the history's mass
//! p(w | no history) is interpolated with the same probability for every word, `</s>` and `<unk>`
//! ```
//!
//! `<unk>` has nothing but that, however many words of the text are outside the vocabulary: it
//! stands for each one of them, and a decoder that took it for all of them together would write
//! unknown words wherever the vocabulary is small. What follows an unknown word is learned.
//!
//! Words that were added to the vocabulary ([`Corpus::add_words`]) have their count's share of the text wherever
//! they stand; all others have the rest.
//!
//! An n-gram below the cut-off has `b(h) p(w | h')`, so each history's probabilities sum to 1.

use shared_model::decode::lm::{MAX_ORDER, NgramLm, NgramTable};

use super::LmError;
use super::counts::{Key, NgramCounts, is_never_predicted, prefix, suffix, words};
use super::discounts::Discounts;
use super::text::{Corpus, START_ID, UNKNOWN_ID};

/// What an ARPA file writes for probability 0, as `<s>` has it: 1e-99.
const ZERO_LN_PROB: f64 = -99.0 * std::f64::consts::LN_10;

/// How a model is estimated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstimateConfig {
    /// Words of the longest n-gram, 1 to 5.
    pub order: usize,
    /// Per order from 1: n-grams that occur less often are left out. None below the one before,
    /// so that every n-gram's beginning and end are there; 1 and less keep all.
    pub min_counts: Vec<u32>,
}

impl EstimateConfig {
    /// Every n-gram of up to `order` words.
    pub fn new(order: usize) -> Self {
        Self {
            order,
            min_counts: vec![1; order],
        }
    }

    fn validate(&self) -> Result<(), LmError> {
        if !(1..=MAX_ORDER).contains(&self.order) {
            return Err(LmError::Order {
                order: self.order,
                limit: MAX_ORDER,
            });
        }
        if self.min_counts.len() != self.order || !self.min_counts.is_sorted() {
            return Err(LmError::CutOffs {
                given: format!("{:?}", self.min_counts),
                order: self.order,
            });
        }
        Ok(())
    }
}

/// The n-grams of one order, sorted.
#[derive(Debug, Clone)]
pub(super) struct Level {
    pub keys: Vec<Key>,
    /// How often each occurs in the text.
    pub counts: Vec<u32>,
    /// Index in the order below of the n-gram without its last word; 0 for unigrams.
    pub prefixes: Vec<u32>,
    /// Index in the order below of the n-gram without its first word; 0 for unigrams.
    pub suffixes: Vec<u32>,
    pub probs: Vec<f64>,
    /// `b` of each n-gram as a history; 1 where nothing longer begins with it.
    pub backoffs: Vec<f64>,
}

/// An estimated model with what pruning needs to know.
#[derive(Debug, Clone)]
pub struct Estimate {
    pub(super) words: Vec<Box<str>>,
    /// By order, from 1.
    pub(super) levels: Vec<Level>,
    /// Words and sentence ends of the text.
    pub(super) num_tokens: usize,
    /// By order, from 1.
    pub discounts: Vec<Discounts>,
}

/// Estimates a model.
///
/// # Errors
/// An order or cut-offs out of range.
pub fn estimate(corpus: &Corpus, config: &EstimateConfig) -> Result<Estimate, LmError> {
    config.validate()?;
    let mut estimate = Estimate {
        words: corpus.words.clone(),
        levels: Vec::with_capacity(config.order),
        num_tokens: corpus.tokens.len(),
        discounts: Vec::with_capacity(config.order),
    };
    let mut ngrams = NgramCounts::of(corpus, 1);
    for order in 1..=config.order {
        let longer = (order < config.order).then(|| NgramCounts::of(corpus, order + 1));
        let counts = match &longer {
            Some(longer) => ngrams.continuation_counts(order, longer),
            None => ngrams.counts.clone(),
        };
        let is_predicted = |key: &Key| order > 1 || !is_never_predicted(*key as u32);
        let predicted = ngrams.keys.iter().zip(&counts);
        let predicted = predicted.filter(|(key, _)| is_predicted(key));
        let discounts = Discounts::of_counts(predicted.map(|(_, &count)| count));
        let level = match estimate.levels.last_mut() {
            None => unigrams(corpus, &ngrams, &counts, discounts),
            Some(below) => {
                let min_count = config.min_counts[order - 1];
                longer_ngrams(order, &ngrams, &counts, discounts, min_count, below)
            }
        };
        estimate.levels.push(level);
        estimate.discounts.push(discounts);
        if let Some(longer) = longer {
            ngrams = longer;
        }
    }
    Ok(estimate)
}

/// Every word of the vocabulary, seen or not.
fn unigrams(corpus: &Corpus, ngrams: &NgramCounts, counts: &[u32], discounts: Discounts) -> Level {
    let words = &corpus.words;
    let mut occurrences = vec![0; words.len()];
    let mut seen = vec![0; words.len()];
    for ((&key, &count), &occurs) in ngrams.keys.iter().zip(counts).zip(&ngrams.counts) {
        occurrences[key as usize] = occurs;
        seen[key as usize] = count;
    }
    // <unk> has its share of what every word has alike, as a word that was not seen.
    for word in [START_ID, UNKNOWN_ID] {
        seen[word as usize] = 0;
    }
    let total: f64 = seen.iter().map(|&count| f64::from(count)).sum();
    let kept = |count: u32| (f64::from(count) - discounts.of(count)).max(0.0) / total;
    let left = 1.0 - seen.iter().map(|&count| kept(count)).sum::<f64>();
    let num_seen = words.len() - corpus.added.len();
    let uniform = left / (num_seen - 1) as f64;
    let num_tokens = corpus.tokens.len() as f64;
    let added = corpus.added.iter().map(|&(_, count)| f64::from(count));
    let all = num_tokens + added.sum::<f64>();
    let prob = |&count: &u32| num_tokens / all * (kept(count) + uniform);
    let mut probs: Vec<f64> = seen.iter().map(prob).collect();
    probs[START_ID as usize] = 0.0;
    for &(word, count) in &corpus.added {
        probs[word as usize] = f64::from(count) / all;
    }
    Level {
        keys: (0..words.len() as Key).collect(),
        counts: occurrences,
        prefixes: vec![0; words.len()],
        suffixes: vec![0; words.len()],
        probs,
        backoffs: vec![1.0; words.len()],
    }
}

/// The n-grams that occur `min_count` times or more; sets the back-offs of the order below.
fn longer_ngrams(
    order: usize,
    ngrams: &NgramCounts,
    counts: &[u32],
    discounts: Discounts,
    min_count: u32,
    below: &mut Level,
) -> Level {
    let mut level = Level {
        keys: Vec::new(),
        counts: Vec::new(),
        prefixes: Vec::new(),
        suffixes: Vec::new(),
        probs: Vec::new(),
        backoffs: Vec::new(),
    };
    let mut first = 0;
    for siblings in ngrams.keys.chunk_by(|&a, &b| prefix(a) == prefix(b)) {
        let range = first..first + siblings.len();
        first = range.end;
        // A history below its own cut-off has only n-grams below theirs.
        let Ok(history) = below.keys.binary_search(&prefix(siblings[0])) else {
            continue;
        };
        let total: f64 = counts[range.clone()].iter().map(|&n| f64::from(n)).sum();
        let kept = |index: usize| {
            let count = counts[index];
            (f64::from(count) - discounts.of(count)).max(0.0) / total
        };
        let is_listed = |&index: &usize| ngrams.counts[index] >= min_count;
        let listed_mass: f64 = range.clone().filter(is_listed).map(kept).sum();
        let backoff = 1.0 - listed_mass;
        below.backoffs[history] = backoff;
        for index in range.filter(is_listed) {
            let key = ngrams.keys[index];
            // There: it occurs as often as the n-gram or more, and its cut-off is no higher.
            let Ok(shorter) = below.keys.binary_search(&suffix(key, order)) else {
                continue;
            };
            level.keys.push(key);
            level.counts.push(ngrams.counts[index]);
            level.prefixes.push(history as u32);
            level.suffixes.push(shorter as u32);
            level
                .probs
                .push(kept(index) + backoff * below.probs[shorter]);
            level.backoffs.push(1.0);
        }
    }
    level
}

impl Estimate {
    /// N-grams of each order, from 1.
    pub fn num_ngrams(&self) -> Vec<usize> {
        self.levels.iter().map(|level| level.keys.len()).collect()
    }

    /// The model with every n-gram.
    ///
    /// # Errors
    /// More n-grams than a model holds.
    pub fn to_lm(&self) -> Result<NgramLm, LmError> {
        let backoffs: Vec<_> = self.levels.iter().map(|l| l.backoffs.as_slice()).collect();
        self.listed_lm(|_, _| true, &backoffs)
    }

    /// The model of the n-grams for which `is_listed(order, index)`, with these back-offs by order
    /// from 1. The orders above the last listed n-gram are left out.
    pub(super) fn listed_lm(
        &self,
        is_listed: impl Fn(usize, usize) -> bool,
        backoffs: &[impl AsRef<[f64]>],
    ) -> Result<NgramLm, LmError> {
        let has_any =
            |&order: &usize| (0..self.levels[order - 1].keys.len()).any(|i| is_listed(order, i));
        let highest = (1..=self.levels.len()).rev().find(has_any).unwrap_or(1);
        let mut table = NgramTable::new(highest)?;
        let mut ids = Vec::with_capacity(highest);
        for order in 1..=highest {
            let level = &self.levels[order - 1];
            let backoffs = backoffs[order - 1].as_ref();
            for (index, &key) in level.keys.iter().enumerate() {
                if !is_listed(order, index) {
                    continue;
                }
                let prob = level.probs[index];
                let ln_prob = if prob > 0.0 { prob.ln() } else { ZERO_LN_PROB };
                let ln_backoff = backoffs[index].ln();
                ids.clear();
                ids.extend(words(key, order));
                if let [word] = *ids {
                    let word = &self.words[word as usize];
                    table.push_word(word, ln_prob as f32, ln_backoff as f32)?;
                } else {
                    table.push(&ids, ln_prob as f32, ln_backoff as f32)?;
                }
            }
        }
        Ok(NgramLm::from_table(table)?)
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::super::text::VocabularyLimits;
    use super::*;

    pub fn corpus(sentences: &[&str]) -> Corpus {
        Corpus::from_sentences(sentences.iter().copied(), &VocabularyLimits::default()).unwrap()
    }

    #[test]
    fn an_added_word_has_its_share_of_the_text_and_leaves_the_rest_to_the_others() {
        let sentences = ["a b a", "b a"];
        let plain = estimate(&corpus(&sentences), &EstimateConfig::new(2)).unwrap();
        let mut with_web = corpus(&sentences);
        with_web.add_words([("web", 3)]);
        let lm = estimate(&with_web, &EstimateConfig::new(2))
            .unwrap()
            .to_lm()
            .unwrap();
        // Seven tokens, ends of sentences among them, and three times the added one.
        let none: [&str; 1] = ["web"];
        let after_web = |lm: &NgramLm, word| prob(lm, &none, word);
        assert!((after_web(&lm, "web") - 0.3).abs() < 1e-6);
        let unigram = |word: &str| {
            let at = plain
                .words
                .iter()
                .position(|known| **known == *word)
                .unwrap();
            plain.levels[0].probs[at]
        };
        for word in ["a", "b", "</s>", "<unk>"] {
            assert!(
                (after_web(&lm, word) - 0.7 * unigram(word)).abs() < 1e-6,
                "{word}"
            );
        }
        for sum in sums(&lm, &["a", "b", "web", "<unk>"], 2) {
            assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        }
    }

    pub fn prob(lm: &NgramLm, history: &[&str], word: &str) -> f64 {
        let mut state = lm.start();
        for word in history {
            state = lm.score(&state, word).1;
        }
        let ln_prob = match word {
            "</s>" => lm.end(&state),
            word => lm.score(&state, word).0,
        };
        f64::from(ln_prob).exp()
    }

    /// The sum over everything that may follow each history of up to `length` words of `names`.
    pub fn sums(lm: &NgramLm, names: &[&str], length: usize) -> Vec<f64> {
        let mut histories: Vec<Vec<&str>> = vec![Vec::new()];
        let mut first = 0;
        for _ in 0..length {
            let last = histories.len();
            for at in first..last {
                for name in names {
                    let longer = [histories[at].as_slice(), &[name]].concat();
                    histories.push(longer);
                }
            }
            first = last;
        }
        let sum = |history: &Vec<&str>| {
            let following = names.iter().chain(["</s>"].iter());
            following.map(|word| prob(lm, history, word)).sum()
        };
        histories.iter().map(sum).collect()
    }

    /// One word more than the text has: the model's `<unk>`.
    pub const NAMES: [&str; 5] = ["a", "b", "c", "d", "zebra"];

    #[test]
    fn a_bigram_model_has_the_values_computed_by_hand() {
        // Too few counts of counts: discounts 0.5, 1, 1.5. Words in different words' company:
        // a 1, b 1, c 1, </s> 2, together 5; each keeps 0.1, </s> 0.2, and 0.5 is shared by five
        // (<unk> too): a, b, c 0.2, </s> 0.3, <unk> 0.1.
        let corpus = corpus(&["a b", "a b", "a c"]);
        let lm = estimate(&corpus, &EstimateConfig::new(2))
            .unwrap()
            .to_lm()
            .unwrap();
        let expected = [
            (&[][..], "a", (3.0 - 1.5) / 3.0 + 0.5 * 0.2),
            (&[], "b", 0.5 * 0.2),
            (&["a"], "b", (2.0 - 1.0) / 3.0 + 0.5 * 0.2),
            (&["a"], "c", (1.0 - 0.5) / 3.0 + 0.5 * 0.2),
            (&["a"], "</s>", 0.5 * 0.3),
            (&["a"], "zebra", 0.5 * 0.1),
            (&["a", "b"], "</s>", (2.0 - 1.0) / 2.0 + 0.5 * 0.3),
            (&["a", "c"], "</s>", (1.0 - 0.5) / 1.0 + 0.5 * 0.3),
            (&["zebra"], "a", 0.2),
        ];
        for (history, word, expected) in expected {
            let found = prob(&lm, history, word);
            assert!(
                (found - expected).abs() < 1e-6,
                "{history:?} {word}: {found}"
            );
        }
        assert_eq!(lm.num_ngrams(), [6, 5]);
    }

    #[test]
    fn ngrams_below_the_cut_off_leave_their_mass_to_the_shorter_history() {
        let corpus = corpus(&["a b", "a b", "a c"]);
        let config = EstimateConfig {
            order: 2,
            min_counts: vec![1, 2],
        };
        let lm = estimate(&corpus, &config).unwrap().to_lm().unwrap();
        assert_eq!(lm.num_ngrams(), [6, 3], "(a c) and (c </s>) are gone");
        for (history, word, expected) in [
            (&["a"][..], "c", (1.0 - 1.0 / 3.0) * 0.2),
            (&["a"], "b", 1.0 / 3.0 + 2.0 / 3.0 * 0.2),
            (&["a", "c"], "</s>", 0.3),
        ] {
            let found = prob(&lm, history, word);
            assert!(
                (found - expected).abs() < 1e-6,
                "{history:?} {word}: {found}"
            );
        }
    }

    #[test]
    fn a_trigram_model_interpolates_three_orders() {
        // Bigram counts are different words before: all 1, except (<s> a), which keeps 3.
        let corpus = corpus(&["a b", "a b", "a c"]);
        let lm = estimate(&corpus, &EstimateConfig::new(3))
            .unwrap()
            .to_lm()
            .unwrap();
        let a_b = 0.5 / 2.0 + 0.5 * 0.2;
        let start_a_b = (2.0 - 1.0) / 3.0 + 0.5 * a_b;
        assert!((prob(&lm, &["a"], "b") - start_a_b).abs() < 1e-6);
        // (c a) is no history: the bigram (a b).
        assert!((prob(&lm, &["c", "a"], "b") - a_b).abs() < 1e-6);
    }

    #[test]
    fn an_unknown_word_is_as_improbable_as_one_that_was_never_seen() {
        let limits = VocabularyLimits {
            min_count: 2,
            ..VocabularyLimits::default()
        };
        let corpus = Corpus::from_sentences(["a z", "a y", "a b", "b a"], &limits).unwrap();
        let lm = estimate(&corpus, &EstimateConfig::new(2))
            .unwrap()
            .to_lm()
            .unwrap();
        // In different words' company: </s> 3 (after <unk>, a and b), a 2, b 2, together 7, of
        // which the fallback's discounts take 1.5, 1 and 1. Four share these 3.5 / 7.
        let uniform = 0.5 / 4.0;
        for (history, word, expected) in [
            // Twice the end follows an unknown word, which keeps half of its mass.
            (&["q"][..], "z", 0.5 * uniform),
            (&["q"], "a", 0.5 * (1.0 / 7.0 + uniform)),
            (&["q"], "</s>", 1.0 / 2.0 + 0.5 * (1.5 / 7.0 + uniform)),
            // After a: b and </s> once each, which keep half; the rest goes to the shorter history.
            (&["b", "a"], "z", 0.5 * uniform),
            (&["b", "a"], "b", 0.5 / 2.0 + 0.5 * (1.0 / 7.0 + uniform)),
        ] {
            let found = prob(&lm, history, word);
            assert!(
                (found - expected).abs() < 1e-6,
                "{history:?} {word}: {found}, expected {expected}"
            );
        }
    }

    #[test]
    fn orders_and_cut_offs_out_of_range_are_errors() {
        let corpus = corpus(&["a b"]);
        for order in [0, 6] {
            let error = estimate(&corpus, &EstimateConfig::new(order)).unwrap_err();
            assert!(matches!(error, LmError::Order { .. }), "{error}");
        }
        for min_counts in [vec![1], vec![1, 2, 2], vec![2, 1]] {
            let config = EstimateConfig {
                order: 2,
                min_counts,
            };
            let error = estimate(&corpus, &config).unwrap_err();
            assert!(matches!(error, LmError::CutOffs { .. }), "{error}");
        }
    }

    pub fn texts() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[a-d]( [a-d]){0,6}", 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn after_every_history_the_probabilities_sum_to_one(
            text in texts(),
            order in 1usize..=4,
            cut_off in 1u32..4,
            min_count in 1u32..3,
        ) {
            let limits = VocabularyLimits { min_count, ..VocabularyLimits::default() };
            let corpus = Corpus::from_sentences(text.iter().map(String::as_str), &limits).unwrap();
            let mut config = EstimateConfig::new(order);
            for (index, min) in config.min_counts.iter_mut().enumerate() {
                *min = if index == 0 { 1 } else { cut_off };
            }
            let lm = estimate(&corpus, &config).unwrap().to_lm().unwrap();
            let known: Vec<&str> = NAMES.into_iter().filter(|name| lm.knows(name) || *name == "zebra").collect();
            for sum in sums(&lm, &known, 3) {
                prop_assert!((sum - 1.0).abs() < 1e-5, "{}", sum);
            }
        }
    }
}
