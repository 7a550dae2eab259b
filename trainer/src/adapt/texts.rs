//! What the voices say: phrases of the list, sentences that are nearly phrases, other sentences.

use rand::RngExt;
use rand::seq::IndexedRandom;
use shared_model::decode::lm::{LmState, NgramLm};
use shared_model::phrases::{PhraseDecoder, PhraseList};
use shared_model::tokens::{Tokens, normalize_text};

use crate::data::AugmentRng;
use crate::evaluate::is_nothing_but_phrases;

/// A text as it is written, and as voices get it: with commas where they should pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Normalised.
    pub written: String,
    /// For a synthesiser.
    pub spoken: String,
}

impl Text {
    fn plain(text: String) -> Self {
        Self {
            spoken: text.clone(),
            written: text,
        }
    }
}

/// Phrases in one clip, and words in all of them.
const MAX_PHRASES: usize = 4;
const MAX_WORDS: usize = 12;
/// Of the clips, those that hold one phrase alone.
const ALONE_SHARE: f64 = 0.6;

/// `count` texts of phrases: most are one phrase, others several with pauses between them. Empty if
/// no sentence of the list ends.
pub fn phrase_texts(
    list: &PhraseList,
    decoder: &PhraseDecoder,
    count: usize,
    rng: &mut AugmentRng,
) -> Vec<Text> {
    let seed = rng.random();
    let drawn = list.sentences(count * 2, seed).unwrap_or_default();
    let normal = drawn.iter().map(|sentence| normalize_text(sentence));
    let phrases: Vec<String> = normal
        .filter(|sentence| is_nothing_but_phrases(decoder, sentence))
        .collect();
    let mut next = phrases.iter().cycle();
    let mut texts = Vec::with_capacity(count);
    while !phrases.is_empty() && texts.len() < count {
        let wanted = match rng.random_bool(ALONE_SHARE) {
            true => 1,
            false => rng.random_range(2..=MAX_PHRASES),
        };
        let mut words = 0;
        let together: Vec<&str> = next
            .by_ref()
            .take(wanted)
            .map(String::as_str)
            .take_while(|phrase| {
                let is_first = words == 0;
                words += phrase.split(' ').count();
                is_first || words <= MAX_WORDS
            })
            .collect();
        let pause = if rng.random_bool(0.75) { ", " } else { " " };
        texts.push(Text {
            written: together.join(" "),
            spoken: as_read(&together.join(pause)),
        });
    }
    texts
}

/// espeak-ng reads "ay", the name of a letter, as "eye".
fn as_read(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.strip_suffix(',') {
        Some("ay") => "eigh,",
        None if word == "ay" => "eigh",
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `count` texts that are no phrases: phrases with a word left out, changed or put in, and pieces
/// of `sentences`, as short as phrases are.
pub fn other_texts(
    phrases: &[Text],
    sentences: &[Text],
    decoder: &PhraseDecoder,
    count: usize,
    rng: &mut AugmentRng,
) -> Vec<Text> {
    let mut texts = Vec::with_capacity(count);
    // A list may allow nearly everything.
    for _ in 0..count * 20 {
        let (Some(phrase), Some(sentence)) = (phrases.choose(rng), sentences.choose(rng)) else {
            break;
        };
        let text = match rng.random_range(0..2) {
            0 => nearly(&phrase.written, &sentence.written, rng),
            _ => piece(&sentence.written, rng),
        };
        if texts.len() == count {
            break;
        }
        if !text.is_empty() && !is_nothing_but_phrases(decoder, &text) {
            texts.push(Text::plain(text));
        }
    }
    texts
}

/// The phrase with a word left out, changed or put in.
fn nearly(phrase: &str, sentence: &str, rng: &mut AugmentRng) -> String {
    let mut words: Vec<&str> = phrase.split(' ').collect();
    let others: Vec<&str> = sentence.split(' ').collect();
    let other = others.choose(rng).copied().unwrap_or_default();
    let place = rng.random_range(0..words.len());
    match rng.random_range(0..3) {
        0 => {
            words.remove(place);
        }
        1 => words[place] = other,
        _ => words.insert(place, other),
    }
    words.join(" ")
}

/// One to four words of the sentence that follow each other.
fn piece(sentence: &str, rng: &mut AugmentRng) -> String {
    let words: Vec<&str> = sentence.split(' ').collect();
    let count = rng.random_range(1..=4).min(words.len());
    let start = rng.random_range(0..=words.len() - count);
    words[start..start + count].join(" ")
}

/// Words of a sentence from a language model.
const SENTENCE_WORDS: std::ops::RangeInclusive<usize> = 3..=14;

/// `count` sentences of a language model that the tokens can write; fewer if it hardly has any.
pub fn sentences(lm: &NgramLm, tokens: &Tokens, count: usize, rng: &mut AugmentRng) -> Vec<Text> {
    let mut sentences = Vec::with_capacity(count);
    for _ in 0..count * 4 {
        if sentences.len() == count {
            break;
        }
        let sentence = normalize_text(&sentence(lm, rng));
        if SENTENCE_WORDS.contains(&sentence.split(' ').count()) && tokens.encode(&sentence).is_ok()
        {
            sentences.push(Text::plain(sentence));
        }
    }
    sentences
}

/// One sentence, as probable as the model says, cut where it grows too long.
fn sentence(lm: &NgramLm, rng: &mut AugmentRng) -> String {
    let mut state = lm.start();
    let mut words: Vec<&str> = Vec::new();
    while words.len() < *SENTENCE_WORDS.end() {
        let Some((word, next)) = next_word(lm, &state, rng) else {
            break;
        };
        words.push(word);
        state = next;
    }
    words.join(" ")
}

/// Draws a word by its probability: among those listed after the history, or else after a shorter
/// one. `None` at the sentence's end.
fn next_word<'a>(
    lm: &'a NgramLm,
    state: &LmState,
    rng: &mut AugmentRng,
) -> Option<(&'a str, LmState)> {
    let mut at = *state;
    loop {
        let mut left: f32 = rng.random_range(0.0..1.0);
        for listed in lm.listed(&at) {
            left -= listed.ln_prob.exp();
            if left < 0.0 {
                let word = lm.word(listed.id);
                // `<s>`, `</s>` and `<unk>` are no words.
                return (!word.starts_with('<')).then_some((word, listed.next));
            }
        }
        at = lm.back_off(&at)?.1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use rand::SeedableRng;
    use shared_model::phrases::PhraseConfig;

    use super::*;

    fn list() -> (PhraseList, PhraseDecoder) {
        let list = PhraseList::parse("turn (on|off) the light\nstop\n").unwrap();
        let decoder = PhraseDecoder::new(&list, &Tokens::characters(), PhraseConfig::default());
        (list, decoder.unwrap())
    }

    #[test]
    fn phrases_come_alone_and_together_and_pauses_are_not_written() {
        let (list, decoder) = list();
        let texts = phrase_texts(&list, &decoder, 200, &mut AugmentRng::seed_from_u64(1));
        assert_eq!(texts.len(), 200);
        assert!(
            texts
                .iter()
                .all(|text| is_nothing_but_phrases(&decoder, &text.written))
        );
        assert!(
            texts
                .iter()
                .all(|text| text.spoken.replace(',', "") == text.written)
        );
        let alone: HashSet<&str> = texts.iter().map(|text| text.written.as_str()).collect();
        for phrase in ["turn on the light", "turn off the light", "stop"] {
            assert!(alone.contains(phrase), "{phrase}");
        }
        let most = texts
            .iter()
            .map(|text| text.written.split(' ').count())
            .max();
        assert!((5..=MAX_WORDS).contains(&most.unwrap()), "{most:?}");
    }

    #[test]
    fn a_letter_is_read_as_its_name_and_other_words_as_they_are() {
        assert_eq!(
            as_read("king ay three, bay ay, stay"),
            "king eigh three, bay eigh, stay"
        );
    }

    #[test]
    fn what_is_no_phrase_is_none_even_by_chance() {
        let (list, decoder) = list();
        let rng = &mut AugmentRng::seed_from_u64(1);
        let phrases = phrase_texts(&list, &decoder, 20, rng);
        let sentences = [Text::plain("stop the old man on the stairs".to_owned())];
        let texts = other_texts(&phrases, &sentences, &decoder, 100, rng);
        assert_eq!(texts.len(), 100);
        let found = texts.iter().map(|text| text.written.as_str());
        assert!(
            found
                .clone()
                .all(|text| !is_nothing_but_phrases(&decoder, text))
        );
        let near = found.filter(|text| text.starts_with("turn") && text.len() > 8);
        assert!(near.count() > 10);
    }

    #[test]
    fn a_language_model_says_its_own_sentences_and_no_others() {
        let arpa = "\\data\\\nngram 1=6\nngram 2=5\n\n\\1-grams:\n-99 <s> -0.3\n-1 </s>\n-1 the -0.3\n-1 old -0.3\n-1 man -0.3\n-9 <unk>\n\n\\2-grams:\n0 <s> the\n0 the old\n0 old man\n0 man </s>\n-1 man the\n\n\\end\\\n";
        let lm = NgramLm::from_arpa(arpa.as_bytes()).unwrap();
        let rng = &mut AugmentRng::seed_from_u64(1);
        let sentences = sentences(&lm, &Tokens::characters(), 5, rng);
        assert_eq!(sentences, vec![Text::plain("the old man".to_owned()); 5]);
    }
}
