//! Two systems on the same utterances: which is better, how surely, and where.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use shared_model::metrics::{
    ErrorCounts, PairedCounts, PairedDifference, align, bootstrap_interval, paired_bootstrap,
    word_errors,
};
use shared_model::tokens::normalize_text;

use super::Hypothesis;
use super::score::BOOTSTRAP_SEED;
use crate::exit_status::{ExitStatus, HasExitStatus};

/// Two files that cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// One has what the other does not.
    #[error(
        "the files are not of the same utterances: {count} of the {of} are not in the {other}, first {utterance}"
    )]
    OtherUtterances {
        /// Missing.
        count: usize,
        /// `first` or `second` file.
        of: &'static str,
        /// The other one.
        other: &'static str,
        /// The first that is missing.
        utterance: String,
    },
    /// An utterance stands twice in one file.
    #[error("the {of} file has {utterance} twice")]
    Twice {
        /// `first` or `second` file.
        of: &'static str,
        /// The utterance.
        utterance: String,
    },
    /// The references differ.
    #[error("the files have other references for {utterance}: \"{first}\" and \"{second}\"")]
    OtherText {
        /// The utterance.
        utterance: String,
        /// Of the first file, normalised.
        first: String,
        /// Of the second file, normalised.
        second: String,
    },
    /// No reference has a word.
    #[error("no utterance has a reference to measure against")]
    NoText,
}

impl HasExitStatus for CompareError {
    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Data
    }
}

/// How two systems compare. Rates are fractions.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// Words of the references.
    pub words: usize,
    /// Utterances.
    pub utterances: usize,
    /// The first file's system.
    pub first: SystemRate,
    /// The second file's.
    pub second: SystemRate,
    /// First less second, drawing utterances.
    pub by_utterance: PairedDifference,
    /// First less second, drawing speakers; `None` where fewer than two are known.
    pub by_speaker: Option<PairedDifference>,
    /// Utterances with fewer errors in the first, in the second, and as many in both.
    pub wins: Wins,
    /// Words of the references that the first alone has right, the second alone, and neither.
    pub words_right: WordsRight,
    /// Every speaker that is known, the first system's greatest lead first.
    pub speakers: Vec<SpeakerRates>,
    /// Utterances with other numbers of errors, the greatest difference first.
    pub differing: Vec<DifferingUtterance>,
}

/// A system's word error rate.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SystemRate {
    /// Words wrong over words of the references.
    pub wer: f64,
    /// Lower end of its 95 % interval, drawing utterances.
    pub wer_low: f64,
    /// Upper end.
    pub wer_high: f64,
}

/// Utterances by who has fewer errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Wins {
    /// The first.
    pub first: usize,
    /// The second.
    pub second: usize,
    /// Neither.
    pub equal: usize,
}

/// Words of the references by who has them right.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WordsRight {
    /// The first alone.
    pub first_only: usize,
    /// The second alone.
    pub second_only: usize,
    /// Neither.
    pub neither: usize,
    /// Words that the first alone has right, most frequent first.
    pub first_gains: Vec<(String, usize)>,
    /// Words that the second alone has right, most frequent first.
    pub second_gains: Vec<(String, usize)>,
}

/// Both systems on one speaker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeakerRates {
    /// As the files name them.
    pub speaker: String,
    /// Words of the references.
    pub words: usize,
    /// Error rate of the first.
    pub first: f64,
    /// Error rate of the second.
    pub second: f64,
}

/// An utterance on which the systems differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DifferingUtterance {
    /// Audio file and offset.
    pub utterance: String,
    /// Errors of the first.
    pub first_errors: usize,
    /// Errors of the second.
    pub second_errors: usize,
    /// Reference and both hypotheses, aligned.
    pub columns: Vec<Column>,
}

/// A word of the reference with what the systems wrote for it; nothing where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Of the reference.
    pub reference: Option<String>,
    /// Of the first.
    pub first: Option<String>,
    /// Of the second.
    pub second: Option<String>,
}

/// Most words of [`WordsRight::first_gains`].
const MOST_GAINS: usize = 20;

struct Pair<'a> {
    name: String,
    speaker: Option<&'a str>,
    reference: String,
    first: String,
    second: String,
    errors: [ErrorCounts; 2],
}

/// Compares two systems.
///
/// - `resamples`: of each bootstrap.
///
/// # Errors
/// Files of other utterances or references.
pub fn compare(
    first: &[Hypothesis],
    second: &[Hypothesis],
    resamples: usize,
) -> Result<Comparison, CompareError> {
    let pairs = pair_up(first, second)?;
    let words: usize = pairs.iter().map(|p| p.errors[0].reference_len).sum();
    if words == 0 {
        return Err(CompareError::NoText);
    }
    let units: Vec<PairedCounts> = pairs.iter().map(Pair::counts).collect();
    let mut speakers: BTreeMap<&str, PairedCounts> = BTreeMap::new();
    for pair in &pairs {
        // Utterances without a speaker are not one speaker's.
        if let Some(speaker) = pair.speaker {
            speakers.entry(speaker).or_default().add(&pair.counts());
        }
    }
    let are_known = speakers.len() > 1 && pairs.iter().all(|pair| pair.speaker.is_some());
    let by_speaker = are_known.then(|| {
        let units: Vec<PairedCounts> = speakers.values().copied().collect();
        paired_bootstrap(&units, resamples, BOOTSTRAP_SEED)
    });
    let rate = |system: usize| {
        let counts: Vec<ErrorCounts> = pairs.iter().map(|pair| pair.errors[system]).collect();
        let interval = bootstrap_interval(&counts, resamples, BOOTSTRAP_SEED);
        let errors: usize = counts.iter().map(ErrorCounts::errors).sum();
        SystemRate {
            wer: errors as f64 / words as f64,
            wer_low: interval.low,
            wer_high: interval.high,
        }
    };
    let aligned: Vec<Vec<Column>> = pairs.iter().map(Pair::columns).collect();
    Ok(Comparison {
        words,
        utterances: pairs.len(),
        first: rate(0),
        second: rate(1),
        by_utterance: paired_bootstrap(&units, resamples, BOOTSTRAP_SEED),
        by_speaker,
        wins: wins(&units),
        words_right: words_right(&aligned),
        speakers: speaker_rates(&speakers),
        differing: differing(&pairs, aligned),
    })
}

/// The utterances of both files, in the order of the first.
fn pair_up<'a>(
    first: &'a [Hypothesis],
    second: &'a [Hypothesis],
) -> Result<Vec<Pair<'a>>, CompareError> {
    let key = key_of(first, second);
    let firsts = by_key("first", first, key)?;
    let seconds = by_key("second", second, key)?;
    let missing = |of, other, from: &HashMap<_, _>, list: &[Hypothesis]| {
        let missing = list.iter().filter(|h| !from.contains_key(&key(h)));
        let count = missing.clone().count();
        missing.map(name).next().map_or(Ok(()), |utterance| {
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
                utterance: name(own),
                first: reference,
                second: other_reference,
            });
        }
        let heard = [&own.pred_text, &other.pred_text].map(|text| normalize_text(text));
        let errors = [0, 1].map(|system| word_errors(&reference, &heard[system]));
        let [first, second] = heard;
        pairs.push(Pair {
            name: name(own),
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
                utterance: name(hypothesis),
            });
        }
    }
    Ok(found)
}

fn name(hypothesis: &Hypothesis) -> String {
    match hypothesis.offset {
        0.0 => hypothesis.audio_filepath.clone(),
        offset => format!("{} at {offset:.2} s", hypothesis.audio_filepath),
    }
}

impl Pair<'_> {
    fn counts(&self) -> PairedCounts {
        PairedCounts {
            words: self.errors[0].reference_len,
            first: self.errors[0].errors(),
            second: self.errors[1].errors(),
        }
    }

    /// Both alignments with the reference, merged: insertions stand before the word that follows.
    fn columns(&self) -> Vec<Column> {
        let reference: Vec<&str> = self.reference.split_whitespace().collect();
        let owned = |word: &str| Some(word.to_owned());
        let [first, second] =
            [&self.first, &self.second].map(|text| by_reference(&reference, text));
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

fn wins(units: &[PairedCounts]) -> Wins {
    let mut wins = Wins::default();
    for unit in units {
        match unit.first.cmp(&unit.second) {
            std::cmp::Ordering::Less => wins.first += 1,
            std::cmp::Ordering::Greater => wins.second += 1,
            std::cmp::Ordering::Equal => wins.equal += 1,
        }
    }
    wins
}

fn words_right(aligned: &[Vec<Column>]) -> WordsRight {
    let mut right = WordsRight::default();
    let mut gains: [BTreeMap<&str, usize>; 2] = [BTreeMap::new(), BTreeMap::new()];
    for column in aligned.iter().flatten() {
        let Some(word) = &column.reference else {
            continue;
        };
        match [&column.first, &column.second].map(|heard| heard.as_ref() == Some(word)) {
            [true, true] => {}
            [true, false] => {
                right.first_only += 1;
                *gains[0].entry(word).or_default() += 1;
            }
            [false, true] => {
                right.second_only += 1;
                *gains[1].entry(word).or_default() += 1;
            }
            [false, false] => right.neither += 1,
        }
    }
    [right.first_gains, right.second_gains] = gains.map(|gains| {
        let mut gains: Vec<(String, usize)> =
            gains.into_iter().map(|(w, n)| (w.to_owned(), n)).collect();
        gains.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        gains.truncate(MOST_GAINS);
        gains
    });
    right
}

fn speaker_rates(speakers: &BTreeMap<&str, PairedCounts>) -> Vec<SpeakerRates> {
    let rate = |errors: usize, words: usize| errors as f64 / words.max(1) as f64;
    let mut rates: Vec<SpeakerRates> = speakers
        .iter()
        .map(|(speaker, counts)| SpeakerRates {
            speaker: (*speaker).to_owned(),
            words: counts.words,
            first: rate(counts.first, counts.words),
            second: rate(counts.second, counts.words),
        })
        .collect();
    rates.sort_by(|a, b| (a.first - a.second).total_cmp(&(b.first - b.second)));
    rates
}

fn differing(pairs: &[Pair<'_>], aligned: Vec<Vec<Column>>) -> Vec<DifferingUtterance> {
    let all = pairs.iter().zip(aligned);
    let mut differing: Vec<DifferingUtterance> = all
        .map(|(pair, columns)| DifferingUtterance {
            utterance: pair.name.clone(),
            first_errors: pair.errors[0].errors(),
            second_errors: pair.errors[1].errors(),
            columns,
        })
        .filter(|utterance| utterance.first_errors != utterance.second_errors)
        .collect();
    let gap = |u: &DifferingUtterance| u.first_errors.abs_diff(u.second_errors);
    differing.sort_by_key(|utterance| std::cmp::Reverse(gap(utterance)));
    differing
}

#[cfg(test)]
mod tests;
