//! Named weights: what a network is built from and what it is saved as.

use std::collections::BTreeMap;

/// One weight: row-major f32 values and their shape.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightTensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

/// All weights of a model by name (`encoder.blocks.0.ffn1.up.weight`).
pub type Weights = BTreeMap<String, WeightTensor>;

#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum WeightError {
    #[error("weight \"{name}\" is missing")]
    Missing { name: String },
    #[error("weight \"{name}\" has shape {found:?}, the configuration needs {expected:?}")]
    Shape {
        name: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    #[error("weight \"{name}\" holds a value that is not finite")]
    NotFinite { name: String },
    #[error("weight \"{name}\" is not part of this architecture")]
    Unknown { name: String },
    #[error("{0}")]
    Config(String),
}

/// How a weight starts when it is not loaded (PyTorch's defaults, method of the paper's code).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Uniform in `±1/sqrt(fan_in)`.
    FanIn(usize),
    /// Xavier-uniform: `±sqrt(6 / (fan_in + fan_out))`.
    Xavier {
        fan_in: usize,
        fan_out: usize,
    },
    Constant(f32),
}

/// Where a network's constructor takes its weights from.
pub trait WeightSource {
    /// The weight called `name`, checked to have `shape`.
    fn take(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>, WeightError>;
}

/// Fresh weights, the same for the same seed on every machine; each weight's stream depends on the
/// seed and its name only, so adding a layer does not change the others.
pub struct RandomInit {
    pub seed: u64,
}
