//! One weight's step.

use burn::{
    backend::DispatchDevice,
    module::ParamId,
    optim::{AdamWState, AdaptiveMomentumState, Optimizer as _},
    prelude::*,
};

use super::{Rules, StepRate, muon, state::State};
use crate::config::{OptimConfig, OptimRule};

/// Whether a tensor's numbers can be had without a device.
fn is_on_host(tensor: &Tensor<1>) -> bool {
    matches!(tensor.device().as_dispatch(), DispatchDevice::Flex(_))
}

/// Numbers of a tensor of `f32`, taken out of it where nobody else holds them.
fn numbers(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap_or_default()
}

/// A weight with what a step needs, all flat.
pub(super) struct Weight {
    pub(super) id: ParamId,
    pub(super) name: String,
    pub(super) value: Tensor<1>,
    pub(super) gradient: Tensor<1>,
    /// The weight's own shape.
    pub(super) shape: Vec<usize>,
    pub(super) state: Option<State>,
}

impl Weight {
    pub(super) fn step(mut self, rules: &Rules, rate: StepRate) -> (Tensor<1>, Option<State>) {
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
    pub(super) fn step_on_host(
        self,
        config: &OptimConfig,
        rate: StepRate,
    ) -> (Tensor<1>, Option<State>) {
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
