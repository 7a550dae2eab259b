//! From a network to its weights and back.

use std::collections::{BTreeMap, HashMap};

use burn::{
    module::{ModuleMapper, Param, ParamId},
    optim::GradientsParams,
    prelude::*,
};
use shared_model::weights::NamedVisitor;

use super::{state::State, weight::Weight};

/// Takes the weights that have a gradient, with their gradients and states.
pub(super) struct Collector<'a> {
    pub(super) states: &'a mut BTreeMap<String, State>,
    pub(super) gradients: GradientsParams,
    pub(super) weights: Vec<Weight>,
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
pub(super) struct Replacer {
    pub(super) stepped: HashMap<ParamId, Tensor<1>>,
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
