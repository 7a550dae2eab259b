//! Where speech comes from, how it is varied, and what it is spelled with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One path or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Paths {
    /// A single path.
    One(PathBuf),
    /// A list of them.
    Many(Vec<PathBuf>),
}

/// Where speech comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// NeMo-style JSONL manifests; or tar files of a corpus, or folders of such.
    pub train: Paths,
    /// Development manifest; absent: `dev_share` of the training utterances is held out.
    pub dev: Option<PathBuf>,
    /// Share of the training utterances that is held out where `dev` is absent.
    #[serde(default = "default_dev_share")]
    pub dev_share: f64,
    /// Test sets by name, evaluated once at the end.
    #[serde(default)]
    pub test: BTreeMap<String, PathBuf>,
    /// Shorter utterances are left out of training.
    #[serde(default = "default_min_seconds")]
    pub min_seconds: f32,
    /// Longer utterances are left out of training.
    #[serde(default = "default_max_seconds")]
    pub max_seconds: f32,
    /// Transcripts whose manifest states a lower `confidence` (0 to 1) are not used: step 1 learns
    /// from their audio as from audio without a transcript. Those that state none are kept.
    #[serde(default)]
    pub min_confidence: f32,
    /// Audio in a batch, padding included. With `accumulate` a step takes several batches.
    #[serde(default = "default_batch_seconds")]
    pub batch_seconds: f32,
    /// Use only the first N training utterances of the shuffled list (0: all).
    #[serde(default)]
    pub limit: usize,
    /// Decoded audio kept in memory.
    #[serde(default = "default_cache_mb")]
    pub cache_mb: usize,
    /// Audio of tar files, as it is stored, that is read at once and shuffled together. Up to twice as
    /// much of it is in memory.
    #[serde(default = "default_window_mb")]
    pub window_mb: usize,
}

fn default_dev_share() -> f64 {
    0.05
}
fn default_min_seconds() -> f32 {
    0.3
}
fn default_max_seconds() -> f32 {
    20.0
}
fn default_batch_seconds() -> f32 {
    60.0
}
fn default_cache_mb() -> usize {
    1000
}
fn default_window_mb() -> usize {
    500
}

/// Changes made to training audio and features. Each is off at 0 (speed: at an empty list).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Playback speeds, one drawn per utterance and epoch; 1.0 must be named to be kept.
    pub speeds: Vec<f32>,
    /// Gain is drawn from minus to plus this.
    pub gain_db: f32,
    /// Share of utterances that sound as in a room: with reverberation of 0.15 to 0.8 s, 0 to 15 dB
    /// below the voice.
    pub room_share: f32,
    /// Share of utterances low-passed at a random edge of 3.4 to 8 kHz.
    pub band_limit_share: f32,
    /// Share of utterances with additive noise, at `noise_snr_db`.
    pub noise_share: f32,
    /// Lowest and highest signal-to-noise ratio.
    pub noise_snr_db: [f32; 2],
    /// Share of utterances that get another clip of the same speaker appended.
    pub join_share: f32,
    /// SpecAugment (Park et al., 2019): number of frequency masks.
    pub freq_masks: usize,
    /// Greatest width of a frequency mask.
    pub freq_mask_bands: usize,
    /// SpecAugment: number of time masks.
    pub time_masks: usize,
    /// Greatest length of a time mask; a frame is 10 ms.
    pub time_mask_frames: usize,
    /// Greatest share of an utterance that all time masks together may cover.
    pub time_mask_share: f32,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            speeds: vec![0.9, 1.0, 1.1],
            gain_db: 6.0,
            room_share: 0.0,
            band_limit_share: 0.0,
            noise_share: 0.0,
            noise_snr_db: [5.0, 30.0],
            join_share: 0.0,
            freq_masks: 2,
            freq_mask_bands: 27,
            time_masks: 2,
            time_mask_frames: 40,
            time_mask_share: 0.2,
        }
    }
}

/// What transcripts are spelled with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenConfig {
    /// Characters or pieces of words.
    pub kind: TokenKind,
    /// Pieces of a BPE, blank included: 64 to 256.
    pub size: usize,
    /// A `tokens.txt` to use instead of making one.
    pub file: Option<PathBuf>,
    /// How words are pronounced, for networks with `model.phone_head`: a line is a word and its phones
    /// in ARPAbet, as in the CMU Pronouncing Dictionary. Of several pronunciations the first is
    /// learned.
    pub pronunciations: Option<PathBuf>,
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self {
            kind: TokenKind::Characters,
            size: 128,
            file: None,
            pronunciations: None,
        }
    }
}

/// Kinds of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    /// Blank, word mark, apostrophe and a to z: 29.
    Characters,
    /// `size` pieces of words, learned from the training transcripts.
    Bpe,
}

impl Paths {
    /// All of them.
    pub fn as_slice(&self) -> &[PathBuf] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }
}
