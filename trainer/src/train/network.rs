//! A network in training.

use burn::{
    module::{Module, Param},
    prelude::*,
    tensor::module,
};
use shared_model::{
    model::{BatchStats, CpuOperations, CtcModel, ModelConfig},
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

/// Statistics of a batch that was seen in shards, as if it had been seen whole.
pub(super) fn merge_batch_stats(shards: Vec<Vec<BatchStats>>) -> Vec<BatchStats> {
    if shards.len() == 1 {
        return shards.into_iter().flatten().collect();
    }
    let mut merged: Vec<BatchStats> = vec![];
    for stats in shards.into_iter().flatten() {
        match merged.iter_mut().find(|other| other.name == stats.name) {
            None => merged.push(stats),
            Some(other) => {
                let frames = other.num_frames + stats.num_frames;
                let share = stats.num_frames as f64 / frames.max(1) as f64;
                let distance = stats.mean - other.mean.clone();
                other.variance = other.variance.clone() * (1.0 - share)
                    + stats.variance * share
                    + distance.clone().powi_scalar(2) * (share * (1.0 - share));
                other.mean = other.mean.clone() + distance * share;
                other.num_frames = frames;
            }
        }
    }
    merged
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn merged_statistics_are_those_of_all_frames() {
        let stats = |values: &[f32]| {
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            let variance =
                values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32;
            BatchStats {
                name: "norm".into(),
                mean: Tensor::from_data([mean], &Device::flex()),
                variance: Tensor::from_data([variance], &Device::flex()),
                num_frames: values.len(),
            }
        };
        let merged = merge_batch_stats(vec![
            vec![stats(&[1.0, 2.0, 6.0])],
            vec![stats(&[-4.0])],
            vec![stats(&[3.0, 5.0])],
        ]);
        let whole = stats(&[1.0, 2.0, 6.0, -4.0, 3.0, 5.0]);
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].num_frames, 6);
        let value = |tensor: &Tensor<1>| tensor.clone().into_scalar::<f32>();
        assert!((value(&merged[0].mean) - value(&whole.mean)).abs() < 1e-5);
        assert!((value(&merged[0].variance) - value(&whole.variance)).abs() < 1e-4);
    }
}
