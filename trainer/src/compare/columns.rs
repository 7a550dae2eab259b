//! A reference and two hypotheses, word beside word.

use shared_model::metrics::align;

use super::Column;

/// Both alignments with the reference, merged: insertions stand before the word that follows.
pub(super) fn columns(reference: &str, hypotheses: [&str; 2]) -> Vec<Column> {
    let reference: Vec<&str> = reference.split_whitespace().collect();
    let owned = |word: &str| Some(word.to_owned());
    let [first, second] = hypotheses.map(|text| by_reference(&reference, text));
    let mut columns = vec![];
    for position in 0..=reference.len() {
        let (own, other) = (&first[position], &second[position]);
        for insertion in 0..own.inserted.len().max(other.inserted.len()) {
            columns.push(Column {
                reference: None,
                first: own.inserted.get(insertion).and_then(|word| owned(word)),
                second: other.inserted.get(insertion).and_then(|word| owned(word)),
            });
        }
        if let Some(word) = reference.get(position) {
            columns.push(Column {
                reference: owned(word),
                first: own.word.and_then(owned),
                second: other.word.and_then(owned),
            });
        }
    }
    columns
}

/// What was heard for a word of the reference, and before it.
#[derive(Default, Clone)]
struct Heard<'a> {
    inserted: Vec<&'a str>,
    word: Option<&'a str>,
}

/// By word of the reference; one more for what follows the last.
fn by_reference<'a>(reference: &[&str], hypothesis: &'a str) -> Vec<Heard<'a>> {
    let words: Vec<&str> = hypothesis.split_whitespace().collect();
    let mut heard = vec![Heard::default(); reference.len() + 1];
    let mut position = 0;
    for pair in align(reference, &words).1 {
        match (pair.reference, pair.hypothesis.map(|index| words[index])) {
            (Some(index), word) => {
                heard[index].word = word;
                position = index + 1;
            }
            (None, word) => heard[position].inserted.extend(word),
        }
    }
    heard
}
