use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use pollster::block_on;
use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::decode::Word;
use shared_model::recognizer::{Recognizer, Transcription};

use super::LabelOptions;
use super::onnx::{OnnxRecognizer, OnnxTranscription};
use crate::data::audio_file::FileBlocks;
use crate::data::{Member, TimedWord, Utterance, pieces};
use crate::evaluate::{BrokenAudio, EvaluateError};

/// What was heard in a stretch of a file.
pub(super) struct Label {
    pub audio_path: PathBuf,
    /// Of a tar file.
    pub member: Option<Box<Member>>,
    /// Into the file.
    pub offset_secs: f64,
    pub duration_secs: f64,
    pub text: String,
    /// Mean over the words.
    pub confidence: f32,
    pub speaker: Option<String>,
    pub id: String,
}

/// What a thread hears with.
pub(super) enum Ear<'a> {
    /// One of our networks.
    Own(Box<Recognizer>),
    /// Somebody else's, and the longest audio that it gets at once.
    Onnx(&'a OnnxRecognizer),
}

impl Ear<'_> {
    fn begin(&self, max_secs: f64) -> Heard<'_> {
        match self {
            Self::Own(recognizer) => Heard::Own(Box::new(recognizer.begin())),
            Self::Onnx(recognizer) => Heard::Onnx(recognizer.begin(max_secs)),
        }
    }
}

/// What is heard of one utterance.
enum Heard<'a> {
    Own(Box<Transcription<'a>>),
    Onnx(OnnxTranscription<'a>),
}

impl Heard<'_> {
    fn push(&mut self, block: &[f32], stop: &AtomicBool) -> Result<(), EvaluateError> {
        let mut go_on = |_| !stop.load(Ordering::Relaxed);
        match self {
            Self::Own(transcription) => {
                block_on(transcription.push(block, &mut go_on))?;
            }
            Self::Onnx(transcription) => transcription.push(block)?,
        }
        Ok(())
    }

    fn finish(self, stop: &AtomicBool) -> Result<Vec<Word>, EvaluateError> {
        let mut go_on = |_| !stop.load(Ordering::Relaxed);
        match self {
            Self::Own(transcription) => {
                let transcript = block_on(transcription.finish(&mut go_on));
                Ok(transcript?.words)
            }
            Self::Onnx(transcription) => Ok(transcription.finish()?),
        }
    }
}

/// One label of a whole utterance, or several of one that is longer than `max_secs`; none where
/// there are no words.
pub(super) fn hear(
    ear: &Ear<'_>,
    utterance: &Utterance,
    options: LabelOptions,
    stop: &AtomicBool,
) -> Result<Result<Vec<Label>, BrokenAudio>, EvaluateError> {
    let duration_secs = (utterance.duration_secs > 0.0).then_some(utterance.duration_secs);
    let opened = FileBlocks::open_stretch(utterance.audio(), utterance.offset_secs, duration_secs);
    let mut blocks = match opened {
        Ok(blocks) => blocks,
        Err(error) => return Ok(Err(BrokenAudio::of(utterance, &error))),
    };
    let mut heard = ear.begin(options.max_secs);
    let mut num_samples = 0;
    loop {
        match blocks.next_block() {
            Ok(Some(block)) => {
                num_samples += block.len();
                heard.push(block, stop)?;
            }
            Ok(None) => break,
            Err(error) => return Ok(Err(BrokenAudio::of(utterance, &error))),
        }
        if stop.load(Ordering::Relaxed) {
            return Err(EvaluateError::Stopped);
        }
    }
    let words = heard.finish(stop)?;
    if stop.load(Ordering::Relaxed) {
        return Err(EvaluateError::Stopped);
    }
    let audio_secs = num_samples as f64 / f64::from(SAMPLE_RATE_HZ);
    Ok(Ok(labels(utterance, &words, audio_secs, options.max_secs)))
}

/// Labels of `audio_secs` in which `words` were heard.
pub(super) fn labels(
    utterance: &Utterance,
    words: &[Word],
    audio_secs: f64,
    max_secs: f64,
) -> Vec<Label> {
    let words: Vec<TimedWord> = words.iter().map(timed).collect();
    let is_whole = audio_secs <= max_secs;
    let label = |start_secs: f64, end_secs: f64, text: String, confidence: Option<f32>| Label {
        audio_path: utterance.audio_path.clone(),
        member: utterance.member.clone(),
        offset_secs: utterance.offset_secs + start_secs,
        duration_secs: end_secs - start_secs,
        text,
        confidence: confidence.unwrap_or_default(),
        speaker: utterance.speaker.clone(),
        id: if is_whole {
            utterance.id.clone()
        } else {
            format!("{}-{:07}", utterance.id, (start_secs * 100.0).round())
        },
    };
    if !is_whole {
        return pieces(&words, max_secs, Some(audio_secs))
            .into_iter()
            .map(|piece| {
                label(
                    piece.start_secs,
                    piece.end_secs,
                    piece.text,
                    piece.confidence,
                )
            })
            .collect();
    }
    if words.is_empty() {
        return vec![];
    }
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let sum: f32 = words.iter().filter_map(|word| word.confidence).sum();
    let mean = sum / words.len() as f32;
    vec![label(0.0, audio_secs, texts.join(" "), Some(mean))]
}

fn timed(word: &Word) -> TimedWord {
    TimedWord {
        text: word.text.clone(),
        start_secs: f64::from(word.start_secs),
        end_secs: f64::from(word.end_secs),
        confidence: Some(word.confidence),
    }
}
