#![allow(clippy::unwrap_used)]
use super::*;

fn heard(file: &str, text: &str, pred_text: &str, speaker: Option<&str>) -> Hypothesis {
    Hypothesis {
        audio_filepath: file.to_owned(),
        offset: 0.0,
        duration: 1.0,
        text: text.to_owned(),
        pred_text: pred_text.to_owned(),
        speaker: speaker.map(str::to_owned),
    }
}

#[test]
fn errors_wins_and_words_are_those_counted_by_hand() {
    let first = [
        heard("a", "one two three", "one three", Some("x")),
        heard("b", "four five", "four five", Some("y")),
        heard("c", "six", "six", Some("y")),
    ];
    let second = [
        heard("c", "six", "six", Some("y")),
        heard("a", "one two three", "one two three", Some("x")),
        heard("b", "four five", "for five now", Some("y")),
    ];
    let result = compare(&first, &second, 200).unwrap();
    assert_eq!((result.words, result.utterances), (6, 3));
    assert!((result.first.wer - 1.0 / 6.0).abs() < 1e-12);
    assert!((result.second.wer - 2.0 / 6.0).abs() < 1e-12);
    assert!((result.by_utterance.difference + 1.0 / 6.0).abs() < 1e-12);
    assert_eq!(
        result.wins,
        Wins {
            first: 1,
            second: 1,
            equal: 1
        }
    );
    assert_eq!(result.words_right.first_gains, [("four".to_owned(), 1)]);
    assert_eq!(result.words_right.second_gains, [("two".to_owned(), 1)]);
    assert_eq!(result.words_right.neither, 0);
    assert!(result.by_speaker.is_some());
    let speakers: Vec<_> = result
        .speakers
        .iter()
        .map(|s| (s.speaker.as_str(), s.words))
        .collect();
    assert_eq!(speakers, [("y", 3), ("x", 3)]);
}

#[test]
fn alignments_of_both_systems_meet_at_the_words_of_the_reference() {
    let first = [heard("a", "the cat sat", "the big cat", None)];
    let second = [heard("a", "the cat sat", "cat sat down", None)];
    let result = compare(&first, &second, 10).unwrap();
    let columns = &compare(&second, &first, 10).unwrap().differing;
    assert!(result.differing.is_empty() && columns.is_empty());
    assert!(result.by_speaker.is_none());
    let pairs = pair_up(&first, &second).unwrap();
    let shown: Vec<String> = pairs[0]
        .columns()
        .iter()
        .map(|c| {
            let text = |word: &Option<String>| word.clone().unwrap_or("-".to_owned());
            format!(
                "{} {} {}",
                text(&c.reference),
                text(&c.first),
                text(&c.second)
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "the the -",
            "- big -",
            "cat cat cat",
            "sat - sat",
            "- - down"
        ]
    );
}

#[test]
fn audio_in_other_places_is_the_same_audio() {
    let first = [
        heard("/here/a.wav", "one", "one", None),
        heard("/here/b.wav", "two", "", None),
    ];
    let second = [
        heard("C:\\there\\b.wav", "two", "two", None),
        heard("a.wav", "one", "one", None),
    ];
    let result = compare(&first, &second, 10).unwrap();
    assert_eq!(
        result.wins,
        Wins {
            first: 0,
            second: 1,
            equal: 1
        }
    );
}

#[test]
fn files_of_other_utterances_are_refused_with_the_first_of_them() {
    let list = [
        heard("a", "one", "one", None),
        heard("b", "two", "two", None),
    ];
    let error = compare(&list, &list[..1], 10).unwrap_err();
    assert!(
        matches!(&error, CompareError::OtherUtterances { count: 1, utterance, .. } if utterance == "b")
    );
    let error = compare(&list[..1], &list, 10).unwrap_err();
    assert!(matches!(
        error,
        CompareError::OtherUtterances { of: "second", .. }
    ));
    let twice = [list[0].clone(), list[0].clone()];
    assert!(matches!(
        compare(&twice, &twice, 10),
        Err(CompareError::Twice { .. })
    ));
    let other = [heard("a", "three", "one", None)];
    assert!(matches!(
        compare(&list[..1], &other, 10),
        Err(CompareError::OtherText { .. })
    ));
    let empty = [heard("a", "", "one", None)];
    assert!(matches!(
        compare(&empty, &empty, 10),
        Err(CompareError::NoText)
    ));
}
