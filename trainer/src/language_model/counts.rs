//! N-grams of a text and how often they occur.

#[cfg(test)]
mod tests;

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
