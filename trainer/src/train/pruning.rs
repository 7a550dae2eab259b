//! Magnitude pruning: the smallest values of a network's matrices become 0 and stay so.

use std::collections::HashMap;

use burn::{
    module::{ModuleMapper, Param, ParamId},
    prelude::*,
};
use shared_model::weights::{NamedVisitor, WeightTensor, Weights, visit_named};

/// `weights` with the smallest `share` of all values of its matrices, by size, set to 0. Vectors (norms
/// and biases) stay as they are.
pub(super) fn pruned(mut weights: Weights, share: f64) -> Weights {
    let sizes = weights.values().filter(|weight| is_matrix(weight));
    let mut sizes: Vec<f32> = sizes
        .flat_map(|weight| weight.data.iter().map(|value| value.abs()))
        .collect();
    let count = (share * sizes.len() as f64).floor() as usize;
    if count == 0 {
        return weights;
    }
    let (_, threshold, _) = sizes.select_nth_unstable_by(count - 1, f32::total_cmp);
    let threshold = *threshold;
    for weight in weights.values_mut().filter(|weight| is_matrix(weight)) {
        for value in weight.data.iter_mut().filter(|v| v.abs() <= threshold) {
            *value = 0.0;
        }
    }
    weights
}

fn is_matrix(weight: &WeightTensor) -> bool {
    weight.shape.len() == 2
}

/// Which values of a network's matrices stay 0.
#[derive(Debug, Clone)]
pub(super) struct PruningMask {
    /// 1 where a value may change, by weight; in the shape of the weight.
    kept: HashMap<ParamId, Tensor<2>>,
}

impl PruningMask {
    /// The values of `network` that are 0. Masks are made on the device of the weights.
    pub fn of<M: Module>(network: &M) -> Self {
        let mut visitor = Zeros(HashMap::new());
        visit_named(network, &mut visitor);
        Self { kept: visitor.0 }
    }

    /// `network` with 0 where it was so when the mask was made.
    pub fn apply<M: Module>(&self, network: M) -> M {
        network.map(&mut Keep(&self.kept))
    }
}

struct Zeros(HashMap<ParamId, Tensor<2>>);

impl NamedVisitor for Zeros {
    fn visit<const D: usize>(&mut self, _: &str, param: &Param<Tensor<D>>) {
        if D != 2 {
            return;
        }
        let weight = param.val().inner();
        let shape: Vec<usize> = weight.dims().to_vec();
        let kept = weight.equal_elem(0.0).bool_not().float();
        let kept = kept.reshape([shape[0], shape[1]]);
        self.0.insert(param.id, kept);
    }
}

struct Keep<'a>(&'a HashMap<ParamId, Tensor<2>>);

impl ModuleMapper for Keep<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(kept) = self.0.get(&param.id) else {
            return param;
        };
        let kept = kept.clone();
        param.map(|weight| {
            let shape = weight.dims();
            let pruned = weight.inner() * kept.reshape(shape);
            Tensor::from_inner(pruned).require_grad()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_values_of_all_matrices_together_become_zero() {
        let weight = |shape: &[usize], data: &[f32]| WeightTensor {
            shape: shape.to_vec(),
            data: data.to_vec(),
        };
        let weights = Weights::from_iter([
            ("a".to_owned(), weight(&[2, 2], &[0.1, -5.0, 0.3, 4.0])),
            ("b".to_owned(), weight(&[1, 2], &[-0.2, 7.0])),
            ("bias".to_owned(), weight(&[2], &[0.01, 0.0])),
        ]);
        assert_eq!(pruned(weights.clone(), 0.0), weights);
        let half = pruned(weights.clone(), 0.5);
        assert_eq!(half["a"].data, [0.0, -5.0, 0.0, 4.0]);
        assert_eq!(half["b"].data, [0.0, 7.0]);
        assert_eq!(half["bias"], weights["bias"]);
        // Of six values less than one.
        assert_eq!(pruned(weights.clone(), 0.1), weights);
    }
}
