//! Samples or features through the network to log-probabilities on the host.

use super::{RecognizeError, Recognizer, finite};
use crate::{features::Features, model::Mode, nn::host};

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

    pub(super) async fn scaled_log_probs(
        &self,
        samples: &[f32],
        gain: f32,
    ) -> Result<Vec<f32>, RecognizeError> {
        let features = self.features(samples, gain);
        let mut log_probs = self.feature_log_probs(&[features], false).await?;
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
        self.feature_log_probs(&features, false).await
    }

    /// Log-probabilities `[num_frames, vocab]` of each utterance. `is_normalized`: the features
    /// were normalised already.
    pub(super) async fn feature_log_probs(
        &self,
        utterances: &[Features],
        is_normalized: bool,
    ) -> Result<Vec<Vec<f32>>, RecognizeError> {
        let config = self.config();
        let lengths: Vec<usize> = utterances.iter().map(Features::num_frames).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        if config.encoder_length(longest) == 0 {
            return Ok(vec![Vec::new(); utterances.len()]);
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
        let [_, out_time, vocab_size] = output.logits.dims();
        let logits = host::read(output.logits)
            .await
            .map_err(RecognizeError::Device)?;
        if logits.len() != batch * out_time * vocab_size {
            return Err(RecognizeError::Device(format!(
                "it gave {} values where {} were asked for",
                logits.len(),
                batch * out_time * vocab_size
            )));
        }
        logits
            .chunks(out_time * vocab_size)
            .zip(&output.lengths)
            .map(|(row, length)| log_softmax(&row[..length * vocab_size], vocab_size))
            .collect()
    }
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
