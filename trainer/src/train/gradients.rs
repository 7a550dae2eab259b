//! Arithmetic on all gradients of a network.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    prelude::*,
};

use crate::{
    device::read_back,
    parallel::{Task, run_all},
};

/// Sum of several shards' gradients, parameter by parameter in the order of the shards, by at most
/// `threads` threads.
pub(super) fn sum<M: Module>(
    module: &M,
    mut shards: Vec<GradientsParams>,
    threads: usize,
) -> GradientsParams {
    if shards.len() == 1 {
        return shards.remove(0);
    }
    type Register = Box<dyn FnOnce(&mut GradientsParams) + Send>;
    struct Sums<'a> {
        shards: &'a mut [GradientsParams],
        tasks: Vec<Task<'static, Option<Register>>>,
    }
    impl ModuleVisitor for Sums<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let id = param.id;
            let gradients: Vec<Tensor<D>> = self
                .shards
                .iter_mut()
                .filter_map(|shard| shard.remove::<D>(id))
                .collect();
            self.tasks.push(Box::new(move || {
                let total = gradients
                    .into_iter()
                    .reduce(|total, gradient| total + gradient)?;
                let register: Register = Box::new(move |all| all.register(id, total));
                Some(register)
            }));
        }
    }
    let mut visitor = Sums {
        shards: &mut shards,
        tasks: vec![],
    };
    module.visit(&mut visitor);
    let mut total = GradientsParams::new();
    for register in run_all(threads, visitor.tasks).into_iter().flatten() {
        register(&mut total);
    }
    total
}

/// Euclidean norm of all gradients together, by at most `threads` threads; one read-back.
pub(super) fn norm<M: Module>(module: &M, gradients: &GradientsParams, threads: usize) -> f64 {
    struct Squares<'a> {
        gradients: &'a GradientsParams,
        tasks: Vec<Task<'static, Tensor<1>>>,
    }
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                let square = move || (gradient.clone() * gradient).sum();
                self.tasks.push(Box::new(square));
            }
        }
    }
    let mut visitor = Squares {
        gradients,
        tasks: vec![],
    };
    module.visit(&mut visitor);
    if visitor.tasks.is_empty() {
        return 0.0;
    }
    let sums = read_back(Tensor::cat(run_all(threads, visitor.tasks), 0));
    sums.iter::<f32>().map(f64::from).sum::<f64>().sqrt()
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
            let shards = vec![gradients(&layer, 2.0), gradients(&layer, 3.0)];
            sums_and_norms(&layer, sum(&layer, shards, threads), threads);
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
        assert!((norm(layer, &total, threads) - want).abs() < 1e-6);
    }
}
