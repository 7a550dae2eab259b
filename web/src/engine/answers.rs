//! What was heard, as the page is told of it.

use shared_model::{
    decode,
    metrics::{ErrorCounts, align, bootstrap_interval, word_errors},
    phrases::{self, PhraseHit},
    recognizer,
    tokens::normalize_text,
};

use crate::protocol::{
    Aligned, NearPhrase, OtherSpeech, Phrase, Response, SlotValue, Transcript, Word, WordErrors,
};

/// Those of the cards.
const BOOTSTRAP_RESAMPLES: usize = 1000;
const BOOTSTRAP_SEED: u64 = 1234;

/// As `fledge evaluate` does it.
pub fn error_rate(utterances: &[WordErrors]) -> Response {
    let counts: Vec<ErrorCounts> = utterances
        .iter()
        .map(|one| ErrorCounts {
            reference_len: one.reference_words,
            substitutions: one.errors,
            ..ErrorCounts::default()
        })
        .collect();
    let mut all = ErrorCounts::default();
    counts.iter().for_each(|one| all.add(one));
    let interval = bootstrap_interval(&counts, BOOTSTRAP_RESAMPLES, BOOTSTRAP_SEED);
    Response::ErrorRate {
        rate: all.rate(),
        low: interval.low,
        high: interval.high,
    }
}

pub fn errors_of(reference: &str, transcript: &recognizer::Transcript) -> WordErrors {
    let counts = word_errors(
        &normalize_text(reference),
        &normalize_text(&transcript.text),
    );
    WordErrors {
        reference_words: counts.reference_len,
        errors: counts.errors(),
    }
}

/// How the words stand against the reference. A word whose text normalises to nothing, or to more
/// than one word, is no word of the comparison, and the number of a later one stays right.
pub fn alignment_of(reference: &str, transcript: &recognizer::Transcript) -> Vec<Aligned> {
    let reference = normalize_text(reference);
    let said: Vec<&str> = reference.split_whitespace().collect();
    let heard: Vec<String> = transcript
        .words
        .iter()
        .map(|word| normalize_text(&word.text))
        .collect();
    let heard: Vec<&str> = heard.iter().map(String::as_str).collect();
    let (_, pairs) = align(&said, &heard);
    pairs
        .into_iter()
        .map(|pair| Aligned {
            said: pair.reference.map(|number| said[number].to_owned()),
            heard: pair.hypothesis,
            is_right: pair.reference.map(|number| said[number])
                == pair.hypothesis.map(|number| heard[number]),
        })
        .collect()
}

/// `hears_phrases`: nothing else was listened for, so that none is an answer, too.
pub fn transcript_of(transcript: recognizer::Transcript, hears_phrases: bool) -> Transcript {
    let phrases = transcript.phrases.into_iter().map(phrase_of);
    Transcript {
        text: transcript.text,
        words: transcript.words.into_iter().map(word_of).collect(),
        phrases: hears_phrases.then(|| phrases.collect()),
        others: transcript.others.into_iter().map(other_of).collect(),
    }
}

fn other_of(other: phrases::OtherSpeech) -> OtherSpeech {
    OtherSpeech {
        text: other.text,
        start_secs: other.start_secs,
        end_secs: other.end_secs,
        nearest: other.nearest.map(|phrase| NearPhrase {
            text: phrase.text,
            score: phrase.score,
            threshold: phrase.threshold,
        }),
    }
}

pub fn word_of(word: decode::Word) -> Word {
    Word {
        text: word.text,
        start_secs: word.start_secs,
        end_secs: word.end_secs,
        confidence: word.confidence,
    }
}

pub fn phrase_of(hit: PhraseHit) -> Phrase {
    let slots = hit.slots.into_iter().map(|slot| {
        let value = match slot.value {
            phrases::SlotValue::Number(number) => SlotValue::Number(number as f64),
            phrases::SlotValue::Text(text) => SlotValue::Text(text),
        };
        (slot.name, value)
    });
    Phrase {
        phrase: hit.phrase,
        text: hit.text,
        slots: slots.collect(),
        tags: hit.tags,
        start_secs: hit.start_secs,
        end_secs: hit.end_secs,
        score: hit.score,
        is_settled: hit.is_settled,
    }
}
