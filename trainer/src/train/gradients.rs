//! Arithmetic on all gradients of a network.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    prelude::*,
};

/// Sum of several parts' gradients, parameter by parameter in the order of the parts.
pub(super) fn sum<M: Module>(module: &M, mut parts: Vec<GradientsParams>) -> GradientsParams {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    struct Sum<'a> {
        parts: &'a mut [GradientsParams],
        total: GradientsParams,
    }
    impl ModuleVisitor for Sum<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradients = self
                .parts
                .iter_mut()
                .filter_map(|part| part.remove::<D>(param.id));
            if let Some(total) = gradients.reduce(|total, gradient| total + gradient) {
                self.total.register(param.id, total);
            }
        }
    }
    let mut visitor = Sum {
        parts: &mut parts,
        total: GradientsParams::new(),
    };
    module.visit(&mut visitor);
    visitor.total
}

/// Euclidean norm of all gradients together; one read-back.
pub(super) fn norm<M: Module>(module: &M, gradients: &GradientsParams) -> f64 {
    struct Squares<'a> {
        gradients: &'a GradientsParams,
        sums: Vec<Tensor<1>>,
    }
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                self.sums.push((gradient.clone() * gradient).sum());
            }
        }
    }
    let mut visitor = Squares {
        gradients,
        sums: vec![],
    };
    module.visit(&mut visitor);
    if visitor.sums.is_empty() {
        return 0.0;
    }
    let sums = Tensor::cat(visitor.sums, 0).into_data();
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
        let parts = vec![gradients(&layer, 2.0), gradients(&layer, 3.0)];
        let total = sum(&layer, parts);
        let weight: Vec<f32> = total
            .get::<2>(layer.weight.id)
            .unwrap()
            .into_data()
            .iter()
            .collect();
        assert_eq!(weight, vec![5.0; 4]);
        let want = (4.0f64 * 25.0 + 2.0 * 4.0).sqrt();
        assert!((norm(&layer, &total) - want).abs() < 1e-6);
    }
}
