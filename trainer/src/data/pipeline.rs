//! From utterance indices to a padded batch: decode, vary, extract, draw masks.

use std::collections::HashMap;
use std::sync::Arc;

use rand::RngExt;
use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::features::{FeatureConfig, FeatureExtractor, Features};
use shared_model::tokens::Tokens;

use super::augment::{
    AugmentRng, augment_waveform, chance, draw_speed, random_gain, utterance_rng,
};
use super::cache::{AudioCache, Clip};
use super::read_ahead::Stored;
use super::{
    Batch, DataError, DealtBatch, EpochPlan, Example, Quarantine, SpecMask, audio_file,
    spec_augment,
};
use crate::config::AugmentConfig;

/// Clips longer than this are not joined with another.
const JOIN_MAX_SECS: f64 = 8.0;
/// Silence between joined clips, seconds.
const JOIN_GAP_SECS: std::ops::Range<f32> = 0.05..0.4;

/// How training audio is varied.
#[derive(Debug, Clone)]
pub struct Augmentation {
    /// Shares and ranges of each kind of variation.
    pub config: AugmentConfig,
    /// With it the same epoch varies the same utterance in the same way.
    pub seed: u64,
    /// Longest result of joining two clips, seconds.
    pub max_secs: f64,
}

impl Augmentation {
    fn gentle(&self) -> Self {
        let config = AugmentConfig {
            speeds: self.config.speeds.clone(),
            gain_db: self.config.gain_db,
            room_share: 0.0,
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

/// Settings of a [`Pipeline`].
pub struct PipelineOptions {
    /// What the batches hold.
    pub features: FeatureConfig,
    /// Absent: audio and features as they are.
    pub augment: Option<Augmentation>,
    /// Decoded audio kept in memory, bytes.
    pub cache_bytes: usize,
}

/// Makes batches of one data set. Shared by threads; results depend on the arguments alone.
pub struct Pipeline {
    /// Shared with other pipelines: millions of them are gigabytes.
    examples: Arc<Vec<Example>>,
    tokens: Tokens,
    extractor: FeatureExtractor,
    n_mels: usize,
    augment: Option<Augmentation>,
    /// The same for gentle epochs.
    gentle: Option<Augmentation>,
    cache: AudioCache,
    quarantine: Quarantine,
    /// Indices of short clips by speaker, for joining.
    by_speaker: HashMap<String, Vec<usize>>,
}

/// What decides how long an utterance is in an epoch.
struct Timing {
    /// The clip that follows, by index, and the silence before it in samples.
    second: Option<(usize, usize)>,
    speed: f32,
}

struct Prepared {
    features: Features,
    /// Of each view.
    masks: Vec<SpecMask>,
    targets: Vec<u32>,
    audio_secs: f64,
}

impl Pipeline {
    /// Makes batches of `examples`, whose indices the other functions take.
    ///
    /// # Errors
    /// Features that cannot be computed with these settings.
    pub fn new(
        examples: impl Into<Arc<Vec<Example>>>,
        tokens: Tokens,
        options: PipelineOptions,
    ) -> Result<Self, DataError> {
        let examples = examples.into();
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
            quarantine: Quarantine::new(examples.len()),
            n_mels: options.features.n_mels,
            cache: AudioCache::new(options.cache_bytes),
            gentle: options.augment.as_ref().map(Augmentation::gentle),
            augment: options.augment,
            examples,
            tokens,
            extractor,
            by_speaker,
        })
    }

    /// The utterances by index.
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// Seconds of each utterance as it comes in this epoch, for planning batches.
    pub fn durations(&self, plan: EpochPlan) -> Vec<f32> {
        let secs = |index: usize| self.examples[index].utterance.duration_secs;
        (0..self.examples.len())
            .map(|index| {
                let Some(augment) = self.augmentation(plan) else {
                    return secs(index) as f32;
                };
                let mut rng = utterance_rng(augment.seed, plan, index);
                let Timing { second, speed } = self.timing(index, augment, &mut rng);
                let more = second.map_or(0.0, |(other, gap)| secs(other) + secs_of(gap));
                (secs(index) + more) as f32 / speed
            })
            .collect()
    }

    fn augmentation(&self, plan: EpochPlan) -> Option<&Augmentation> {
        if plan.gentle {
            self.gentle.as_ref()
        } else {
            self.augment.as_ref()
        }
    }

    /// Whether the decoded audio of an utterance is in memory.
    pub(super) fn is_cached(&self, index: usize) -> bool {
        self.cache.get(index).is_some()
    }

    /// What could not be read so far.
    pub fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// The batch of these utterances in this epoch. Unreadable ones are quarantined and left out,
    /// so a batch may come out smaller, even empty.
    ///
    /// # Errors
    /// More than 1 % of the data set unreadable.
    pub fn batch(&self, dealt: &DealtBatch, plan: EpochPlan) -> Result<Batch, DataError> {
        self.batch_from(dealt, plan, None)
    }

    /// As [`Self::batch`]. `stored`: what has been read of shards; the rest is read from its files.
    ///
    /// # Errors
    /// As [`Self::batch`].
    pub(super) fn batch_from(
        &self,
        dealt: &DealtBatch,
        plan: EpochPlan,
        stored: Option<&Stored>,
    ) -> Result<Batch, DataError> {
        let mut batch = Batch {
            features: vec![],
            masks: vec![],
            views: plan.views,
            time: 0,
            n_mels: self.n_mels,
            lengths: vec![],
            targets: vec![],
            shards: vec![],
            places: vec![],
            utterance_ids: vec![],
            audio_secs: 0.0,
        };
        let mut features = Vec::with_capacity(dealt.utterances.len() * plan.views);
        for (place, &index) in dealt.utterances.iter().enumerate() {
            let Some(prepared) = self.prepare(index, plan, stored)? else {
                continue;
            };
            let id = &self.examples[index].utterance.id;
            for mask in prepared.masks {
                batch.masks.push(mask);
                batch.lengths.push(prepared.features.num_frames());
                batch.targets.push(prepared.targets.clone());
                batch.shards.extend(dealt.shards.get(place));
                batch.places.extend(dealt.places.get(place));
                batch.utterance_ids.push(id.clone());
                batch.audio_secs += prepared.audio_secs;
                features.push(prepared.features.data.clone());
            }
        }
        batch.time = batch.lengths.iter().copied().max().unwrap_or(0);
        let row = batch.time * self.n_mels;
        batch.features = padded(&features, row);
        Ok(batch)
    }

    /// One utterance; `None` if it cannot be read.
    fn prepare(
        &self,
        index: usize,
        plan: EpochPlan,
        stored: Option<&Stored>,
    ) -> Result<Option<Prepared>, DataError> {
        let Some(clip) = self.clip(index, stored)? else {
            return Ok(None);
        };
        let mut samples = clip.to_samples();
        let mut targets = self.examples[index].targets.clone();
        let augment = self.augmentation(plan);
        let mut rng = augment.map(|augment| utterance_rng(augment.seed, plan, index));
        if let (Some(augment), Some(rng)) = (augment, rng.as_mut()) {
            let Timing { second, speed } = self.timing(index, augment, rng);
            if let Some((other, gap)) = second {
                let more = self.clip(other, stored)?;
                self.append((index, other), gap, more, (&mut samples, &mut targets))?;
            }
            samples = augment_waveform(samples, speed, &augment.config, rng, |rng| {
                self.any_clip(rng, index, stored)
            })?;
        }
        let mut gain = self.extractor.gain(&samples);
        if let (Some(augment), Some(rng)) = (augment, rng.as_mut()) {
            gain *= random_gain(&augment.config, rng);
        }
        samples.iter_mut().for_each(|sample| *sample *= gain);
        let features = self.extractor.extract(&samples);
        if features.num_frames() == 0 {
            let path = self.examples[index].utterance.audio().name();
            self.quarantine
                .report(index, &path, "is too short for one frame")?;
            return Ok(None);
        }
        let frames = features.num_frames();
        let mut mask = || match (augment, rng.as_mut()) {
            (Some(augment), Some(rng)) => spec_augment(frames, self.n_mels, &augment.config, rng),
            _ => SpecMask::default(),
        };
        let masks = (0..plan.views).map(|_| mask()).collect();
        Ok(Some(Prepared {
            features,
            masks,
            targets,
            audio_secs: secs_of(samples.len()),
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
        let gap = (rng.random_range(JOIN_GAP_SECS) * SAMPLE_RATE_HZ as f32) as usize;
        let second = &self.examples[other].utterance;
        let fits = utterance.duration_secs + second.duration_secs + f64::from(JOIN_GAP_SECS.end)
            <= augment.max_secs;
        let are_said = !utterance.text.is_empty() && !second.text.is_empty();
        (other != index && fits && are_said).then_some((other, gap))
    }

    /// Appends another clip with its transcript, if it can be read.
    fn append(
        &self,
        (index, other): (usize, usize),
        gap: usize,
        clip: Option<Arc<Clip>>,
        (samples, targets): (&mut Vec<f32>, &mut Vec<u32>),
    ) -> Result<(), DataError> {
        let Some(clip) = clip else {
            return Ok(());
        };
        let [first, second] = [index, other].map(|index| &self.examples[index].utterance.text);
        *targets = self.tokens.encode(&format!("{first} {second}"))?;
        samples.resize(samples.len() + gap, 0.0);
        samples.extend(clip.to_samples());
        Ok(())
    }

    fn any_clip(
        &self,
        rng: &mut AugmentRng,
        except: usize,
        stored: Option<&Stored>,
    ) -> Option<Vec<f32>> {
        let index = rng.random_range(0..self.examples.len());
        if index == except {
            return None;
        }
        // An unreadable clip is reported when its own turn comes.
        let clip = self.clip(index, stored).ok().flatten()?;
        (!clip.is_empty()).then(|| clip.to_samples())
    }

    /// The decoded audio of an utterance; `None` if it cannot be read.
    fn clip(&self, index: usize, stored: Option<&Stored>) -> Result<Option<Arc<Clip>>, DataError> {
        if self.quarantine.contains(index) {
            return Ok(None);
        }
        if let Some(clip) = self.cache.get(index) {
            return Ok(Some(clip));
        }
        let utterance = &self.examples[index].utterance;
        let duration = (utterance.duration_secs > 0.0).then_some(utterance.duration_secs);
        let (place, offset) = (utterance.audio(), utterance.offset_secs);
        let decoded = match stored.and_then(|stored| stored.get(&index)) {
            Some(bytes) => audio_file::decode_16k_of(bytes, place, offset, duration),
            None => audio_file::decode_16k(place, offset, duration),
        };
        match decoded {
            Ok(samples) => {
                let clip = Arc::new(Clip::from_samples(&samples));
                self.cache.put(index, &clip);
                Ok(Some(clip))
            }
            Err(error) => {
                self.quarantine
                    .report(index, &place.name(), &error.reason())?;
                Ok(None)
            }
        }
    }
}

/// Seconds of this many samples.
fn secs_of(samples: usize) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE_HZ)
}

/// Utterances of up to `row` values, one after the other, filled up with zeros.
fn padded(utterances: &[Vec<f32>], row: usize) -> Vec<f32> {
    let mut rows = vec![0.0; row * utterances.len()];
    for (utterance, row) in utterances.iter().zip(rows.chunks_mut(row.max(1))) {
        row[..utterance.len()].copy_from_slice(utterance);
    }
    rows
}
