//! Where one system does better than the other.

use std::collections::BTreeMap;

use shared_model::metrics::PairedCounts;

use super::pairs::Pair;
use super::{Column, DifferingUtterance, SpeakerRates, Wins, WordsRight};

/// Most words of [`WordsRight::first_gains`].
const MOST_GAINS: usize = 20;

pub(super) fn wins(units: &[PairedCounts]) -> Wins {
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

pub(super) fn words_right(aligned: &[Vec<Column>]) -> WordsRight {
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

pub(super) fn speaker_rates(speakers: &BTreeMap<&str, PairedCounts>) -> Vec<SpeakerRates> {
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

pub(super) fn differing(pairs: &[Pair<'_>], aligned: Vec<Vec<Column>>) -> Vec<DifferingUtterance> {
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
