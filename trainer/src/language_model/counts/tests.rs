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
