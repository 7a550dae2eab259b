//! N-grams of a text and how often they occur.

use super::text::{Corpus, START_ID, UNKNOWN_ID};

/// Bits of a word id in a key: five words fit in 128 bits.
const WORD_BITS: u32 = 25;

/// The words of an n-gram, the first one in the highest bits: sorting keys of one order sorts the
/// n-grams by their words.
pub(super) type Key = u128;

fn low_words(num_words: usize) -> Key {
    (1 << (WORD_BITS * num_words as u32)) - 1
}

/// The n-gram without its last word.
pub(super) fn prefix(key: Key) -> Key {
    key >> WORD_BITS
}

/// The n-gram of `order` words without its first.
pub(super) fn suffix(key: Key, order: usize) -> Key {
    key & low_words(order - 1)
}

pub(super) fn first_word(key: Key, order: usize) -> u32 {
    (key >> (WORD_BITS * (order as u32 - 1))) as u32
}

/// Word ids of an n-gram of `order` words.
pub(super) fn words(key: Key, order: usize) -> impl Iterator<Item = u32> {
    let word = move |at: usize| (key >> (WORD_BITS * (order - 1 - at) as u32)) & low_words(1);
    (0..order).map(move |at| word(at) as u32)
}

/// Whether no history predicts the word: `<s>` follows nothing, and which words are unknown is an
/// accident of the vocabulary, so that where they stand must not make unknown words likely.
pub(super) fn is_never_predicted(word: u32) -> bool {
    word == START_ID || word == UNKNOWN_ID
}

/// The n-grams of one order, sorted, and how often each occurs. Sentences begin with one `<s>`, and
/// after an unknown word what follows is counted as after `<s>`: n-grams of two or more words may
/// begin with either and hold them nowhere else. Their unigrams count how often they occur.
pub(super) struct NgramCounts {
    pub keys: Vec<Key>,
    pub counts: Vec<u32>,
}

impl NgramCounts {
    pub fn of(corpus: &Corpus, order: usize) -> Self {
        let mut occurrences = Vec::with_capacity(corpus.tokens.len() + corpus.num_sentences);
        for sentence in corpus.sentences() {
            let mut key = 0;
            // Words that an n-gram which ends here may have.
            let mut most_words = 0;
            for token in [START_ID].into_iter().chain(sentence.iter().copied()) {
                key = (key << WORD_BITS | Key::from(token)) & low_words(order);
                most_words = match is_never_predicted(token) {
                    true => 1,
                    false => most_words + 1,
                };
                if most_words >= order {
                    occurrences.push(key);
                }
            }
        }
        occurrences.sort_unstable();
        let mut ngrams = Self {
            keys: Vec::new(),
            counts: Vec::new(),
        };
        for same in occurrences.chunk_by(|a, b| a == b) {
            ngrams.keys.push(same[0]);
            ngrams.counts.push(same.len() as u32);
        }
        ngrams
    }

    /// Kneser-Ney's counts of an order below the highest: in how many different words' company
    /// each n-gram was seen, that is how many n-grams of `longer` end with it. N-grams that begin
    /// with a word that is never predicted keep their own counts.
    pub fn continuation_counts(&self, order: usize, longer: &Self) -> Vec<u32> {
        let mut continuations = vec![0; self.keys.len()];
        for &key in &longer.keys {
            if let Ok(index) = self.keys.binary_search(&suffix(key, order + 1)) {
                continuations[index] += 1;
            }
        }
        for (index, &key) in self.keys.iter().enumerate() {
            if is_never_predicted(first_word(key, order)) {
                continuations[index] = self.counts[index];
            }
        }
        continuations
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::text::VocabularyLimits;
    use super::*;

    const TEXT: [&str; 3] = ["a b", "a b", "a c"];

    fn listed(ngrams: &NgramCounts, counts: &[u32], order: usize) -> Vec<(Vec<u32>, u32)> {
        let keys = ngrams.keys.iter().map(|&key| words(key, order).collect());
        keys.zip(counts.iter().copied()).collect()
    }

    #[test]
    fn ngrams_are_counted_within_sentences() {
        let corpus = Corpus::from_sentences(TEXT, &VocabularyLimits::default()).unwrap();
        let (start, end, a, b, c) = (0, 1, 3, 4, 5);
        let one = NgramCounts::of(&corpus, 1);
        assert_eq!(
            listed(&one, &one.counts, 1),
            [(start, 3), (end, 3), (a, 3), (b, 2), (c, 1)].map(|(word, n)| (vec![word], n))
        );
        let two = NgramCounts::of(&corpus, 2);
        assert_eq!(
            listed(&two, &two.counts, 2),
            [
                ([start, a], 3),
                ([a, b], 2),
                ([a, c], 1),
                ([b, end], 2),
                ([c, end], 1)
            ]
            .map(|(words, n)| (words.to_vec(), n))
        );
        let three = NgramCounts::of(&corpus, 3);
        assert_eq!(three.counts, [2, 1, 2, 1]);
    }

    #[test]
    fn an_unknown_word_begins_ngrams_and_is_in_no_other_place() {
        let limits = VocabularyLimits {
            min_count: 2,
            ..VocabularyLimits::default()
        };
        let text = ["a z b a", "b a y", "x w a"];
        let corpus = Corpus::from_sentences(text, &limits).unwrap();
        let (start, end, unknown, a, b) = (0, 1, 2, 3, 4);
        let one = NgramCounts::of(&corpus, 1);
        assert_eq!(
            listed(&one, &one.counts, 1),
            [(start, 3), (end, 3), (unknown, 4), (a, 4), (b, 2)].map(|(word, n)| (vec![word], n))
        );
        let two = NgramCounts::of(&corpus, 2);
        assert_eq!(
            listed(&two, &two.counts, 2),
            [
                ([start, a], 1),
                ([start, b], 1),
                ([unknown, end], 1),
                ([unknown, a], 1),
                ([unknown, b], 1),
                ([a, end], 2),
                ([b, a], 2),
            ]
            .map(|(words, n)| (words.to_vec(), n))
        );
        // a stands after <s>, <unk> and b; what is never predicted keeps its count.
        assert_eq!(one.continuation_counts(1, &two), [3, 2, 4, 3, 2]);
        let three = NgramCounts::of(&corpus, 3);
        let expected = [
            [start, b, a],
            [unknown, a, end],
            [unknown, b, a],
            [b, a, end],
        ];
        assert_eq!(
            listed(&three, &three.counts, 3),
            expected.map(|words| (words.to_vec(), 1))
        );
    }

    #[test]
    fn continuations_are_different_words_before() {
        let corpus = Corpus::from_sentences(TEXT, &VocabularyLimits::default()).unwrap();
        let (one, two) = (NgramCounts::of(&corpus, 1), NgramCounts::of(&corpus, 2));
        // <s> keeps its count; </s> stands after b and c, every other word after one word.
        assert_eq!(one.continuation_counts(1, &two), [3, 2, 1, 1, 1]);
        let three = NgramCounts::of(&corpus, 3);
        assert_eq!(two.continuation_counts(2, &three), [3, 1, 1, 1, 1]);
    }
}
