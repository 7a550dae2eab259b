//! Phrases in utterances: what was said, and what was found.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use pollster::block_on;
use shared_model::bundle::LoadedModel;
use shared_model::phrases::{FoundPhrases, Meaning, PhraseDecoder};
use shared_model::recognizer::{Decoder, PhraseListener, Recognizer};
use shared_model::tokens::normalize_text;

use super::{BrokenAudio, EvaluateError, read_samples, without_broken, workers::spread};
use crate::data::Utterance;
use crate::device::{DeviceKind, OpenDevice};

/// What was found in an utterance, whatever its score, and what was said.
pub struct HeardPhrases {
    pub(super) found: Vec<FoundPhrases>,
    /// The phrases of the reference, if it is nothing but phrases.
    pub(super) said: Option<Vec<Meaning>>,
    /// Those that stand anywhere in the reference.
    pub(super) inside: Vec<Meaning>,
    pub(super) audio_secs: f64,
    pub(super) encoding_secs: f64,
    pub(super) searching_secs: f64,
}

/// Runs network and search over every utterance.
///
/// # Errors
/// As [`super::evaluate`]; broken audio is left out, up to the share that
/// [`super::Evaluated::check_broken`] allows.
pub fn hear_phrases(
    loaded: &LoadedModel,
    decoder: &PhraseDecoder,
    utterances: &[Utterance],
    device: &OpenDevice,
    threads: usize,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<HeardPhrases>, EvaluateError> {
    // An utterance without text is a sound that must be rejected.
    if utterances.is_empty() {
        return Err(EvaluateError::Empty);
    }
    let threads = match device.kind {
        DeviceKind::Cpu => threads,
        DeviceKind::Gpu => 1,
    };
    let results = spread(
        utterances.len(),
        threads,
        stop,
        progress,
        &|| Ok(Recognizer::new(loaded, Decoder::Greedy, &device.device)?),
        &|recognizer, index| hear(recognizer, decoder, &utterances[index]),
    )?;
    without_broken(results)
}

fn hear(
    recognizer: &Recognizer,
    decoder: &PhraseDecoder,
    utterance: &Utterance,
) -> Result<Result<HeardPhrases, BrokenAudio>, EvaluateError> {
    let samples = match read_samples(utterance) {
        Ok((samples, _)) => samples,
        Err(broken) => return Ok(Err(broken)),
    };
    let started = Instant::now();
    let heard = block_on(recognizer.posteriors(&samples))?;
    let encoded = Instant::now();
    let mut listener = PhraseListener::new(decoder, recognizer.frame_secs());
    let vocab_size = recognizer.tokens().len();
    let mut found: Vec<FoundPhrases> = Vec::new();
    for posteriors in &heard {
        found.extend(listener.take(posteriors, vocab_size));
    }
    found.extend(listener.finish());
    let searching_secs = encoded.elapsed().as_secs_f64();
    let reference = normalize_text(&utterance.text);
    let words: Vec<&str> = reference.split_whitespace().collect();
    Ok(Ok(HeardPhrases {
        found,
        said: nothing_but_phrases(decoder, &words),
        inside: phrases_inside(decoder, &words),
        audio_secs: samples.len() as f64 / f64::from(shared_model::audio::SAMPLE_RATE_HZ),
        encoding_secs: (encoded - started).as_secs_f64(),
        searching_secs,
    }))
}

/// Whether a text is phrases one after the other and nothing else.
pub fn is_nothing_but_phrases(decoder: &PhraseDecoder, text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    nothing_but_phrases(decoder, &words).is_some()
}

/// The words as phrases one after the other, as few as possible.
pub(super) fn nothing_but_phrases(decoder: &PhraseDecoder, words: &[&str]) -> Option<Vec<Meaning>> {
    // From each word to the end: how many phrases at least, and where the first of them ends.
    let mut best: Vec<Option<(usize, usize)>> = vec![None; words.len() + 1];
    best[words.len()] = Some((0, words.len()));
    for start in (0..words.len()).rev() {
        let ends = decoder.phrase_ends(&words[start..]).into_iter();
        let ways = ends.filter_map(|count| Some((best[start + count]?.0 + 1, start + count)));
        best[start] = ways.min();
    }
    let mut phrases = Vec::new();
    let mut start = 0;
    while start < words.len() {
        let (_, end) = best[start]?;
        phrases.push(decoder.graph().meaning(&words[start..end])?);
        start = end;
    }
    (!phrases.is_empty()).then_some(phrases)
}

/// The phrases in the words, from the left, the longest at each place.
fn phrases_inside(decoder: &PhraseDecoder, words: &[&str]) -> Vec<Meaning> {
    let mut phrases = Vec::new();
    let mut start = 0;
    while start < words.len() {
        let longest = decoder.phrase_ends(&words[start..]).last().copied();
        let meaning =
            longest.and_then(|count| decoder.graph().meaning(&words[start..start + count]));
        start += if meaning.is_some() {
            longest.unwrap_or(1)
        } else {
            1
        };
        phrases.extend(meaning);
    }
    phrases
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use shared_model::phrases::{PhraseConfig, PhraseList};
    use shared_model::tokens::Tokens;

    use super::*;

    fn decoder(list: &str) -> PhraseDecoder {
        let list = PhraseList::parse(list).unwrap();
        PhraseDecoder::new(&list, &Tokens::characters(), PhraseConfig::default()).unwrap()
    }

    fn phrases(meanings: &[Meaning]) -> Vec<&str> {
        meanings
            .iter()
            .map(|meaning| meaning.phrase.as_str())
            .collect()
    }

    #[test]
    fn a_reference_is_taken_apart_into_as_few_phrases_as_possible() {
        let decoder = decoder("turn on\nturn\non\ngo <number:n>\n");
        let words = ["turn", "on", "go", "twenty", "two", "on"];
        let said = nothing_but_phrases(&decoder, &words).unwrap();
        assert_eq!(phrases(&said), ["turn on", "go {n}", "on"]);
        assert_eq!(nothing_but_phrases(&decoder, &["turn", "left"]), None);
        assert_eq!(nothing_but_phrases(&decoder, &[]), None);
        let inside = phrases_inside(&decoder, &["please", "turn", "on", "it", "on", "go"]);
        assert_eq!(phrases(&inside), ["turn on", "on"]);
    }
}
