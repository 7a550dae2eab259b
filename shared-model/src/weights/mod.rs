//! Named weights: what a network is built from and what it is saved as.
//!
//! Layout: the **last** axis of every weight with two axes is the output channel. Linear layers
//! are `[d_in, d_out]`; convolutions over time are matrix multiplications of a window of frames,
//! `[kernel * d_in, d_out]` with the kernel's taps outermost; depthwise kernels are
//! `[kernel, channels]`.

pub(crate) mod safetensors_file;
mod visit;

pub use safetensors_file::{SafetensorsError, read_safetensors, write_safetensors};
pub use visit::{NamedVisitor, visit_named};

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::kernels::int8::Int8Matrix;

/// One weight: row-major f32 values and their shape.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightTensor {
    /// The last axis is the output channel; see the [module](self).
    pub shape: Vec<usize>,
    /// As many values as the shape says.
    pub data: Vec<f32>,
}

/// All weights of a model by name (`encoder.blocks.0.ffn1.up.weight`).
pub type Weights = BTreeMap<String, WeightTensor>;

/// Weights that came as int8, by name, beside their values in [`Weights`]. A list: a map of its own
/// type would add to the browser's download.
#[derive(Debug, Clone, Default)]
pub struct Int8Weights(Vec<(String, Arc<Int8Matrix>)>);

impl Int8Weights {
    pub(crate) fn push(&mut self, name: &str, matrix: Int8Matrix) {
        self.0.push((name.to_owned(), Arc::new(matrix)));
    }

    /// The integers of the weight called `name`, if it came as such.
    pub fn get(&self, name: &str) -> Option<&Arc<Int8Matrix>> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, matrix)| matrix)
    }
}

/// Why weights make no network.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum WeightError {
    /// A weight that the architecture has is not there.
    #[error("weight \"{name}\" is missing")]
    Missing {
        /// Of the weight.
        name: String,
    },
    /// A weight has another shape than the architecture.
    #[error("weight \"{name}\" has shape {found:?}, the configuration needs {expected:?}")]
    Shape {
        /// Of the weight.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The architecture's.
        expected: Vec<usize>,
    },
    /// A weight holds NaN or an infinity.
    #[error("weight \"{name}\" holds a value that is not finite")]
    NotFinite {
        /// Of the weight.
        name: String,
    },
    /// A variance or a deviation is below zero.
    #[error("weight \"{name}\" holds {value}, but a variance or a deviation is never negative")]
    Negative {
        /// Of the weight.
        name: String,
        /// The first such value.
        value: f32,
    },
    /// A weight that the architecture does not have.
    #[error("weight \"{name}\" is not part of this architecture")]
    Unknown {
        /// Of the weight.
        name: String,
    },
    /// What is wrong with a configuration.
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
        /// Inputs of an output.
        fan_in: usize,
        /// Outputs of an input.
        fan_out: usize,
    },
    /// The same value everywhere.
    Constant(f32),
}

/// Where a network's constructor takes its weights from.
pub trait WeightSource {
    /// The weight called `name`, checked to have `shape`, row-major.
    ///
    /// # Errors
    /// If the source has no such weight, or not with this shape.
    fn take(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>, WeightError>;

    /// The integers that `name` came as, if it did.
    fn int8(&self, _name: &str) -> Option<Arc<Int8Matrix>> {
        None
    }
}

/// Fresh weights, the same for the same seed on every machine; each weight's stream depends on the
/// seed and its name only, so adding a layer does not change the others.
pub struct RandomInit {
    /// The same seed gives the same weights.
    pub seed: u64,
}

impl WeightSource for RandomInit {
    fn take(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>, WeightError> {
        let len = shape.iter().product();
        let bound = match init {
            Init::Constant(value) => return Ok(vec![value; len]),
            Init::FanIn(fan_in) => 1.0 / (fan_in as f64).sqrt(),
            Init::Xavier { fan_in, fan_out } => (6.0 / (fan_in + fan_out) as f64).sqrt(),
        } as f32;
        // The multiplication keeps seed 1 of one name from meeting seed 2 of another.
        let seed = self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ name_hash(name);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Ok((0..len)
            .map(|_| {
                let unit = (rng.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
                (2.0 * unit - 1.0) * bound
            })
            .collect())
    }
}

/// FNV-1a of a weight's name.
pub(crate) fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// Takes weights from a map and remembers which, so that leftovers are found.
pub(crate) struct NamedWeights<'a> {
    weights: &'a Weights,
    int8: &'a Int8Weights,
    taken: BTreeSet<&'a str>,
}

impl<'a> NamedWeights<'a> {
    /// `int8`: those that came as integers.
    pub(crate) fn new(weights: &'a Weights, int8: &'a Int8Weights) -> Self {
        Self {
            weights,
            int8,
            taken: BTreeSet::new(),
        }
    }

    /// An error if some weight was never asked for.
    pub(crate) fn finish(self) -> Result<(), WeightError> {
        match self
            .weights
            .keys()
            .find(|name| !self.taken.contains(name.as_str()))
        {
            Some(name) => Err(WeightError::Unknown { name: name.clone() }),
            None => Ok(()),
        }
    }
}

impl WeightSource for NamedWeights<'_> {
    fn take(&mut self, name: &str, shape: &[usize], _init: Init) -> Result<Vec<f32>, WeightError> {
        let Some((key, weight)) = self.weights.get_key_value(name) else {
            return Err(WeightError::Missing { name: name.into() });
        };
        // The data's length is checked too: a map filled by hand may disagree with its own shape.
        if weight.shape != shape || weight.data.len() != shape.iter().product::<usize>() {
            return Err(WeightError::Shape {
                name: name.into(),
                found: weight.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        if !weight.data.iter().all(|value| value.is_finite()) {
            return Err(WeightError::NotFinite { name: name.into() });
        }
        self.taken.insert(key);
        Ok(weight.data.clone())
    }

    fn int8(&self, name: &str) -> Option<Arc<Int8Matrix>> {
        self.int8.get(name).cloned()
    }
}

/// What block `n`'s weights are called is `BLOCK_PREFIX` + `n.`...
pub(crate) const BLOCK_PREFIX: &str = "encoder.blocks.";

/// The weights of a network whose block `i` is block `blocks[i]` of `weights`; everything outside
/// the blocks is kept.
///
/// Cuts a smaller student from a larger one (the last n blocks: `&[4, 5]` of six), or starts a
/// student from some of its teacher's blocks.
///
/// # Errors
/// [`WeightError::Missing`] for a block that `weights` does not have.
pub fn select_blocks(weights: &Weights, blocks: &[usize]) -> Result<Weights, WeightError> {
    let mut selected: Weights = weights
        .iter()
        .filter(|(name, _)| !name.starts_with(BLOCK_PREFIX))
        .map(|(name, weight)| (name.clone(), weight.clone()))
        .collect();
    for (target, source) in blocks.iter().enumerate() {
        let prefix = format!("{BLOCK_PREFIX}{source}.");
        let len = selected.len();
        for (name, weight) in weights.range(prefix.clone()..) {
            let Some(rest) = name.strip_prefix(&prefix) else {
                break;
            };
            selected.insert(format!("{BLOCK_PREFIX}{target}.{rest}"), weight.clone());
        }
        if selected.len() == len {
            return Err(WeightError::Missing {
                name: format!("{prefix}*"),
            });
        }
    }
    Ok(selected)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn weight(values: &[f32]) -> WeightTensor {
        WeightTensor {
            shape: vec![values.len()],
            data: values.to_vec(),
        }
    }

    #[test]
    fn random_weights_depend_on_seed_and_name_only() {
        let take = |seed, name| {
            RandomInit { seed }
                .take(name, &[4, 5], Init::FanIn(4))
                .unwrap()
        };
        assert_eq!(take(1, "a.weight"), take(1, "a.weight"));
        assert_ne!(take(1, "a.weight"), take(1, "b.weight"));
        assert_ne!(take(1, "a.weight"), take(2, "a.weight"));
    }

    #[test]
    fn random_weights_fill_their_interval_evenly() {
        let values = RandomInit { seed: 3 }
            .take(
                "w",
                &[100, 100],
                Init::Xavier {
                    fan_in: 25,
                    fan_out: 71,
                },
            )
            .unwrap();
        let bound = 0.25f32;
        assert!(values.iter().all(|v| v.abs() <= bound));
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        // A uniform distribution's variance is bound^2 / 3; the standard error of its mean here
        // is 0.0014.
        assert!(mean.abs() < 0.006, "{mean}");
        assert!(
            (variance / (bound * bound / 3.0) - 1.0).abs() < 0.05,
            "{variance}"
        );
    }

    #[test]
    fn named_weights_are_checked() {
        let mut weights = Weights::from([("a".into(), weight(&[1.0, 2.0]))]);
        let int8 = Int8Weights::default();
        let mut source = NamedWeights::new(&weights, &int8);
        let init = Init::Constant(0.0);
        assert_eq!(source.take("a", &[2], init), Ok(vec![1.0, 2.0]));
        assert!(matches!(
            source.take("a", &[1, 2], init),
            Err(WeightError::Shape { .. })
        ));
        assert!(matches!(
            source.take("b", &[2], init),
            Err(WeightError::Missing { .. })
        ));
        assert_eq!(source.finish(), Ok(()));
        assert!(matches!(
            NamedWeights::new(&weights, &int8).finish(),
            Err(WeightError::Unknown { .. })
        ));
        weights.insert("a".into(), weight(&[1.0, f32::NAN]));
        assert!(matches!(
            NamedWeights::new(&weights, &int8).take("a", &[2], init),
            Err(WeightError::NotFinite { .. })
        ));
        weights.insert(
            "a".into(),
            WeightTensor {
                shape: vec![2],
                data: vec![1.0],
            },
        );
        assert!(matches!(
            NamedWeights::new(&weights, &int8).take("a", &[2], init),
            Err(WeightError::Shape { .. })
        ));
    }

    #[test]
    fn blocks_are_selected_and_renumbered() {
        let weights = Weights::from([
            ("head.weight".into(), weight(&[9.0])),
            ("encoder.blocks.1.ffn1.up.weight".into(), weight(&[1.0])),
            ("encoder.blocks.2.ffn1.up.weight".into(), weight(&[2.0])),
            // A prefix without its dot would take this one for block 1.
            ("encoder.blocks.10.ffn1.up.weight".into(), weight(&[10.0])),
        ]);
        let selected = select_blocks(&weights, &[10, 1]).unwrap();
        assert_eq!(
            selected,
            Weights::from([
                ("head.weight".into(), weight(&[9.0])),
                ("encoder.blocks.0.ffn1.up.weight".into(), weight(&[10.0])),
                ("encoder.blocks.1.ffn1.up.weight".into(), weight(&[1.0])),
            ])
        );
        assert!(matches!(
            select_blocks(&weights, &[3]),
            Err(WeightError::Missing { .. })
        ));
    }
}
