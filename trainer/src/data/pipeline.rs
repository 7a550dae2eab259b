//! From utterance indices to a padded batch: decode, vary, extract, mask.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use rand::RngExt;
use shared_model::audio::level_gain;
use shared_model::features::{FeatureConfig, FeatureExtractor, Features};
use shared_model::tokens::Tokens;

use super::augment::{
    AugmentRng, augment_waveform, chance, draw_speed, random_gain, utterance_rng,
};
use super::cache::{AudioCache, Clip};
use super::{Batch, DataError, Example, Quarantine, audio_file, spec_augment};
use crate::config::AugmentConfig;

/// Clips longer than this are not joined with another.
const JOIN_MAX_SECS: f64 = 8.0;
/// Silence between joined clips, seconds.
const JOIN_GAP_SECS: std::ops::Range<f32> = 0.05..0.4;

/// How training audio is varied.
#[derive(Debug, Clone)]
pub struct Augmentation {
    pub config: AugmentConfig,
    pub seed: u64,
    /// Longest result of joining two clips, seconds.
    pub max_secs: f64,
}

impl Augmentation {
    fn gentle(&self) -> Self {
        let config = AugmentConfig {
            speeds: self.config.speeds.clone(),
            gain_db: self.config.gain_db,
            band_limit_share: 0.0,
            noise_share: 0.0,
            join_share: 0.0,
            freq_masks: 0,
            time_masks: 0,
            ..self.config
        };
        Self {
            config,
            ..self.clone()
        }
    }
}

/// A pass over the data. What is drawn for an utterance depends on it and the utterance alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pass {
    pub epoch: usize,
    /// Speed and loudness are all that varies.
    pub gentle: bool,
    /// Every utterance comes twice, under masks of its own each time.
    pub two_views: bool,
}

impl Pass {
    /// Rows that an utterance has in a batch.
    pub fn views(&self) -> usize {
        1 + usize::from(self.two_views)
    }
}

/// Settings of a [`Pipeline`].
pub struct PipelineOptions {
    pub features: FeatureConfig,
    /// Absent: audio and features as they are.
    pub augment: Option<Augmentation>,
    /// Decoded audio kept in memory, bytes.
    pub cache_bytes: usize,
    /// Whether batches keep their features as they are before the masks, too.
    pub keep_unmasked: bool,
    /// Where unreadable files are listed.
    pub quarantine_file: Option<PathBuf>,
}

/// Makes batches of one data set. Shared by threads; results depend on the arguments alone.
pub struct Pipeline {
    examples: Vec<Example>,
    tokens: Tokens,
    extractor: FeatureExtractor,
    n_mels: usize,
    augment: Option<Augmentation>,
    /// The same for gentle passes.
    gentle: Option<Augmentation>,
    keep_unmasked: bool,
    cache: AudioCache,
    quarantine: Quarantine,
    /// Indices of short clips by speaker, for joining.
    by_speaker: HashMap<String, Vec<usize>>,
}

/// What decides how long an utterance is in a pass.
struct Timing {
    /// The clip that follows, by index, and the silence before it in samples.
    second: Option<(usize, usize)>,
    speed: f32,
}

struct Prepared {
    /// One of each view.
    features: Vec<Features>,
    unmasked: Option<Features>,
    targets: Vec<u32>,
    audio_secs: f64,
}

impl Pipeline {
    pub fn new(
        examples: Vec<Example>,
        tokens: Tokens,
        options: PipelineOptions,
    ) -> Result<Self, DataError> {
        let extractor = FeatureExtractor::new(&options.features)?;
        let joins = options
            .augment
            .as_ref()
            .is_some_and(|a| a.config.join_share > 0.0);
        let mut by_speaker: HashMap<String, Vec<usize>> = HashMap::new();
        if joins {
            for (index, example) in examples.iter().enumerate() {
                if let Some(speaker) = &example.utterance.speaker
                    && example.utterance.duration_secs <= JOIN_MAX_SECS
                {
                    by_speaker.entry(speaker.clone()).or_default().push(index);
                }
            }
        }
        Ok(Self {
            quarantine: Quarantine::new(examples.len(), options.quarantine_file),
            n_mels: options.features.n_mels,
            cache: AudioCache::new(options.cache_bytes),
            keep_unmasked: options.keep_unmasked,
            gentle: options.augment.as_ref().map(Augmentation::gentle),
            augment: options.augment,
            examples,
            tokens,
            extractor,
            by_speaker,
        })
    }

    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// Seconds of each utterance as it comes in this pass, for planning batches.
    pub fn durations(&self, pass: Pass) -> Vec<f32> {
        let secs = |index: usize| self.examples[index].utterance.duration_secs;
        (0..self.examples.len())
            .map(|index| {
                let Some(augment) = self.augmentation(pass) else {
                    return secs(index) as f32;
                };
                let mut rng = utterance_rng(augment.seed, pass.epoch, index);
                let Timing { second, speed } = self.timing(index, augment, &mut rng);
                let more = second.map_or(0.0, |(other, gap)| secs(other) + gap as f64 / 16_000.0);
                (secs(index) + more) as f32 / speed
            })
            .collect()
    }

    fn augmentation(&self, pass: Pass) -> Option<&Augmentation> {
        if pass.gentle {
            self.gentle.as_ref()
        } else {
            self.augment.as_ref()
        }
    }

    pub fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// The batch of these utterances in this pass. Unreadable ones are quarantined and left out,
    /// so a batch may come out smaller, even empty.
    ///
    /// # Errors
    /// More than 1 % of the data set unreadable.
    pub fn batch(&self, indices: &[usize], pass: Pass) -> Result<Batch, DataError> {
        let mut batch = Batch {
            features: vec![],
            unmasked: None,
            views: pass.views(),
            time: 0,
            n_mels: self.n_mels,
            lengths: vec![],
            targets: vec![],
            utterance_ids: vec![],
            audio_secs: 0.0,
        };
        let mut features = Vec::with_capacity(indices.len());
        let mut unmasked = Vec::new();
        for &index in indices {
            let Some(prepared) = self.prepare(index, pass)? else {
                continue;
            };
            let id = &self.examples[index].utterance.id;
            for view in prepared.features {
                batch.lengths.push(view.num_frames());
                batch.targets.push(prepared.targets.clone());
                batch.utterance_ids.push(id.clone());
                batch.audio_secs += prepared.audio_secs;
                unmasked.extend(prepared.unmasked.as_ref().map(|plain| plain.data.clone()));
                features.push(view.data);
            }
        }
        batch.time = batch.lengths.iter().copied().max().unwrap_or(0);
        let row = batch.time * self.n_mels;
        batch.features = padded(&features, row);
        batch.unmasked = self.keep_unmasked.then(|| padded(&unmasked, row));
        Ok(batch)
    }

    /// One utterance; `None` if it cannot be read.
    fn prepare(&self, index: usize, pass: Pass) -> Result<Option<Prepared>, DataError> {
        let Some(clip) = self.clip(index)? else {
            return Ok(None);
        };
        let mut samples = clip.to_samples();
        let mut targets = self.examples[index].targets.clone();
        let augment = self.augmentation(pass);
        let mut rng = augment.map(|augment| utterance_rng(augment.seed, pass.epoch, index));
        if let (Some(augment), Some(rng)) = (augment, rng.as_mut()) {
            let Timing { second, speed } = self.timing(index, augment, rng);
            if let Some((other, gap)) = second {
                self.append(index, other, gap, &mut samples, &mut targets)?;
            }
            samples = augment_waveform(samples, speed, &augment.config, rng, |rng| {
                self.any_clip(rng, index)
            })?;
        }
        let mut gain = level_gain(&samples);
        if let (Some(augment), Some(rng)) = (augment, rng.as_mut()) {
            gain *= random_gain(&augment.config, rng);
        }
        samples.iter_mut().for_each(|sample| *sample *= gain);
        let features = self.extractor.extract(&samples);
        if features.num_frames() == 0 {
            let path = &self.examples[index].utterance.audio_path;
            self.quarantine
                .report(index, path, "is too short for one frame")?;
            return Ok(None);
        }
        let unmasked = self.keep_unmasked.then(|| features.clone());
        let mut features = vec![features; pass.views()];
        if let (Some(augment), Some(rng)) = (augment, rng.as_mut()) {
            for view in &mut features {
                spec_augment(view, &augment.config, rng);
            }
        }
        Ok(Some(Prepared {
            features,
            unmasked,
            targets,
            audio_secs: samples.len() as f64 / 16_000.0,
        }))
    }

    /// The first draws of an utterance.
    fn timing(&self, index: usize, augment: &Augmentation, rng: &mut AugmentRng) -> Timing {
        Timing {
            second: self.draw_second(index, augment, rng),
            speed: draw_speed(&augment.config, rng),
        }
    }

    /// Another short clip of the same speaker.
    fn draw_second(
        &self,
        index: usize,
        augment: &Augmentation,
        rng: &mut AugmentRng,
    ) -> Option<(usize, usize)> {
        if !chance(rng, augment.config.join_share) {
            return None;
        }
        let utterance = &self.examples[index].utterance;
        let others = utterance
            .speaker
            .as_ref()
            .and_then(|speaker| self.by_speaker.get(speaker))
            .filter(|others| utterance.duration_secs <= JOIN_MAX_SECS && others.len() > 1)?;
        let other = others[rng.random_range(0..others.len())];
        let gap = (rng.random_range(JOIN_GAP_SECS) * 16_000.0) as usize;
        let second = &self.examples[other].utterance;
        let fits = utterance.duration_secs + second.duration_secs + f64::from(JOIN_GAP_SECS.end)
            <= augment.max_secs;
        let are_said = !utterance.text.is_empty() && !second.text.is_empty();
        (other != index && fits && are_said).then_some((other, gap))
    }

    /// Appends another clip with its transcript, if it can be read.
    fn append(
        &self,
        index: usize,
        other: usize,
        gap: usize,
        samples: &mut Vec<f32>,
        targets: &mut Vec<u32>,
    ) -> Result<(), DataError> {
        let Some(clip) = self.clip(other)? else {
            return Ok(());
        };
        let [first, second] = [index, other].map(|index| &self.examples[index].utterance.text);
        *targets = self.tokens.encode(&format!("{first} {second}"))?;
        samples.resize(samples.len() + gap, 0.0);
        samples.extend(clip.to_samples());
        Ok(())
    }

    fn any_clip(&self, rng: &mut AugmentRng, except: usize) -> Option<Vec<f32>> {
        let index = rng.random_range(0..self.examples.len());
        if index == except {
            return None;
        }
        // An unreadable clip is reported when its own turn comes.
        let clip = self.clip(index).ok().flatten()?;
        (!clip.is_empty()).then(|| clip.to_samples())
    }

    /// The decoded audio of an utterance; `None` if it cannot be read.
    fn clip(&self, index: usize) -> Result<Option<Arc<Clip>>, DataError> {
        if self.quarantine.contains(index) {
            return Ok(None);
        }
        if let Some(clip) = self.cache.get(index) {
            return Ok(Some(clip));
        }
        let utterance = &self.examples[index].utterance;
        let duration = (utterance.duration_secs > 0.0).then_some(utterance.duration_secs);
        match audio_file::decode_16k(&utterance.audio_path, utterance.offset_secs, duration) {
            Ok(samples) => {
                let clip = Arc::new(Clip::from_samples(&samples));
                self.cache.put(index, &clip);
                Ok(Some(clip))
            }
            Err(error) => {
                self.quarantine
                    .report(index, &utterance.audio_path, &error.reason())?;
                Ok(None)
            }
        }
    }
}

/// Utterances of up to `row` values, one after the other, filled up with zeros.
fn padded(utterances: &[Vec<f32>], row: usize) -> Vec<f32> {
    let mut rows = vec![0.0; row * utterances.len()];
    for (utterance, row) in utterances.iter().zip(rows.chunks_mut(row.max(1))) {
        row[..utterance.len()].copy_from_slice(utterance);
    }
    rows
}
