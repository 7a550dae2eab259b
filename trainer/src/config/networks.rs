//! The teacher, the students and what step 1 asks of them.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared_model::model::ModelConfig;

use super::{CtcConfig, OptimConfig, Recipe, TrainingConfig};

/// The large network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TeacherConfig {
    /// Its shape.
    #[serde(default)]
    pub model: ModelConfig,
    /// A trained model folder to use instead of training one.
    pub from: Option<PathBuf>,
    /// A trained model folder whose weights training begins with: a network of the same shape, of
    /// any number of layers.
    pub init_from: Option<PathBuf>,
    /// An ONNX file to use instead of training a teacher: from log-mel features `[batch, time, mels]`
    /// and lengths to log-probabilities, as `fledge export --format onnx --for sherpa` writes it.
    /// `teacher.model.subsampling_factor` says how many feature frames one of its frames is. Students
    /// spell with its tokens: `tokens.file`, or the `tokens.txt` beside it.
    pub onnx: Option<PathBuf>,
    /// The first frame of that file that is of the audio, 0 unless told: those before are left out.
    pub onnx_first_frame: Option<usize>,
}

/// A small network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StudentConfig {
    /// Names its files; `teacher` is taken.
    pub name: String,
    /// Its shape.
    #[serde(default)]
    pub model: ModelConfig,
    /// The weights that step 1 begins with.
    #[serde(default)]
    pub init: StudentInit,
    /// Which blocks it takes of the network that it starts from: `even` unless told, with `cut_from`
    /// `last`.
    pub blocks: Option<BlockChoice>,
    /// Which channels it takes of the blocks of a wider teacher.
    #[serde(default)]
    pub channels: ChannelChoice,
    /// A trained model folder whose weights step 1 begins with, as the teacher's `init_from`.
    pub init_from: Option<PathBuf>,
    /// Name of a larger student whose blocks this one takes after step 1, skipping step 1 itself
    /// (the paper's 6 to 4 to 2).
    pub cut_from: Option<String>,
    /// Name of a deeper student whose first blocks are this one (early exit): both are trained as one
    /// network, this one by the share that `ctc.intermediate_weight` of the deeper one gives it, and
    /// come out as two.
    pub exit_of: Option<String>,
    /// Share of the values of its matrices that are set to 0 before its first step, the smallest
    /// first, and stay 0 (magnitude pruning).
    #[serde(default)]
    pub prune_share: f64,
    /// Step 1 of this student, instead of the recipe's `[distill]`; the losses are those of all.
    pub distill: Option<TrainingConfig>,
    /// Step 2 of this student, instead of the recipe's `[finetune]`.
    pub finetune: Option<TrainingConfig>,
}

impl Recipe {
    /// The students that do step 1: those that are not cut from another, nor an exit of it.
    pub fn step_one_students(&self) -> impl Iterator<Item = &StudentConfig> {
        let students = self.students.iter();
        students.filter(|student| student.cut_from.is_none() && student.exit_of.is_none())
    }

    /// The students that are trained as networks of their own: those that are no exits of another.
    pub fn whole_students(&self) -> impl Iterator<Item = &StudentConfig> {
        let students = self.students.iter();
        students.filter(|student| student.exit_of.is_none())
    }

    /// The students that are the first blocks of the student of this name.
    pub fn exits_of(&self, student: &str) -> impl Iterator<Item = &StudentConfig> {
        let exits = self.students.iter();
        exits.filter(move |exit| exit.exit_of.as_deref() == Some(student))
    }

    /// Whether a student starts from the teacher or learns from it. Without students the teacher is
    /// what the recipe is about.
    pub fn needs_teacher(&self) -> bool {
        let needs = |student: &StudentConfig| {
            student.init == StudentInit::TeacherBlocks || self.distill_of(student).epochs > 0
        };
        self.students.is_empty() || self.step_one_students().any(needs)
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

    /// Step 1 of a student: its own, or that of all.
    pub fn distill_of(&self, student: &StudentConfig) -> TrainingConfig {
        let own = student.distill.clone();
        own.unwrap_or_else(|| self.distill.training())
    }

    /// Step 2 of a student: its own, or that of all.
    pub fn finetune_of<'a>(&'a self, student: &'a StudentConfig) -> &'a TrainingConfig {
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

/// What a student starts step 1 from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
pub enum StudentInit {
    /// Drawn from the seed.
    #[default]
    Random,
    /// Front end, head and evenly spaced blocks of the teacher; of wider layers evenly spaced channels.
    /// The student may not be wider than its teacher.
    TeacherBlocks,
}

/// Which blocks of a network a shallower one takes, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BlockChoice {
    /// Evenly spaced ones, the last among them.
    Even,
    /// The last ones.
    Last,
    /// The first ones.
    First,
}

/// Which channels of a layer a narrower one takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelChoice {
    /// Evenly spaced ones.
    #[default]
    Even,
    /// Those whose weights are largest: of each feed-forward module by its own weights, of the
    /// encoder's channels and of heads by those of all layers.
    Important,
    /// Evenly spaced ones, and every map is fitted by least squares to training speech, so that it gives
    /// from them what the wider one gives from all.
    Fitted,
}

/// Whether a network can start from the blocks of `teacher`.
///
/// # Errors
/// The reason why not, in words.
pub fn fits_into(student: &ModelConfig, teacher: &ModelConfig) -> Result<(), String> {
    for (name, own, most) in [
        ("d_model", student.d_model, teacher.d_model),
        ("d_ffn", student.d_ffn, teacher.d_ffn),
    ] {
        if own > most {
            return Err(format!(
                "init = \"teacher-blocks\" needs {name} of at most the teacher's {most}, not {own}: its blocks have no more channels to give"
            ));
        }
    }
    Ok(())
}

/// Whether frames of a student can be compared with those of `teacher`: one to one, or two to one where
/// one of them has twice the subsampling of the other.
///
/// # Errors
/// The reason why not, in words.
pub fn frames_compare(student: &ModelConfig, teacher: &ModelConfig) -> Result<(), String> {
    if student.subsampling_padding == teacher.subsampling_padding {
        return Ok(());
    }
    Err("must be the teacher's: otherwise its frames lie elsewhere".to_owned())
}

/// Step 1: all students learn from the frozen teacher at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DistillConfig {
    /// Times that all training utterances are heard, those without a transcript as well (0: there is
    /// no step 1, and students start step 2 as they are).
    pub epochs: usize,
    /// First epochs in which audio varies in speed and loudness alone.
    pub gentle_epochs: usize,
    /// The final weights are the mean of those after each of this many last epochs (0 or 1: the
    /// last alone).
    pub average_epochs: usize,
    /// Whether the teacher hears each batch without SpecAugment's masks, as in noisy student
    /// training (Park et al., Interspeech 2020); otherwise it hears what the students hear.
    pub unmasked_teacher: bool,
    /// Folder that keeps the teacher's answers for other runs which ask the same teacher about the same
    /// batches (same seed, data, augmentation and number of shards). They are exact, so results are the
    /// same with it and without.
    pub answers: Option<PathBuf>,
    /// Most that `answers` may hold; what comes later is not kept.
    pub answers_mb: usize,
    /// What is asked of the students.
    pub loss: DistillLossConfig,
    /// How CTC is computed, where `loss.ctc` is above 0.
    pub ctc: CtcConfig,
    /// From gradients to weights.
    pub optim: OptimConfig,
}

impl Default for DistillConfig {
    fn default() -> Self {
        let TrainingConfig {
            epochs,
            gentle_epochs,
            average_epochs,
            ctc,
            optim,
        } = TrainingConfig::default();
        Self {
            epochs,
            gentle_epochs,
            average_epochs,
            unmasked_teacher: false,
            answers: None,
            answers_mb: 4000,
            loss: DistillLossConfig::default(),
            ctc,
            optim,
        }
    }
}

impl DistillConfig {
    /// How each student is trained.
    pub fn training(&self) -> TrainingConfig {
        TrainingConfig {
            epochs: self.epochs,
            gentle_epochs: self.gentle_epochs,
            average_epochs: self.average_epochs,
            ctc: self.ctc.clone(),
            optim: self.optim.clone(),
        }
    }
}

/// The losses of step 1 by weight. A weight of 0 means that the loss is not computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DistillLossConfig {
    /// Decides every weight that this table does not state.
    pub preset: Preset,
    /// CLIP-style contrastive loss between utterance means of the last block.
    pub clip: Option<f64>,
    /// Mean squared error of log-posteriors.
    pub mse: Option<f64>,
    /// KL(teacher || student) of posteriors at `temperature`.
    pub kl: Option<f64>,
    /// CTC on transcripts.
    pub ctc: Option<f64>,
    /// Mean squared error of normalised last-block features (through a projection where widths
    /// differ).
    pub feature: Option<f64>,
    /// Of the posteriors that `kl` compares.
    pub temperature: Option<f64>,
    /// Weight in `kl` of frames that the teacher is sure are blank, 0 to 1; others weigh more, the
    /// less probable a blank is, up to 1. Most frames of CTC are blank and say little.
    pub kl_blank_weight: Option<f64>,
    /// Frames around each one that the teacher calls no blank, on both sides, which `kl` looks at
    /// beside it, and at no others (symmetric selection, arXiv 2506.01503); absent: at all frames.
    pub kl_spike_frames: Option<usize>,
    /// Blocks at which `feature` compares student and teacher: the last, and more of them evenly
    /// spaced over the depth of each (1 unless told).
    pub feature_layers: Option<usize>,
}

impl Default for DistillLossConfig {
    fn default() -> Self {
        Self {
            preset: Preset::Improved,
            clip: None,
            mse: None,
            kl: None,
            ctc: None,
            feature: None,
            temperature: None,
            kl_blank_weight: None,
            kl_spike_frames: None,
            feature_layers: None,
        }
    }
}

/// Sets of weights of step 1's losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The paper's losses: `clip` 1, `mse` 1, over real frames only.
    Faithful,
    /// `kl` 1, `feature` 0.5, `ctc` 0.5; `temperature` is 1.
    Improved,
}

/// Step 1's weights, each decided. A weight of 0 means that the loss is not computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistillWeights {
    /// See [`DistillLossConfig::clip`].
    pub clip: f64,
    /// See [`DistillLossConfig::mse`].
    pub mse: f64,
    /// See [`DistillLossConfig::kl`].
    pub kl: f64,
    /// See [`DistillLossConfig::ctc`].
    pub ctc: f64,
    /// See [`DistillLossConfig::feature`].
    pub feature: f64,
    /// See [`DistillLossConfig::temperature`].
    pub temperature: f64,
    /// See [`DistillLossConfig::kl_blank_weight`].
    pub kl_blank_weight: f64,
    /// See [`DistillLossConfig::kl_spike_frames`].
    pub kl_spike_frames: Option<usize>,
    /// See [`DistillLossConfig::feature_layers`].
    pub feature_layers: usize,
}

impl DistillLossConfig {
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
                kl_blank_weight: 1.0,
                kl_spike_frames: None,
                feature_layers: 1,
            },
            Preset::Improved => DistillWeights {
                clip: 0.0,
                mse: 0.0,
                kl: 1.0,
                ctc: 0.5,
                feature: 0.5,
                temperature: 1.0,
                kl_blank_weight: 1.0,
                kl_spike_frames: None,
                feature_layers: 1,
            },
        };
        DistillWeights {
            clip: self.clip.unwrap_or(preset.clip),
            mse: self.mse.unwrap_or(preset.mse),
            kl: self.kl.unwrap_or(preset.kl),
            ctc: self.ctc.unwrap_or(preset.ctc),
            feature: self.feature.unwrap_or(preset.feature),
            temperature: self.temperature.unwrap_or(preset.temperature),
            kl_blank_weight: self.kl_blank_weight.unwrap_or(preset.kl_blank_weight),
            kl_spike_frames: self.kl_spike_frames.or(preset.kl_spike_frames),
            feature_layers: self.feature_layers.unwrap_or(preset.feature_layers),
        }
    }
}
