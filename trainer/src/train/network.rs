//! A network in training.

use burn::{
    module::{Module, Param},
    prelude::*,
    tensor::module,
};
use shared_model::{
    model::{CtcModel, ModelConfig, NormKind, Operations},
    weights::{Init, RandomInit, WeightError, WeightSource, WeightTensor, Weights},
};

use super::exit_head::{ExitHead, take_exit_heads};

/// The name of a projection among a network's saved weights, before its number.
const PROJECTION: &str = "projection";

/// A network and what it needs in training only.
#[derive(Module, Debug)]
pub(crate) struct TrainableNetwork {
    pub model: CtcModel,
    /// `[d_model, teacher's d_model]` each: take a student's features to the teacher's width for
    /// comparison, one for each block that is compared. They are trained with the student and are no
    /// part of it.
    pub projections: Vec<Param<Tensor<2>>>,
    /// Heads of exits that have one of their own.
    pub(super) exits: Vec<ExitHead>,
}

/// What a student's features are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ComparedFeatures {
    /// The teacher's `d_model`.
    pub width: usize,
    /// Blocks at which they are compared.
    pub layers: usize,
}

impl TrainableNetwork {
    /// - `device`: with autodiff.
    /// - `compared`: what its features are compared with, if they are; of another width they are
    ///   projected.
    pub fn new(
        config: &ModelConfig,
        weights: &Weights,
        compared: Option<ComparedFeatures>,
        seed: u64,
        device: &Device,
    ) -> Result<Self, WeightError> {
        let compared = compared.filter(|compared| compared.width != config.d_model);
        let mut projections = vec![];
        for number in 0..compared.map_or(0, |compared| compared.layers) {
            let shape = [
                config.d_model,
                compared.map_or(0, |compared| compared.width),
            ];
            let init = Init::FanIn(config.d_model);
            let values = RandomInit { seed }.take(&projection_name(number), &shape, init)?;
            projections.push(Self::parameter(values, shape, device));
        }
        Ok(Self {
            model: CtcModel::from_weights(config, weights, device)?,
            projections,
            exits: vec![],
        })
    }

    /// With a head for each exit at these depths, which begins as a copy of the network's own.
    pub fn with_exit_heads(
        mut self,
        depths: &[usize],
        device: &Device,
    ) -> Result<Self, WeightError> {
        let weights = self.model.weights();
        let copied = |&depth: &usize| ExitHead::copied(depth, &weights, device);
        self.exits = depths.iter().map(copied).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// The CTC head on the output of a block, counted from 1: `[batch, time', d_model]` to logits
    /// `[batch, time', vocab]`.
    pub fn logits_at(&self, depth: usize, hidden: Tensor<3>) -> Tensor<3> {
        match self.exits.iter().find(|exit| exit.depth == depth) {
            Some(exit) => exit.logits(hidden),
            None => self.model.head(hidden),
        }
    }

    /// See [`CtcModel::with_operations`].
    pub fn with_operations(mut self, operations: Operations) -> Self {
        self.model = self.model.with_operations(operations);
        self
    }

    fn parameter(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Param<Tensor<2>> {
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
    }

    /// What training is for, by name: the network, and heads of its exits.
    pub fn result(&self) -> Weights {
        let mut weights = self.model.weights();
        self.exits.iter().for_each(|exit| exit.add_to(&mut weights));
        weights
    }

    /// Everything that is trained, by name.
    pub fn weights(&self) -> Weights {
        let mut weights = self.result();
        for (number, projection) in self.projections.iter().enumerate() {
            let tensor = projection.val();
            let weight = WeightTensor {
                shape: tensor.dims().to_vec(),
                data: tensor.into_data().iter::<f32>().collect(),
            };
            weights.insert(projection_name(number), weight);
        }
        weights
    }

    /// The same network with saved [`Self::weights`].
    pub fn with_weights(self, mut weights: Weights, device: &Device) -> Result<Self, WeightError> {
        let mut projections = vec![];
        for (number, old) in self.projections.iter().enumerate() {
            let (name, shape) = (projection_name(number), old.val().dims());
            match weights.remove(&name) {
                Some(saved) if saved.shape == shape => {
                    projections.push(Self::parameter(saved.data, shape, device));
                }
                _ => return Err(WeightError::Missing { name }),
            }
        }
        let restored = |exit: &ExitHead| ExitHead::saved(exit.depth, &weights, device);
        let exits = self.exits.iter().map(restored);
        let exits = exits.collect::<Result<Vec<_>, _>>()?;
        take_exit_heads(&mut weights);
        let config = self.model.config().clone();
        let operations = self.model.operations();
        let model = CtcModel::from_weights(&config, &weights, device)?;
        Ok(Self {
            model: model.with_operations(operations),
            projections,
            exits,
        })
    }

    /// Whether the answer to an utterance depends on the others of its shard, so that a batch may not
    /// be split.
    pub fn needs_whole_batch(&self) -> bool {
        self.model.config().norm == NormKind::Batch
    }

    /// Student features in the teacher's width: `[batch, time, d_model]` to
    /// `[batch, time, teacher's d_model]`. `number`: among the blocks that are compared.
    pub fn project(&self, hidden: Tensor<3>, number: usize) -> Tensor<3> {
        match self.projections.get(number) {
            // As a linear map: its gradient is one product over all frames.
            Some(projection) => module::linear(hidden, projection.val(), None),
            None => hidden,
        }
    }
}

fn projection_name(number: usize) -> String {
    format!("{PROJECTION}.{number}")
}
