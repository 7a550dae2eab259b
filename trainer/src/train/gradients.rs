//! Arithmetic on all gradients of a network.

use std::{collections::BTreeMap, ops::Range};

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    prelude::*,
};

use super::sum_tree;
use crate::{
    device::read_back,
    parallel::{Task, run_all},
};

/// Gradients of single shards, by their numbers.
pub(super) type OfShards = BTreeMap<usize, GradientsParams>;

/// Sum of the gradients of the shards of `node`, by the tree of [`sum_tree`] and at most `threads`
/// threads; they are taken out of `shards`. A parameter for which no shard has a gradient has none.
pub(super) fn sum<M: Module>(
    module: &M,
    shards: &mut OfShards,
    node: &Range<usize>,
    threads: usize,
) -> GradientsParams {
    let mut own = shards.split_off(&node.start);
    shards.append(&mut own.split_off(&node.end));
    let (numbers, mut gradients): (Vec<usize>, Vec<GradientsParams>) = own.into_iter().unzip();
    if gradients.len() == 1 {
        return gradients.remove(0);
    }
    type Register = Box<dyn FnOnce(&mut GradientsParams) + Send>;
    struct Sums<'a> {
        numbers: &'a [usize],
        gradients: &'a mut [GradientsParams],
        node: &'a Range<usize>,
        tasks: Vec<Task<'static, Option<Register>>>,
    }
    impl ModuleVisitor for Sums<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let (id, node) = (param.id, self.node.clone());
            let of_shards = self.numbers.iter().zip(&mut *self.gradients);
            let mut leaves: BTreeMap<usize, Tensor<D>> = of_shards
                .filter_map(|(number, shard)| Some((*number, shard.remove::<D>(id)?)))
                .collect();
            self.tasks.push(Box::new(move || {
                let mut leaf = |node: &Range<usize>| -> sum_tree::Known<Tensor<D>> {
                    (node.len() == 1).then(|| leaves.remove(&node.start))
                };
                let total = sum_tree::sum(node, &mut leaf, &mut |a, b| a + b)?;
                let register: Register = Box::new(move |all| all.register(id, total));
                Some(register)
            }));
        }
    }
    let mut visitor = Sums {
        numbers: &numbers,
        gradients: &mut gradients,
        node,
        tasks: vec![],
    };
    module.visit(&mut visitor);
    let mut total = GradientsParams::new();
    for register in run_all(threads, visitor.tasks).into_iter().flatten() {
        register(&mut total);
    }
    total
}

/// Adds the gradients of more batches, shard by shard.
pub(super) fn add<M: Module>(module: &M, before: &mut OfShards, more: OfShards, threads: usize) {
    for (number, gradients) in more {
        let gradients = match before.remove(&number) {
            None => gradients,
            Some(earlier) => {
                let mut both = OfShards::from([(0, earlier), (1, gradients)]);
                sum(module, &mut both, &(0..2), threads)
            }
        };
        before.insert(number, gradients);
    }
}

/// Sum of the squares of each parameter's gradient, 0 where it has none, by at most `threads`
/// threads; one read-back. In the order of the parameters.
pub(super) fn squares<M: Module>(
    module: &M,
    gradients: &GradientsParams,
    threads: usize,
) -> Vec<f32> {
    struct Squares<'a> {
        gradients: &'a GradientsParams,
        /// Which of the parameters have a gradient.
        places: Vec<usize>,
        parameters: usize,
        tasks: Vec<Task<'static, Tensor<1>>>,
    }
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                // Flat: the order of a sum follows from the layout, which differs where it was received.
                let len = gradient.dims().iter().product::<usize>();
                let square = move || {
                    let flat = gradient.reshape([len]);
                    (flat.clone() * flat).sum()
                };
                self.tasks.push(Box::new(square));
                self.places.push(self.parameters);
            }
            self.parameters += 1;
        }
    }
    let mut visitor = Squares {
        gradients,
        places: vec![],
        parameters: 0,
        tasks: vec![],
    };
    module.visit(&mut visitor);
    let mut squares = vec![0.0; visitor.parameters];
    if !visitor.tasks.is_empty() {
        let sums = read_back(Tensor::cat(run_all(threads, visitor.tasks), 0));
        for (place, square) in visitor.places.into_iter().zip(sums.iter::<f32>()) {
            squares[place] = square;
        }
    }
    squares
}

/// Euclidean norm of all gradients together, from their [`squares`].
pub(super) fn norm(squares: &[f32]) -> f64 {
    let squares = squares.iter().copied().map(f64::from);
    squares.sum::<f64>().sqrt()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::nn::{Linear, LinearConfig};

    use super::*;

    fn gradients(layer: &Linear, input: f32) -> GradientsParams {
        let device = layer.weight.val().device();
        let x = Tensor::<2>::full([1, 2], input, &device);
        GradientsParams::from_grads(layer.forward(x).sum().backward(), layer)
    }

    #[test]
    fn sums_and_norms_can_be_computed_by_hand() {
        let layer = LinearConfig::new(2, 2).init(&Device::flex().autodiff());
        // Each weight's gradient is the input, each bias's is 1.
        for threads in [1, 2] {
            let of = |inputs: [f32; 2]| inputs.map(|input| gradients(&layer, input));
            let mut shards: OfShards = (4..).zip(of([2.0, 3.0])).collect();
            let total = sum(&layer, &mut shards, &(4..6), threads);
            sums_and_norms(&layer, total, threads);
        }
    }

    fn sums_and_norms(layer: &Linear, total: GradientsParams, threads: usize) {
        let weight: Vec<f32> = total
            .get::<2>(layer.weight.id)
            .unwrap()
            .into_data()
            .iter()
            .collect();
        assert_eq!(weight, vec![5.0; 4]);
        let want = (4.0f64 * 25.0 + 2.0 * 4.0).sqrt();
        let squares = squares(layer, &total, threads);
        assert_eq!(squares, [100.0, 8.0]);
        assert!((norm(&squares) - want).abs() < 1e-6);
    }

    #[test]
    fn only_the_shards_of_the_node_are_taken_and_batches_add_up_by_shard() {
        let layer = LinearConfig::new(2, 2).init(&Device::flex().autodiff());
        let first = (0..4).map(|shard| (shard, gradients(&layer, shard as f32)));
        let mut shards: OfShards = first.collect();
        add(
            &layer,
            &mut shards,
            OfShards::from([(2, gradients(&layer, 10.0))]),
            1,
        );
        let total = sum(&layer, &mut shards, &(1..3), 1);
        assert_eq!(shards.keys().copied().collect::<Vec<_>>(), [0, 3]);
        // 1 + (2 + 10), twice in each of two rows; the biases 1 + (1 + 1).
        assert_eq!(squares(&layer, &total, 1), [4.0 * 169.0, 2.0 * 9.0]);
    }
}
