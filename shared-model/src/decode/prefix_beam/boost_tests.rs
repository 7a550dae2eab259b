//! The beam search with boosted phrases.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::tests::{NO_PRUNING, SMALL_ARPA, brute_force, ids, letters, log_softmax, plain};
use super::*;

fn boosted(decoder: &BeamDecoder, text: &str) -> BeamDecoder {
    decoder
        .boosting(&BoostList::parse(text, 1.0).unwrap())
        .unwrap()
}

/// Bonuses by the formula of `decode`: every place where a phrase stands among the words.
fn bonus(words: &[&str], phrases: &[(&str, f64)]) -> f64 {
    let of_phrase = |(phrase, weight): &(&str, f64)| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        let places = words
            .windows(phrase.len())
            .filter(|window| *window == phrase);
        places.count() as f64 * weight * phrase.len() as f64
    };
    phrases.iter().map(of_phrase).sum()
}

proptest! {
    #[test]
    fn without_pruning_every_whole_phrase_adds_its_bonus_and_an_open_one_none(
        logits in prop::collection::vec(-4.0f32..4.0, 6 * 4),
        with_lm in any::<bool>(),
    ) {
        let data = log_softmax(&logits, 4);
        let tokens = letters("ab▁");
        let lm = with_lm.then(|| Arc::new(NgramLm::from_arpa(SMALL_ARPA.as_bytes()).unwrap()));
        let config = BeamConfig { lm_weight: 0.7, unknown_word_bonus: -1.5, ..NO_PRUNING };
        let without = BeamDecoder::new(&tokens, config, None, lm).unwrap();
        let decoder = boosted(&without, "a b :1.5\nb :0.5\nab :2");
        let phrases = [("a b", 1.5), ("b", 0.5), ("ab", 2.0)];
        let (found, plain) = (
            decoder.decode(LogProbs::new(&data, 4)),
            without.decode(LogProbs::new(&data, 4)),
        );
        prop_assert_eq!(found.len(), brute_force(&data, 4).len());
        prop_assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
        for hypothesis in &found {
            let text = tokens.decode(&ids(hypothesis));
            let words: Vec<&str> = text.split_whitespace().collect();
            let same = plain.iter().find(|other| ids(other) == ids(hypothesis)).unwrap();
            // The model knows a and ab; b is known from the list, nothing else is.
            let new = if with_lm { words.iter().filter(|word| **word == "b").count() } else { 0 };
            let expected = f64::from(same.score) + bonus(&words, &phrases) + 1.5 * new as f64;
            prop_assert!((f64::from(hypothesis.score) - expected).abs() < 1e-4, "{text}");
        }
    }

    #[test]
    fn what_is_pruned_by_the_bound_is_pruned_by_the_margin_too(
        logits in prop::collection::vec(-4.0f32..4.0, 6 * 4),
        score_margin in 0.0f32..6.0,
    ) {
        // A bonus of nothing has a bound of nothing: only the margin counts. The same list beside a
        // phrase that no sound leads to has a bound that lets everything through.
        let data = log_softmax(&logits, 4);
        let tokens = letters("abc▁");
        let wide = data.chunks(4).flat_map(|frame| {
            [frame[0], frame[1], frame[2], f32::NEG_INFINITY, frame[3]]
        });
        let wide: Vec<f32> = wide.collect();
        let decoder = plain(&tokens, BeamConfig { score_margin, ..NO_PRUNING });
        let tight = boosted(&decoder, "a b :1.5\nab :2").decode(LogProbs::new(&wide, 5));
        let loose = boosted(&decoder, "a b :1.5\nab :2\nc c :90").decode(LogProbs::new(&wide, 5));
        prop_assert_eq!(tight, loose);
    }
}

#[test]
fn a_bonus_decides_between_sounds_that_are_nearly_equal() {
    // The first letter is a with 0.6 and b with 0.4: ln 1.5 = 0.405 nats apart.
    let decoder = plain(&letters("ab▁"), BeamConfig::default());
    let data: Vec<f32> = [1e-6f32, 0.6, 0.4, 1e-6].map(f32::ln).to_vec();
    let best = |decoder: &BeamDecoder| ids(&decoder.decode(LogProbs::new(&data, 4))[0]);
    assert_eq!(best(&decoder), [1]);
    assert_eq!(best(&boosted(&decoder, "b :0.40")), [1]);
    assert_eq!(best(&boosted(&decoder, "b :0.41")), [2]);
    // Of a longer phrase nothing stays at the end.
    assert_eq!(best(&boosted(&decoder, "b a :9")), [1]);
}

#[test]
fn an_open_phrase_is_kept_in_the_smallest_beam() {
    // "b" is less likely in the first frame; the phrase that it begins is whole three frames later.
    let rows = [
        [0.01f32, 0.66, 0.32, 0.01],
        [0.97, 0.01, 0.01, 0.01],
        [0.01, 0.01, 0.97, 0.01],
    ];
    let data: Vec<f32> = rows.concat().into_iter().map(f32::ln).collect();
    let config = BeamConfig {
        beam: 1,
        ..BeamConfig::default()
    };
    let decoder = plain(&letters("ab▁"), config);
    let best = |decoder: &BeamDecoder| ids(&decoder.decode(LogProbs::new(&data, 4))[0]);
    assert_eq!(best(&decoder), [1, 2]);
    assert_eq!(best(&boosted(&decoder, "bb :3")), [2, 2]);
}

#[test]
fn phrases_count_in_every_segmentation_into_pieces() {
    let pieces = ["▁a", "b", "▁ab", "▁", "a", "▁b"].map(String::from);
    let tokens = Tokens::from_pieces(pieces.to_vec()).unwrap();
    let decoder = plain(&tokens, NO_PRUNING);
    let data = log_softmax(&[0.0; 7 * 3], 7);
    let score = |decoder: &BeamDecoder, wanted: &[u32]| {
        let found = decoder.decode(LogProbs::new(&data, 7));
        found.iter().find(|one| ids(one) == wanted).unwrap().score
    };
    let boosted = boosted(&decoder, "ab :2");
    for (wanted, times) in [
        (&[1u32, 2][..], 1.0),
        (&[3], 1.0),
        (&[4, 5, 2], 1.0),
        (&[3, 3], 2.0),
        (&[1, 5], 0.0),
    ] {
        let gained = score(&boosted, wanted) - score(&decoder, wanted);
        assert!((gained - 2.0 * times).abs() < 1e-4, "{wanted:?}: {gained}");
    }
}

#[test]
fn a_boosted_word_that_the_language_model_does_not_know_is_kept_in_the_smallest_beam() {
    let arpa = "\\data\\\nngram 1=4\n\\1-grams:\n-99 <s>\n-0.5 </s>\n-0.5 bab\n-2 <unk>\n\\end\\";
    let lm = Arc::new(NgramLm::from_arpa(arpa.as_bytes()).unwrap());
    let with_beam = |beam| {
        let config = BeamConfig {
            beam,
            unknown_word_bonus: -16.0,
            ..BeamConfig::default()
        };
        BeamDecoder::new(&letters("ab▁"), config, None, Some(lm.clone())).unwrap()
    };
    let decoder = with_beam(1);
    // It sounds like aab.
    let rows = [
        [0.0, 9.0, 2.0, 0.0],
        [9.0, 0.0, 0.0, 0.0],
        [0.0, 9.0, 0.0, 0.0],
        [0.0, 0.0, 9.0, 0.0],
    ];
    let data = log_softmax(&rows.concat(), 4);
    let best = |decoder: &BeamDecoder| ids(&decoder.decode(LogProbs::new(&data, 4))[0]);
    assert_eq!(best(&decoder), [2, 1, 2]);
    // -16 nats of an unknown word are more than four of a boost, and are not counted with it.
    assert_eq!(best(&boosted(&decoder, "aab :4")), [1, 1, 2]);
    // Of another word's beginning nothing is left.
    assert_eq!(best(&boosted(&with_beam(16), "aaab :4")), [2, 1, 2]);
}
