//! Which utterances are trained on, and what was left out and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use shared_model::features::FRAMES_PER_SEC;
use shared_model::tokens::Tokens;

use super::{DataError, Utterance, read_manifest};
use crate::config::DataConfig;
use crate::loss::is_feasible;

/// An utterance with the ids of its transcript.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Where the audio is and what is said.
    pub utterance: Utterance,
    /// Token ids of its text, without blanks.
    pub targets: Vec<u32>,
}

/// Utterances left out, by reason.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dropped {
    /// Shorter than [`Filter::min_secs`].
    pub too_short: usize,
    /// Longer than [`Filter::max_secs`].
    pub too_long: usize,
    /// No transcript after normalisation.
    pub without_text: usize,
    /// The transcript has a character without a token.
    pub not_encodable: usize,
    /// CTC needs more frames than the audio gives.
    pub infeasible: usize,
    /// The transcript is too unsure: the audio serves step 1, as audio without one does.
    pub unsure: usize,
    /// First transcript that could not be encoded.
    pub example: Option<String>,
    /// Utterances that remain.
    pub kept: usize,
}

impl Dropped {
    /// Utterances left out.
    pub fn total(&self) -> usize {
        self.too_short
            + self.too_long
            + self.without_text
            + self.not_encodable
            + self.infeasible
            + self.unsure
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} utterances kept", self.kept)?;
        for (count, why) in [
            (self.too_short, "too short"),
            (self.too_long, "too long"),
            (self.without_text, "without a transcript"),
            (self.not_encodable, "with characters that have no token"),
            (self.infeasible, "with more tokens than frames"),
            (self.unsure, "with a transcript of too little confidence"),
        ] {
            if count > 0 {
                write!(f, ", {count} {why}")?;
            }
        }
        if let Some(example) = &self.example {
            write!(f, " (such as {example})")?;
        }
        Ok(())
    }
}

/// What an utterance must satisfy to be used.
pub struct Filter<'a> {
    /// Vocabulary that has to spell the transcripts.
    pub tokens: &'a Tokens,
    /// Encoder frames for feature frames, `ModelConfig::encoder_length` of the coarsest network.
    pub encoder_length: &'a dyn Fn(usize) -> usize,
    /// Shortest utterance that is kept; of an unknown length all are.
    pub min_secs: f64,
    /// Longest utterance that is kept.
    pub max_secs: f64,
    /// Fastest playback that augmentation may choose (1: none); it shortens the audio.
    pub fastest_speed: f64,
    /// Whether utterances without a transcript are left out.
    pub needs_text: bool,
}

impl Filter<'_> {
    /// Encodes transcripts and keeps what can be trained on.
    pub fn apply(&self, utterances: Vec<Utterance>) -> (Vec<Example>, Dropped) {
        let mut dropped = Dropped::default();
        let mut kept = Vec::with_capacity(utterances.len());
        for utterance in utterances {
            // An unknown duration is found out when the file is decoded.
            let secs = utterance.duration_secs;
            if secs > 0.0 && secs < self.min_secs {
                dropped.too_short += 1;
                continue;
            }
            if secs > self.max_secs {
                dropped.too_long += 1;
                continue;
            }
            if self.needs_text && utterance.text.is_empty() {
                dropped.without_text += 1;
                continue;
            }
            let targets = match self.tokens.encode(&utterance.text) {
                Ok(targets) => targets,
                Err(error) => {
                    dropped.not_encodable += 1;
                    dropped
                        .example
                        .get_or_insert_with(|| format!("{}: {error}", utterance.id));
                    continue;
                }
            };
            let frames = (secs / self.fastest_speed * FRAMES_PER_SEC).floor() as usize;
            if secs > 0.0 && !is_feasible((self.encoder_length)(frames), &targets) {
                dropped.infeasible += 1;
                continue;
            }
            kept.push(Example { utterance, targets });
        }
        dropped.kept = kept.len();
        (kept, dropped)
    }
}

/// Training and development examples of a recipe.
#[derive(Debug, Clone)]
pub struct TrainingData {
    /// Utterances with transcripts.
    pub train: Vec<Example>,
    /// Audio without a transcript: step 1 learns from it, CTC cannot.
    pub untranscribed: Vec<Example>,
    /// What progress is measured on.
    pub dev: Vec<Example>,
    /// What was left out of the training manifests.
    pub dropped_train: Dropped,
    /// What was left out of the development data.
    pub dropped_dev: Dropped,
}

/// Reads the development manifest, or holds out some of `training` where the recipe names none, and
/// filters. The same seed gives the same split and the same `limit`ed choice.
///
/// # Errors
/// A development manifest that cannot be read, or no training utterance left.
pub fn load_training_data(
    training: Vec<Utterance>,
    config: &DataConfig,
    filter: &Filter<'_>,
    seed: u64,
) -> Result<TrainingData, DataError> {
    let (training, unsure) = without_unsure(training, config.min_confidence);
    let (mut utterances, untranscribed): (Vec<_>, Vec<_>) = training
        .into_iter()
        .partition(|utterance| !utterance.text.is_empty());
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x5f1d_7a6b_03c4_9e21);
    let dev = match &config.dev {
        Some(path) => read_manifest(path)?,
        None => {
            let (train, dev) = hold_out(utterances, config.dev_share, &mut rng);
            utterances = train;
            dev
        }
    };
    let (mut train, mut dropped_train) = filter.apply(utterances);
    dropped_train.unsure = unsure;
    if config.limit > 0 && train.len() > config.limit {
        train.shuffle(&mut rng);
        train.truncate(config.limit);
    }
    let (mut untranscribed, dropped_untranscribed) = Filter {
        needs_text: false,
        ..*filter
    }
    .apply(untranscribed);
    dropped_train.too_short += dropped_untranscribed.too_short;
    dropped_train.too_long += dropped_untranscribed.too_long;
    if config.limit > 0 {
        untranscribed.truncate(config.limit.saturating_sub(train.len()));
    }
    // Development data is measured as it is, whatever its length.
    let (dev, dropped_dev) = Filter {
        min_secs: 0.0,
        max_secs: filter.max_secs.max(60.0),
        fastest_speed: 1.0,
        needs_text: true,
        ..*filter
    }
    .apply(dev);
    if train.is_empty() {
        return Err(DataError::NothingLeft {
            dropped: dropped_train.to_string(),
        });
    }
    Ok(TrainingData {
        train,
        untranscribed,
        dev,
        dropped_train,
        dropped_dev,
    })
}

/// Takes transcripts away that are less sure than `min_confidence`; how many they were.
fn without_unsure(mut all: Vec<Utterance>, min_confidence: f32) -> (Vec<Utterance>, usize) {
    let mut count = 0;
    for utterance in &mut all {
        let is_unsure = utterance.confidence.is_some_and(|it| it < min_confidence);
        if is_unsure && !utterance.text.is_empty() {
            utterance.text.clear();
            count += 1;
        }
    }
    (all, count)
}

/// All utterances of several manifests.
///
/// # Errors
/// The first manifest that cannot be read, is empty, or has a line that is no utterance.
pub fn read_all<P: AsRef<Path>>(manifests: &[P]) -> Result<Vec<Utterance>, DataError> {
    let mut all = Vec::new();
    for path in manifests {
        all.extend(read_manifest(path.as_ref())?);
    }
    Ok(all)
}

/// Fewer speakers than this are not split by speaker.
const MIN_SPEAKERS: usize = 10;

/// Takes whole speakers where there are enough of them, else single utterances, until `share` of
/// the utterances is held out (at least one).
fn hold_out(
    mut utterances: Vec<Utterance>,
    share: f64,
    rng: &mut Xoshiro256PlusPlus,
) -> (Vec<Utterance>, Vec<Utterance>) {
    let wanted = ((utterances.len() as f64 * share).round() as usize).max(1);
    let mut counts: BTreeMap<Option<String>, usize> = BTreeMap::new();
    for utterance in &utterances {
        *counts.entry(utterance.speaker.clone()).or_default() += 1;
    }
    if counts.len() >= MIN_SPEAKERS && !counts.contains_key(&None) {
        let mut speakers: Vec<(Option<String>, usize)> = counts.into_iter().collect();
        speakers.shuffle(rng);
        let mut held = BTreeSet::new();
        let mut count = 0;
        for (speaker, more) in speakers {
            if count < wanted && count + more <= wanted * 2 {
                count += more;
                held.insert(speaker);
            }
        }
        if count > 0 {
            return utterances
                .into_iter()
                .partition(|u| !held.contains(&u.speaker));
        }
    }
    let mut order: Vec<usize> = (0..utterances.len()).collect();
    order.shuffle(rng);
    let mut is_dev = vec![false; utterances.len()];
    for &index in order.iter().take(wanted) {
        is_dev[index] = true;
    }
    let mut flags = is_dev.iter();
    let dev = utterances
        .extract_if(.., |_| flags.next().copied().unwrap_or(false))
        .collect();
    (utterances, dev)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn utterance(id: usize, secs: f64, text: &str, speaker: Option<usize>) -> Utterance {
        Utterance {
            id: id.to_string(),
            audio_path: format!("{id}.wav").into(),
            member: None,
            offset_secs: 0.0,
            duration_secs: secs,
            text: text.to_owned(),
            speaker: speaker.map(|s| s.to_string()),
            confidence: None,
        }
    }

    #[test]
    fn each_utterance_left_out_is_counted_under_its_reason() {
        let tokens = Tokens::characters();
        let filter = Filter {
            tokens: &tokens,
            encoder_length: &|frames| frames / 4,
            min_secs: 0.3,
            max_secs: 10.0,
            fastest_speed: 1.0,
            needs_text: true,
        };
        let (kept, dropped) = filter.apply(vec![
            utterance(0, 0.2, "a", None),
            utterance(1, 11.0, "a", None),
            utterance(2, 1.0, "", None),
            utterance(3, 1.0, "na\u{ef}ve", None),
            // 50 feature frames give 12 encoder frames: enough for "hello" (six with the
            // word mark, and a blank between the l's), too few for 13 tokens.
            utterance(4, 0.5, "hello", None),
            utterance(5, 0.5, "abcdefghijklm", None),
        ]);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].utterance.id, "4");
        let counts = [
            dropped.too_short,
            dropped.too_long,
            dropped.without_text,
            dropped.not_encodable,
            dropped.infeasible,
            dropped.kept,
        ];
        assert_eq!(counts, [1; 6]);
        assert!(
            dropped
                .to_string()
                .starts_with("1 utterances kept, 1 too short, 1 too long")
        );
    }

    #[test]
    fn audio_without_a_transcript_is_kept_apart_and_never_held_out() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("train.jsonl");
        let lines: String = (0..20)
            .map(|i| {
                let text = if i % 2 == 0 { "yes" } else { "" };
                format!(
                    "{{\"audio_filepath\": \"{i}.wav\", \"duration\": {}, \"text\": \"{text}\"}}\n",
                    // One of the untranscribed is too long.
                    if i == 1 { 99 } else { 2 }
                )
            })
            .collect();
        std::fs::write(&manifest, lines).unwrap();
        let config: DataConfig = toml::from_str(&format!("train = {manifest:?}")).unwrap();
        let filter = Filter {
            tokens: &Tokens::characters(),
            encoder_length: &|frames| frames / 4,
            min_secs: 0.3,
            max_secs: 10.0,
            fastest_speed: 1.0,
            needs_text: true,
        };
        let data = load_training_data(
            read_all(config.train.as_slice()).unwrap(),
            &config,
            &filter,
            1,
        )
        .unwrap();
        assert_eq!(data.untranscribed.len(), 9);
        assert_eq!(data.dropped_train.too_long, 1);
        assert_eq!(data.train.len() + data.dev.len(), 10);
        assert!(data.untranscribed.iter().all(|e| e.targets.is_empty()));
    }

    #[test]
    fn transcripts_of_too_little_confidence_leave_their_audio_to_step_1() {
        let with = |confidence| Utterance {
            confidence,
            ..utterance(0, 1.0, "yes", None)
        };
        let all = vec![with(Some(0.79)), with(Some(0.8)), with(None)];
        let texts = |min_confidence| -> (Vec<String>, usize) {
            let (all, count) = without_unsure(all.clone(), min_confidence);
            (all.into_iter().map(|u| u.text).collect(), count)
        };
        let owned = |texts: [&str; 3]| texts.map(str::to_owned).to_vec();
        assert_eq!(texts(0.8), (owned(["", "yes", "yes"]), 1));
        assert_eq!(texts(0.0), (owned(["yes", "yes", "yes"]), 0));
    }

    #[test]
    fn held_out_utterances_are_whole_speakers_and_the_same_for_a_seed() {
        let all: Vec<Utterance> = (0..200)
            .map(|i| utterance(i, 1.0, "a", Some(i % 20)))
            .collect();
        let split = |seed| {
            hold_out(
                all.clone(),
                0.1,
                &mut Xoshiro256PlusPlus::seed_from_u64(seed),
            )
        };
        let (train, dev) = split(1);
        assert_eq!((train.len(), dev.len()), (180, 20));
        assert!(
            dev.iter()
                .all(|d| train.iter().all(|t| t.speaker != d.speaker))
        );
        assert_eq!(split(1), (train, dev.clone()));
        assert_ne!(split(2).1, dev);
        let anonymous: Vec<Utterance> = (0..50).map(|i| utterance(i, 1.0, "a", None)).collect();
        let (train, dev) = hold_out(anonymous, 0.1, &mut Xoshiro256PlusPlus::seed_from_u64(1));
        assert_eq!((train.len(), dev.len()), (45, 5));
    }
}
