//! The utterances that two files have in common.

use std::collections::HashMap;

use shared_model::metrics::{ErrorCounts, PairedCounts, word_errors};
use shared_model::tokens::normalize_text;

use super::columns::columns;
use super::{Column, CompareError};
use crate::evaluate::Hypothesis;

/// An utterance as two systems heard it.
pub(super) struct Pair<'a> {
    pub(super) name: String,
    pub(super) speaker: Option<&'a str>,
    reference: String,
    first: String,
    second: String,
    pub(super) errors: [ErrorCounts; 2],
}

/// The utterances of both files, in the order of the first.
pub(super) fn pair_up<'a>(
    first: &'a [Hypothesis],
    second: &'a [Hypothesis],
) -> Result<Vec<Pair<'a>>, CompareError> {
    let key = key_of(first, second);
    let firsts = by_key("first", first, key)?;
    let seconds = by_key("second", second, key)?;
    let missing = |of, other, from: &HashMap<_, _>, list: &[Hypothesis]| {
        let missing = list.iter().filter(|h| !from.contains_key(&key(h)));
        let count = missing.clone().count();
        missing
            .map(Hypothesis::name)
            .next()
            .map_or(Ok(()), |utterance| {
                Err(CompareError::OtherUtterances {
                    count,
                    of,
                    other,
                    utterance,
                })
            })
    };
    missing("first", "second", &seconds, first)?;
    missing("second", "first", &firsts, second)?;
    let mut pairs = vec![];
    for own in first {
        let Some(other) = seconds.get(&key(own)) else {
            continue;
        };
        let reference = normalize_text(&own.text);
        let other_reference = normalize_text(&other.text);
        if reference != other_reference {
            return Err(CompareError::OtherText {
                utterance: own.name(),
                first: reference,
                second: other_reference,
            });
        }
        let heard = [&own.pred_text, &other.pred_text].map(|text| normalize_text(text));
        let errors = [0, 1].map(|system| word_errors(&reference, &heard[system]));
        let [first, second] = heard;
        pairs.push(Pair {
            name: own.name(),
            speaker: own.speaker.as_deref().or(other.speaker.as_deref()),
            reference,
            first,
            second,
            errors,
        });
    }
    Ok(pairs)
}

type Key = (String, u64);

/// Whole paths, or file names where the files were made with the audio in other places.
fn key_of(first: &[Hypothesis], second: &[Hypothesis]) -> fn(&Hypothesis) -> Key {
    let whole: fn(&Hypothesis) -> Key = |h| (h.audio_filepath.clone(), millis(h));
    let file_name: fn(&Hypothesis) -> Key = |h| {
        let name = h.audio_filepath.rsplit(['/', '\\']).next();
        (name.unwrap_or_default().to_owned(), millis(h))
    };
    let keys = |list: &[Hypothesis], key: fn(&Hypothesis) -> Key| {
        let mut keys: Vec<Key> = list.iter().map(key).collect();
        keys.sort();
        keys
    };
    let names = [first, second].map(|list| keys(list, file_name));
    let are_unique = names
        .iter()
        .all(|keys| keys.windows(2).all(|w| w[0] != w[1]));
    if keys(first, whole) != keys(second, whole) && are_unique {
        file_name
    } else {
        whole
    }
}

fn millis(hypothesis: &Hypothesis) -> u64 {
    (hypothesis.offset * 1000.0).round() as u64
}

fn by_key<'a>(
    of: &'static str,
    list: &'a [Hypothesis],
    key: fn(&Hypothesis) -> Key,
) -> Result<HashMap<Key, &'a Hypothesis>, CompareError> {
    let mut found = HashMap::new();
    for hypothesis in list {
        if found.insert(key(hypothesis), hypothesis).is_some() {
            return Err(CompareError::Twice {
                of,
                utterance: hypothesis.name(),
            });
        }
    }
    Ok(found)
}

impl Pair<'_> {
    pub(super) fn counts(&self) -> PairedCounts {
        PairedCounts {
            words: self.errors[0].reference_len,
            first: self.errors[0].errors(),
            second: self.errors[1].errors(),
        }
    }

    pub(super) fn columns(&self) -> Vec<Column> {
        columns(&self.reference, [&self.first, &self.second])
    }
}
