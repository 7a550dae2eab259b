//! Element-wise non-linearities.

use burn::{prelude::*, tensor::activation};

use super::fused;

/// `x * sigmoid(x)`.
pub(crate) fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    fused::silu(&x).unwrap_or_else(|| activation::silu(x))
}

/// Exact GELU, `x * Phi(x)`.
pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::gelu(x)
}

/// Gated linear unit over channels: `[batch, time, 2 * c]` to `[batch, time, c]`, the first half
/// times the sigmoid of the second.
pub(crate) fn glu(x: Tensor<3>) -> Tensor<3> {
    fused::glu(&x).unwrap_or_else(|| activation::glu(x, 2))
}
