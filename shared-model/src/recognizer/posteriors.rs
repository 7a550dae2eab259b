//! Samples or features through the network to log-probabilities on the host.

use burn::prelude::Tensor;

use super::{RecognizeError, Recognizer, finite};
use crate::{features::Features, model::Mode, nn::host};

/// Log-probabilities of an utterance's frames, row-major, natural log.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct FrameLogProbs {
    /// `[num_frames, vocab]`
    pub tokens: Vec<f32>,
    /// `[num_frames, 41]`; empty where nobody asked, or the network has no phone head.
    pub phones: Vec<f32>,
}

impl Recognizer {
    /// Features of samples at a known gain.
    pub(super) fn features(&self, samples: &[f32], gain: f32) -> Features {
        let scaled: Vec<f32> = samples.iter().map(|sample| sample * gain).collect();
        self.extractor.extract(&scaled)
    }

    /// What [`Recognizer::log_probs`] gives to the network for one window of samples.
    pub fn window_features(&self, samples: &[f32]) -> Features {
        let samples = finite(samples);
        self.features(&samples, self.extractor.gain(&samples))
    }

    /// `with_phones`: of a phone head, too, if there is one.
    pub(super) async fn scaled_log_probs(
        &self,
        samples: &[f32],
        gain: f32,
        with_phones: bool,
    ) -> Result<FrameLogProbs, RecognizeError> {
        let features = self.features(samples, gain);
        let mut log_probs = self
            .feature_log_probs(&[features], false, with_phones)
            .await?;
        Ok(log_probs.pop().unwrap_or_default())
    }

    /// As [`Recognizer::log_probs`] for several windows in one padded batch; the same values up to
    /// rounding.
    ///
    /// # Errors
    /// [`RecognizeError::Device`] if the device fails.
    pub async fn log_probs_batch(&self, clips: &[&[f32]]) -> Result<Vec<Vec<f32>>, RecognizeError> {
        let features: Vec<Features> = clips
            .iter()
            .map(|samples| self.window_features(samples))
            .collect();
        let log_probs = self.feature_log_probs(&features, false, false).await?;
        Ok(log_probs.into_iter().map(|frames| frames.tokens).collect())
    }

    /// Log-probabilities of each utterance's frames. `is_normalized`: the features were normalised
    /// already. `with_phones`: of a phone head, too, if there is one.
    pub(super) async fn feature_log_probs(
        &self,
        utterances: &[Features],
        is_normalized: bool,
        with_phones: bool,
    ) -> Result<Vec<FrameLogProbs>, RecognizeError> {
        let config = self.config();
        let lengths: Vec<usize> = utterances.iter().map(Features::num_frames).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        if config.encoder_length(longest) == 0 {
            return Ok(vec![FrameLogProbs::default(); utterances.len()]);
        }
        let (batch, n_mels) = (utterances.len(), config.n_mels);
        let time = longest.next_multiple_of(self.pad_to_frames_multiple);
        let mut padded = vec![0.0; batch * time * n_mels];
        for (row, utterance) in padded.chunks_mut(time * n_mels).zip(utterances) {
            row[..utterance.data.len()].copy_from_slice(&utterance.data);
        }
        let features = host::tensor(padded, [batch, time, n_mels], &self.device);
        let output = if is_normalized {
            self.model
                .forward_normalized(features, &lengths, &mut Mode::Eval)
        } else {
            self.model.forward(features, &lengths, &mut Mode::Eval)
        };
        let tokens = read_log_probs(output.logits, &output.lengths).await?;
        let phones = match output.phone_logits.filter(|_| with_phones) {
            Some(logits) => read_log_probs(logits, &output.lengths).await?,
            None => vec![Vec::new(); batch],
        };
        let utterances = tokens.into_iter().zip(phones);
        Ok(utterances
            .map(|(tokens, phones)| FrameLogProbs { tokens, phones })
            .collect())
    }
}

/// Log-probabilities `[length, classes]` of each utterance, of logits `[batch, time', classes]`.
async fn read_log_probs(
    logits: Tensor<3>,
    lengths: &[usize],
) -> Result<Vec<Vec<f32>>, RecognizeError> {
    let [batch, time, classes] = logits.dims();
    let logits = host::read(logits).await.map_err(RecognizeError::Device)?;
    if logits.len() != batch * time * classes {
        return Err(RecognizeError::Device(format!(
            "it gave {} values where {} were asked for",
            logits.len(),
            batch * time * classes
        )));
    }
    logits
        .chunks(time * classes)
        .zip(lengths)
        .map(|(row, length)| log_softmax(&row[..length * classes], classes))
        .collect()
}

/// Natural-log softmax over each frame. On the host, so that every device rounds alike.
fn log_softmax(logits: &[f32], vocab_size: usize) -> Result<Vec<f32>, RecognizeError> {
    if !logits.iter().all(|value| value.is_finite()) {
        return Err(RecognizeError::Device(
            "the network gave a value that is not finite".into(),
        ));
    }
    let mut log_probs = Vec::with_capacity(logits.len());
    for frame in logits.chunks(vocab_size) {
        let mut largest = f32::NEG_INFINITY;
        for &value in frame {
            largest = if value > largest { value } else { largest };
        }
        let sum: f32 = frame.iter().map(|value| (value - largest).exp()).sum();
        let log_sum = largest + sum.ln();
        log_probs.extend(frame.iter().map(|value| value - log_sum));
    }
    Ok(log_probs)
}
