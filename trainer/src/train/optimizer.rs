//! AdamW over all weights of a network, with a state that can be saved under the weights' names.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleMapper, Param},
    optim::{
        AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, GradientsParams, Optimizer as _,
    },
    prelude::*,
};
use shared_model::weights::{WeightTensor, Weights};

use crate::config::OptimConfig;

/// Decoupled weight decay (Loshchilov and Hutter, 2019). The state of each weight is kept flat,
/// under the weight's name, so it fits any network of the same configuration.
pub(super) struct NetworkOptimizer {
    rule: AdamW,
    states: BTreeMap<String, AdamWState<1>>,
}

impl NetworkOptimizer {
    pub fn new(config: &OptimConfig) -> Self {
        Self {
            rule: AdamWConfig::new()
                .with_beta_1(config.beta1)
                .with_beta_2(config.beta2)
                .with_epsilon(config.epsilon)
                .with_weight_decay(config.weight_decay)
                .build(),
            states: BTreeMap::new(),
        }
    }

    /// One step along `gradients` times `scale`; weights without a gradient stay.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
        learning_rate: f64,
        scale: f64,
    ) -> M {
        module.map(&mut Stepper {
            path: vec![],
            optimizer: self,
            gradients,
            learning_rate,
            scale,
        })
    }

    /// Moments and step counts by name: `m/NAME`, `v/NAME`, `time/NAME`.
    pub fn state(&self) -> Weights {
        let flat = |data: Vec<f32>| WeightTensor {
            shape: vec![data.len()],
            data,
        };
        let read = |tensor: &Tensor<1>| flat(tensor.to_data().iter::<f32>().collect());
        let mut state = Weights::new();
        for (name, AdamWState { momentum }) in &self.states {
            state.insert(format!("m/{name}"), read(&momentum.moment_1));
            state.insert(format!("v/{name}"), read(&momentum.moment_2));
            // Exact up to 16 million steps.
            state.insert(format!("time/{name}"), flat(vec![momentum.time as f32]));
        }
        state
    }

    /// Takes a saved state over; `None` if it is not whole.
    pub fn with_state(mut self, state: &Weights, device: &Device) -> Option<Self> {
        let read = |key: String| {
            let data = state.get(&key)?.data.clone();
            let len = data.len();
            Some(Tensor::<1>::from_data(TensorData::new(data, [len]), device))
        };
        for name in state.keys().filter_map(|key| key.strip_prefix("m/")) {
            let time = *state.get(&format!("time/{name}"))?.data.first()? as usize;
            let moment_1 = read(format!("m/{name}"))?;
            let moment_2 = read(format!("v/{name}"))?;
            if moment_1.dims() != moment_2.dims() {
                return None;
            }
            let momentum = AdaptiveMomentumState {
                time,
                moment_1,
                moment_2,
                max_moment_2: None,
            };
            self.states.insert(name.into(), AdamWState { momentum });
        }
        Some(self)
    }
}

struct Stepper<'a> {
    path: Vec<String>,
    optimizer: &'a mut NetworkOptimizer,
    gradients: GradientsParams,
    learning_rate: f64,
    scale: f64,
}

impl ModuleMapper for Stepper<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else {
            return param;
        };
        let (id, tensor, mapper) = param.consume();
        let shape = tensor.dims();
        let len = shape.iter().product::<usize>();
        let name = self.path.join(".");
        let mut gradient = gradient.reshape([len]);
        if self.scale != 1.0 {
            gradient = gradient * self.scale;
        }
        // A saved state of another shape cannot belong to this weight.
        let state = self
            .optimizer
            .states
            .remove(&name)
            .filter(|state| state.momentum.moment_1.dims() == [len]);
        let (tensor, state) = self.optimizer.rule.step(
            self.learning_rate,
            tensor.inner().reshape([len]),
            gradient,
            state,
        );
        if let Some(state) = state {
            self.optimizer.states.insert(name, state);
        }
        // A fresh tensor would no longer ask for its gradient.
        let tensor = Tensor::from_inner(tensor.reshape(shape)).require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::nn::{Linear, LinearConfig};

    use super::*;

    fn config() -> OptimConfig {
        OptimConfig {
            weight_decay: 0.1,
            ..OptimConfig::default()
        }
    }

    fn layer() -> Linear {
        let device = Device::flex().autodiff();
        let mut layer = LinearConfig::new(2, 1).with_bias(false).init(&device);
        layer.weight = layer
            .weight
            .map(|_| Tensor::<2>::from_data([[0.5f32], [-0.25]], &device).require_grad());
        layer
    }

    fn gradients(layer: &Linear, input: [f32; 2]) -> GradientsParams {
        let x = Tensor::<2>::from_data([input], &layer.weight.val().device());
        GradientsParams::from_grads(layer.forward(x).sum().backward(), layer)
    }

    fn values(layer: &Linear) -> Vec<f32> {
        layer.weight.val().into_data().iter().collect()
    }

    #[test]
    fn steps_follow_the_rule_computed_by_hand() {
        let mut optimizer = NetworkOptimizer::new(&config());
        let mut layer = layer();
        let mut weight = [0.5f64, -0.25];
        let (mut m, mut v) = ([0.0f64; 2], [0.0f64; 2]);
        for (t, input) in [[1.0f32, -2.0], [0.5, 3.0], [-1.0, 0.25]]
            .into_iter()
            .enumerate()
        {
            let gradients = gradients(&layer, input);
            layer = optimizer.step(layer, gradients, 0.01, 0.5);
            for i in 0..2 {
                let g = f64::from(input[i]) * 0.5;
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.98 * v[i] + 0.02 * g * g;
                let m_hat = m[i] / (1.0 - 0.9f64.powi(t as i32 + 1));
                let v_hat = v[i] / (1.0 - 0.98f64.powi(t as i32 + 1));
                weight[i] = weight[i] * (1.0 - 0.01 * 0.1) - 0.01 * m_hat / (v_hat.sqrt() + 1e-9);
            }
        }
        for (got, want) in values(&layer).iter().zip(weight) {
            assert!((f64::from(*got) - want).abs() < 1e-6, "{got} {want}");
        }
    }

    #[test]
    fn a_saved_state_continues_bit_for_bit_and_weights_keep_their_gradients() {
        let mut optimizer = NetworkOptimizer::new(&config());
        let mut layer = layer();
        for input in [[1.0, -2.0], [0.5, 3.0]] {
            let gradients = gradients(&layer, input);
            layer = optimizer.step(layer, gradients, 0.01, 1.0);
        }
        let mut restored = NetworkOptimizer::new(&config())
            .with_state(&optimizer.state(), &Device::flex())
            .unwrap();
        let other = layer.clone();
        let input = [0.75, -0.5];
        let step = gradients(&layer, input);
        assert_eq!(step.len(), 1);
        let straight = optimizer.step(layer, step, 0.02, 1.0);
        let step = gradients(&other, input);
        let resumed = restored.step(other, step, 0.02, 1.0);
        assert_eq!(values(&straight), values(&resumed));
        assert_eq!(optimizer.state(), restored.state());
    }
}
