//! Counts to rates, and the report that is printed and written into the model card.

use serde::Serialize;
use shared_model::bundle::{Evaluation, Precision};
use shared_model::metrics::{
    ErrorCounts, bootstrap_interval, confidence_bins, expected_calibration_error,
};

const BOOTSTRAP_RESAMPLES: usize = 1000;
/// Of every bootstrap: intervals are part of published figures, so their random numbers are fixed.
pub const BOOTSTRAP_SEED: u64 = 1234;

/// One utterance, heard.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Position in the list that was evaluated.
    pub index: usize,
    /// Normalised.
    pub hypothesis: String,
    /// Of the words.
    pub word_errors: ErrorCounts,
    /// Of the characters, spaces included.
    pub character_errors: ErrorCounts,
    /// Word and character errors of the greedy decoder, where another one was asked for.
    pub greedy_errors: Option<[ErrorCounts; 2]>,
    /// Confidence of each word of the hypothesis, and whether the word is right.
    pub confidences: Vec<(f32, bool)>,
    /// CTC loss of the reference per label, nats; `None` without a reference, where it does not fit
    /// the frames, and where the audio was heard in several stretches or none.
    pub ctc_loss: Option<f64>,
    /// Length of the audio.
    pub audio_secs: f64,
    /// Features, network and decoding, on one thread; reading the file is not in it.
    pub processing_secs: f64,
    /// The decoding in it.
    pub decoding_secs: f64,
    /// What reading the file found worth saying, each in a sentence with the file's name.
    pub notices: Vec<String>,
}

/// What the greedy decoder would have given for the same log-probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GreedyReport {
    /// Word error rate, a fraction.
    pub wer: f64,
    /// Lower end of its 95 % interval, bootstrap over utterances.
    pub wer_low: f64,
    /// Upper end.
    pub wer_high: f64,
    /// Character error rate.
    pub cer: f64,
}

impl GreedyReport {
    fn of(outcomes: &[Outcome]) -> Option<Self> {
        let counts = |kind: usize| -> Vec<ErrorCounts> {
            let errors = outcomes.iter().filter_map(|outcome| outcome.greedy_errors);
            errors.map(|errors| errors[kind]).collect()
        };
        let (words, characters) = (counts(0), counts(1));
        let interval = bootstrap_interval(&words, BOOTSTRAP_RESAMPLES, BOOTSTRAP_SEED);
        (!words.is_empty()).then(|| Self {
            wer: sum(&words).rate(),
            wer_low: interval.low,
            wer_high: interval.high,
            cer: sum(&characters).rate(),
        })
    }
}

fn sum(counts: &[ErrorCounts]) -> ErrorCounts {
    let mut total = ErrorCounts::default();
    counts.iter().for_each(|count| total.add(count));
    total
}

/// The figures of a set of utterances; rates are fractions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationReport {
    /// Word error rate.
    pub wer: f64,
    /// 95 % interval of the WER, bootstrap over utterances.
    pub wer_low: f64,
    /// Its upper end.
    pub wer_high: f64,
    /// Character error rate.
    pub cer: f64,
    /// Words of the references.
    pub words: usize,
    /// Words that nobody said.
    pub insertions: usize,
    /// Words that are missing.
    pub deletions: usize,
    /// Words taken for others.
    pub substitutions: usize,
    /// Expected calibration error of the words' confidences, a fraction.
    pub calibration_error: f64,
    /// Utterances that were heard.
    pub utterances: usize,
    /// Utterances left out because their audio could not be read.
    pub broken: usize,
    /// Of them, together.
    pub audio_seconds: f64,
    /// Processing seconds of one thread per second of audio.
    pub real_time_factor: f64,
    /// Decoding time over the time of features and network.
    pub decoding_ratio: f64,
    /// Of the network.
    pub parameters: u64,
    /// Of the model folder: weights, configuration and tokens.
    pub bytes: u64,
    /// `greedy` or `beam`.
    pub decoder: String,
    /// File name of the language model, if one took part.
    pub lm: Option<String>,
    /// Beside a beam search's figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub greedy: Option<GreedyReport>,
    /// How the weights are stored.
    pub precision: Precision,
    /// What computed.
    pub device: String,
}

/// Sums over utterances; the caller fills in what is about the model.
pub fn scores(outcomes: &[Outcome]) -> (ErrorCounts, ErrorCounts, f64, f64) {
    let mut words = ErrorCounts::default();
    let mut characters = ErrorCounts::default();
    let (mut audio_secs, mut processing_secs) = (0.0, 0.0);
    for outcome in outcomes {
        words.add(&outcome.word_errors);
        characters.add(&outcome.character_errors);
        audio_secs += outcome.audio_secs;
        processing_secs += outcome.processing_secs;
    }
    (words, characters, audio_secs, processing_secs)
}

impl EvaluationReport {
    /// The figures of what was heard with the model that `manifest` is about.
    pub fn new(
        evaluated: &super::Evaluated,
        manifest: &shared_model::bundle::Manifest,
        decoder: &super::DecoderChoice,
        device: &str,
    ) -> Self {
        let (words, characters, audio_seconds, processing) = scores(&evaluated.outcomes);
        let counts: Vec<_> = evaluated.outcomes.iter().map(|o| o.word_errors).collect();
        let decoding: f64 = evaluated.outcomes.iter().map(|o| o.decoding_secs).sum();
        let interval = bootstrap_interval(&counts, BOOTSTRAP_RESAMPLES, BOOTSTRAP_SEED);
        Self {
            wer: words.rate(),
            wer_low: interval.low,
            wer_high: interval.high,
            cer: characters.rate(),
            words: words.reference_len,
            insertions: words.insertions,
            deletions: words.deletions,
            substitutions: words.substitutions,
            calibration_error: calibration_error(&evaluated.outcomes),
            utterances: evaluated.outcomes.len(),
            broken: evaluated.broken.len(),
            audio_seconds,
            real_time_factor: ratio(processing, audio_seconds),
            decoding_ratio: ratio(decoding, processing - decoding),
            parameters: manifest.parameters,
            bytes: crate::model_folder::model_bytes(manifest),
            decoder: decoder.name().to_owned(),
            lm: decoder.lm_name().map(str::to_owned),
            greedy: GreedyReport::of(&evaluated.outcomes),
            precision: manifest.precision,
            device: device.to_owned(),
        }
    }

    /// The line of the model card.
    pub fn to_evaluation(&self, set: &str) -> Evaluation {
        Evaluation {
            set: set.to_owned(),
            decoder: self.decoder.clone(),
            lm: self.lm.clone(),
            wer: self.wer,
            wer_low: self.wer_low,
            wer_high: self.wer_high,
            cer: self.cer,
            words: self.words,
            utterances: self.utterances,
            precision: self.precision,
        }
    }
}

fn calibration_error(outcomes: &[Outcome]) -> f64 {
    let confidences = outcomes.iter().flat_map(|outcome| &outcome.confidences);
    expected_calibration_error(&confidence_bins(confidences.copied()))
}

fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_figures_stand_beside_a_beam_searchs_only() {
        let errors = |reference_len, substitutions| ErrorCounts {
            reference_len,
            substitutions,
            ..ErrorCounts::default()
        };
        let beam = |words, characters| Outcome {
            greedy_errors: Some([words, characters]),
            ..Outcome::default()
        };
        let outcomes = [
            beam(errors(3, 1), errors(12, 2)),
            beam(errors(1, 1), errors(4, 2)),
        ];
        let report = GreedyReport::of(&outcomes).expect("two utterances");
        assert_eq!((report.wer, report.cer), (0.5, 0.25));
        assert!(report.wer_low <= 0.5 && 0.5 <= report.wer_high);
        assert_eq!(GreedyReport::of(&[Outcome::default()]), None);
    }

    #[test]
    fn counts_are_summed_before_they_are_divided() {
        let outcome = |reference_len, substitutions, audio_secs| Outcome {
            word_errors: ErrorCounts {
                reference_len,
                substitutions,
                ..ErrorCounts::default()
            },
            audio_secs,
            processing_secs: 0.5,
            ..Outcome::default()
        };
        // 1 of 1 and 0 of 9: a tenth, not a half.
        let (words, _, audio, processing) = scores(&[outcome(1, 1, 2.0), outcome(9, 0, 3.0)]);
        assert_eq!(words.rate(), 0.1);
        assert_eq!((audio, processing), (5.0, 1.0));
    }
}
