//! AdamW over all weights of a network, or Muon over its matrices and AdamW over the rest, with a
//! state that can be saved under the weights' names.

mod module;
mod muon;
mod rate;
mod state;
#[cfg(test)]
mod tests;
mod weight;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use burn::{
    module::Module,
    optim::{AdamW, AdamWConfig, GradientsParams},
};
use shared_model::{model::Operations, weights::visit_named};

use module::{Collector, Replacer};
pub(super) use rate::StepRate;
use state::State;

use crate::{
    config::OptimConfig,
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
    operations: Operations,
}

impl NetworkOptimizer {
    pub fn new(config: &OptimConfig, operations: Operations) -> Self {
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

    /// Forgets the state of all weights but these.
    pub fn keep<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let names: BTreeSet<&str> = names.collect();
        self.states.retain(|name, _| names.contains(name.as_str()));
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
}
