#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use proptest::prelude::*;

use super::{config::BACKGROUND_LETTER_COST, *};
use crate::phrases::{PhraseDecoder, PhraseHit, PhraseList};

/// Blank, `▁`, a, b, c.
fn letters() -> Tokens {
    Tokens::from_pieces(["▁", "a", "b", "c"].map(String::from).to_vec()).unwrap()
}

fn decoder(list: &str, tokens: &Tokens, threshold: f32, inside_speech: bool) -> PhraseDecoder {
    let config = PhraseConfig {
        threshold,
        inside_speech,
    };
    PhraseDecoder::new(&PhraseList::parse(list).unwrap(), tokens, config).unwrap()
}

fn hits(decoder: &PhraseDecoder, log_probs: &[f32], vocab_size: usize) -> Vec<PhraseHit> {
    let mut search = decoder.begin(0.04);
    search.push(LogProbs::new(log_probs, vocab_size), 0.0);
    search.hits()
}

/// Rows in which the class of each frame has probability 0.9 and the others share the rest.
fn peaked(path: &str, tokens: &Tokens) -> Vec<f32> {
    let id = |character: char| match character {
        '.' => 0,
        ' ' => tokens.id("▁").unwrap() as usize,
        other => tokens.id(&other.to_string()).unwrap() as usize,
    };
    let rest = 0.1 / (tokens.len() - 1) as f32;
    let row = |character: char| {
        let class = id(character);
        (0..tokens.len()).map(move |other| {
            if other == class {
                0.9f32.ln()
            } else {
                rest.ln()
            }
        })
    };
    path.chars().flat_map(row).collect()
}

fn said(decoder: &PhraseDecoder, path: &str) -> Vec<String> {
    let tokens = Tokens::characters();
    let hits = hits(decoder, &peaked(path, &tokens), tokens.len());
    hits.into_iter().map(|hit| hit.text).collect()
}

#[test]
fn letters_more_than_a_second_apart_are_no_phrase() {
    let tokens = Tokens::characters();
    for inside_speech in [false, true] {
        let decoder = decoder("turn on\n", &tokens, 0.3, inside_speech);
        // Frames of 40 ms: the space is the letter before the gap, and "o" the one behind it.
        let path = |blanks: usize| format!("..turn. {}on..", ".".repeat(blanks));
        assert_eq!(said(&decoder, &path(24)), ["turn on"], "{inside_speech}");
        assert_eq!(
            said(&decoder, &path(25)),
            Vec::<String>::new(),
            "{inside_speech}"
        );
    }
}

#[test]
fn phrases_stand_alone_unless_they_may_stand_inside_other_speech() {
    let list = "turn on\nturn off\ngo\n";
    let tokens = Tokens::characters();
    let alone = decoder(list, &tokens, 0.3, false);
    let inside = decoder(list, &tokens, 0.3, true);
    let pause = ".......... ..........";
    for (path, expected) in [
        ("..tu.rn. .on..".to_owned(), &["turn on"][..]),
        (format!("..go.. {pause}tu.rn. .of.f.."), &["go", "turn off"]),
        (format!("..wel.l. .tu.rn. .on.. {pause}go.."), &["go"]),
        ("..gone..".to_owned(), &[]),
        ("..on..".to_owned(), &[]),
        ("..xyz. .abc..".to_owned(), &[]),
        (String::new(), &[]),
    ] {
        assert_eq!(said(&alone, &path), expected, "{path}");
    }
    assert_eq!(said(&inside, "..wel.l. .tu.rn. .on. .now."), ["turn on"]);
    assert_eq!(
        said(&inside, "..gone. .ongo.ing. .forgo."),
        Vec::<String>::new()
    );
    assert_eq!(said(&inside, "go. .go"), ["go", "go"]);
}

#[test]
fn times_words_and_slots_of_a_hit() {
    let tokens = Tokens::characters();
    let decoder = decoder("set <number:n> up\n", &tokens, 0.3, false);
    let path = "...set.  .two.. .up...";
    let found = hits(&decoder, &peaked(path, &tokens), tokens.len());
    let [hit] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(
        (hit.phrase.as_str(), hit.text.as_str()),
        ("set {n} up", "set two up")
    );
    let times: Vec<(f32, f32)> = hit
        .words
        .iter()
        .map(|w| (w.start_secs, w.end_secs))
        .collect();
    let expected =
        [(3, 6), (10, 13), (17, 19)].map(|(start, end)| (start as f32 * 0.04, end as f32 * 0.04));
    for (found, expected) in times.iter().zip(expected) {
        assert!(
            (found.0 - expected.0).abs() < 1e-5 && (found.1 - expected.1).abs() < 1e-5,
            "{times:?}"
        );
    }
    // 23 frames of 0.9 over eight letters, to the power of six eighths, and a little for other
    // alignments.
    assert!(hit.score > 0.796 && hit.score < 0.814, "{}", hit.score);
    assert_eq!(
        serde_json::to_string(&hit.slots).unwrap(),
        r#"[{"name":"n","value":2}]"#
    );
}

#[test]
fn frames_in_pieces_give_what_they_give_in_one() {
    let tokens = Tokens::characters();
    let decoder = decoder("turn on\ngo\n", &tokens, 0.3, true);
    let path = "..go. .wel.l. .tu.rn. .on.. .go";
    let data = peaked(path, &tokens);
    let whole = hits(&decoder, &data, tokens.len());
    assert_eq!(whole.len(), 3);
    for size in [1, 3, 7] {
        let mut search = decoder.begin(0.04);
        for (index, piece) in data.chunks(size * tokens.len()).enumerate() {
            search.push(
                LogProbs::new(piece, tokens.len()),
                (index * size) as f32 * 0.04,
            );
        }
        let pieces = search.hits();
        assert_eq!(pieces.len(), whole.len());
        for (a, b) in pieces.iter().zip(&whole) {
            assert_eq!((a.text.as_str(), a.score), (b.text.as_str(), b.score));
            assert!((a.start_secs - b.start_secs).abs() < 1e-4);
        }
    }
}

#[test]
fn an_hour_of_letters_needs_no_more_memory_than_its_path() {
    let tokens = Tokens::characters();
    let decoder = decoder("turn on\n", &tokens, 0.3, true);
    let graph = Arc::new(
        PhraseGraph::new(
            &crate::phrases::grammar::Source::read("turn on\n").unwrap(),
            &tokens,
        )
        .unwrap(),
    );
    let mut search = Search::new(graph, Arc::new(TokenFacts::new(&tokens)));
    let data = peaked("so.me. .words. .tu.rn. .on. ", &tokens);
    for _ in 0..3000 {
        search.push(LogProbs::new(&data, tokens.len()));
    }
    assert!(search.links.len() < 1 << 19, "{}", search.links.len());
    let found = search.found();
    let phrases = found
        .iter()
        .filter(|piece| matches!(piece, Found::Phrase(_)));
    assert_eq!(phrases.count(), 3000);
    assert_eq!(decoder.graph().num_states(), 8);
}

#[test]
fn values_that_are_not_finite_are_impossible_and_do_not_panic() {
    let tokens = letters();
    let decoder = decoder("ab\n", &tokens, 0.0, true);
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    #[rustfmt::skip]
    let data = [
        nan, -inf, -0.1, nan, nan,
        nan, nan, nan, nan, nan,
        inf, -inf, -inf, -0.2, -inf,
    ];
    let found = hits(&decoder, &data, tokens.len());
    assert_eq!(found.len(), 1);
    assert!((found[0].score - (-0.3f32 / 2.0).exp()).abs() < 1e-5);
}

/// The letters of a frame path: repeats collapse, then blanks go.
fn collapsed(path: &[usize]) -> String {
    let mut text = String::new();
    let mut last = 0;
    for &class in path {
        if class != 0 && class != last {
            text.push(['.', ' ', 'a', 'b', 'c'][class]);
        }
        last = class;
    }
    text
}

/// Probability of every text, and the best path of each, by trying all paths.
fn by_brute_force(log_probs: &[f32]) -> std::collections::HashMap<String, (f64, f64)> {
    let frames: Vec<&[f32]> = log_probs.chunks(5).collect();
    let mut texts: std::collections::HashMap<String, (f64, f64)> = Default::default();
    for number in 0..5usize.pow(frames.len() as u32) {
        let path: Vec<usize> = (0..frames.len() as u32)
            .map(|t| number / 5usize.pow(t) % 5)
            .collect();
        let log_prob: f64 = path
            .iter()
            .zip(&frames)
            .map(|(c, frame)| f64::from(frame[*c]))
            .sum();
        let entry = texts
            .entry(collapsed(&path))
            .or_insert((0.0, f64::NEG_INFINITY));
        entry.0 += log_prob.exp();
        entry.1 = entry.1.max(log_prob);
    }
    texts
}

fn posteriors(frames: usize) -> impl Strategy<Value = Vec<f32>> {
    let frame = prop::collection::vec(0.02f32..1.0, 5);
    prop::collection::vec(frame, frames).prop_map(|frames| {
        let rows = frames.into_iter().flat_map(|mut row| {
            // Words are not parted, so that what is said is one word.
            row[1] = 0.0;
            let sum: f32 = row.iter().sum();
            row.into_iter().map(move |value| (value / sum).ln())
        });
        rows.collect()
    })
}

/// What the background makes of a text: its best path, at a cost per letter.
fn as_background(texts: &std::collections::HashMap<String, (f64, f64)>) -> f64 {
    let cost = |text: &str| f64::from(BACKGROUND_LETTER_COST) * text.len() as f64;
    let scores = texts.iter().map(|(text, (_, best))| best - cost(text));
    scores.fold(f64::NEG_INFINITY, f64::max)
}

proptest! {
    #[test]
    fn a_phrase_has_the_probability_of_all_its_alignments(
        data in posteriors(6),
        phrase in prop::sample::select(vec!["ab", "aab", "cab", "c", "bcb"]),
    ) {
        let texts = by_brute_force(&data);
        let log_prob = texts[phrase].0.ln();
        let other = as_background(&texts);
        let found = hits(&decoder(phrase, &letters(), 0.0, true), &data, 5);
        if other > log_prob + 1e-3 {
            prop_assert!(found.is_empty(), "{found:?}: {log_prob}, other {other}");
        } else if other < log_prob - 1e-3 {
            prop_assert_eq!(found.len(), 1);
            let expected = phrase_score(log_prob as f32, phrase.len());
            prop_assert!((found[0].score - expected).abs() < 1e-4, "{} {expected}", found[0].score);
        }
    }

    #[test]
    fn of_several_phrases_none_is_missed_that_one_path_alone_would_show(data in posteriors(6)) {
        let phrases = ["ab", "cab", "ba", "bac", "aab"];
        let texts = by_brute_force(&data);
        // Where two of them share an ending, only the one that leads has its alignments summed.
        let best_path = |phrase: &str| texts[phrase].1;
        let most = phrases.iter().map(|phrase| best_path(phrase)).fold(f64::NEG_INFINITY, f64::max);
        let found = hits(&decoder(&phrases.join("\n"), &letters(), 0.0, true), &data, 5);
        if as_background(&texts) < most - 1e-3 {
            prop_assert_eq!(found.len(), 1);
            let hit = &found[0];
            let log_prob = f64::from(hit.score.ln()) * hit.text.len() as f64;
            prop_assert!(log_prob >= most - 1e-3, "{log_prob} {most}");
            prop_assert!(log_prob <= texts[&hit.text].0.ln() + 1e-3);
        }
    }
}

#[test]
fn segmentations_of_a_word_are_summed() {
    let tokens = Tokens::from_pieces(["▁ab", "▁a", "b", "c"].map(String::from).to_vec()).unwrap();
    let decoder = decoder("ab\n", &tokens, 0.0, true);
    let mut data = vec![0.2f32.ln(); 4 * 5];
    data.extend([
        0.0,
        f32::NEG_INFINITY,
        f32::NEG_INFINITY,
        f32::NEG_INFINITY,
        f32::NEG_INFINITY,
    ]);
    let found = hits(&decoder, &data, 5);
    // Four frames of five equal classes: 10 paths write "▁ab" in one piece and 15 in two.
    let expected = (25.0 * 0.2f32.powi(4)).sqrt();
    assert_eq!(found.len(), 1);
    assert!(
        (found[0].score - expected).abs() < 1e-4,
        "{} {expected}",
        found[0].score
    );
}
