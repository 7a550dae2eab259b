//! A network in training.

use burn::{
    module::{Module, Param},
    prelude::*,
    tensor::module,
};
use shared_model::{
    model::{CpuOperations, CtcModel, ModelConfig, NormKind},
    weights::{Init, RandomInit, WeightError, WeightSource, WeightTensor, Weights},
};

/// The name of the projection among a network's saved weights.
const PROJECTION: &str = "projection";

/// A network and what it needs in training only.
#[derive(Module, Debug)]
pub(crate) struct TrainableNetwork {
    pub model: CtcModel,
    /// `[d_model, teacher's d_model]`: takes a student's features to the teacher's width for
    /// comparison. It is trained with the student and is no part of it.
    pub projection: Option<Param<Tensor<2>>>,
}

impl TrainableNetwork {
    /// - `device`: with autodiff.
    /// - `project_to`: width of the teacher, if features of another width are to be compared.
    pub fn new(
        config: &ModelConfig,
        weights: &Weights,
        project_to: Option<usize>,
        seed: u64,
        device: &Device,
    ) -> Result<Self, WeightError> {
        let projection = project_to
            .map(|width| {
                let shape = [config.d_model, width];
                let init = Init::FanIn(config.d_model);
                RandomInit { seed }
                    .take(PROJECTION, &shape, init)
                    .map(|values| Self::parameter(values, shape, device))
            })
            .transpose()?;
        Ok(Self {
            model: CtcModel::from_weights(config, weights, device)?,
            projection,
        })
    }

    /// See [`CtcModel::with_operations`].
    pub fn with_operations(mut self, operations: CpuOperations) -> Self {
        self.model = self.model.with_operations(operations);
        self
    }

    fn parameter(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Param<Tensor<2>> {
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
    }

    /// Everything that is trained, by name.
    pub fn weights(&self) -> Weights {
        let mut weights = self.model.weights();
        if let Some(projection) = &self.projection {
            let tensor = projection.val();
            let weight = WeightTensor {
                shape: tensor.dims().to_vec(),
                data: tensor.into_data().iter::<f32>().collect(),
            };
            weights.insert(PROJECTION.into(), weight);
        }
        weights
    }

    /// The same network with saved [`Self::weights`].
    pub fn with_weights(self, mut weights: Weights, device: &Device) -> Result<Self, WeightError> {
        let projection = match (self.projection, weights.remove(PROJECTION)) {
            (None, _) => None,
            (Some(old), Some(saved)) if saved.shape == old.val().dims() => {
                let shape = old.val().dims();
                Some(Self::parameter(saved.data, shape, device))
            }
            (Some(_), _) => {
                return Err(WeightError::Missing {
                    name: PROJECTION.into(),
                });
            }
        };
        let config = self.model.config().clone();
        let operations = self.model.operations();
        let model = CtcModel::from_weights(&config, &weights, device)?;
        Ok(Self {
            model: model.with_operations(operations),
            projection,
        })
    }

    /// Whether the answer to an utterance depends on the others of its shard, so that a batch may not
    /// be split.
    pub fn needs_whole_batch(&self) -> bool {
        self.model.config().norm == NormKind::Batch
    }

    /// Student features in the teacher's width: `[batch, time, d_model]` to
    /// `[batch, time, teacher's d_model]`.
    pub fn project(&self, hidden: Tensor<3>) -> Tensor<3> {
        match &self.projection {
            // As a linear map: its gradient is one product over all frames.
            Some(projection) => module::linear(hidden, projection.val(), None),
            None => hidden,
        }
    }
}
