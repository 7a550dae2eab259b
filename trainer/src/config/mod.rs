//! Recipes: TOML files that say everything about a run.
//!
//! Paths in a recipe file are relative to that file; paths given by `--set` are relative to the
//! current folder. Unknown keys are errors with a suggestion.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shared_model::{bundle::Precision, features::FeatureConfig, model::ModelConfig};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    pub name: String,
    /// Seeds data order, augmentation, initial weights and dropout.
    #[serde(default = "default_seed")]
    pub seed: u64,
    pub data: DataConfig,
    #[serde(default)]
    pub augment: AugmentConfig,
    #[serde(default)]
    pub features: FeatureConfig,
    #[serde(default)]
    pub tokens: TokenConfig,
    pub teacher: TeacherConfig,
    #[serde(default, rename = "student")]
    pub students: Vec<StudentConfig>,
    #[serde(default)]
    pub distill: DistillConfig,
    /// Step 2, for every student that does not say otherwise.
    #[serde(default)]
    pub finetune: OptimConfig,
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    #[serde(default)]
    pub export: ExportConfig,
}

fn default_seed() -> u64 {
    1234
}

/// One path or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Paths {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// NeMo-style JSONL manifests.
    pub train: Paths,
    /// Development manifest; absent: `dev_share` of the training utterances is held out.
    pub dev: Option<PathBuf>,
    #[serde(default = "default_dev_share")]
    pub dev_share: f64,
    /// Test sets by name, evaluated once at the end.
    #[serde(default)]
    pub test: BTreeMap<String, PathBuf>,
    #[serde(default = "default_min_seconds")]
    pub min_seconds: f32,
    #[serde(default = "default_max_seconds")]
    pub max_seconds: f32,
    /// Audio per optimiser step, seconds, padding included.
    #[serde(default = "default_batch_seconds")]
    pub batch_seconds: f32,
    /// Use only the first N training utterances of the shuffled list (0: all).
    #[serde(default)]
    pub limit: usize,
    /// Decoded audio kept in memory, MiB.
    #[serde(default = "default_cache_mib")]
    pub cache_mib: usize,
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
fn default_cache_mib() -> usize {
    1024
}

/// Changes made to training audio and features. Each is off at 0 (speed: at an empty list).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Playback speeds, one drawn per utterance and epoch; 1.0 must be named to be kept.
    pub speeds: Vec<f32>,
    /// Gain drawn from plus or minus this many dB.
    pub gain_db: f32,
    /// Share of utterances low-passed at a random edge of 3.4 to 8 kHz.
    pub band_limit_share: f32,
    /// Share of utterances with additive noise, at `noise_snr_db`.
    pub noise_share: f32,
    /// Lowest and highest signal-to-noise ratio.
    pub noise_snr_db: [f32; 2],
    /// Share of utterances that get another clip of the same speaker appended.
    pub join_share: f32,
    /// SpecAugment: number of frequency masks and their greatest width in bands.
    pub freq_masks: usize,
    pub freq_mask_bands: usize,
    /// SpecAugment: number of time masks, their greatest length in frames, and the greatest share
    /// of an utterance that all of them together may cover.
    pub time_masks: usize,
    pub time_mask_frames: usize,
    pub time_mask_share: f32,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            speeds: vec![0.9, 1.0, 1.1],
            gain_db: 6.0,
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenConfig {
    pub kind: TokenKind,
    /// Pieces of a BPE, blank included: 64 to 256.
    pub size: usize,
    /// A `tokens.txt` to use instead of making one.
    pub file: Option<PathBuf>,
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self {
            kind: TokenKind::Characters,
            size: 128,
            file: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    Characters,
    Bpe,
}

/// Learning of one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimConfig {
    pub epochs: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    pub schedule: Schedule,
    /// Steps of linear warm-up.
    pub warmup_steps: usize,
    pub beta1: f32,
    pub beta2: f32,
    pub epsilon: f32,
    pub weight_decay: f32,
    /// Greatest global gradient norm (0: no clipping).
    pub clip_norm: f64,
    /// Batches whose gradients are summed before a step.
    pub accumulate: usize,
    /// Weight of the CTC loss at `intermediate_ctc_layers`, shared equally (0: off).
    pub intermediate_ctc_weight: f64,
    /// Blocks (1-based) that get an intermediate CTC loss; empty: the middle one.
    pub intermediate_ctc_layers: Vec<usize>,
    /// The final weights are the mean of this many last epochs' (0 or 1: the last alone).
    pub average_epochs: usize,
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self {
            epochs: 30,
            learning_rate: 1e-3,
            schedule: Schedule::Cosine,
            warmup_steps: 200,
            beta1: 0.9,
            beta2: 0.98,
            epsilon: 1e-9,
            weight_decay: 1e-2,
            clip_norm: 5.0,
            accumulate: 1,
            intermediate_ctc_weight: 0.0,
            intermediate_ctc_layers: vec![],
            average_epochs: 5,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Linear warm-up, then half a cosine down to 1 % of the peak.
    Cosine,
    /// Linear warm-up, then inverse square root (Vaswani et al., 2017).
    Noam,
    Constant,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherConfig {
    #[serde(default)]
    pub model: ModelConfig,
    #[serde(default)]
    pub optim: OptimConfig,
    /// A trained model folder to use instead of training one.
    pub from: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentConfig {
    pub name: String,
    #[serde(default)]
    pub model: ModelConfig,
    #[serde(default)]
    pub init: StudentInit,
    /// Name of a larger student whose last blocks this one takes after step 1, skipping step 1
    /// itself (the paper's 6 to 4 to 2).
    pub cut_from: Option<String>,
    /// Step 2 of this student, instead of the recipe's `[finetune]`.
    pub finetune: Option<OptimConfig>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum StudentInit {
    #[default]
    Random,
    /// Front end, head and evenly spaced blocks of the teacher, where widths agree.
    TeacherBlocks,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistillConfig {
    /// Sets every weight below that the recipe does not name.
    pub preset: Preset,
    pub optim: OptimConfig,
    /// CLIP-style contrastive loss between utterance means of the last block.
    pub clip: Option<f64>,
    /// Mean squared error of log-posteriors.
    pub mse: Option<f64>,
    /// KL(teacher || student) of posteriors at `temperature`.
    pub kl: Option<f64>,
    /// CTC on transcripts.
    pub ctc: Option<f64>,
    /// Mean squared error of normalised last-block features (through a projection where widths differ).
    pub feature: Option<f64>,
    pub temperature: Option<f64>,
}

impl Default for DistillConfig {
    fn default() -> Self {
        Self {
            preset: Preset::Improved,
            optim: OptimConfig::default(),
            clip: None,
            mse: None,
            kl: None,
            ctc: None,
            feature: None,
            temperature: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The paper's losses: CLIP 1, MSE of log-posteriors 1, over real frames only.
    Faithful,
    /// KL on posteriors, features, and CTC mixed in.
    Improved,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Optimiser steps between checkpoints (0: only at the ends of epochs).
    pub every_steps: usize,
    /// Checkpoints kept besides the best.
    pub keep_last: usize,
    /// Epochs between measurements of dev WER.
    pub validate_every_epochs: usize,
    /// Parts that a batch is split into on the CPU, one thread each (0: as many as there are cores).
    pub shards: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            every_steps: 200,
            keep_last: 2,
            validate_every_epochs: 1,
            shards: 0,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExportConfig {
    pub precision: Precision,
    pub license: String,
    /// Lines for the card: data sets with licence and hours.
    pub data: Vec<String>,
    pub limits: Vec<String>,
}

impl Default for ExportConfig {
    fn default() -> Self {
        Self {
            precision: Precision::Int8,
            license: String::new(),
            data: vec![],
            limits: vec![],
        }
    }
}
