//! Counts of phrases to the report that is printed.

use serde::Serialize;
use shared_model::metrics::{ErrorCounts, bootstrap_interval};
use shared_model::phrases::PhraseDecoder;

use super::phrase_counts::{PhraseCounts, sum};
use super::phrases::HeardPhrases;
use super::score::BOOTSTRAP_SEED;

/// The figures of a set of utterances; rates are fractions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhraseReport {
    /// Least score that counts.
    pub threshold: f32,
    /// Phrases that were said in utterances of nothing but phrases.
    pub phrases: usize,
    /// Of them, heard as they were said.
    pub detection: f64,
    /// Wrong, missed and invented phrases over those that were said.
    pub phrase_error_rate: f64,
    /// 95 % interval, bootstrap over utterances.
    pub phrase_error_low: f64,
    /// Its upper end.
    pub phrase_error_high: f64,
    /// Heard as others.
    pub wrong: usize,
    /// Not heard.
    pub missed: usize,
    /// Heard where none was said.
    pub invented: usize,
    /// Slots of phrases that were heard right.
    pub slots: usize,
    /// Of them, with a wrong value.
    pub slot_errors: usize,
    /// Wrong values over those slots.
    pub slot_error_rate: f64,
    /// 95 % interval, bootstrap over utterances.
    pub slot_error_low: f64,
    /// Its upper end.
    pub slot_error_high: f64,
    /// Phrases that were heard with every value, over those that were said.
    pub understood: f64,
    /// 95 % interval, bootstrap over utterances.
    pub understood_low: f64,
    /// Its upper end.
    pub understood_high: f64,
    /// Utterances that are not only phrases, and must be rejected.
    pub outside: usize,
    /// Their length.
    pub outside_hours: f64,
    /// Phrases heard in them that their texts do not hold.
    pub false_accepts: usize,
    /// Per hour.
    pub false_accepts_per_hour: Option<f64>,
    /// Upper end of the 95 % interval.
    pub most_false_accepts_per_hour: Option<f64>,
    /// Phrases inside those utterances, where they are listened for, and those of them heard.
    pub inside: usize,
    /// Heard.
    pub inside_heard: usize,
    /// All audio.
    pub audio_seconds: f64,
    /// Processing seconds of one thread per second of audio.
    pub real_time_factor: f64,
    /// Search time over the time of features and network.
    pub decoding_ratio: f64,
    /// States of the graph.
    pub states: usize,
    /// Its memory.
    pub graph_bytes: usize,
}

impl PhraseReport {
    /// The figures by the decoder's settings.
    pub fn new(heard: &[HeardPhrases], decoder: &PhraseDecoder) -> Self {
        let counts = PhraseCounts::of(heard, decoder.config());
        let total = counts.total();
        let interval_of = |counts: &[ErrorCounts]| bootstrap_interval(counts, 1000, BOOTSTRAP_SEED);
        let interval = interval_of(&counts.phrases);
        let (slots, slot_interval) = (sum(&counts.slots), interval_of(&counts.slots));
        let (meanings, missed) = (sum(&counts.meanings), interval_of(&counts.meanings));
        let secs = |of: fn(&HeardPhrases) -> f64| heard.iter().map(of).sum::<f64>();
        let audio_seconds = secs(|utterance| utterance.audio_secs);
        let (encoding, searching) = (secs(|u| u.encoding_secs), secs(|u| u.searching_secs));
        Self {
            threshold: decoder.config().threshold,
            phrases: total.reference_len,
            detection: counts.detection(),
            phrase_error_rate: total.rate(),
            phrase_error_low: interval.low,
            phrase_error_high: interval.high,
            wrong: total.substitutions,
            missed: total.deletions,
            invented: total.insertions,
            slots: slots.reference_len,
            slot_errors: slots.substitutions,
            slot_error_rate: slots.rate(),
            slot_error_low: slot_interval.low,
            slot_error_high: slot_interval.high,
            understood: 1.0 - meanings.rate(),
            understood_low: 1.0 - missed.high,
            understood_high: 1.0 - missed.low,
            outside: counts.outside,
            outside_hours: counts.outside_secs / 3600.0,
            false_accepts: counts.false_accepts,
            false_accepts_per_hour: counts.false_accepts_per_hour(),
            most_false_accepts_per_hour: counts.most_false_accepts_per_hour(),
            inside: counts.inside,
            inside_heard: counts.inside_heard,
            audio_seconds,
            real_time_factor: (encoding + searching) / audio_seconds.max(f64::MIN_POSITIVE),
            decoding_ratio: searching / encoding.max(f64::MIN_POSITIVE),
            states: decoder.graph().num_states(),
            graph_bytes: decoder.graph().bytes(),
        }
    }

    /// For people, a few lines.
    pub fn summary(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.phrases > 0 {
            lines.push(format!(
                "phrase error rate {:.2} % (95 % interval {:.2} to {:.2} %)  heard {:.2} %",
                self.phrase_error_rate * 100.0,
                self.phrase_error_low * 100.0,
                self.phrase_error_high * 100.0,
                self.detection * 100.0
            ));
            lines.push(format!(
                "{} phrases: {} taken for others, {} missed, {} invented; {} of {} slots wrong",
                self.phrases, self.wrong, self.missed, self.invented, self.slot_errors, self.slots
            ));
        }
        if self.slots > 0 {
            lines.push(format!(
                "slots {:.2} % wrong (95 % interval {:.2} to {:.2} %); {:.2} % of the phrases heard with every value ({:.2} to {:.2} %)",
                self.slot_error_rate * 100.0,
                self.slot_error_low * 100.0,
                self.slot_error_high * 100.0,
                self.understood * 100.0,
                self.understood_low * 100.0,
                self.understood_high * 100.0
            ));
        }
        if let (Some(rate), Some(most)) = (
            self.false_accepts_per_hour,
            self.most_false_accepts_per_hour,
        ) {
            lines.push(format!(
                "{} false accepts in {:.3} h of other speech: {rate:.2} an hour (at most {most:.2}, 95 %)",
                self.false_accepts, self.outside_hours
            ));
        }
        if self.inside > 0 {
            lines.push(format!(
                "{} of {} phrases inside other speech heard",
                self.inside_heard, self.inside
            ));
        }
        lines.push(format!(
            "threshold {:.3}; {:.1} s of audio, real-time factor {:.4}, the search {:.2} times the network's time",
            self.threshold, self.audio_seconds, self.real_time_factor, self.decoding_ratio
        ));
        lines.push(format!(
            "graph: {} states, {}",
            self.states,
            crate::report::format_bytes(self.graph_bytes as u64)
        ));
        lines
    }
}
