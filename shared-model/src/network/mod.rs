//! What a network is before it has weights: its configuration, the lengths and products that
//! follow from it, and what a forward pass may do.

mod config;
mod cost;
mod lengths;
mod mode;

pub use config::{ModelConfig, NormKind, Normalization, Positions, SubsamplingPadding};
pub use cost::Product;
pub(crate) use lengths::conv_length;
pub use mode::{BatchStats, Mode, TrainContext};
