//! The search over phones: words by how they sound.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::tests::{NO_PRUNING, brute_force, ids, log_softmax};
use super::*;
use crate::tokens::{NUM_PHONE_TOKENS, phone_tokens};

/// `go to` and `have two` are listed, and `to go`; the rest is unigrams.
const ARPA: &str = "\\data\\\nngram 1=9\nngram 2=3\n\\1-grams:\n-99\t<s>\t0\n-0.9\t</s>\n\
    -1.4\tto\t-0.1\n-1.2\ttwo\t-0.2\n-1.0\tgo\t-0.3\n-1.1\thave\t-0.4\n-2\tgoat\t0\n-1\tthe\t0\n\
    -2\tsilent\t0\n\\2-grams:\n-0.2\tgo to\n-0.3\thave two\n-0.1\tto go\n\\end\\\n";

fn sounds(word: &str) -> Vec<&'static str> {
    match word {
        "to" | "two" => vec!["tu"],
        "go" => vec!["ɡO"],
        "have" => vec!["hæv"],
        "goat" => vec!["ɡOt"],
        "the" => vec!["ðʌ", "ði"],
        _ => Vec::new(),
    }
}

fn model() -> Arc<NgramLm> {
    let lm = NgramLm::from_arpa(ARPA.as_bytes()).unwrap();
    Arc::new(lm.with_pronunciations(sounds).unwrap())
}

fn decoder() -> BeamDecoder {
    let config = BeamConfig {
        lm_weight: 1.0,
        word_bonus: 0.0,
        ..BeamConfig::default()
    };
    BeamDecoder::of_phones(config, model()).unwrap()
}

/// A frame for each character, `.` for the blank; nothing else is heard but a faint space.
fn heard(text: &str) -> Vec<f32> {
    heard_in(&phone_tokens(), text)
}

fn heard_in(tokens: &Tokens, text: &str) -> Vec<f32> {
    let frames = text.chars().flat_map(|character| {
        let class = match character {
            '.' => 0,
            other => tokens.encode(&other.to_string()).unwrap()[0] as usize,
        };
        (0..tokens.len()).map(move |id| match id {
            _ if id == class => 16.0,
            1 => 6.0,
            _ => 0.0,
        })
    });
    log_softmax(&frames.collect::<Vec<_>>(), tokens.len())
}

fn best_beside(phones: &str, letters: &str) -> (String, f32) {
    let tokens = Tokens::characters();
    let (sound, spelling) = (heard(phones), heard_in(&tokens, letters));
    let found = decoder().decode_beside_letters(
        LogProbs::new(&sound, NUM_PHONE_TOKENS),
        LogProbs::new(&spelling, tokens.len()),
        &tokens,
    );
    (found[0].words.as_ref().unwrap().join(" "), found[0].score)
}

#[test]
fn of_words_that_sound_alike_the_letters_decide() {
    assert_eq!(best_beside("tu.", "two").0, "two");
    assert_eq!(best_beside("tu.", "to.").0, "to");
    // The language model knows "go to" and "have two".
    assert_eq!(best_beside("ɡO▁tu.", "go▁two").0, "go two");
    assert_eq!(best_beside("hæv▁tu.", "hav▁to.").0, "have to");
    // The last letter comes after the last phone, and the next word's are no part of it.
    assert_eq!(best_beside("tu▁ɡO..", "tw.o▁go").0, "two go");
}

#[test]
fn letters_say_nothing_against_a_word_that_sounds_like_no_other() {
    let (words, score) = best_beside("ɡO▁ɡOt", "xxxxxx");
    assert_eq!((words, score), best(&decoder(), "ɡO▁ɡOt"));
}

fn best(decoder: &BeamDecoder, text: &str) -> (String, f32) {
    let data = heard(text);
    let found = decoder.decode(LogProbs::new(&data, NUM_PHONE_TOKENS));
    (found[0].words.as_ref().unwrap().join(" "), found[0].score)
}

fn assert_best(decoder: &BeamDecoder, text: &str, words: &str, log10: f32) {
    let (found, score) = best(decoder, text);
    assert_eq!(found, words, "{text}");
    let expected = log10 * std::f32::consts::LN_10;
    assert!(
        (score - expected).abs() < 0.01,
        "{text}: {score}, {expected}"
    );
}

#[test]
fn of_words_that_sound_alike_the_one_that_follows_those_before_is_written() {
    assert_best(&decoder(), "tu", "two", -1.2 - 0.2 - 0.9);
    assert_best(&decoder(), "ɡO▁tu", "go to", -1.0 - 0.2 - 0.1 - 0.9);
    assert_best(&decoder(), "hæv▁tu", "have two", -1.1 - 0.3 - 0.2 - 0.9);
}

#[test]
fn what_comes_after_a_word_decides_what_it_was_too() {
    // "two" is likelier until "go" is heard: -1.2 - 0.2 - 1.0 against -1.4 - 0.1.
    assert_best(&decoder(), "tu▁ɡO", "to go", -1.4 - 0.1 - 0.3 - 0.9);
}

#[test]
fn a_word_counts_in_the_beam_as_the_one_that_follows_those_before() {
    let config = BeamConfig {
        beam: 1,
        lm_weight: 1.0,
        word_bonus: 0.0,
        ..BeamConfig::default()
    };
    let decoder = BeamDecoder::of_phones(config, model()).unwrap();
    // Between the second and the third word the space is a little less likely than the blank: it stays
    // in the beam as the end of "to" after "go", -0.2, and would not as that of "two", -0.3 - 1.2,
    // which an open word may become for -1.2.
    let mut data = heard("ɡO▁tu.ɡO");
    data[5 * NUM_PHONE_TOKENS + 1] = data[5 * NUM_PHONE_TOKENS] - 0.5;
    let found = decoder.decode(LogProbs::new(&data, NUM_PHONE_TOKENS));
    assert_eq!(found[0].words.as_ref().unwrap(), &["go", "to", "go"]);
    assert_eq!(found[0].tokens[5].start_frame, 5);
}

#[test]
fn every_pronunciation_of_a_word_writes_it() {
    assert_best(&decoder(), "ðʌ", "the", -1.0 - 0.9);
    assert_best(&decoder(), "ði", "the", -1.0 - 0.9);
}

#[test]
fn a_word_ends_where_a_longer_one_goes_on() {
    assert_best(&decoder(), "ɡO", "go", -1.0 - 0.3 - 0.9);
    assert_best(&decoder(), "ɡOt", "goat", -2.0 - 0.9);
    assert_best(&decoder(), "ɡO▁ɡOt", "go goat", -1.0 - 0.3 - 2.0 - 0.9);
    // No word goes on like that: the faint space is taken.
    assert_eq!(best(&decoder(), "ɡO.tu").0, "go to");
}

#[test]
fn only_words_that_are_known_to_sound_are_written() {
    let data = heard("sI");
    let found = decoder().decode(LogProbs::new(&data, NUM_PHONE_TOKENS));
    assert!(!found.is_empty());
    for hypothesis in found {
        for word in hypothesis.words.unwrap() {
            assert!(!sounds(&word).is_empty(), "{word}");
        }
    }
    // A beginning that the end of the audio leaves open is cut off.
    assert_eq!(best(&decoder(), "ɡO▁hæ").0, "go");
    let silence = decoder().decode(LogProbs::new(&[], NUM_PHONE_TOKENS));
    assert_eq!(silence[0].words, Some(Vec::new()));
}

#[test]
fn a_boosted_word_is_chosen_among_those_that_sound_alike_and_no_other_gains() {
    let boosted = |text: &str| {
        let list = BoostList::parse(text, 4.0).unwrap();
        decoder().boosting(&list)
    };
    assert_eq!(best(&boosted("to :1").unwrap(), "tu").0, "to");
    let gain = |text: &str, heard: &str| {
        let (words, score) = best(&boosted(text).unwrap(), heard);
        (
            words,
            ((score - best(&decoder(), heard).1) * 100.0).round() / 100.0,
        )
    };
    assert_eq!(gain("have two :1", "hæv▁tu"), ("have two".to_string(), 2.0));
    assert_eq!(
        gain("have to :0.1", "hæv▁tu"),
        ("have two".to_string(), 0.0)
    );
    // A phrase begins behind any word, in any pronunciation.
    assert_eq!(
        gain("the goat", "ɡO▁ði▁ɡOt"),
        ("go the goat".to_string(), 8.0)
    );
    // It was not read from its compact form, and cannot guess.
    match boosted("go\nthe silent goat").err() {
        Some(DecodeError::Boost { line: 2, reason }) => {
            assert!(reason.ends_with("\"silent\" sounds"))
        }
        other => panic!("{other:?}"),
    }
    match boosted("go 2").err() {
        Some(DecodeError::Boost { line: 1, reason }) => assert!(reason.ends_with("write \"two\"")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_boosted_word_that_the_language_model_does_not_know_is_written_as_it_is_guessed_to_sound() {
    // Read back, the model knows which letters write which phones.
    let lm = Arc::new(NgramLm::from_binary(&model().to_binary()).unwrap());
    let config = BeamConfig {
        lm_weight: 1.0,
        word_bonus: 0.0,
        ..BeamConfig::default()
    };
    let plain = BeamDecoder::of_phones(config, lm.clone()).unwrap();
    let list = BoostList::parse("Gove to :3\ngove :20", 4.0).unwrap();
    let boosted = plain.boosting(&list).unwrap();
    // From five words it guesses badly; what it guesses is what counts.
    let sound = lm.guess_pronunciation("gove").unwrap();
    assert_ne!(best(&plain, &sound).0, "gove");
    let (words, score) = best(&boosted, &sound);
    // As improbable as any unknown word, at the end of a sentence.
    let end = lm.end(&crate::decode::lm::LmState::default());
    let expected = crate::decode::lm::UNKNOWN_LN_PROB + end + 20.0;
    assert_eq!(words, "gove");
    assert!((score - expected).abs() < 0.1, "{score} {expected}");
    assert_eq!(best(&boosted, &format!("{sound}▁tu")).0, "gove to");
    // Another list takes the place of the first, which may share words with it.
    let list = BoostList::parse("gove gothe", 20.0).unwrap();
    let again = boosted.boosting(&list).unwrap();
    assert_eq!(best(&again, &sound).0, "gove");
    assert_ne!(
        best(
            &again
                .boosting(&BoostList::parse("go", 4.0).unwrap())
                .unwrap(),
            &sound
        )
        .0,
        "gove"
    );
    // Others are what they were.
    assert_eq!(best(&boosted, "ɡO▁tu"), best(&plain, "ɡO▁tu"));
}

#[test]
fn a_language_model_without_pronunciations_is_refused_in_words() {
    let lm = Arc::new(NgramLm::from_arpa(ARPA.as_bytes()).unwrap());
    let error = BeamDecoder::of_phones(BeamConfig::default(), lm).err();
    assert!(error.unwrap().to_string().contains("--pronunciations"));
}

/// Of frames with four classes, all others impossible: blank, space and two phones.
fn widened(data: &[f32], classes: [u32; 4]) -> Vec<f32> {
    let frames = data.chunks(4).flat_map(|frame| {
        let mut wide = vec![f32::NEG_INFINITY; NUM_PHONE_TOKENS];
        for (class, &value) in classes.iter().zip(frame) {
            wide[*class as usize] = value;
        }
        wide
    });
    frames.collect()
}

/// Four words of the phones b and z, two of which sound alike.
const FOUR_WORDS: &str = "\\data\\\nngram 1=6\nngram 2=4\n\\1-grams:\n-99\t<s>\t-0.3\n-0.9\t</s>\n\
    -0.5\tbee\t-0.2\n-0.7\tbe\t-0.1\n-0.8\tbuzz\t-0.3\n-0.6\tzee\t-0.2\n\\2-grams:\n\
    -0.4\t<s> be\n-0.2\tzee bee\n-0.6\tbee </s>\n-0.1\tbe buzz\n\\end\\\n";

fn four_sounds(word: &str) -> Vec<&'static str> {
    match word {
        "bee" | "be" => vec!["b"],
        "buzz" => vec!["bz", "bb"],
        "zee" => vec!["z"],
        _ => Vec::new(),
    }
}

/// The best score of words that sound like a text, by trying all.
fn best_reading(lm: &NgramLm, text: &str, weight: f64, boosted: bool) -> Option<f64> {
    let mut readings: Vec<Vec<&str>> = vec![Vec::new()];
    for part in text.split_whitespace() {
        let fitting = ["bee", "be", "buzz", "zee"].into_iter();
        let fitting: Vec<&str> = fitting.filter(|w| four_sounds(w).contains(&part)).collect();
        let longer = readings.iter().flat_map(|reading| {
            fitting
                .iter()
                .map(|word| [reading.as_slice(), &[*word]].concat())
        });
        readings = longer.collect();
    }
    let score = |words: &Vec<&str>| {
        let (mut state, mut score) = (lm.start(), 0.0);
        for word in words {
            let (ln_prob, next) = lm.score(&state, word);
            (state, score) = (next, score + weight * f64::from(ln_prob) + 0.4);
        }
        let phrases = words
            .windows(2)
            .filter(|pair| *pair == ["zee", "be"])
            .count();
        let bonus = if boosted { 3.0 * phrases as f64 } else { 0.0 };
        score + weight * f64::from(lm.end(&state)) + bonus
    };
    readings.iter().map(score).reduce(f64::max)
}

proptest! {
    #[test]
    fn without_pruning_scores_are_sums_over_all_paths_of_the_best_words(
        logits in prop::collection::vec(-4.0f32..4.0, 5 * 4),
        boosted in any::<bool>(),
    ) {
        let data = log_softmax(&logits, 4);
        let tokens = phone_tokens();
        let (b, z) = (tokens.encode("b").unwrap()[0], tokens.encode("z").unwrap()[0]);
        let wide = widened(&data, [0, 1, b, z]);
        let lm = NgramLm::from_arpa(FOUR_WORDS.as_bytes()).unwrap();
        let lm = Arc::new(lm.with_pronunciations(four_sounds).unwrap());
        let config = BeamConfig { lm_weight: 0.7, word_bonus: 0.4, ..NO_PRUNING };
        let mut decoder = BeamDecoder::of_phones(config, lm.clone()).unwrap();
        if boosted {
            let list = BoostList::parse("zee be :1.5", 1.0).unwrap();
            decoder = decoder.boosting(&list).unwrap();
        }
        let found = decoder.decode(LogProbs::new(&wide, NUM_PHONE_TOKENS));
        let mut expected: Vec<(f64, Vec<u32>)> = Vec::new();
        for (ids, (sum, _, _)) in brute_force(&data, 4) {
            let ids: Vec<u32> = ids.iter().map(|&id| [0, 1, b, z][id as usize]).collect();
            if let Some(score) = best_reading(&lm, &tokens.decode(&ids), 0.7, boosted) {
                expected.push((sum.ln() + score, ids));
            }
        }
        prop_assert!(found.len() == 16.min(expected.len()));
        prop_assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
        for hypothesis in &found {
            let (score, _) = expected.iter().find(|(_, other)| *other == ids(hypothesis)).unwrap();
            prop_assert!((f64::from(hypothesis.score) - score).abs() < 1e-4);
        }
    }

    #[test]
    fn words_that_are_written_as_they_sound_are_found_as_by_letters(
        logits in prop::collection::vec(-4.0f32..4.0, 6 * 4),
    ) {
        let arpa = FOUR_WORDS.replace("bee", "b").replace("be", "zb");
        let arpa = arpa.replace("buzz", "bz").replace("zee", "z");
        let lm = NgramLm::from_arpa(arpa.as_bytes()).unwrap();
        let words: Vec<String> = lm.words().map(String::from).collect();
        let of = |word: &str| words.iter().find(|own| *own == word).map(String::as_str);
        let lm = Arc::new(lm.with_pronunciations(of).unwrap());
        let tokens = phone_tokens();
        let (b, z) = (tokens.encode("b").unwrap()[0], tokens.encode("z").unwrap()[0]);
        let data = widened(&log_softmax(&logits, 4), [0, 1, b, z]);
        let config = BeamConfig { lm_weight: 0.7, word_bonus: 0.4, ..NO_PRUNING };
        let letters = BeamDecoder::new(&tokens, config.clone(), Some(&words), Some(lm.clone()));
        let letters = letters.unwrap().decode(LogProbs::new(&data, NUM_PHONE_TOKENS));
        let phones = BeamDecoder::of_phones(config, lm).unwrap();
        let phones = phones.decode(LogProbs::new(&data, NUM_PHONE_TOKENS));
        for (phones, letters) in phones.iter().zip(&letters) {
            prop_assert_eq!(&phones.tokens, &letters.tokens);
            prop_assert!((phones.score - letters.score).abs() < 1e-5);
            let written = tokens.decode(&ids(letters));
            let words: Vec<&str> = written.split_whitespace().collect();
            prop_assert_eq!(phones.words.as_ref().unwrap(), &words);
        }
    }
}
