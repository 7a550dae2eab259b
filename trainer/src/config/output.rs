//! What a run measures, keeps and exports.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared_model::bundle::Precision;

/// Measurements on the development set. They choose the weights that a phase ends with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ValidationConfig {
    /// Epochs between measurements; the last one of a network is always followed by one.
    pub every_epochs: usize,
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self { every_epochs: 1 }
    }
}

/// What is kept to continue from. May change between two starts of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Optimiser steps between checkpoints (0: only at the ends of epochs).
    pub every_steps: usize,
    /// Checkpoints kept besides the best weights.
    pub keep_last: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            every_steps: 200,
            keep_last: 2,
        }
    }
}

/// The model folders that a run ends with, and what their cards say. May change between two starts
/// of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExportConfig {
    /// How weights are stored.
    pub precision: Precision,
    /// Licence of the weights.
    pub license: String,
    /// Lines for the card: data sets with licence and hours.
    pub data: Vec<String>,
    /// Lines for the card: what the model is not good for.
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
