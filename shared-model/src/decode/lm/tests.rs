use std::collections::BTreeMap;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

const TRIGRAMS: &str = "made by hand\n\n\\data\\\nngram 1=5\nngram 2=4\nngram 3=2\n\n\\1-grams:\n\
    -1.0\t<unk>\n-99\t<s>\t-0.5\n-0.7\t</s>\n-0.4\ta\t-0.3\n-0.8\tb\t-0.2\n\n\\2-grams:\n\
    -0.2\t<s> a\t-0.1\n-0.6\ta b\t-0.25\n-0.9\tb a\t-0.15\n-0.5\tb </s>\n\n\\3-grams:\n\
    -0.05\t<s> a b\n-0.3\ta b </s>\n\n\\end\\\n";

fn state_after(lm: &NgramLm, words: &[&str]) -> LmState {
    words
        .iter()
        .fold(lm.start(), |state, word| lm.score(&state, word).1)
}

/// Base-10, as ARPA has it.
fn log10_after(lm: &NgramLm, history: &[&str], word: &str) -> f32 {
    let state = state_after(lm, history);
    let ln_prob = match word {
        "</s>" => lm.end(&state),
        word => lm.score(&state, word).0,
    };
    ln_prob / std::f32::consts::LN_10
}

/// Each sum is the chain of back-offs written out.
const BY_HAND: [(&[&str], &str, f32); 12] = [
    (&[], "a", -0.2),
    (&["a"], "b", -0.05),
    (&["a", "b"], "</s>", -0.3),
    // (a b a) is not listed: b(a b) and (b a).
    (&["a", "b"], "a", -0.25 - 0.9),
    // Neither (a b b) nor (b b): b(a b), b(b) and (b).
    (&["a", "b"], "b", -0.25 - 0.2 - 0.8),
    // (<s> b): b(<s>) and (b).
    (&[], "b", -0.5 - 0.8),
    // The history (<s> b) is not listed, so its back-off is 1.
    (&["b"], "a", -0.9),
    (&["b"], "</s>", -0.5),
    (&["b"], "b", -0.2 - 0.8),
    (&["a", "b"], "zebra", -0.25 - 0.2 - 1.0),
    // After <unk>, which has no back-off.
    (&["a", "zebra"], "a", -0.4),
    (&["a", "a"], "</s>", -0.3 - 0.7),
];

#[test]
fn listed_words_and_back_offs_are_those_of_the_file() {
    let lm = NgramLm::from_arpa(TRIGRAMS.as_bytes()).unwrap();
    let after = state_after(&lm, &["a", "b"]);
    let listed = |state: &LmState| -> Vec<(String, f32)> {
        let words = lm.listed(state);
        let mut words: Vec<_> = words
            .map(|word| {
                (
                    lm.word(word.id).to_string(),
                    word.ln_prob / std::f32::consts::LN_10,
                )
            })
            .collect();
        words.sort_by(|a, b| a.0.cmp(&b.0));
        words
    };
    let after_b = listed(&after);
    assert!(after_b.len() == 1 && after_b[0].0 == "</s>" && (after_b[0].1 + 0.3).abs() < 1e-6);
    let (ln_backoff, shorter) = lm.back_off(&after).unwrap();
    assert!((ln_backoff / std::f32::consts::LN_10 + 0.25).abs() < 1e-6);
    let of_b = listed(&shorter);
    assert_eq!(of_b.len(), 2, "{of_b:?}");
    assert!(of_b[0].0 == "</s>" && (of_b[0].1 + 0.5).abs() < 1e-6);
    let (_, empty) = lm.back_off(&shorter).unwrap();
    assert_eq!((empty, lm.back_off(&empty)), (LmState::default(), None));
    assert_eq!(listed(&empty).len(), 5);
    for word in lm.listed(&shorter) {
        let name = lm.word(word.id);
        if name == "a" {
            assert_eq!(lm.score(&shorter, name), (word.ln_prob, word.next));
        }
    }
}

#[test]
fn probabilities_follow_the_chain_of_back_offs() {
    let lm = NgramLm::from_arpa(TRIGRAMS.as_bytes()).unwrap();
    assert_eq!((lm.order(), lm.num_ngrams()), (3, vec![5, 4, 2]));
    for (history, word, expected) in BY_HAND {
        let found = log10_after(&lm, history, word);
        assert!(
            (found - expected).abs() < 1e-5,
            "{history:?} {word}: {found}, expected {expected}"
        );
    }
}

#[test]
fn states_that_mean_the_same_history_are_equal() {
    let lm = NgramLm::from_arpa(TRIGRAMS.as_bytes()).unwrap();
    let long = state_after(&lm, &["b", "a", "b"]);
    assert_eq!(long, state_after(&lm, &["a", "a", "b"]));
    assert_ne!(long, state_after(&lm, &["b"]));
}

#[test]
fn carriage_returns_a_byte_order_mark_and_spaces_are_read() {
    let windows = TRIGRAMS.replace('\n', "\r\n").replace("made by hand", "");
    let marked = format!("\u{feff}{}", windows.trim_start());
    let spaced = TRIGRAMS
        .replace('\t', "  ")
        .replace("ngram 2=4", "ngram 2 = 4");
    let expected = NgramLm::from_arpa(TRIGRAMS.as_bytes()).unwrap();
    for text in [windows, marked, spaced] {
        assert_eq!(NgramLm::from_bytes(text.as_bytes()), Ok(expected.clone()));
    }
}

#[test]
fn without_unk_an_unknown_word_has_a_fixed_probability_and_no_history() {
    let text = TRIGRAMS
        .replace("ngram 1=5", "ngram 1=4")
        .replace("-1.0\t<unk>\n", "");
    let lm = NgramLm::from_arpa(text.as_bytes()).unwrap();
    let (ln_prob, state) = lm.score(&lm.start(), "zebra");
    assert_eq!((ln_prob, state), (UNKNOWN_LN_PROB, LmState::default()));
    assert!((UNKNOWN_LN_PROB - 1e-7f32.ln()).abs() < 1e-5);
}

#[test]
fn an_order_announced_without_ngrams_needs_no_section() {
    let head = "\\data\\\nngram 1=2\nngram 2=0\n";
    let body = "\n\\1-grams:\n-0.5\t<unk>\n-0.3\ta\n";
    let without = format!("{head}{body}\n\\end\\\n");
    let with = format!("{head}{body}\n\\2-grams:\n\n\\end\\\n");
    for text in [without, with] {
        let lm = NgramLm::from_bytes(text.as_bytes()).unwrap();
        assert!((log10_after(&lm, &[], "a") + 0.3).abs() < 1e-5);
    }
    let higher = format!("{head}ngram 3=1\n{body}\n\\3-grams:\n-1 a a a\n\\end\\\n");
    assert!(NgramLm::from_bytes(higher.as_bytes()).is_err());
    let missing = "\\data\\\nngram 1=1\n\n\\end\\\n";
    assert!(NgramLm::from_bytes(missing.as_bytes()).is_err());
}

#[test]
fn words_in_capitals_answer_to_lower_case() {
    let lm = NgramLm::from_arpa(
        TRIGRAMS
            .replace("a", "A")
            .replace("dAtA", "data")
            .replace("ngrAm", "ngram")
            .replace("grAms", "grams")
            .as_bytes(),
    )
    .unwrap();
    assert!((log10_after(&lm, &["a"], "b") + 0.05).abs() < 1e-5);
    assert_eq!(lm.words().collect::<Vec<_>>(), ["A", "b"]);
}

#[test]
fn words_come_without_the_special_ones_and_frequent_first() {
    let lm = NgramLm::from_arpa(TRIGRAMS.as_bytes()).unwrap();
    assert_eq!(lm.words().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_unigram_model_has_one_state() {
    let text = "\\data\\\nngram 1=3\n\\1-grams:\n-99 <s>\n-0.3 </s>\n-0.3 a\n\\end\\";
    let lm = NgramLm::from_arpa(text.as_bytes()).unwrap();
    assert_eq!(lm.start(), LmState::default());
    assert_eq!(state_after(&lm, &["a"]), LmState::default());
    assert!((log10_after(&lm, &["a"], "a") + 0.3).abs() < 1e-6);
    let back = NgramLm::from_binary(&lm.to_binary()).unwrap();
    assert_eq!((back.order(), back.num_ngrams()), (1, vec![3]));
}

#[test]
fn broken_files_name_the_line_and_the_reason() {
    let cases = [
        ("ngram 2=4", "ngram 2=5", 21, "after 4 n-grams"),
        ("ngram 2=4", "ngram 2=3", 21, "after 4 n-grams"),
        ("ngram 2=4", "ngram 2=99999999", 5, "cannot be in a file"),
        ("ngram 2=4", "ngram 4=4", 5, "expected \"ngram 2=COUNT\""),
        ("ngram 2=4", "ngram 2=-4", 5, "expected \"ngram 2=COUNT\""),
        ("-0.4\ta\t", "-0.4x\ta\t", 12, "\"-0.4x\" is no number"),
        ("-0.4\ta\t", "nan\ta\t", 12, "\"nan\" is no number"),
        ("-0.4\ta\t", "0.4\ta\t", 12, "expected at most 0"),
        ("-0.4\ta\t", "-0.4\t<s>\t", 12, "occurs twice"),
        ("-0.6\ta b\t", "-0.6\ta c\t", 17, "\"c\" is not a 1-gram"),
        ("-0.6\ta b\t-0.25", "-0.6\ta", 17, "fewer than 2 words"),
        ("-0.6\ta b\t", "-0.6\ta b a\t", 17, "is no number"),
        ("-0.6\ta b\t", "-0.6\ta b -0.1\t", 17, "more than 2 words"),
        ("-0.6\ta b\t-0.25", "-0.6\ta b\t1e9", 17, "back-off"),
        ("\\3-grams:", "\\4-grams:", 21, "expected \"\\3-grams:\""),
        ("\n\\end\\\n", "", 23, "the file ends before"),
    ];
    for (from, to, line, reason) in cases {
        assert!(TRIGRAMS.contains(from), "{from}");
        match NgramLm::from_arpa(TRIGRAMS.replacen(from, to, 1).as_bytes()) {
            Err(DecodeError::ArpaLine {
                line: at,
                reason: why,
            }) => {
                assert!(why.contains(reason), "{to}: {why}");
                assert_eq!(at, line, "{to}: {why}");
            }
            other => panic!("{to}: {other:?}"),
        }
    }
    for (text, reason) in [
        ("", "no \\data\\ line"),
        ("hello\nworld", "no \\data\\ line"),
        ("\x1f\u{8b}", "no \\data\\ line"),
        (&*TRIGRAMS.replace("b a\t", "a b\t"), "\"a b\" occurs twice"),
        ("\\data\\\nngram 1=0\n\\1-grams:\n\\end\\", "no words"),
    ] {
        match NgramLm::from_arpa(text.as_bytes()) {
            Err(DecodeError::LanguageModel(why)) => assert!(why.contains(reason), "{why}"),
            other => panic!("{text:?}: {other:?}"),
        }
    }
    let packed = NgramLm::from_bytes(&[0x1f, 0x8b, 8, 0]).unwrap_err();
    assert!(packed.to_string().contains("gzip"), "{packed}");
}

/// The definition of back-off, on a map from n-gram to natural-log probability and back-off.
fn katz(listed: &BTreeMap<Vec<u32>, (f32, f32)>, ngram: &[u32]) -> f32 {
    if let Some(&(ln_prob, _)) = listed.get(ngram) {
        return ln_prob;
    }
    let history = &ngram[..ngram.len() - 1];
    let ln_backoff = listed.get(history).map_or(0.0, |&(_, backoff)| backoff);
    ln_backoff + katz(listed, &ngram[1..])
}

const NUM_WORDS: u32 = 5;

/// Random models of order 1 to 4 over five words, in which any n-gram may lack its beginning or
/// its end.
fn models() -> impl Strategy<Value = (usize, BTreeMap<Vec<u32>, (f32, f32)>)> {
    // Three back-offs cannot lift a probability over 1.
    let values = || (-7.0f32..-1.5, -2.0f32..0.5);
    let unigrams = prop::collection::vec(values(), NUM_WORDS as usize);
    let longer =
        prop::collection::btree_map(prop::collection::vec(0..NUM_WORDS, 2..=4), values(), 0..60);
    (1usize..=4, unigrams, longer).prop_map(|(order, unigrams, mut listed)| {
        listed.retain(|ngram, _| ngram.len() <= order);
        listed.extend(
            (0..)
                .zip(unigrams)
                .map(|(word, values)| (vec![word], values)),
        );
        (order, listed)
    })
}

fn word_name(id: u32) -> String {
    ["<s>", "</s>", "one", "two", "three"][id as usize].to_string()
}

fn build(order: usize, listed: &BTreeMap<Vec<u32>, (f32, f32)>) -> NgramLm {
    let mut table = NgramTable::new(order).unwrap();
    for id in 0..NUM_WORDS {
        let (ln_prob, ln_backoff) = listed[&vec![id]];
        assert_eq!(table.push_word(&word_name(id), ln_prob, ln_backoff), Ok(id));
    }
    for (ngram, &(ln_prob, ln_backoff)) in listed.iter().filter(|(ngram, _)| ngram.len() > 1) {
        table.push(ngram, ln_prob, ln_backoff).unwrap();
    }
    NgramLm::from_table(table).unwrap()
}

fn max_difference(a: &NgramLm, b: impl Fn(&[u32], u32) -> f32, num_words: usize) -> f32 {
    let mut worst = 0.0f32;
    for code in 0..NUM_WORDS.pow(num_words as u32) {
        let history: Vec<u32> = (0..num_words as u32)
            .map(|at| code / NUM_WORDS.pow(at) % NUM_WORDS)
            .collect();
        let state = history.iter().fold(LmState::default(), |state, &id| {
            a.score(&state, &word_name(id)).1
        });
        for word in 0..NUM_WORDS {
            let found = a.score(&state, &word_name(word)).0;
            worst = worst.max((found - b(&history, word)).abs());
        }
    }
    worst
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_query_follows_the_definition_of_back_off((order, listed) in models()) {
        let lm = build(order, &listed);
        let expected = |history: &[u32], word| {
            let known = history.len().min(order - 1);
            let ngram: Vec<u32> = history[history.len() - known..].iter().copied().chain([word]).collect();
            katz(&listed, &ngram)
        };
        for num_words in 0..=4 {
            let difference = max_difference(&lm, expected, num_words);
            prop_assert!(difference < 1e-4, "{} words: {}", num_words, difference);
        }
    }

    #[test]
    fn arpa_text_and_the_binary_form_give_the_same_model((order, listed) in models()) {
        let lm = build(order, &listed);
        let score = |other: &NgramLm, history: &[u32], word| {
            let state = history.iter().fold(LmState::default(), |state, &id| {
                other.score(&state, &word_name(id)).1
            });
            other.score(&state, &word_name(word)).0
        };
        let from_text = NgramLm::from_bytes(lm.to_arpa().as_bytes()).unwrap();
        prop_assert_eq!(from_text.num_ngrams(), lm.num_ngrams());
        prop_assert!(max_difference(&lm, |h, w| score(&from_text, h, w), 3) < 1e-4);

        let bytes = lm.to_binary();
        let rounded = NgramLm::from_bytes(&bytes).unwrap();
        prop_assert_eq!(rounded.num_ngrams(), lm.num_ngrams());
        // One probability and at most order - 1 back-offs, each off by half a step.
        let tolerance = order as f32 * NgramLm::BINARY_STEP / 2.0 + 1e-4;
        let difference = max_difference(&lm, |h, w| score(&rounded, h, w), 3);
        prop_assert!(difference <= tolerance, "{} > {}", difference, tolerance);
        prop_assert_eq!(rounded.to_binary(), bytes);
    }

    #[test]
    fn how_words_sound_is_read_as_it_was_written(
        (order, listed) in models(),
        all in sounds(),
    ) {
        let lm = build(order, &listed);
        let sounding = with_sounds(lm.clone(), &all);
        let bytes = sounding.to_binary();
        let read = NgramLm::from_binary(&bytes).unwrap();
        prop_assert_eq!(read.num_ngrams(), lm.num_ngrams());
        for (name, sounds) in ["one", "two", "three"].iter().zip(&all) {
            let id = read.word_id(name).unwrap();
            let mut expected = sounds.clone();
            expected.dedup();
            prop_assert_eq!(read.pronunciations(id).collect::<Vec<_>>(), expected);
        }
        prop_assert_eq!(read.to_binary(), bytes);
        // What has none is written as it was before there were any.
        prop_assert_eq!(lm.to_binary()[8], 2);
    }

    #[test]
    fn any_bytes_give_an_error_or_a_model(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = NgramLm::from_bytes(&bytes);
        for version in [binary::VERSION, binary::VERSION_WITH_PRONUNCIATIONS] {
            let marked = [binary::MAGIC.as_slice(), &[version], &bytes].concat();
            prop_assert!(NgramLm::from_bytes(&marked).is_err());
            let _ = NgramLm::from_bytes(&signed(marked));
        }
    }

    #[test]
    fn changed_arpa_text_never_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = TRIGRAMS.as_bytes().to_vec();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = NgramLm::from_bytes(&bytes).map(|lm| lm.to_binary());
        bytes.truncate(cut.index(bytes.len()));
        let _ = NgramLm::from_bytes(&bytes);
    }

    #[test]
    fn changed_binary_models_never_panic(
        (order, listed) in models(),
        all in sounds(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = with_sounds(build(order, &listed), &all).to_binary();
        let mut bytes = whole.clone();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        prop_assert_eq!(NgramLm::from_binary(&bytes).is_ok(), bytes == whole);
        prop_assert!(NgramLm::from_binary(&whole[..cut.index(whole.len())]).is_err());
        // With the checksum put right, what is behind it must hold by itself.
        bytes.truncate(whole.len() - 8);
        if let Ok(lm) = NgramLm::from_binary(&signed(bytes.clone())) {
            let _ = NgramLm::from_arpa(lm.to_arpa().as_bytes());
            let state = lm.score(&lm.start(), "one").1;
            let _ = lm.end(&state);
            let all = lm.word_ids().flat_map(|(id, _)| lm.pronunciations(id));
            prop_assert!(all.map(|sound| sound.chars().count()).all(|phones| phones <= MAX_PHONES));
        }
        bytes.truncate(cut.index(bytes.len()));
        let _ = NgramLm::from_binary(&signed(bytes));
    }
}

/// Up to three pronunciations of each of three words.
fn sounds() -> impl Strategy<Value = Vec<Vec<String>>> {
    let of_word = prop::collection::btree_set("[ɑbʧIz]{1,7}", 0..=3);
    let of_word = of_word.prop_map(|sounds| sounds.into_iter().collect());
    prop::collection::vec(of_word, 3)
}

/// The model itself if no word has a pronunciation.
fn with_sounds(lm: NgramLm, all: &[Vec<String>]) -> NgramLm {
    let of = |word: &str| {
        let at = ["one", "two", "three"]
            .iter()
            .position(|name| *name == word);
        let sounds = at.map_or(&[][..], |at| &all[at]);
        sounds.iter().map(String::as_str)
    };
    lm.clone().with_pronunciations(of).unwrap_or(lm)
}

#[test]
fn pronunciations_that_no_model_can_hold_are_refused() {
    let lm = || NgramLm::from_arpa(TRIGRAMS.as_bytes()).unwrap();
    let refused = |sound: &str| {
        let of = |word: &str| (word == "a").then_some(sound);
        lm().with_pronunciations(of).unwrap_err().to_string()
    };
    assert!(refused("").contains("\"a\": a pronunciation has 0 phones"));
    assert!(refused("E 1").contains("' ' of \"E 1\" is no phone"));
    assert!(refused(&"E".repeat(65)).contains("65 phones"));
    let none = lm().with_pronunciations(|_| None).unwrap_err().to_string();
    assert!(none.contains("none of its words"), "{none}");
    // The fourth and what comes twice are left out; special words have none.
    let of = |_: &str| ["ʌ", "E", "ʌ", "ɑ", "æ"];
    let sounding = lm().with_pronunciations(of).unwrap();
    let of_word = |word| sounding.pronunciations(sounding.word_id(word).unwrap());
    assert_eq!(of_word("a").collect::<Vec<_>>(), ["ʌ", "E", "ɑ"]);
    assert_eq!(of_word("</s>").count(), 0);
}

fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum[..8]);
    bytes
}

#[test]
fn a_binary_model_cut_short_is_refused_even_with_a_right_checksum() {
    let whole = NgramLm::from_arpa(TRIGRAMS.as_bytes()).unwrap().to_binary();
    let body = &whole[..whole.len() - 8];
    assert!(NgramLm::from_binary(&signed(body.to_vec())).is_ok());
    for cut in 6..14 {
        let bytes = signed(body[..body.len() - cut].to_vec());
        let error = NgramLm::from_binary(&bytes).unwrap_err().to_string();
        assert!(error.contains("cut short"), "{cut}: {error}");
    }
    let longer = signed([body, &[0; 3]].concat());
    let error = NgramLm::from_binary(&longer).unwrap_err().to_string();
    assert!(error.contains("too many"), "{error}");
}

#[test]
fn a_binary_model_of_another_version_says_so() {
    let mut bytes = NgramLm::from_arpa(TRIGRAMS.as_bytes()).unwrap().to_binary();
    bytes[8] = 9;
    let error = NgramLm::from_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains("format version 9"), "{error}");
}

#[test]
fn tables_refuse_what_no_model_can_hold() {
    assert!(NgramTable::new(0).is_err());
    assert!(NgramTable::new(6).is_err());
    let mut table = NgramTable::new(2).unwrap();
    assert_eq!(table.push_word("a", -0.1, 0.0), Ok(0));
    for word in ["a", "", "b c", "b\n", &"x".repeat(257)] {
        assert!(table.push_word(word, -0.1, 0.0).is_err(), "{word:?}");
    }
    assert!(table.push_word("b", f32::NAN, 0.0).is_err());
    assert!(table.push_word("b", -0.1, f32::INFINITY).is_err());
    for ngram in [&[0u32][..], &[], &[0, 1], &[0, 0, 0]] {
        assert!(table.push(ngram, -0.1, 0.0).is_err(), "{ngram:?}");
    }
    assert!(NgramLm::from_table(NgramTable::new(2).unwrap()).is_err());
}

/// A trigram model as a text of natural word frequencies would give: 30,000 words, 300,000 n-grams.
fn large_model() -> NgramLm {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    const WORDS: u32 = 30_000;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    // Ranks by Zipf's law: log-uniform.
    let mut zipf = move || {
        let rank = (random.random::<f64>() * f64::from(WORDS).ln()).exp();
        (rank as u32 - 1).min(WORDS - 1)
    };
    let mut table = NgramTable::new(3).unwrap();
    for rank in 0..WORDS {
        // Letters of the rank, so that words have 2 to 8 of them.
        let mut word =
            String::from(["s", "t", "con", "re", "a", "pre", "m", "b"][rank as usize % 8]);
        let mut rest = rank;
        while rest > 0 {
            word.push((b'a' + (rest % 20) as u8) as char);
            rest /= 20;
        }
        let ln_prob = -(f64::from(rank + 1).ln() + 2.3) as f32;
        table
            .push_word(&word, ln_prob, -0.3 - (rank % 97) as f32 / 60.0)
            .unwrap();
    }
    let mut listed = std::collections::BTreeSet::new();
    while listed.len() < 140_000 {
        listed.insert(vec![zipf(), zipf()]);
    }
    let bigrams: Vec<Vec<u32>> = listed.iter().cloned().collect();
    while listed.len() < 270_000 {
        let bigram = &bigrams[(zipf() as usize * 7919 + zipf() as usize) % bigrams.len()];
        listed.insert(vec![bigram[0], bigram[1], zipf()]);
    }
    for (at, ngram) in listed.iter().enumerate() {
        let spread = (at * 7919 % 1000) as f32 / 1000.0;
        table
            .push(ngram, -0.2 - 7.0 * spread * spread, -1.2 * spread)
            .unwrap();
    }
    NgramLm::from_table(table).unwrap()
}

#[test]
fn thirty_thousand_words_and_three_hundred_thousand_ngrams_take_less_than_1_mb() {
    let lm = large_model();
    assert_eq!(lm.num_ngrams(), [30_000, 140_000, 130_000]);
    let bytes = lm.to_binary();
    eprintln!("{} bytes", bytes.len());
    assert!(bytes.len() < 1_000_000, "{} bytes", bytes.len());
    assert_eq!(NgramLm::from_binary(&bytes).unwrap().to_binary(), bytes);
}
