//! PCM in, words out.
//!
//! ```text
//! samples -> chunks of at most 3 min -> regions with sound (activity)
//!         -> windows of at most 20 s (windows) -> level -> features -> network
//!         -> log-probabilities, unless the sound is none of a voice (speech)
//!         -> windows joined between words (stitch) -> decoder -> words with times
//! ```
//!
//! The same code serves evaluation in the trainer and the browser, so both write the same words.

mod activity;
mod hearing;
mod live;
mod normalizer;
#[cfg(test)]
mod phrase_tests;
mod pitch;
mod posteriors;
mod speech;
mod stitch;
#[cfg(test)]
mod tests;
mod voice;
mod windows;
mod writer;

pub use hearing::Transcription;
pub use live::{LiveConfig, LiveEvent, LiveRecognizer};
pub use writer::{PhraseListener, Writer};

use std::{borrow::Cow, task::Poll};

use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    bundle::LoadedModel,
    decode::{
        BeamConfig, BeamDecoder, BoostList, Calibration, Calibrations, DecodeError, Word,
        WordEvidence, evident_words,
    },
    features::{FeatureConfig, FeatureExtractor},
    model::{CtcModel, ModelConfig, Operations},
    phrases::{OtherSpeech, PhraseDecoder, PhraseHit},
    tokens::Tokens,
};
use hearing::Hearing;
use pitch::PitchTracker;

/// How posteriors become words.
pub enum Decoder {
    /// The best path, without any other setting.
    Greedy,
    /// Prefix beam search.
    Beam(BeamDecoder),
    /// Nothing but the phrases of a list, or none of them.
    Phrases(PhraseDecoder),
}

impl Decoder {
    /// Whether it looks at the phones of a network with a head for them, and not at its tokens; where
    /// it does not, they are not read back from a device.
    pub fn reads_phones(&self) -> bool {
        matches!(self, Self::Beam(beam) if beam.phone_tokens().is_some())
    }

    /// What its hypotheses consist of; `letters`: the network's own tokens.
    fn tokens<'a>(&'a self, letters: &'a Tokens) -> &'a Tokens {
        match self {
            Self::Beam(beam) => beam.phone_tokens().unwrap_or(letters),
            Self::Greedy | Self::Phrases(_) => letters,
        }
    }

    /// The calibration of words that this decoder writes, if the model has one.
    pub fn calibration(&self, calibrations: &Calibrations) -> Option<Calibration> {
        match self {
            Self::Greedy => calibrations.greedy,
            Self::Beam(_) if self.reads_phones() => calibrations.phones,
            Self::Beam(beam) if beam.writes_any_word_with_lm() => calibrations.lm,
            Self::Beam(_) | Self::Phrases(_) => None,
        }
    }
}

/// Why audio does not become words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecognizeError {
    /// What is wrong with the model folder.
    #[error(transparent)]
    Bundle(#[from] crate::bundle::BundleError),
    /// What is wrong with the weights.
    #[error(transparent)]
    Weights(#[from] crate::weights::WeightError),
    /// What is wrong with the features.
    #[error(transparent)]
    Features(#[from] crate::features::FeatureError),
    /// A vocabulary and a network that do not belong together.
    #[error(
        "the model has {tokens} tokens and {classes} output classes: there must be as many of each"
    )]
    Vocabulary {
        /// Pieces, blank included.
        tokens: usize,
        /// The network's outputs.
        classes: usize,
    },
    /// Features and a network that do not belong together.
    #[error("the features have {features} mel bands, the model expects {model}")]
    MelBands {
        /// Of the features.
        features: usize,
        /// Of the network.
        model: usize,
    },
    /// A value of [`LiveConfig`] that is out of range.
    #[error("live setting {name} is {value}: expected {expected}")]
    Setting {
        /// The field.
        name: &'static str,
        /// As it was given.
        value: f32,
        /// The range.
        expected: &'static str,
    },
    /// A decoder of phones and a network that writes none.
    #[error(
        "the decoder reads phones, but the network has no head for them: train it with model.phone_head"
    )]
    NoPhones,
    /// What a graphics adapter says.
    #[error("the device failed: {0}")]
    Device(String),
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Transcript {
    /// The words joined by spaces.
    pub text: String,
    /// In the order they were said.
    pub words: Vec<Word>,
    /// Where only phrases are heard ([`Decoder::Phrases`]): those that the words are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phrases: Vec<PhraseHit>,
    /// And what was said that is none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherSpeech>,
}

impl Transcript {
    /// Of words in order.
    pub fn from_words(words: Vec<Word>) -> Self {
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        Self {
            text: texts.join(" "),
            words,
            phrases: Vec::new(),
            others: Vec::new(),
        }
    }

    /// The first `count` words, and the phrases that are whole in them.
    fn before_word(mut self, count: usize) -> Self {
        self.words.truncate(count);
        if !self.phrases.is_empty() {
            let mut words = 0;
            self.phrases.retain(|phrase| {
                words += phrase.words.len();
                words <= count
            });
            self.words
                .truncate(self.phrases.iter().map(|phrase| phrase.words.len()).sum());
        }
        // What is said behind the last word is heard again.
        let end_secs = self.words.last().map_or(0.0, |word| word.end_secs);
        self.others.retain(|other| other.end_secs <= end_secs);
        Self {
            phrases: self.phrases,
            others: self.others,
            ..Self::from_words(self.words)
        }
    }
}

/// What was heard in a stretch of audio between words or silence.
#[derive(Debug, Clone, PartialEq)]
pub struct Posteriors {
    /// `[num_frames, vocab]`, row-major, natural log.
    pub log_probs: Vec<f32>,
    /// `[num_frames, 41]`, as many frames: of a network's phone head
    /// ([`crate::tokens::phone_tokens`]). Empty where it has none, or the decoder does not ask.
    pub phone_log_probs: Vec<f32>,
    /// Time of frame 0.
    pub offset_secs: f32,
    /// Where the audio ends; the last frame may reach past it, a word does not.
    pub end_secs: f32,
}

impl Posteriors {
    /// Words by any decoder, not calibrated; `frame_secs`: seconds between encoder frames.
    pub fn words(&self, decoder: &Decoder, tokens: &Tokens, frame_secs: f32) -> Vec<Word> {
        let mut writer = Writer::new(decoder, tokens, frame_secs);
        writer.take(self);
        writer.finish().words
    }

    /// As [`Self::words`], each with what its confidence is computed from; none of phrases, whose
    /// score is another.
    pub fn evident_words(
        &self,
        decoder: &Decoder,
        tokens: &Tokens,
        frame_secs: f32,
    ) -> Vec<(Word, WordEvidence)> {
        let Some(hypothesis) = writer::hypothesis(decoder, self, tokens) else {
            return vec![];
        };
        let tokens = decoder.tokens(tokens);
        let mut words = evident_words(&hypothesis, tokens, frame_secs, self.offset_secs);
        words
            .iter_mut()
            .for_each(|(word, _)| writer::end_by(word, self.end_secs));
        words
    }
}

/// A loaded model with its features and decoder on one device.
pub struct Recognizer {
    model: CtcModel,
    extractor: FeatureExtractor,
    tokens: Tokens,
    decoder: Decoder,
    calibrations: Calibrations,
    device: Device,
    pitch: PitchTracker,
    pad_to_frames_multiple: usize,
}

impl Recognizer {
    /// # Errors
    /// If the weights do not fit the architecture, or vocabulary or features do not fit the network.
    pub fn new(
        loaded: &LoadedModel,
        decoder: Decoder,
        device: &Device,
    ) -> Result<Self, RecognizeError> {
        let LoadedModel {
            model,
            weights,
            int8,
            ..
        } = loaded;
        let model = CtcModel::from_quantized_weights(model, weights, int8, device)?;
        let tokens = loaded.tokens.clone();
        let recognizer = Self::from_model(model, &loaded.features, tokens, decoder, device)?;
        Ok(Self {
            calibrations: loaded.calibrations,
            ..recognizer
        })
    }

    /// For a network in training: the same path as a loaded one.
    ///
    /// # Errors
    /// If vocabulary, features or decoder do not fit the network.
    pub fn from_model(
        model: CtcModel,
        features: &FeatureConfig,
        tokens: Tokens,
        decoder: Decoder,
        device: &Device,
    ) -> Result<Self, RecognizeError> {
        let config = model.config();
        if tokens.len() != config.vocab_size {
            return Err(RecognizeError::Vocabulary {
                tokens: tokens.len(),
                classes: config.vocab_size,
            });
        }
        if features.n_mels != config.n_mels {
            return Err(RecognizeError::MelBands {
                features: features.n_mels,
                model: config.n_mels,
            });
        }
        if decoder.reads_phones() && !config.phone_head {
            return Err(RecognizeError::NoPhones);
        }
        Ok(Self {
            model,
            extractor: FeatureExtractor::new(features)?,
            tokens,
            decoder,
            calibrations: Calibrations::default(),
            device: device.clone(),
            pitch: PitchTracker::new(),
            pad_to_frames_multiple: 1,
        })
    }

    /// The same network, which hears nothing but phrases. Costs little: the weights are shared.
    pub fn with_phrases(&self, phrases: PhraseDecoder) -> Self {
        self.with_decoder(Decoder::Phrases(phrases))
    }

    /// The same network, to whose beam search the phrases of a list are likelier; `config`: of the
    /// search, where there is none yet. Costs little: weights and language model are shared.
    ///
    /// # Errors
    /// A word that cannot be written, or a setting out of its range.
    pub fn boosting(&self, list: &BoostList, config: &BeamConfig) -> Result<Self, DecodeError> {
        let boosted = match &self.decoder {
            Decoder::Beam(beam) => beam.boosting(list)?,
            Decoder::Greedy | Decoder::Phrases(_) => {
                let beam = BeamDecoder::new(&self.tokens, config.clone(), None, None)?;
                beam.boosting(list)?
            }
        };
        Ok(self.with_decoder(Decoder::Beam(boosted)))
    }

    fn with_decoder(&self, decoder: Decoder) -> Self {
        Self {
            model: self.model.clone(),
            extractor: self.extractor.clone(),
            tokens: self.tokens.clone(),
            decoder,
            calibrations: self.calibrations,
            device: self.device.clone(),
            pitch: self.pitch.clone(),
            pad_to_frames_multiple: self.pad_to_frames_multiple,
        }
    }

    /// Pads features to a multiple of `frames` before each forward pass (1, the default: no
    /// padding). The network masks padding, so results stay the same; on a GPU fewer different
    /// shapes mean fewer kernels to compile.
    pub fn with_pad_to_frames_multiple(mut self, frames: usize) -> Self {
        self.pad_to_frames_multiple = frames.max(1);
        self
    }

    /// The same network, computed as told ([`CtcModel::with_operations`]).
    pub fn with_operations(mut self, operations: Operations) -> Self {
        self.model = self.model.with_operations(operations);
        self
    }

    /// The vocabulary.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The architecture.
    pub fn config(&self) -> &ModelConfig {
        self.model.config()
    }

    /// The network.
    pub fn model(&self) -> &CtcModel {
        &self.model
    }

    /// How posteriors become words.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Seconds between encoder frames.
    pub fn frame_secs(&self) -> f32 {
        self.config().encoder_frame_secs()
    }

    /// Transcribes 16 kHz mono samples of any length; more than a window is cut into overlapping
    /// windows stitched on frame times. [`Self::begin`] does the same for audio that arrives piece
    /// by piece.
    ///
    /// Digital silence at both ends and faint steady noise are not decoded, and of music and noise
    /// without a voice no word is written: a clip without sound has an empty transcript. Samples
    /// that are not finite count as silence.
    ///
    /// # Errors
    /// [`RecognizeError::Device`] if the device fails.
    pub async fn transcribe(&self, samples: &[f32]) -> Result<Transcript, RecognizeError> {
        self.transcribe_with_progress(samples, &mut |_, _| true)
            .await
    }

    /// As [`Self::transcribe`]; `progress(done_secs, total_secs)` after each window, false stops
    /// and gives what there is so far.
    ///
    /// # Errors
    /// [`RecognizeError::Device`] if the device fails.
    pub async fn transcribe_with_progress(
        &self,
        samples: &[f32],
        progress: &mut dyn FnMut(f32, f32) -> bool,
    ) -> Result<Transcript, RecognizeError> {
        let mut writer = self.writer();
        let hearing = Hearing::new(self, self.decoder.reads_phones());
        self.hear(hearing, samples, progress, &mut |posteriors| {
            writer.take(&posteriors);
        })
        .await?;
        Ok(writer.finish())
    }

    /// What [`Self::transcribe`] gives to the decoder, phones among it wherever the network has a head
    /// for them. Every decoder's words of it, one stretch
    /// after another, are what it would transcribe.
    ///
    /// # Errors
    /// [`RecognizeError::Device`] if the device fails.
    pub async fn posteriors(&self, samples: &[f32]) -> Result<Vec<Posteriors>, RecognizeError> {
        let mut heard = Vec::new();
        let hearing = Hearing::new(self, true);
        self.hear(hearing, samples, &mut |_, _| true, &mut |posteriors| {
            heard.push(posteriors)
        })
        .await?;
        Ok(heard)
    }

    /// Log-probabilities `[num_frames, vocab]` of one window of samples, row-major, natural log.
    /// The level is normalised; silence is not trimmed.
    ///
    /// # Errors
    /// [`RecognizeError::Device`] if the device fails.
    pub async fn log_probs(&self, samples: &[f32]) -> Result<Vec<f32>, RecognizeError> {
        let samples = finite(samples);
        let frames = self
            .scaled_log_probs(&samples, self.extractor.gain(&samples), false)
            .await?;
        Ok(frames.tokens)
    }

    /// Words of posteriors `[num_frames, vocab]` whose frame 0 is at `offset_secs`; by a decoder of
    /// phones, none.
    pub fn words(&self, log_probs: &[f32], offset_secs: f32) -> Vec<Word> {
        let posteriors = Posteriors {
            log_probs: log_probs.to_vec(),
            phone_log_probs: Vec::new(),
            offset_secs,
            end_secs: f32::INFINITY,
        };
        posteriors.words(&self.decoder, &self.tokens, self.frame_secs())
    }

    /// Turns what is heard into words, with calibrated confidences where the model folder has them.
    pub fn writer(&self) -> Writer<'_> {
        let calibration = self.decoder.calibration(&self.calibrations);
        Writer::new(&self.decoder, &self.tokens, self.frame_secs()).calibrated(calibration)
    }
}

/// Returns to the executor once. On the CPU nothing else would: an event loop would not hear that
/// the visitor wants to stop before the last window is done.
async fn yield_now() {
    let mut has_yielded = false;
    std::future::poll_fn(|context| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The samples with everything that is not finite as zero; copied only if there is such a sample.
fn finite(samples: &[f32]) -> Cow<'_, [f32]> {
    if samples.iter().all(|sample| sample.is_finite()) {
        return Cow::Borrowed(samples);
    }
    let zeroed = |sample: &f32| if sample.is_finite() { *sample } else { 0.0 };
    Cow::Owned(samples.iter().map(zeroed).collect())
}
