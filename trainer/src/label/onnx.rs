//! Labels by a CTC network in an ONNX file, greedy.

use std::path::{Path, PathBuf};

use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::decode::Word;
use shared_model::features::{FeatureConfig, FeatureExtractor};
use shared_model::recognizer::{Decoder, Posteriors};
use shared_model::tokens::Tokens;

use super::LabelError;
use crate::data::{DataError, read_tokens};
use crate::onnx_network::{FrameRate, OnnxNetwork, OnnxNetworkError};

const HOP_SECS: f32 = 0.01;
/// Longer audio is cut in the middle of the quietest moment of this length.
const MOMENT_SAMPLES: usize = SAMPLE_RATE_HZ as usize / 5;

/// What an ONNX file does not say of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxSettings {
    /// What it listens to.
    pub features: FeatureConfig,
    /// Where its frames lie.
    pub frames: FrameRate,
    /// Its tokens, in the order of its classes.
    pub tokens: PathBuf,
}

/// A network in an ONNX file with its tokens.
pub struct OnnxRecognizer {
    network: OnnxNetwork,
    extractor: FeatureExtractor,
    tokens: Tokens,
    settings: OnnxSettings,
    path: PathBuf,
}

impl OnnxRecognizer {
    /// # Errors
    /// A file that cannot be read or run, features that cannot be had, or tokens that are not its
    /// classes.
    pub fn read(path: &Path, settings: OnnxSettings) -> Result<Self, LabelError> {
        let tokens = read_tokens(&settings.tokens)?;
        let extractor = FeatureExtractor::new(&settings.features).map_err(DataError::from)?;
        let network = OnnxNetwork::read(path, settings.features.n_mels, settings.frames)?;
        if network.vocab_size() != tokens.len() {
            return Err(LabelError::OtherTokens {
                path: settings.tokens,
                tokens: tokens.len(),
                classes: network.vocab_size(),
            });
        }
        Ok(Self {
            network,
            extractor,
            tokens,
            settings,
            path: path.to_owned(),
        })
    }

    /// What an interrupted labelling is compared by.
    pub(super) fn described(&self) -> String {
        format!("{} {:?}", self.path.display(), self.settings)
    }

    /// - `max_secs`: longer audio is cut.
    pub(super) fn begin(&self, max_secs: f64) -> OnnxTranscription<'_> {
        let max_samples = (max_secs * f64::from(SAMPLE_RATE_HZ)) as usize;
        OnnxTranscription {
            recognizer: self,
            max_samples: max_samples.max(2 * MOMENT_SAMPLES),
            samples: vec![],
            offset: 0,
            words: vec![],
        }
    }

    /// Words of a stretch that begins `offset_secs` into the audio.
    fn words(&self, samples: &[f32], offset_secs: f32) -> Result<Vec<Word>, OnnxNetworkError> {
        let gain = self.extractor.gain(samples);
        let samples: Vec<f32> = samples.iter().map(|sample| sample * gain).collect();
        let features = self.extractor.extract(&samples);
        let num_frames = features.num_frames();
        if num_frames == 0 {
            return Ok(vec![]);
        }
        let mut heard = self.network.log_probs(features.data, &[num_frames], 0);
        if let Some(failure) = self.network.failure() {
            return Err(failure);
        }
        heard.values.truncate(heard.lengths[0] * self.tokens.len());
        let posteriors = Posteriors {
            log_probs: heard.values,
            phone_log_probs: vec![],
            offset_secs,
            end_secs: offset_secs + samples.len() as f32 / SAMPLE_RATE_HZ as f32,
        };
        let frame_secs = self.settings.frames.subsampling_factor as f32 * HOP_SECS;
        Ok(posteriors.words(&Decoder::Greedy, &self.tokens, frame_secs))
    }
}

/// What is heard of audio that arrives block by block.
pub(super) struct OnnxTranscription<'a> {
    recognizer: &'a OnnxRecognizer,
    max_samples: usize,
    /// Not heard yet.
    samples: Vec<f32>,
    /// Samples before those.
    offset: usize,
    words: Vec<Word>,
}

impl OnnxTranscription<'_> {
    pub fn push(&mut self, block: &[f32]) -> Result<(), OnnxNetworkError> {
        self.samples.extend_from_slice(block);
        while self.samples.len() > self.max_samples {
            let most = &self.samples[..self.max_samples];
            self.hear(quietest_moment(most))?;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<Vec<Word>, OnnxNetworkError> {
        self.hear(self.samples.len())?;
        Ok(self.words)
    }

    fn hear(&mut self, count: usize) -> Result<(), OnnxNetworkError> {
        let offset_secs = self.offset as f32 / SAMPLE_RATE_HZ as f32;
        let stretch: Vec<f32> = self.samples.drain(..count).collect();
        self.offset += count;
        let words = self.recognizer.words(&stretch, offset_secs)?;
        self.words.extend(words);
        Ok(())
    }
}

/// The middle of the quietest moment of the second half.
fn quietest_moment(samples: &[f32]) -> usize {
    let energy = |from: usize| -> f64 {
        let moment = &samples[from..from + MOMENT_SAMPLES];
        moment.iter().map(|s| f64::from(*s) * f64::from(*s)).sum()
    };
    let last = samples.len().saturating_sub(MOMENT_SAMPLES);
    let starts = (samples.len() / 2..=last).step_by(MOMENT_SAMPLES / 4);
    let quietest = starts.min_by(|a, b| energy(*a).total_cmp(&energy(*b)));
    quietest.map_or(samples.len(), |start| start + MOMENT_SAMPLES / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_audio_is_cut_where_its_second_half_is_quietest() {
        let secs = |secs: f32| (secs * SAMPLE_RATE_HZ as f32) as usize;
        let mut samples = vec![0.5; secs(10.0)];
        samples[secs(2.0)..secs(3.0)].fill(0.0);
        samples[secs(7.0)..secs(7.4)].fill(0.01);
        let cut = quietest_moment(&samples);
        assert!((secs(7.1)..=secs(7.3)).contains(&cut), "{cut}");
        assert_eq!(quietest_moment(&[0.0; 10]), 10);
    }
}
