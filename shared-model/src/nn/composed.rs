//! Stands in for `fused` where the CPU backend is not compiled in: nothing is fused.

use burn::prelude::*;

pub(super) fn is_supported<const D: usize>(_x: &Tensor<D>) -> bool {
    false
}

pub(super) fn silu<const D: usize>(_x: &Tensor<D>) -> Option<Tensor<D>> {
    None
}

pub(super) fn glu<const D: usize>(_x: &Tensor<D>) -> Option<Tensor<D>> {
    None
}

pub(super) fn depthwise(
    _x: &Tensor<3>,
    _weight: &Tensor<2>,
    _bias: &Tensor<1>,
) -> Option<Tensor<3>> {
    None
}

pub(super) fn layer_norm<const D: usize>(
    _x: &Tensor<D>,
    _gamma: &Tensor<1>,
    _beta: &Tensor<1>,
    _epsilon: f64,
) -> Option<Tensor<D>> {
    None
}
