//! Error rates of a model on a manifest, over the same `Recognizer` that the browser runs: one
//! utterance at a time, nothing shared between utterances.

mod decoder;
mod score;

pub use decoder::{DecoderChoice, DecoderFileError, DecoderSettings};
pub use score::{EvaluationReport, Outcome, scores};

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use shared_model::bundle::LoadedModel;
use shared_model::metrics::{character_errors, word_errors};
use shared_model::recognizer::{RecognizeError, Recognizer};
use shared_model::tokens::normalize_text;

use crate::block_on::block_on;
use crate::data::audio_file::decode_16k;
use crate::data::{AudioFileError, Utterance};
use crate::device::{DeviceKind, OpenDevice};

/// Greatest share of unreadable audio that an error rate may be stated over.
pub const MAX_BROKEN_SHARE: f64 = 0.01;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    #[error("there is no utterance to evaluate")]
    Empty,
    #[error(transparent)]
    Recognize(#[from] RecognizeError),
    #[error(transparent)]
    Decode(#[from] shared_model::decode::DecodeError),
    #[error(
        "{broken} of {utterances} utterances cannot be read, more than 1 %; the first: {first}"
    )]
    TooManyBroken {
        broken: usize,
        utterances: usize,
        first: String,
    },
    #[error("a worker thread failed")]
    Worker,
    #[error("stopped by Ctrl-C")]
    Stopped,
}

/// Audio that could not be read, in the order of the manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokenAudio {
    pub path: PathBuf,
    pub reason: String,
}

/// What a model heard.
#[derive(Debug, Clone, Default)]
pub struct Evaluated {
    /// In the order of the manifest, broken ones left out.
    pub outcomes: Vec<Outcome>,
    pub broken: Vec<BrokenAudio>,
}

impl Evaluated {
    /// An error if more audio is broken than an error rate may hide.
    pub fn check_broken(&self) -> Result<(), EvaluateError> {
        let utterances = self.outcomes.len() + self.broken.len();
        match self.broken.first() {
            Some(first) if self.broken.len() as f64 > MAX_BROKEN_SHARE * utterances as f64 => {
                Err(EvaluateError::TooManyBroken {
                    broken: self.broken.len(),
                    utterances,
                    first: first.reason.clone(),
                })
            }
            _ => Ok(()),
        }
    }
}

enum Heard {
    Words(Outcome),
    Broken(BrokenAudio),
}

/// Transcribes every utterance and counts its errors. On the CPU utterances are spread over
/// `threads` threads; results do not depend on their number. `progress(done, total)` is called
/// from those threads; `stop` ends the work early with [`EvaluateError::Stopped`].
pub fn evaluate(
    loaded: &LoadedModel,
    utterances: &[Utterance],
    decoder: &DecoderChoice,
    device: &OpenDevice,
    threads: usize,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Evaluated, EvaluateError> {
    if utterances.is_empty() {
        return Err(EvaluateError::Empty);
    }
    let threads = match device.kind {
        DeviceKind::Cpu => threads.clamp(1, utterances.len()),
        DeviceKind::Gpu => 1,
    };
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let heard: Mutex<Vec<(usize, Heard)>> = Mutex::new(Vec::with_capacity(utterances.len()));
    let failed = AtomicBool::new(false);
    let work = || -> Result<(), EvaluateError> {
        let recognizer = Recognizer::new(loaded, decoder.build(&loaded.tokens)?, &device.device)?;
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(EvaluateError::Stopped);
            }
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(utterance) = utterances.get(index) else {
                return Ok(());
            };
            if failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let result = hear(&recognizer, index, utterance)?;
            heard
                .lock()
                .map_err(|_| EvaluateError::Worker)?
                .push((index, result));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, utterances.len());
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let result = work();
                    if result.is_err() {
                        failed.store(true, Ordering::Relaxed);
                    }
                    result
                })
            })
            .collect();
        let results: Vec<_> = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or(Err(EvaluateError::Worker)))
            .collect();
        results.into_iter().collect::<Result<Vec<()>, _>>()
    })?;
    let mut heard = heard.into_inner().map_err(|_| EvaluateError::Worker)?;
    heard.sort_by_key(|(index, _)| *index);
    let mut evaluated = Evaluated::default();
    for (_, result) in heard {
        match result {
            Heard::Words(outcome) => evaluated.outcomes.push(outcome),
            Heard::Broken(broken) => evaluated.broken.push(broken),
        }
    }
    Ok(evaluated)
}

fn hear(
    recognizer: &Recognizer,
    index: usize,
    utterance: &Utterance,
) -> Result<Heard, EvaluateError> {
    let duration_secs = (utterance.duration_secs > 0.0).then_some(utterance.duration_secs);
    let samples = match decode_16k(&utterance.audio_path, utterance.offset_secs, duration_secs) {
        Ok(samples) => samples,
        Err(error) => return Ok(Heard::Broken(broken(utterance, &error))),
    };
    let started = Instant::now();
    let transcript = block_on(recognizer.transcribe(&samples))?;
    let processing_secs = started.elapsed().as_secs_f64();
    let reference = normalize_text(&utterance.text);
    let hypothesis = normalize_text(&transcript.text);
    Ok(Heard::Words(Outcome {
        index,
        word_errors: word_errors(&reference, &hypothesis),
        character_errors: character_errors(&reference, &hypothesis),
        hypothesis,
        audio_secs: samples.len() as f64 / f64::from(shared_model::audio::SAMPLE_RATE_HZ),
        processing_secs,
    }))
}

fn broken(utterance: &Utterance, error: &AudioFileError) -> BrokenAudio {
    BrokenAudio {
        path: utterance.audio_path.clone(),
        reason: error.to_string(),
    }
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
    fn one_broken_file_in_a_hundred_is_reported_and_two_stop() {
        assert!(evaluated(99, 1).check_broken().is_ok());
        assert!(evaluated(100, 0).check_broken().is_ok());
        let error = evaluated(98, 2).check_broken().expect_err("2 %");
        assert!(error.to_string().contains("a.wav: empty"));
        assert!(evaluated(0, 1).check_broken().is_err());
    }
}
