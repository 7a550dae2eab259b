//! Stands in for `fused` where the CPU backend is not compiled in: nothing is fused.

use burn::prelude::*;

use super::branch::{
    AffineWeights, AttentionOptions, ConvolutionOptions, ConvolutionWeights, FeedForwardOptions,
    NormPair, Pair,
};
use crate::kernels::operations::CpuOperations;

pub(crate) fn is_supported<const D: usize>(_: &Tensor<D>) -> bool {
    false
}

pub(crate) fn are_tried(_: CpuOperations) -> bool {
    false
}

pub(crate) fn layer_norm(_: &Tensor<3>, _: NormPair, _: f64) -> Option<Tensor<3>> {
    None
}

pub(crate) fn conv_gelu(
    _: &Tensor<3>,
    _: Pair,
    _: usize,
    _: usize,
    _: CpuOperations,
) -> Option<Tensor<3>> {
    None
}

pub(crate) fn feed_forward(
    _: &Tensor<3>,
    _: NormPair,
    _: AffineWeights,
    _: AffineWeights,
    _: FeedForwardOptions,
) -> Option<Tensor<3>> {
    None
}

pub(crate) fn attention(
    _: &Tensor<3>,
    _: NormPair,
    _: AffineWeights,
    _: AffineWeights,
    _: AttentionOptions<'_>,
) -> Option<Tensor<3>> {
    None
}

pub(crate) fn convolution(
    _: &Tensor<3>,
    _: ConvolutionWeights,
    _: ConvolutionOptions<'_>,
) -> Option<Tensor<3>> {
    None
}
