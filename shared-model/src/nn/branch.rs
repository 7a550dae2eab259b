//! What a branch of a block is given, whoever computes it.

#![cfg_attr(
    not(feature = "cpu"),
    allow(dead_code, reason = "only the CPU's operations read all of it")
)]

use std::sync::Arc;

use burn::prelude::*;

use super::pass::Pass;
use crate::kernels::{drop_mask::DropMask, int8::Int8Matrix};

/// A weight and a bias.
pub(crate) type Pair = (Tensor<2>, Tensor<1>);

/// An affine map of the last axis.
pub(crate) struct AffineWeights {
    pub pair: Pair,
    /// The weight as the integers that it came as: what products are computed with where there are
    /// any.
    pub int8: Option<Arc<Int8Matrix>>,
}

/// Scale and shift of a norm.
pub(crate) type NormPair = (Tensor<1>, Tensor<1>);

/// What attention depends on besides weights.
pub(crate) struct AttentionOptions<'a> {
    pub n_heads: usize,
    pub pass: Pass<'a>,
    /// Dropout of the attention weights and of the result.
    pub masks: [Option<DropMask>; 2],
    pub epsilon: f64,
}

/// What a feed-forward branch depends on besides weights.
pub(crate) struct FeedForwardOptions<'a> {
    pub pass: Pass<'a>,
    /// Of the inner and of the outer dropout.
    pub masks: [Option<DropMask>; 2],
    /// Of the branch beside the residual connection.
    pub scale: f64,
    pub epsilon: f64,
}

/// What a convolution branch depends on besides weights.
pub(crate) struct ConvolutionOptions<'a> {
    pub pass: Pass<'a>,
    pub mask: Option<DropMask>,
    /// What the inner norm normalises by, if it is a batch norm.
    pub running: Option<RunningNorm>,
    pub epsilon: f64,
}

/// What a batch norm normalises by in evaluation, `[channels]` each.
pub(crate) struct RunningNorm {
    pub mean: Vec<f32>,
    pub inverse_std: Vec<f32>,
}

/// The convolution branch's weights in the order of their use.
pub(crate) struct ConvolutionWeights {
    pub norm_in: NormPair,
    /// Pointwise, `[d_model, 2 * d_model]`.
    pub gate: AffineWeights,
    /// `[kernel, d_model]`
    pub depthwise: Pair,
    pub norm: NormPair,
    /// Pointwise.
    pub out: AffineWeights,
}
