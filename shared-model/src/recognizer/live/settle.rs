//! What of an open segment is settled: phrases of its partial results, and the words of one that
//! has no pause.

use crate::{decode::Word, phrases::PhraseHit, recognizer::activity::BLOCKS_PER_SEC};

/// With so much behind its end a phrase is settled in a partial result, if the one before had it
/// too; with more where a longer phrase may follow.
const SETTLED_PHRASE_SECS: f32 = 0.2;
const SETTLED_OPEN_PHRASE_SECS: f32 = 0.5;
/// How far apart two partial results may put the same phrase.
const SAME_PHRASE_SECS: f32 = 0.2;
/// In a segment without a pause, words that end less than this before its end are not settled.
const UNSETTLED_SECS: f32 = 1.0;

/// Says which phrases of a partial result at `end_secs` are settled. `before`: those of the last
/// partial result.
pub(super) fn settle_phrases(phrases: &mut [PhraseHit], before: &[PhraseHit], end_secs: f32) {
    for phrase in phrases {
        let is_same = |old: &PhraseHit| {
            old.text == phrase.text && (old.end_secs - phrase.end_secs).abs() <= SAME_PHRASE_SECS
        };
        let needed_secs = if phrase.may_go_on {
            SETTLED_OPEN_PHRASE_SECS
        } else {
            SETTLED_PHRASE_SECS
        };
        phrase.is_settled = end_secs - phrase.end_secs >= needed_secs && before.iter().any(is_same);
    }
}

/// How many words of an unbroken segment are settled, and the block where the rest begins: the
/// quietest one in the widest gap between two words of the second half.
pub(super) fn settled(words: &[Word], levels: &[f32]) -> (usize, usize) {
    let end_secs = levels.len() as f32 / BLOCKS_PER_SEC;
    let block = |secs: f32| ((secs * BLOCKS_PER_SEC) as usize).min(levels.len());
    let gap = words
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| {
            pair[0].end_secs >= end_secs / 2.0 && pair[1].start_secs <= end_secs - UNSETTLED_SECS
        })
        .max_by(|(_, a), (_, b)| {
            let width = |pair: &[Word]| pair[1].start_secs - pair[0].end_secs;
            width(a).total_cmp(&width(b))
        });
    match gap {
        Some((index, pair)) => {
            let range =
                block(pair[0].end_secs)..block(pair[1].start_secs).max(block(pair[0].end_secs) + 1);
            (index + 1, quietest(levels, range))
        }
        None => {
            let cut = quietest(levels, levels.len() / 2..levels.len());
            let is_before = |word: &&Word| block((word.start_secs + word.end_secs) / 2.0) < cut;
            (words.iter().take_while(is_before).count(), cut)
        }
    }
}

fn quietest(levels: &[f32], range: std::ops::Range<usize>) -> usize {
    let start = range.start;
    range
        .filter(|block| *block < levels.len())
        .min_by(|a, b| levels[*a].total_cmp(&levels[*b]))
        .unwrap_or(start.min(levels.len()))
}
