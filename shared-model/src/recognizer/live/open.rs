//! What an utterance whose end is not known yet sounds like.

use crate::{
    audio::SAMPLE_RATE_HZ,
    model::Normalization,
    recognizer::{
        Posteriors, RecognizeError, Recognizer, Transcript, normalizer::RunningNormalizer,
        speech::SpeechJudge,
    },
};

/// Weight of the corpus statistics in partial results: one second.
const PRIOR_FRAMES: f32 = 100.0;

impl Recognizer {
    /// What an utterance whose end is not known yet sounds like.
    pub(super) async fn open_transcript(
        &self,
        samples: &[f32],
        levels: &[f32],
        offset_secs: f32,
    ) -> Result<Transcript, RecognizeError> {
        let features = self.features(samples, self.extractor.gain(samples));
        let (features, is_normalized) = match self.config().normalization {
            Normalization::None => (features, false),
            Normalization::Utterance => {
                let mut normalizer = self.running_normalizer();
                normalizer.push(&features);
                (normalizer.normalize(&features), true)
            }
        };
        let with_phones = self.decoder.reads_phones();
        let mut log_probs = self
            .feature_log_probs(&[features], is_normalized, with_phones)
            .await?;
        let log_probs = log_probs.pop().unwrap_or_default();
        let writes_letters = |wanted| self.writes_letters(&log_probs.tokens, wanted);
        if !SpeechJudge::new(&self.pitch).is_speech(samples, levels, writes_letters) {
            return Ok(Transcript::default());
        }
        let posteriors = Posteriors {
            log_probs: log_probs.tokens,
            phone_log_probs: log_probs.phones,
            offset_secs,
            end_secs: offset_secs + samples.len() as f32 / SAMPLE_RATE_HZ as f32,
        };
        let mut writer = self.writer();
        writer.take(&posteriors);
        Ok(writer.finish())
    }

    /// A model that never saw a corpus has no statistics to start from: zeros and ones.
    fn running_normalizer(&self) -> RunningNormalizer {
        let (mean, std) = self.model().corpus_stats();
        let is_unset =
            mean.iter().all(|value| *value == 0.0) && std.iter().all(|value| *value == 1.0);
        RunningNormalizer::new(mean, std, if is_unset { 0.0 } else { PRIOR_FRAMES })
    }
}
