//! AdamW over all weights of a network, or Muon over its matrices and AdamW over the rest, with a
//! state that can be saved under the weights' names.

use std::collections::{BTreeMap, HashMap};

use burn::{
    backend::DispatchDevice,
    module::{Module, ModuleMapper, Param, ParamId},
    optim::{
        AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, GradientsParams, Optimizer as _,
    },
    prelude::*,
};
use shared_model::{
    model::CpuOperations,
    weights::{NamedVisitor, WeightTensor, Weights, visit_named},
};

use super::muon;
use crate::{
    config::{OptimConfig, OptimRule},
    parallel::{Task, run_all},
};

/// Decoupled weight decay (Loshchilov and Hutter, 2019). The state of each weight is kept flat,
/// under the weight's name, so it fits any network of the same configuration.
pub(super) struct NetworkOptimizer {
    rules: Rules,
    states: BTreeMap<String, State>,
}

struct Rules {
    config: OptimConfig,
    /// AdamW as burn composes it, for devices that are not the host.
    adamw: AdamW,
    /// How the host multiplies matrices.
    operations: CpuOperations,
}

/// What is remembered of a weight between steps.
#[derive(Clone)]
enum State {
    AdamW(Box<AdamWState<1>>),
    /// The momentum.
    Muon(Box<Tensor<1>>),
}

impl State {
    fn len(&self) -> usize {
        let of = match self {
            Self::AdamW(state) => &state.momentum.moment_1,
            Self::Muon(momentum) => momentum,
        };
        of.dims()[0]
    }

    fn adamw(self) -> Option<AdamWState<1>> {
        match self {
            Self::AdamW(state) => Some(*state),
            Self::Muon(_) => None,
        }
    }
}

impl NetworkOptimizer {
    pub fn new(config: &OptimConfig, operations: CpuOperations) -> Self {
        Self {
            rules: Rules {
                config: config.clone(),
                adamw: AdamWConfig::new()
                    .with_beta_1(config.beta1)
                    .with_beta_2(config.beta2)
                    .with_epsilon(config.epsilon)
                    .with_weight_decay(config.weight_decay)
                    .build(),
                operations,
            },
            states: BTreeMap::new(),
        }
    }

    /// One step along `gradients` times `scale`, by at most `threads` threads; weights without a
    /// gradient stay.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: GradientsParams,
        rate: StepRate,
        threads: usize,
    ) -> M {
        let mut collector = Collector {
            states: &mut self.states,
            gradients,
            weights: vec![],
        };
        visit_named(&module, &mut collector);
        let rules = &self.rules;
        let tasks = collector.weights.into_iter().map(|weight| {
            let task = move || (weight.id, weight.name.clone(), weight.step(rules, rate));
            Box::new(task) as Task<'_, _>
        });
        let mut stepped = HashMap::new();
        for (id, name, (tensor, state)) in run_all(threads, tasks.collect()) {
            stepped.insert(id, tensor);
            if let Some(state) = state {
                self.states.insert(name, state);
            }
        }
        module.map(&mut Replacer { stepped })
    }

    /// Moments and step counts by name: `m/NAME`, `v/NAME`, `time/NAME` of AdamW, `muon/NAME` of Muon.
    pub fn state(&self) -> Weights {
        let flat = |data: Vec<f32>| WeightTensor {
            shape: vec![data.len()],
            data,
        };
        let read = |tensor: &Tensor<1>| flat(tensor.to_data().iter::<f32>().collect());
        let mut state = Weights::new();
        for (name, of_weight) in &self.states {
            let momentum = match of_weight {
                State::AdamW(state) => &state.momentum,
                State::Muon(momentum) => {
                    state.insert(format!("muon/{name}"), read(momentum));
                    continue;
                }
            };
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
            let state = State::AdamW(Box::new(AdamWState { momentum }));
            self.states.insert(name.into(), state);
        }
        for name in state.keys().filter_map(|key| key.strip_prefix("muon/")) {
            let momentum = read(format!("muon/{name}"))?;
            self.states
                .insert(name.into(), State::Muon(Box::new(momentum)));
        }
        Some(self)
    }
}

/// Whether a tensor's numbers can be had without a device.
fn is_on_host(tensor: &Tensor<1>) -> bool {
    matches!(tensor.device().as_dispatch(), DispatchDevice::Flex(_))
}

/// Numbers of a tensor of `f32`, taken out of it where nobody else holds them.
fn numbers(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap_or_default()
}

/// Length of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepRate {
    pub learning_rate: f64,
    /// Factor of the gradients.
    pub scale: f64,
    /// Greatest size of a gradient's values (0: any); they are clipped before they are scaled.
    pub clip_value: f64,
}

/// A weight with what a step needs, all flat.
struct Weight {
    id: ParamId,
    name: String,
    value: Tensor<1>,
    gradient: Tensor<1>,
    /// The weight's own shape.
    shape: Vec<usize>,
    state: Option<State>,
}

impl Weight {
    fn step(mut self, rules: &Rules, rate: StepRate) -> (Tensor<1>, Option<State>) {
        if rate.clip_value > 0.0 {
            self.gradient = self.gradient.clamp(-rate.clip_value, rate.clip_value);
        }
        if rules.config.rule == OptimRule::Muon && muon::is_for(&self.name, &self.shape) {
            return self.step_orthogonally(rules, rate);
        }
        if is_on_host(&self.value) {
            return self.step_on_host(&rules.config, rate);
        }
        let mut gradient = self.gradient;
        if rate.scale != 1.0 {
            gradient = gradient * rate.scale;
        }
        let state = self.state.and_then(State::adamw);
        let (value, state) = rules
            .adamw
            .step(rate.learning_rate, self.value, gradient, state);
        (value, state.map(|state| State::AdamW(Box::new(state))))
    }

    fn step_orthogonally(self, rules: &Rules, rate: StepRate) -> (Tensor<1>, Option<State>) {
        let weight_decay = rules.config.weight_decay;
        let (rows, len) = (self.shape[0], self.value.dims()[0]);
        if is_on_host(&self.value) {
            let device = self.value.device();
            let mut momentum = match self.state {
                Some(State::Muon(momentum)) => numbers(*momentum),
                _ => vec![0.0; len],
            };
            let (mut weights, gradient) = (numbers(self.value), numbers(self.gradient));
            muon::step_on_host(
                &mut weights,
                &gradient,
                &mut momentum,
                [rows, len / rows],
                rate,
                weight_decay,
                rules.operations,
            );
            let tensor = |numbers| Tensor::from_data(TensorData::new(numbers, [len]), &device);
            let state = State::Muon(Box::new(tensor(momentum)));
            return (tensor(weights), Some(state));
        }
        let matrix = |flat: Tensor<1>| flat.reshape([rows, len / rows]);
        let momentum = match self.state {
            Some(State::Muon(momentum)) => Some(matrix(*momentum)),
            _ => None,
        };
        let (value, gradient) = (matrix(self.value), matrix(self.gradient));
        let (value, momentum) = muon::step(value, gradient, momentum, rate, weight_decay);
        let momentum = State::Muon(Box::new(momentum.reshape([len])));
        (value.reshape([len]), Some(momentum))
    }

    /// AdamW in one pass over memory.
    fn step_on_host(self, config: &OptimConfig, rate: StepRate) -> (Tensor<1>, Option<State>) {
        let OptimConfig {
            beta1,
            beta2,
            epsilon,
            weight_decay,
            ..
        } = *config;
        let device = self.value.device();
        let len = self.value.dims()[0];
        let state = self.state.and_then(State::adamw);
        let (mut moment_1, mut moment_2, time) = match state.map(|state| state.momentum) {
            Some(old) => (numbers(old.moment_1), numbers(old.moment_2), old.time + 1),
            None => (vec![0.0; len], vec![0.0; len], 1),
        };
        let unbiased = |beta: f32| (1.0 / (1.0 - f64::from(beta).powi(time as i32))) as f32;
        let (unbiased1, unbiased2) = (unbiased(beta1), unbiased(beta2));
        let kept = (1.0 - rate.learning_rate * f64::from(weight_decay)) as f32;
        let (rate, scale) = (rate.learning_rate as f32, rate.scale as f32);
        let (mut weights, gradient) = (numbers(self.value), numbers(self.gradient));
        let moments = moment_1.iter_mut().zip(&mut moment_2);
        for ((weight, gradient), (m, v)) in weights.iter_mut().zip(&gradient).zip(moments) {
            let gradient = gradient * scale;
            *m = beta1 * *m + (1.0 - beta1) * gradient;
            *v = beta2 * *v + (1.0 - beta2) * gradient * gradient;
            let step = *m * unbiased1 / ((*v * unbiased2).sqrt() + epsilon);
            *weight = *weight * kept - rate * step;
        }
        let tensor = |numbers| Tensor::from_data(TensorData::new(numbers, [len]), &device);
        let momentum = AdaptiveMomentumState {
            time,
            moment_1: tensor(moment_1),
            moment_2: tensor(moment_2),
            max_moment_2: None,
        };
        let state = State::AdamW(Box::new(AdamWState { momentum }));
        (tensor(weights), Some(state))
    }
}

/// Takes the weights that have a gradient, with their gradients and states.
struct Collector<'a> {
    states: &'a mut BTreeMap<String, State>,
    gradients: GradientsParams,
    weights: Vec<Weight>,
}

impl NamedVisitor for Collector<'_> {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else {
            return;
        };
        let value = param.val().inner();
        let len = value.dims().iter().product::<usize>();
        // A saved state of another shape cannot belong to this weight.
        let state = self.states.remove(name).filter(|state| state.len() == len);
        self.weights.push(Weight {
            id: param.id,
            name: name.to_owned(),
            shape: value.dims().to_vec(),
            value: value.reshape([len]),
            gradient: gradient.reshape([len]),
            state,
        });
    }
}

/// Puts new values, flat, in the place of the old ones.
struct Replacer {
    stepped: HashMap<ParamId, Tensor<1>>,
}

impl ModuleMapper for Replacer {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(value) = self.stepped.remove(&param.id) else {
            return param;
        };
        let (id, old, mapper) = param.consume();
        // A fresh tensor would no longer ask for its gradient.
        let value = Tensor::from_inner(value.reshape(old.dims())).require_grad();
        Param::from_mapped_value(id, value, mapper)
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

    #[test]
    fn one_pass_over_memory_follows_the_composed_rule() {
        let optimizer = NetworkOptimizer::new(&config(), CpuOperations::default());
        let rate = rate(0.01, 0.5);
        let device = Device::flex();
        let tensor = |values: [f32; 3]| Tensor::<1>::from_data(values, &device);
        let mut host = (tensor([0.5, -0.25, 1.0]), None);
        let mut composed = (host.0.clone(), None);
        for gradient in [[1.0, -2.0, 0.0], [0.5, 3.0, 1e-4]] {
            let gradient = tensor(gradient);
            let weight = Weight {
                id: ParamId::new(),
                name: String::new(),
                value: host.0,
                gradient: gradient.clone(),
                shape: vec![3],
                state: host.1,
            };
            host = weight.step_on_host(&optimizer.rules.config, rate);
            let rule = &optimizer.rules.adamw;
            composed = rule.step(0.01, composed.0, gradient * 0.5, composed.1);
        }
        let worst = (host.0 - composed.0).abs().max().into_scalar::<f32>();
        assert!(worst < 1e-6, "{worst}");
    }

    fn rate(learning_rate: f64, scale: f64) -> StepRate {
        StepRate {
            learning_rate,
            scale,
            clip_value: 0.0,
        }
    }

    fn values(layer: &Linear) -> Vec<f32> {
        layer.weight.val().into_data().iter().collect()
    }

    #[test]
    fn steps_follow_the_rule_computed_by_hand() {
        let mut optimizer = NetworkOptimizer::new(&config(), CpuOperations::default());
        let mut layer = layer();
        let mut weight = [0.5f64, -0.25];
        let (mut m, mut v) = ([0.0f64; 2], [0.0f64; 2]);
        for (t, input) in [[1.0f32, -2.0], [0.5, 3.0], [-1.0, 0.25]]
            .into_iter()
            .enumerate()
        {
            let gradients = gradients(&layer, input);
            layer = optimizer.step(layer, gradients, rate(0.01, 0.5), 2);
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
    fn gradients_clipped_by_value_keep_their_signs_and_small_values() {
        let step = |input: [f32; 2], clip_value| {
            let config = OptimConfig {
                // Steps as long as their gradients.
                beta1: 0.0,
                beta2: 0.0,
                epsilon: 1e9,
                weight_decay: 0.0,
                ..config()
            };
            let mut optimizer = NetworkOptimizer::new(&config, CpuOperations::default());
            let layer = layer();
            let gradients = gradients(&layer, input);
            let rate = StepRate {
                clip_value,
                ..rate(1e9, 1.0)
            };
            let stepped = values(&optimizer.step(layer.clone(), gradients, rate, 1));
            [0, 1].map(|at| values(&layer)[at] - stepped[at])
        };
        let close = |got: [f32; 2], want: [f32; 2]| {
            let close = got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-4);
            assert!(close, "{got:?} instead of {want:?}");
        };
        close(step([0.5, -3.0], 1.0), [0.5, -1.0]);
        close(step([0.5, -3.0], 0.0), [0.5, -3.0]);
    }

    #[test]
    fn muon_steps_matrices_and_is_saved_with_the_rest() {
        let device = Device::flex().autodiff();
        let config = OptimConfig {
            rule: OptimRule::Muon,
            ..config()
        };
        let new = || NetworkOptimizer::new(&config, CpuOperations::Fused);
        let gradients = |layer: &Linear, scale: f32| {
            let x = Tensor::<2>::full([1, 40], scale, &device);
            GradientsParams::from_grads(layer.forward(x).powi_scalar(2).sum().backward(), layer)
        };
        let layer = LinearConfig::new(40, 33).init(&device);
        let mut optimizer = new();
        let step = gradients(&layer, 1.0);
        let layer = optimizer.step(layer, step, rate(0.01, 1.0), 1);
        let state = optimizer.state();
        let names: Vec<&str> = state.keys().map(String::as_str).collect();
        assert_eq!(names, ["m/bias", "muon/weight", "time/bias", "v/bias"]);
        let mut restored = new().with_state(&state, &Device::flex()).unwrap();
        let (step, again) = (gradients(&layer, 0.5), gradients(&layer, 0.5));
        let straight = optimizer.step(layer.clone(), step, rate(0.01, 1.0), 1);
        let resumed = restored.step(layer, again, rate(0.01, 1.0), 2);
        assert_eq!(values(&straight), values(&resumed));
        assert_eq!(optimizer.state(), restored.state());
    }

    #[test]
    fn a_saved_state_continues_bit_for_bit_and_weights_keep_their_gradients() {
        let mut optimizer = NetworkOptimizer::new(&config(), CpuOperations::default());
        let mut layer = layer();
        for input in [[1.0, -2.0], [0.5, 3.0]] {
            let gradients = gradients(&layer, input);
            layer = optimizer.step(layer, gradients, rate(0.01, 1.0), 1);
        }
        let mut restored = NetworkOptimizer::new(&config(), CpuOperations::default())
            .with_state(&optimizer.state(), &Device::flex())
            .unwrap();
        let other = layer.clone();
        let input = [0.75, -0.5];
        let step = gradients(&layer, input);
        assert_eq!(step.len(), 1);
        let straight = optimizer.step(layer, step, rate(0.02, 1.0), 1);
        let step = gradients(&other, input);
        let resumed = restored.step(other, step, rate(0.02, 1.0), 2);
        assert_eq!(values(&straight), values(&resumed));
        assert_eq!(optimizer.state(), restored.state());
    }
}
