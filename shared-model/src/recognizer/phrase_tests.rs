//! Phrases heard by a shipped model, in files and live.
#![allow(clippy::unwrap_used)]

use std::rc::Rc;

use burn::prelude::Device;

use super::*;
use crate::{
    bundle::{Files, LoadedModel, read_model},
    phrases::{PhraseConfig, PhraseList, SlotValue},
};

const LIST: &str = "set [a] timer for <number:minutes> (minutes|minute)\nstop the music\n\
                    turn (on|off) the (kitchen|bedroom) light\nopen the window\n";

fn loaded() -> LoadedModel {
    let folder = std::fs::read_dir("../www/models/quick-medium").unwrap();
    let files: Files = folder
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    read_model(&files).unwrap()
}

fn decoder(list: &str, tokens: &Tokens, config: PhraseConfig) -> PhraseDecoder {
    let list = PhraseList::parse(list).unwrap();
    PhraseDecoder::new(&list, tokens, config).unwrap()
}

fn recognizer(list: &str, config: PhraseConfig) -> Recognizer {
    let loaded = loaded();
    let decoder = decoder(list, &loaded.tokens, config);
    Recognizer::new(&loaded, Decoder::Phrases(decoder), &Device::flex()).unwrap()
}

fn clip(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(format!("../www/samples/{name}.wav")).unwrap();
    let (samples, _) = bytes[44..].as_chunks::<2>();
    let sample = |bytes: &[u8; 2]| f32::from(i16::from_le_bytes(*bytes)) / 32768.0;
    samples.iter().map(sample).collect()
}

fn silence(secs: f32) -> Vec<f32> {
    vec![0.0; (secs * 16_000.0) as usize]
}

fn texts(transcript: &Transcript) -> Vec<&str> {
    let phrases = transcript.phrases.iter();
    phrases.map(|phrase| phrase.text.as_str()).collect()
}

#[test]
fn a_clip_is_its_phrase_with_the_slots_value_and_other_speech_is_none() {
    let recognizer = recognizer(LIST, PhraseConfig::default());
    let heard = |name: &str| tests::now(recognizer.transcribe(&clip(name))).unwrap();
    let timer = heard("set-a-timer-for-five-minutes");
    assert_eq!(timer.text, "set a timer for five minutes");
    let [phrase] = &timer.phrases[..] else {
        panic!("{timer:?}")
    };
    assert_eq!(phrase.phrase, "set a timer for {minutes} minutes");
    assert_eq!(phrase.slots[0].value, SlotValue::Number(5));
    assert!(
        phrase.start_secs < 0.6 && phrase.end_secs > 1.2,
        "{phrase:?}"
    );
    assert!(timer.others.is_empty(), "{timer:?}");
    assert_eq!(
        texts(&heard("turn-on-the-kitchen-light")),
        ["turn on the kitchen light"]
    );
    let digits = heard("seven-two-nine-four");
    assert_eq!((digits.text.as_str(), &digits.phrases[..]), ("", &[][..]));
    let [other] = &digits.others[..] else {
        panic!("{digits:?}")
    };
    // By the best path, whose first word is one letter too long.
    assert!(other.text.ends_with("two nine four"), "{other:?}");
    assert!(other.start_secs < 0.6 && other.end_secs > 1.2, "{other:?}");
}

#[test]
fn a_phrase_that_does_not_count_is_told_with_its_score_and_what_it_needed() {
    for (inside_speech, threshold, counts) in [(false, 0.35, false), (true, 1.0, true)] {
        let config = PhraseConfig {
            threshold,
            inside_speech,
        };
        let recognizer = recognizer("kitchen light\nstop\n", config);
        let heard = tests::now(recognizer.transcribe(&clip("turn-on-the-kitchen-light"))).unwrap();
        let [other] = &heard.others[..] else {
            panic!("{heard:?}")
        };
        assert_eq!(other.text, "turn on the kitchen light");
        let nearest = other.nearest.as_ref().unwrap();
        assert_eq!(nearest.text, "kitchen light");
        assert_eq!(nearest.threshold, threshold);
        // Alone its score is too low, or it would do but for the words beside it.
        assert_eq!(nearest.score < threshold, counts, "{nearest:?}");
    }
}

#[test]
fn a_phrase_inside_a_sentence_is_heard_only_where_it_may_stand_there() {
    for (inside_speech, expected) in [(false, &[][..]), (true, &["kitchen light"])] {
        let config = PhraseConfig {
            inside_speech,
            ..PhraseConfig::default()
        };
        let recognizer = recognizer("kitchen light\nstop\n", config);
        let heard = tests::now(recognizer.transcribe(&clip("turn-on-the-kitchen-light")));
        assert_eq!(texts(&heard.unwrap()), expected);
    }
}

#[test]
fn live_phrases_are_those_of_the_file_and_are_settled_soon() {
    let recognizer = Rc::new(recognizer(LIST, PhraseConfig::default()));
    let names = [
        "set-a-timer-for-five-minutes",
        "open-the-window",
        "seven-two-nine-four",
    ];
    let mut samples = silence(0.5);
    for name in names {
        samples.extend(clip(name));
        samples.extend(silence(1.5));
    }
    let mut live = LiveRecognizer::new(recognizer.clone(), LiveConfig::default()).unwrap();
    let (mut finals, mut settled_secs) = (Vec::new(), Vec::new());
    for (index, block) in samples.chunks(1600).enumerate() {
        let now_secs = (index + 1) as f32 * 0.1;
        for event in tests::now(live.push(block)).unwrap() {
            match event {
                LiveEvent::Partial { transcript, .. } => {
                    let settled = transcript.phrases.iter().filter(|phrase| phrase.is_settled);
                    settled_secs.extend(settled.map(|phrase| now_secs - phrase.end_secs));
                }
                LiveEvent::Final { transcript, .. } => finals.extend(transcript.phrases),
            }
        }
    }
    finals.extend(
        tests::now(live.finish())
            .unwrap()
            .into_iter()
            .flat_map(|event| match event {
                LiveEvent::Partial { transcript, .. } | LiveEvent::Final { transcript, .. } => {
                    transcript.phrases
                }
            }),
    );
    let file = tests::now(recognizer.transcribe(&samples)).unwrap();
    assert_eq!(
        texts(&file),
        ["set a timer for five minutes", "open the window"]
    );
    assert_eq!(finals.len(), 2);
    for (live, file) in finals.iter().zip(&file.phrases) {
        assert_eq!(
            (&live.text, &live.slots, live.is_settled),
            (&file.text, &file.slots, true)
        );
        assert!(
            (live.start_secs - file.start_secs).abs() < 0.2,
            "{live:?} {file:?}"
        );
        assert!(
            (live.end_secs - file.end_secs).abs() < 0.2,
            "{live:?} {file:?}"
        );
    }
    let soonest = settled_secs.iter().copied().fold(f32::INFINITY, f32::min);
    assert!(soonest < 0.45, "settled after {settled_secs:?}");
}

#[test]
fn a_recognizer_of_words_hears_phrases_too_and_tells_of_each_once() {
    let words = Recognizer::new(&loaded(), Decoder::Greedy, &Device::flex()).unwrap();
    let phrases = words.with_phrases(decoder(LIST, words.tokens(), PhraseConfig::default()));
    // So much silence makes three stretches of it, which are heard one by one.
    let mut samples = Vec::new();
    for name in ["stop-the-music", "seven-two-nine-four", "open-the-window"] {
        samples.extend(clip(name));
        samples.extend(silence(5.0));
    }
    let told = std::cell::RefCell::new((Vec::new(), Vec::new()));
    let mut transcription = phrases.begin().telling(|words, phrases| {
        told.borrow_mut().0.extend_from_slice(words);
        told.borrow_mut().1.push(phrases.to_vec());
    });
    tests::now(transcription.push(&samples, &mut |_| true)).unwrap();
    let transcript = tests::now(transcription.finish(&mut |_| true)).unwrap();
    assert_eq!(texts(&transcript), ["stop the music", "open the window"]);
    let (told_words, told_phrases) = told.take();
    assert_eq!(told_words, transcript.words);
    assert_eq!(told_phrases.concat(), transcript.phrases);
    // Each as soon as the next stretch does not follow on it, not all of them at the end.
    let with_phrases = told_phrases.iter().filter(|phrases| !phrases.is_empty());
    assert_eq!(with_phrases.count(), 2, "{told_phrases:?}");
    // The other one still writes words.
    let heard = tests::now(words.transcribe(&clip("seven-two-nine-four"))).unwrap();
    assert!(!heard.text.is_empty() && heard.phrases.is_empty());
}

#[test]
fn boosted_words_are_likelier_with_and_without_a_search_of_its_own() {
    let greedy = Recognizer::new(&loaded(), Decoder::Greedy, &Device::flex()).unwrap();
    let list = BoostList::parse("top :30", 4.0).unwrap();
    let config = BeamConfig::default();
    let boosted = greedy.boosting(&list, &config).unwrap();
    let text = |recognizer: &Recognizer| {
        let heard = tests::now(recognizer.transcribe(&clip("stop-the-music")));
        heard.unwrap().text
    };
    assert_eq!(text(&greedy), "stop the music");
    assert_eq!(text(&boosted), "top the music");
    let other = BoostList::parse("musical :40", 4.0).unwrap();
    // The list takes the place of the one before.
    assert!(text(&boosted.boosting(&other, &config).unwrap()).starts_with("stop the"));
    let wrong = BoostList::parse("5", 4.0).unwrap();
    assert!(greedy.boosting(&wrong, &config).is_err());
}
