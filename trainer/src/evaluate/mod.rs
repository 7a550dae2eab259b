//! Error rates of a model on a manifest, over the same `Recognizer` that the browser runs: one
//! utterance at a time, nothing shared between utterances.

mod calibrate;
mod decoder;
mod hypotheses;
mod phrase_counts;
mod phrase_curve;
mod phrase_delays;
mod phrase_file;
mod phrase_report;
mod phrase_trial;
mod phrases;
mod sample;
mod score;
mod tune;
mod workers;

pub use calibrate::{CalibrationFit, fit_calibration, judge};
pub use decoder::{DecoderChoice, DecoderFileError, DecoderSettings, read_lm};
pub use hypotheses::{Hypothesis, HypothesisError};
pub use phrase_counts::PhraseCounts;
pub use phrase_curve::{ThresholdCurve, ThresholdPoint, choose_threshold};
pub use phrase_delays::{AnswerDelays, answer_delays};
pub use phrase_file::{PhraseFile, PhraseFileError};
pub use phrase_report::PhraseReport;
pub use phrase_trial::{PhraseTrial, curve_chart};
pub use phrases::{HeardPhrases, hear_phrases, is_nothing_but_phrases};
pub use sample::sample;
pub use score::{BOOTSTRAP_SEED, EvaluationReport, GreedyReport, Outcome, scores};
pub use tune::{HeardUtterance, SearchSpace, Trial, Tuner, hear_all};

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use pollster::block_on;
use shared_model::bundle::LoadedModel;
use shared_model::metrics::{ErrorCounts, character_errors, word_errors};
use shared_model::recognizer::{Decoder, Posteriors, RecognizeError, Recognizer, Writer};
use shared_model::tokens::{Tokens, normalize_text};

use crate::data::audio_file::decode_16k_with_notices;
use crate::data::{AudioFileError, Utterance};
use crate::device::{DeviceKind, OpenDevice};
use crate::exit_status::{ExitStatus, HasExitStatus};
use crate::fault::error_line;
use crate::loss::ctc_loss_per_label;
use crate::onnx_network::OnnxNetworkError;
pub(crate) use workers::spread;

/// Greatest share of unreadable audio that an error rate may be stated over.
pub const MAX_BROKEN_SHARE: f64 = 0.01;

/// Why there is no error rate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// No utterance at all.
    #[error("there is no utterance to evaluate")]
    Empty,
    /// Nothing to compare words with.
    #[error("no utterance has a text to measure against: a manifest needs \"text\" for that")]
    NoText,
    /// The network or its device fails.
    #[error(transparent)]
    Recognize(#[from] RecognizeError),
    /// The network of an ONNX file fails.
    #[error(transparent)]
    Onnx(#[from] OnnxNetworkError),
    /// The decoder's settings are out of their ranges.
    #[error(transparent)]
    Decode(#[from] shared_model::decode::DecodeError),
    /// So much audio is unreadable that a rate would be one of another set.
    #[error(
        "{broken} of {utterances} utterances cannot be read, more than 1 %; the first: {first}"
    )]
    TooManyBroken {
        /// Utterances that cannot be read.
        broken: usize,
        /// Of so many.
        utterances: usize,
        /// Why the first of them cannot be read.
        first: String,
    },
    /// A thread ended without a result.
    #[error("a worker thread failed")]
    Worker,
    /// The user wants no result any more.
    #[error("stopped by Ctrl-C")]
    Stopped,
}

impl HasExitStatus for EvaluateError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Empty | Self::NoText | Self::TooManyBroken { .. } => ExitStatus::Data,
            Self::Recognize(error) => error.exit_status(),
            Self::Onnx(error) => error.exit_status(),
            Self::Decode(error) => error.exit_status(),
            Self::Worker => ExitStatus::Failed,
            Self::Stopped => ExitStatus::Interrupted,
        }
    }
}

/// An error if there is nothing to measure on.
fn check_texts(utterances: &[Utterance]) -> Result<(), EvaluateError> {
    if utterances.is_empty() {
        return Err(EvaluateError::Empty);
    }
    if utterances.iter().all(|utterance| utterance.text.is_empty()) {
        return Err(EvaluateError::NoText);
    }
    Ok(())
}

/// Audio that could not be read, in the order of the manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokenAudio {
    /// The file.
    pub path: PathBuf,
    /// Path and what is wrong with it.
    pub reason: String,
}

impl BrokenAudio {
    pub(crate) fn of(utterance: &Utterance, error: &AudioFileError) -> Self {
        Self {
            path: utterance.audio().name(),
            reason: error_line(error),
        }
    }
}

/// What a model heard.
#[derive(Debug, Clone, Default)]
pub struct Evaluated {
    /// In the order of the manifest, broken ones left out.
    pub outcomes: Vec<Outcome>,
    /// Utterances that have no outcome.
    pub broken: Vec<BrokenAudio>,
}

impl Evaluated {
    /// An error if more audio is broken than an error rate may hide.
    ///
    /// # Errors
    /// [`EvaluateError::TooManyBroken`] above [`MAX_BROKEN_SHARE`].
    pub fn check_broken(&self) -> Result<(), EvaluateError> {
        let first = self.broken.first().map(|broken| broken.reason.as_str());
        let utterances = self.outcomes.len() + self.broken.len();
        check_broken(first, self.broken.len(), utterances)
    }
}

/// An error if more of the utterances are broken than a result may hide; `first`: why the first is.
pub(crate) fn check_broken(
    first: Option<&str>,
    broken: usize,
    utterances: usize,
) -> Result<(), EvaluateError> {
    match first {
        Some(first) if broken as f64 > MAX_BROKEN_SHARE * utterances as f64 => {
            Err(EvaluateError::TooManyBroken {
                broken,
                utterances,
                first: first.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// What was heard, without the broken audio.
///
/// # Errors
/// [`EvaluateError::TooManyBroken`], as [`Evaluated::check_broken`].
fn without_broken<T>(results: Vec<Result<T, BrokenAudio>>) -> Result<Vec<T>, EvaluateError> {
    let utterances = results.len();
    let (mut heard, mut broken) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(utterance) => heard.push(utterance),
            Err(audio) => broken.push(audio),
        }
    }
    let first = broken.first().map(|broken| broken.reason.as_str());
    check_broken(first, broken.len(), utterances)?;
    Ok(heard)
}

/// Transcribes every utterance and counts its errors. On the CPU utterances are spread over
/// `threads` threads; results do not depend on their number. `progress(done, total)` is called
/// from those threads; `stop` ends the work early with [`EvaluateError::Stopped`].
///
/// # Errors
/// No utterance, or none with a text; a decoder or network that cannot be made; a device that
/// fails; a stop. Audio that cannot be read is in the result.
pub fn evaluate(
    loaded: &LoadedModel,
    utterances: &[Utterance],
    decoder: &DecoderChoice,
    device: &OpenDevice,
    threads: usize,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Evaluated, EvaluateError> {
    check_texts(utterances)?;
    let threads = match device.kind {
        DeviceKind::Cpu => threads.clamp(1, utterances.len()),
        DeviceKind::Gpu => 1,
    };
    let heard = spread(
        utterances.len(),
        threads,
        stop,
        progress,
        &|| {
            let built = decoder.build(&loaded.tokens)?;
            Ok(Recognizer::new(loaded, built, &device.device)?)
        },
        &|recognizer, index| hear(recognizer, index, &utterances[index]),
    )?;
    let mut evaluated = Evaluated::default();
    for result in heard {
        match result {
            Ok(outcome) => evaluated.outcomes.push(outcome),
            Err(broken) => evaluated.broken.push(broken),
        }
    }
    Ok(evaluated)
}

fn hear(
    recognizer: &Recognizer,
    index: usize,
    utterance: &Utterance,
) -> Result<Result<Outcome, BrokenAudio>, EvaluateError> {
    let (samples, notices) = match read_samples(utterance) {
        Ok(read) => read,
        Err(broken) => return Ok(Err(broken)),
    };
    let started = Instant::now();
    let heard = block_on(recognizer.posteriors(&samples))?;
    let encoded = Instant::now();
    let (tokens, frame_secs) = (recognizer.tokens(), recognizer.frame_secs());
    let mut writer = recognizer.writer();
    for posteriors in &heard {
        writer.take(posteriors);
    }
    let transcript = writer.finish();
    let decoding_secs = encoded.elapsed().as_secs_f64();
    let reference = normalize_text(&utterance.text);
    let confidences: Vec<_> = transcript
        .words
        .iter()
        .map(|w| (w.text.clone(), w.confidence))
        .collect();
    let hypothesis = normalize_text(&transcript.text);
    let greedy = match recognizer.decoder() {
        Decoder::Greedy => None,
        Decoder::Beam(_) | Decoder::Phrases(_) => {
            let greedy = written(&heard, &Decoder::Greedy, tokens, frame_secs);
            Some(errors(&reference, &greedy))
        }
    };
    let [word_errors, character_errors] = errors(&reference, &hypothesis);
    Ok(Ok(Outcome {
        index,
        word_errors,
        character_errors,
        greedy_errors: greedy,
        confidences: judge(&confidences, &reference),
        ctc_loss: reference_loss(&heard, tokens, &reference),
        hypothesis,
        audio_secs: samples.len() as f64 / f64::from(shared_model::audio::SAMPLE_RATE_HZ),
        processing_secs: (encoded - started).as_secs_f64() + decoding_secs,
        decoding_secs,
        notices,
    }))
}

/// Of words and characters.
fn errors(reference: &str, hypothesis: &str) -> [ErrorCounts; 2] {
    [
        word_errors(reference, hypothesis),
        character_errors(reference, hypothesis),
    ]
}

fn reference_loss(heard: &[Posteriors], tokens: &Tokens, reference: &str) -> Option<f64> {
    let [posteriors] = heard else { return None };
    let target = tokens.encode(reference).ok()?;
    ctc_loss_per_label(&posteriors.log_probs, tokens.len(), &target)
}

/// What a decoder writes, normalised.
fn written(heard: &[Posteriors], decoder: &Decoder, tokens: &Tokens, frame_secs: f32) -> String {
    let mut writer = Writer::new(decoder, tokens, frame_secs);
    for posteriors in heard {
        writer.take(posteriors);
    }
    normalize_text(&writer.finish().text)
}

/// Samples at 16 kHz, and what decoding found worth saying.
fn read_samples(utterance: &Utterance) -> Result<(Vec<f32>, Vec<String>), BrokenAudio> {
    let duration_secs = (utterance.duration_secs > 0.0).then_some(utterance.duration_secs);
    decode_16k_with_notices(utterance.audio(), utterance.offset_secs, duration_secs)
        .map_err(|error| BrokenAudio::of(utterance, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluated(heard: usize, broken: usize) -> Evaluated {
        Evaluated {
            outcomes: vec![Outcome::default(); heard],
            broken: vec![
                BrokenAudio {
                    path: "a.wav".into(),
                    reason: "a.wav: empty".into(),
                };
                broken
            ],
        }
    }

    #[test]
    fn utterances_without_any_text_are_refused_and_one_text_is_enough() {
        let utterance = |text: &str| Utterance {
            id: "a".to_owned(),
            audio_path: "a.wav".into(),
            member: None,
            offset_secs: 0.0,
            duration_secs: 1.0,
            text: text.to_owned(),
            speaker: None,
            confidence: None,
        };
        let check = |texts: &[&str]| {
            let utterances: Vec<_> = texts.iter().map(|text| utterance(text)).collect();
            check_texts(&utterances)
        };
        assert!(matches!(check(&[]), Err(EvaluateError::Empty)));
        assert!(matches!(check(&["", ""]), Err(EvaluateError::NoText)));
        assert!(check(&["", "one"]).is_ok());
    }

    #[test]
    fn one_broken_file_in_a_hundred_is_reported_and_two_stop() {
        assert!(evaluated(99, 1).check_broken().is_ok());
        assert!(evaluated(100, 0).check_broken().is_ok());
        let error = evaluated(98, 2).check_broken().expect_err("2 %");
        assert!(error.to_string().contains("a.wav: empty"));
        assert!(evaluated(0, 1).check_broken().is_err());
    }
    #[test]
    fn what_was_heard_counts_without_one_broken_file_in_a_hundred() {
        let results = |heard: usize, broken: usize| -> Vec<Result<usize, BrokenAudio>> {
            let audio = evaluated(0, broken).broken;
            let heard = (0..heard).map(Ok);
            heard.chain(audio.into_iter().map(Err)).collect()
        };
        let heard = without_broken(results(99, 1)).expect("1 %");
        assert_eq!(heard, (0..99).collect::<Vec<_>>());
        let error = without_broken(results(98, 2)).expect_err("2 %");
        assert!(matches!(
            error,
            EvaluateError::TooManyBroken {
                broken: 2,
                utterances: 100,
                ..
            }
        ));
    }
}
