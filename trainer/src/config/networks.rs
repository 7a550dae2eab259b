//! The teacher, the students and what step 1 asks of them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shared_model::model::ModelConfig;

use super::{OptimConfig, Recipe};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherConfig {
    #[serde(default)]
    pub model: ModelConfig,
    #[serde(default)]
    pub optim: OptimConfig,
    /// A trained model folder to use instead of training one.
    pub from: Option<PathBuf>,
    /// A trained model folder whose weights training begins with: a network of the same shape, of
    /// any number of layers.
    pub init_from: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentConfig {
    pub name: String,
    #[serde(default)]
    pub model: ModelConfig,
    #[serde(default)]
    pub init: StudentInit,
    /// A trained model folder whose weights step 1 begins with, as the teacher's `init_from`.
    pub init_from: Option<PathBuf>,
    /// Name of a larger student whose last blocks this one takes after step 1, skipping step 1
    /// itself (the paper's 6 to 4 to 2).
    pub cut_from: Option<String>,
    /// Step 2 of this student, instead of the recipe's `[finetune]`.
    pub finetune: Option<OptimConfig>,
}

impl Recipe {
    /// The students that do step 1: those that are not cut from another.
    pub fn step_one_students(&self) -> impl Iterator<Item = &StudentConfig> {
        let students = self.students.iter();
        students.filter(|student| student.cut_from.is_none())
    }

    /// The student whose step 1 gives `student` its weights: itself, or the end of its chain of
    /// `cut_from`.
    pub fn step_one_source<'a>(&'a self, student: &'a StudentConfig) -> &'a StudentConfig {
        let mut source = student;
        for _ in 0..self.students.len() {
            let Some(name) = &source.cut_from else { break };
            let Some(next) = self.students.iter().find(|s| &s.name == name) else {
                break;
            };
            source = next;
        }
        source
    }

    /// Step 2 of a student: its own, or that of all.
    pub fn finetune_of<'a>(&'a self, student: &'a StudentConfig) -> &'a OptimConfig {
        student.finetune.as_ref().unwrap_or(&self.finetune)
    }

    /// A network of this recipe with the bands that it hears and the tokens that there are: their
    /// number may be known only once they are made.
    pub fn fitted(&self, model: &ModelConfig, vocab_size: usize) -> ModelConfig {
        ModelConfig {
            n_mels: self.features.n_mels,
            vocab_size,
            ..model.clone()
        }
    }
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
    /// Whether the teacher hears each batch without SpecAugment's masks, as in noisy student
    /// training (Park et al., Interspeech 2020); otherwise it hears what the students hear.
    pub unmasked_teacher: bool,
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
            unmasked_teacher: false,
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

/// Step 1's weights, each decided. A weight of 0 means that the loss is not computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistillWeights {
    pub clip: f64,
    pub mse: f64,
    pub kl: f64,
    pub ctc: f64,
    pub feature: f64,
    pub temperature: f64,
}

impl DistillConfig {
    /// The preset's weights with those that the recipe names in their place.
    pub fn resolved(&self) -> DistillWeights {
        let preset = match self.preset {
            Preset::Faithful => DistillWeights {
                clip: 1.0,
                mse: 1.0,
                kl: 0.0,
                ctc: 0.0,
                feature: 0.0,
                temperature: 1.0,
            },
            Preset::Improved => DistillWeights {
                clip: 0.0,
                mse: 0.0,
                kl: 1.0,
                ctc: 0.5,
                feature: 0.5,
                temperature: 1.0,
            },
        };
        DistillWeights {
            clip: self.clip.unwrap_or(preset.clip),
            mse: self.mse.unwrap_or(preset.mse),
            kl: self.kl.unwrap_or(preset.kl),
            ctc: self.ctc.unwrap_or(preset.ctc),
            feature: self.feature.unwrap_or(preset.feature),
            temperature: self.temperature.unwrap_or(preset.temperature),
        }
    }
}
