#![allow(clippy::unwrap_used)]
use burn::{
    module::ParamId,
    nn::{Linear, LinearConfig},
    optim::Optimizer as _,
    prelude::*,
};

use super::{weight::Weight, *};
use crate::config::OptimRule;

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
    let optimizer = NetworkOptimizer::new(&config(), Operations::default());
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
    let mut optimizer = NetworkOptimizer::new(&config(), Operations::default());
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
        let mut optimizer = NetworkOptimizer::new(&config, Operations::default());
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
    let new = || NetworkOptimizer::new(&config, Operations::Fused);
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
    let mut optimizer = NetworkOptimizer::new(&config(), Operations::default());
    let mut layer = layer();
    for input in [[1.0, -2.0], [0.5, 3.0]] {
        let gradients = gradients(&layer, input);
        layer = optimizer.step(layer, gradients, rate(0.01, 1.0), 1);
    }
    let mut restored = NetworkOptimizer::new(&config(), Operations::default())
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
