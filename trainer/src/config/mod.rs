//! Recipes: TOML files that say everything about a run.
//!
//! Paths in a recipe file are relative to that file; paths given by `--set` are relative to the
//! current folder. Unknown keys are errors with a suggestion. Documentation comments of the types
//! here are what [`recipe_reference`] prints.

#![warn(missing_docs)]

mod compute;
mod data;
mod error;
mod load;
mod moved;
mod networks;
mod optim;
mod output;
mod overrides;
mod phase;
mod reference;
mod schema;
mod training;
mod validate;

pub use compute::ComputeConfig;
pub use data::{AugmentConfig, DataConfig, Paths, TokenConfig, TokenKind};
pub use error::RecipeError;
pub use networks::{
    BlockChoice, ChannelChoice, DistillConfig, DistillLossConfig, DistillWeights, Preset,
    StudentConfig, StudentInit, TeacherConfig, fits_into, frames_compare,
};
pub use optim::{OptimConfig, OptimRule, Schedule};
pub use output::{CheckpointConfig, ExportConfig, ValidationConfig};
pub use phase::Phase;
pub use reference::recipe_reference;
pub(crate) use schema::leads_to_path;
pub use training::{CtcConfig, TrainingConfig};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared_model::features::FeatureConfig;

/// Everything about a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Names the run; the run folder is `runs/NAME` where no other is given.
    pub name: String,
    /// Seeds data order, augmentation, initial weights and dropout.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Where speech comes from.
    pub data: DataConfig,
    /// Changes made to training audio and features.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// What networks hear.
    #[serde(default)]
    pub features: FeatureConfig,
    /// What transcripts are spelled with.
    #[serde(default)]
    pub tokens: TokenConfig,
    /// The large network.
    pub teacher: TeacherConfig,
    /// The small networks.
    #[serde(default, rename = "student")]
    pub students: Vec<StudentConfig>,
    /// How the teacher is trained.
    #[serde(default)]
    pub teach: TrainingConfig,
    /// Step 1: all students learn from the frozen teacher at once.
    #[serde(default)]
    pub distill: DistillConfig,
    /// Step 2, for every student that does not say otherwise.
    #[serde(default)]
    pub finetune: TrainingConfig,
    /// How training is computed.
    #[serde(default)]
    pub compute: ComputeConfig,
    /// Measurements on the development set.
    #[serde(default)]
    pub validation: ValidationConfig,
    /// What is kept to continue from.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// The model folders that a run ends with.
    #[serde(default)]
    pub export: ExportConfig,
}

fn default_seed() -> u64 {
    1234
}

#[cfg(test)]
mod tests;
