//! Timed words to utterances that training can take: cut at pauses.

/// A longer pause ends an utterance.
const PAUSE_SECS: f64 = 0.6;
/// Kept of the silence before and after an utterance, but never more than half of a pause.
const MARGIN_SECS: f64 = 0.3;

/// A word with its place in a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedWord {
    /// As it was written.
    pub text: String,
    /// Its beginning.
    pub start_secs: f64,
    /// Its end.
    pub end_secs: f64,
    /// How sure the recogniser was, 0 to 1, where it says.
    pub confidence: Option<f32>,
}

/// A stretch of a recording with what is said in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Its beginning, with some of the silence before the first word.
    pub start_secs: f64,
    /// Its end, with some of the silence after the last word.
    pub end_secs: f64,
    /// The words joined by spaces.
    pub text: String,
    /// Mean over the words that have one.
    pub confidence: Option<f32>,
}

/// Cuts at every pause of [`PAUSE_SECS`], then whatever is longer than `max_secs` at its longest
/// pause, again and again; a single word is never cut.
///
/// - `words`: in the order of their beginnings; one that ends before it begins has no length.
/// - `audio_secs`: length of the recording, where it is known; nothing reaches beyond it.
pub fn pieces(words: &[TimedWord], max_secs: f64, audio_secs: Option<f64>) -> Vec<Piece> {
    let mut ends = vec![];
    let mut from = 0;
    for at in 1..=words.len() {
        if at == words.len() || pause(words, at) >= PAUSE_SECS {
            shorten(words, from, at, max_secs, &mut ends);
            from = at;
        }
    }
    let mut from = 0;
    let mut pieces = Vec::with_capacity(ends.len());
    for end in ends {
        pieces.push(piece(words, from, end, audio_secs));
        from = end;
    }
    pieces
}

/// Silence before word `at`.
fn pause(words: &[TimedWord], at: usize) -> f64 {
    words[at].start_secs - words[at - 1].end_secs
}

/// Ends of the parts of `words[from..to]`, each at most `max_secs` long.
fn shorten(words: &[TimedWord], from: usize, to: usize, max_secs: f64, ends: &mut Vec<usize>) {
    // Not by recursion: a recording may be one word a second for days.
    let mut open = vec![(from, to)];
    while let Some((from, to)) = open.pop() {
        let secs = words[to - 1].end_secs - words[from].start_secs;
        if secs <= max_secs || to - from < 2 {
            ends.push(to);
            continue;
        }
        // Of equal pauses the one nearest to the middle.
        let middle = words[from].start_secs + secs / 2.0;
        let from_middle = |at: usize| (words[at].start_secs - middle).abs();
        let longest = (from + 1..to).max_by(|&a, &b| {
            pause(words, a)
                .total_cmp(&pause(words, b))
                .then(from_middle(b).total_cmp(&from_middle(a)))
        });
        let at = longest.unwrap_or(to);
        open.push((at, to));
        open.push((from, at));
    }
}

fn piece(words: &[TimedWord], from: usize, to: usize, audio_secs: Option<f64>) -> Piece {
    let said = &words[from..to];
    let first = said.first().map_or(0.0, |word| word.start_secs);
    let last = said.last().map_or(0.0, |word| word.end_secs).max(first);
    let before = match from {
        0 => first,
        at => pause(words, at).max(0.0) / 2.0,
    };
    let after = match (words.get(to), audio_secs) {
        (Some(_), _) => pause(words, to).max(0.0) / 2.0,
        (None, Some(end)) => (end - last).max(0.0),
        (None, None) => 0.0,
    };
    let confidences: Vec<f32> = said.iter().filter_map(|word| word.confidence).collect();
    let texts: Vec<&str> = said.iter().map(|word| word.text.as_str()).collect();
    Piece {
        start_secs: first - before.min(MARGIN_SECS),
        end_secs: last + after.min(MARGIN_SECS),
        text: texts.join(" "),
        confidence: (!confidences.is_empty())
            .then(|| confidences.iter().sum::<f32>() / confidences.len() as f32),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(text: &str, start_secs: f64, end_secs: f64) -> TimedWord {
        TimedWord {
            text: text.to_owned(),
            start_secs,
            end_secs,
            confidence: None,
        }
    }

    #[test]
    fn long_pauses_part_utterances_and_short_ones_do_not() {
        let words = [
            word("one", 0.1, 0.4),
            word("two", 0.8, 1.0),
            word("three", 2.0, 2.4),
        ];
        let cut = pieces(&words, 10.0, Some(2.5));
        let texts: Vec<&str> = cut.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(texts, ["one two", "three"]);
        // All of the 0.1 s before, 0.3 s of the pause on either side, the 0.1 s to the end.
        let times: Vec<f64> = cut
            .iter()
            .flat_map(|p| [p.start_secs, p.end_secs])
            .collect();
        for (got, want) in times.iter().zip([0.0, 1.3, 1.7, 2.5]) {
            assert!((got - want).abs() < 1e-9, "{times:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_at_its_longest_pause_or_in_its_middle() {
        let with_pause = [
            word("a", 0.0, 1.0),
            word("b", 1.2, 2.0),
            word("c", 2.0, 3.0),
            word("d", 3.0, 4.0),
        ];
        let texts = |words: &[TimedWord], max| -> Vec<String> {
            pieces(words, max, None)
                .into_iter()
                .map(|p| p.text)
                .collect()
        };
        assert_eq!(texts(&with_pause, 3.0), ["a", "b c d"]);
        let without: Vec<TimedWord> = (0..8)
            .map(|at| word("x", f64::from(at), f64::from(at + 1)))
            .collect();
        assert_eq!(texts(&without, 4.0), ["x x x x", "x x x x"]);
        assert_eq!(texts(&[word("long", 0.0, 9.0)], 4.0), ["long"]);
        assert_eq!(texts(&[], 4.0), Vec::<String>::new());
    }

    #[test]
    fn confidence_is_the_mean_of_the_words_that_have_one() {
        let sure = |confidence| TimedWord {
            confidence,
            ..word("a", 0.0, 0.1)
        };
        let of = |words: &[TimedWord]| pieces(words, 9.0, None)[0].confidence;
        assert_eq!(
            of(&[sure(Some(0.5)), sure(None), sure(Some(1.0))]),
            Some(0.75)
        );
        assert_eq!(of(&[sure(None)]), None);
    }

    proptest! {
        #[test]
        fn every_word_is_in_one_piece_and_pieces_do_not_overlap(
            steps in proptest::collection::vec((0.0..2.0f64, 0.0..1.0f64), 0..40),
            max_secs in 0.5..6.0f64,
        ) {
            let mut at = 0.0;
            let words: Vec<TimedWord> = steps
                .iter()
                .map(|(pause, length)| {
                    let start = at + pause;
                    at = start + length;
                    word("w", start, at)
                })
                .collect();
            let cut = pieces(&words, max_secs, Some(at));
            let count: usize = cut.iter().map(|p| p.text.split(' ').count()).sum();
            prop_assert_eq!(count, words.len());
            for two in cut.windows(2) {
                prop_assert!(two[0].end_secs <= two[1].start_secs + 1e-9);
            }
            for piece in &cut {
                let is_single = !piece.text.contains(' ');
                let secs = piece.end_secs - piece.start_secs;
                prop_assert!(is_single || secs <= max_secs + 2.0 * MARGIN_SECS + 1e-9);
                prop_assert!(piece.start_secs >= 0.0 && piece.end_secs <= at + 1e-9);
            }
        }
    }
}
