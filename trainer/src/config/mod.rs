//! Recipes: TOML files that say everything about a run.
//!
//! Paths in a recipe file are relative to that file; paths given by `--set` are relative to the
//! current folder. Unknown keys are errors with a suggestion.

mod data;
mod error;
mod load;
mod networks;
mod optim;
mod overrides;
mod phase;
mod schema;
mod validate;

pub use data::{AugmentConfig, DataConfig, Paths, TokenConfig, TokenKind};
pub use error::RecipeError;
pub use networks::{
    DistillConfig, DistillWeights, Preset, StudentConfig, StudentInit, TeacherConfig,
};
pub use optim::{CheckpointConfig, ExportConfig, OptimConfig, OptimRule, Schedule};
pub use phase::Phase;

use serde::{Deserialize, Serialize};
use shared_model::features::FeatureConfig;

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

#[cfg(test)]
mod tests;
