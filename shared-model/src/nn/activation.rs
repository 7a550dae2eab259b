//! Element-wise non-linearities.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::{prelude::*, tensor::activation};

use super::fusion;

/// `x * sigmoid(x)`.
pub(crate) fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

/// Exact GELU, `x * Phi(x)`, with its exact gradient.
pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // On every backend but the CPU's, burn's operation is exact forward, but differentiates the
    // tanh approximation.
    if fusion::is_on_cpu(&x) || !x.is_autodiff() {
        return activation::gelu(x);
    }
    let phi = (x.clone() * FRAC_1_SQRT_2).erf() * 0.5 + 0.5;
    x * phi
}

/// Gated linear unit over channels: `[batch, time, 2 * c]` to `[batch, time, c]`, the first half
/// times the sigmoid of the second.
pub(crate) fn glu(x: Tensor<3>) -> Tensor<3> {
    activation::glu(x, 2)
}
