//! What is remembered of weights between steps, and kept in checkpoints.

use burn::{
    optim::{AdamWState, AdaptiveMomentumState},
    prelude::*,
};
use shared_model::weights::{WeightTensor, Weights};

use super::NetworkOptimizer;

/// What is remembered of a weight between steps.
#[derive(Clone)]
pub(super) enum State {
    AdamW(Box<AdamWState<1>>),
    /// The momentum.
    Muon(Box<Tensor<1>>),
}

impl State {
    pub(super) fn len(&self) -> usize {
        let of = match self {
            Self::AdamW(state) => &state.momentum.moment_1,
            Self::Muon(momentum) => momentum,
        };
        of.dims()[0]
    }

    pub(super) fn adamw(self) -> Option<AdamWState<1>> {
        match self {
            Self::AdamW(state) => Some(*state),
            Self::Muon(_) => None,
        }
    }
}

impl NetworkOptimizer {
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
