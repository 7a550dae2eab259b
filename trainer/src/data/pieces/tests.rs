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
