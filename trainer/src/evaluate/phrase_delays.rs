//! How soon a phrase is answered in live audio.

use std::rc::Rc;
use std::time::Instant;

use pollster::block_on;
use serde::Serialize;
use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::bundle::LoadedModel;
use shared_model::phrases::{Meaning, PhraseDecoder, PhraseHit};
use shared_model::recognizer::{Decoder, LiveConfig, LiveEvent, LiveRecognizer, Recognizer};
use shared_model::tokens::normalize_text;

use super::phrases::nothing_but_phrases;
use super::{EvaluateError, read_samples};
use crate::data::Utterance;
use crate::device::OpenDevice;

/// As a microphone brings it: 20 ms.
const BLOCK_SAMPLES: usize = SAMPLE_RATE_HZ as usize / 50;
/// Silence behind every clip, more than what ends an utterance.
const SILENCE_SAMPLES: usize = SAMPLE_RATE_HZ as usize * 3 / 2;
/// Speech ends with the last 10 ms that are at most so far below the loudest ones, dB.
const SPEECH_RANGE_DB: f32 = 30.0;
/// What an answer may take.
const WANTED_MS: f64 = 300.0;

/// Of clips that are one phrase each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AnswerDelays {
    /// The clips.
    pub clips: usize,
    /// Of them, answered with the phrase that was said and all its values.
    pub answered: usize,
    /// From the end of the sound to that answer.
    pub median_ms: f64,
    /// Nine of ten answers come within.
    pub ninety_percent_ms: f64,
    /// Answers within 300 ms.
    pub within_300_ms: usize,
    /// Clips in which something else was told of as settled.
    pub told_wrong: usize,
}

impl AnswerDelays {
    /// For people.
    pub fn line(&self) -> String {
        format!(
            "live, {} of {} clips of one phrase are answered: {:.0} ms (median) and {:.0} ms (nine of ten) after their sound ends, {} within 300 ms; {} told of something else",
            self.answered,
            self.clips,
            self.median_ms,
            self.ninety_percent_ms,
            self.within_300_ms,
            self.told_wrong
        )
    }
}

/// A clip of one phrase in the session.
struct Clip {
    said: Meaning,
    /// Where its sound ends.
    end_secs: f64,
    /// Where the next clip begins.
    next_secs: f64,
}

/// A phrase that a program may act on, and when it was told of.
struct Told {
    phrase: PhraseHit,
    /// When its result was there.
    now_secs: f64,
}

/// Plays the utterances that are one phrase, at most `longest_secs` of them, into one live session
/// on one thread, each with 1.5 s of silence behind it. The sound of a clip ends with the last 10 ms
/// that are less than 30 dB below its loudest ones; an answer is there when the block of 20 ms that
/// brought it has been computed. None if no utterance is one phrase.
///
/// # Errors
/// What model or device say. Audio that cannot be read is left out.
pub fn answer_delays(
    loaded: &LoadedModel,
    decoder: &PhraseDecoder,
    utterances: &[Utterance],
    longest_secs: f64,
    device: &OpenDevice,
) -> Result<Option<AnswerDelays>, EvaluateError> {
    let (samples, clips) = session(decoder, utterances, longest_secs);
    if clips.is_empty() {
        return Ok(None);
    }
    let phrases = Decoder::Phrases(decoder.clone());
    let recognizer = Rc::new(Recognizer::new(loaded, phrases, &device.device)?);
    let mut live = LiveRecognizer::new(recognizer, LiveConfig::default())?;
    let mut told = Vec::new();
    for (index, block) in samples.chunks(BLOCK_SAMPLES).enumerate() {
        let started = Instant::now();
        let events = block_on(live.push(block))?;
        let now_secs = secs((index + 1) * BLOCK_SAMPLES) + started.elapsed().as_secs_f64();
        told.extend(settled(events, now_secs));
    }
    told.extend(settled(block_on(live.finish())?, secs(samples.len())));
    Ok(Some(delays(&clips, &told)))
}

fn settled(events: Vec<LiveEvent>, now_secs: f64) -> impl Iterator<Item = Told> {
    let phrases = events.into_iter().flat_map(|event| match event {
        LiveEvent::Partial { transcript, .. } | LiveEvent::Final { transcript, .. } => {
            transcript.phrases
        }
    });
    let settled = phrases.filter(|phrase| phrase.is_settled);
    settled.map(move |phrase| Told { phrase, now_secs })
}

/// The samples of a session, and the clips in it.
fn session(
    decoder: &PhraseDecoder,
    utterances: &[Utterance],
    longest_secs: f64,
) -> (Vec<f32>, Vec<Clip>) {
    let mut samples = vec![0.0; SILENCE_SAMPLES];
    let mut clips = Vec::new();
    for utterance in utterances {
        if secs(samples.len()) >= longest_secs {
            break;
        }
        let text = normalize_text(&utterance.text);
        let words: Vec<&str> = text.split_whitespace().collect();
        let said = nothing_but_phrases(decoder, &words).unwrap_or_default();
        let ([said], Ok((sound, _))) = (&said[..], read_samples(utterance)) else {
            continue;
        };
        let end_secs = secs(samples.len() + sound_end(&sound));
        samples.extend_from_slice(&sound);
        samples.resize(samples.len() + SILENCE_SAMPLES, 0.0);
        clips.push(Clip {
            said: said.clone(),
            end_secs,
            next_secs: secs(samples.len()),
        });
    }
    (samples, clips)
}

fn secs(samples: usize) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE_HZ)
}

/// One past the last sample that belongs to the sound.
fn sound_end(samples: &[f32]) -> usize {
    const STEP: usize = SAMPLE_RATE_HZ as usize / 100;
    let power = |block: &[f32]| block.iter().map(|sample| sample * sample).sum::<f32>();
    let loudest = samples.chunks(STEP).map(power).fold(0.0, f32::max);
    let least = loudest * 10f32.powf(-SPEECH_RANGE_DB / 10.0);
    let last = samples.chunks(STEP).rposition(|block| power(block) > least);
    last.map_or(0, |block| ((block + 1) * STEP).min(samples.len()))
}

/// `told`: in the order it was told.
fn delays(clips: &[Clip], told: &[Told]) -> AnswerDelays {
    let (mut delays_ms, mut told_wrong) = (Vec::new(), 0);
    let mut start_secs = 0.0;
    for clip in clips {
        let of_clip = told.iter().filter(|told| {
            let middle = f64::from(told.phrase.start_secs + told.phrase.end_secs) / 2.0;
            (start_secs..clip.next_secs).contains(&middle)
        });
        let (right, wrong): (Vec<_>, Vec<_>) =
            of_clip.partition(|told| is_meant(&told.phrase, &clip.said));
        let first = right.first();
        delays_ms.extend(first.map(|told| (told.now_secs - clip.end_secs) * 1e3));
        told_wrong += usize::from(!wrong.is_empty());
        start_secs = clip.next_secs;
    }
    delays_ms.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (delays_ms.len() as f64 * share) as usize;
        delays_ms.get(index).copied().unwrap_or_default()
    };
    AnswerDelays {
        clips: clips.len(),
        answered: delays_ms.len(),
        median_ms: at(0.5),
        ninety_percent_ms: at(0.9),
        within_300_ms: delays_ms.partition_point(|delay| *delay <= WANTED_MS),
        told_wrong,
    }
}

fn is_meant(heard: &PhraseHit, said: &Meaning) -> bool {
    let heard_slots = heard.slots.iter().map(|slot| (&slot.name, &slot.value));
    heard.phrase == said.phrase
        && heard_slots.eq(said.slots.iter().map(|(name, value)| (name, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(phrase: &str) -> Meaning {
        Meaning {
            phrase: phrase.to_owned(),
            index: 0,
            slots: Vec::new(),
            tags: Vec::new(),
        }
    }

    fn told(phrase: &str, end_secs: f32, now_secs: f64) -> Told {
        let phrase = PhraseHit {
            phrase: phrase.to_owned(),
            text: phrase.to_owned(),
            slots: Vec::new(),
            tags: Vec::new(),
            start_secs: end_secs - 0.5,
            end_secs,
            score: 1.0,
            may_go_on: false,
            is_settled: true,
            words: Vec::new(),
        };
        Told { phrase, now_secs }
    }

    #[test]
    fn a_delay_runs_from_the_end_of_a_clips_sound_to_its_first_right_answer() {
        let clip = |phrase: &str, end_secs: f64, next_secs: f64| Clip {
            said: said(phrase),
            end_secs,
            next_secs,
        };
        let clips = [
            clip("go", 1.0, 3.0),
            clip("stop", 4.0, 6.0),
            clip("up", 7.0, 9.0),
            clip("down", 10.0, 12.0),
        ];
        let told = [
            told("go", 0.9, 1.25),
            told("go", 0.9, 1.75),
            told("top", 3.9, 4.25),
            told("stop", 3.9, 4.5),
            told("off", 10.0, 10.25),
        ];
        let expected = AnswerDelays {
            clips: 4,
            answered: 2,
            median_ms: 500.0,
            ninety_percent_ms: 500.0,
            within_300_ms: 1,
            told_wrong: 2,
        };
        assert_eq!(delays(&clips, &told), expected);
    }

    #[test]
    fn a_sound_ends_before_what_is_thirty_decibels_below_its_loudest() {
        // 100 ms at 0.5, 50 ms at a tenth of it (-20 dB), 100 ms at a hundredth (-40 dB).
        let part = |amplitude: f32, millis: usize| vec![amplitude; millis * 16];
        let samples = [part(0.5, 100), part(0.05, 50), part(0.005, 100)].concat();
        assert_eq!(sound_end(&samples), 150 * 16);
        assert_eq!(sound_end(&[]), 0);
    }
}
