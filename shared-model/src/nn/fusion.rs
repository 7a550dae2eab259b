//! Parts of the network as one operation or a few, on backends that have such: the CPU's loops over
//! slices ([`fused`](super::fused)), kernels of our own on graphics adapters ([`wgsl`](super::wgsl)).
//! Where neither takes a tensor every function returns `None`, and the caller composes burn's own
//! operations, which are the definition.

#![cfg_attr(
    not(all(feature = "cpu", feature = "gpu")),
    allow(unused_variables, reason = "not every part is fused on each backend")
)]

use burn::prelude::*;

#[cfg(feature = "cpu")]
use super::fused;
use super::host;
#[cfg(feature = "gpu")]
use super::{adapter, wgsl};
use super::{
    branch::{
        AffineWeights, AttentionOptions, ConvolutionOptions, ConvolutionWeights,
        FeedForwardOptions, NormPair, Pair, RunningNorm,
    },
    mask::FrameMask,
};
use crate::{kernels::operations::Operations, network::ModelConfig, weights::WeightError};

/// Whether to try fused operations.
#[inline(always)]
pub(crate) fn are_tried(operations: Operations) -> bool {
    host::ALONE || on_adapter_alone() || operations != Operations::Composed
}

/// Whether there is nothing but a graphics adapter's kernels.
#[inline(always)]
pub(crate) fn on_adapter_alone() -> bool {
    #[cfg(feature = "gpu")]
    return adapter::ALONE;
    #[cfg(not(feature = "gpu"))]
    false
}

/// # Errors
/// [`WeightError::Config`] if heads are wider than a graphics adapter's kernels take, and nothing else
/// is there.
pub(crate) fn check_heads(config: &ModelConfig) -> Result<(), WeightError> {
    #[cfg(feature = "gpu")]
    if adapter::ALONE {
        return wgsl::check_heads(config.d_model / config.n_heads);
    }
    Ok(())
}

/// Whether the CPU's operations can take `x`.
#[inline(always)]
pub(crate) fn is_on_cpu<const D: usize>(x: &Tensor<D>) -> bool {
    #[cfg(feature = "cpu")]
    return fused::is_supported(x);
    #[cfg(not(feature = "cpu"))]
    false
}

/// Whether kernels of a graphics adapter take `x`.
#[inline(always)]
pub(crate) fn is_on_adapter(x: &Tensor<3>, operations: Operations) -> bool {
    #[cfg(feature = "gpu")]
    return wgsl::takes(x, operations);
    #[cfg(not(feature = "gpu"))]
    false
}

/// The utterance normalisation of features, whatever lies behind the utterances; on adapters alone.
#[inline(always)]
pub(crate) fn normalize(
    x: &Tensor<3>,
    mask: &FrameMask,
    epsilon: f64,
    operations: Operations,
) -> Option<Tensor<3>> {
    #[cfg(feature = "gpu")]
    if wgsl::takes(x, operations) {
        return Some(wgsl::normalize(x, mask, epsilon));
    }
    None
}

/// Layer norm, or batch norm in evaluation, over the last axis.
#[inline(always)]
pub(crate) fn norm(
    x: &Tensor<3>,
    weights: NormPair,
    running: Option<RunningNorm>,
    epsilon: f64,
    operations: Operations,
) -> Option<Tensor<3>> {
    #[cfg(feature = "gpu")]
    if wgsl::takes_with(x, &weights.0, operations) {
        return Some(wgsl::norm(x, weights, running, epsilon));
    }
    #[cfg(feature = "cpu")]
    if running.is_none() {
        return fused::layer_norm(x, weights, epsilon);
    }
    None
}

/// GELU of the convolution of `[batch, time, c_in]` with `[3 * c_in, c_out]`, taps outermost:
/// `[batch, out_time, c_out]`. The first window starts `left` frames (0 or 1) before the input;
/// frames that do not exist are zero.
#[inline(always)]
pub(crate) fn conv_gelu(
    x: &Tensor<3>,
    conv: Pair,
    left: usize,
    out_time: usize,
    operations: Operations,
) -> Option<Tensor<3>> {
    #[cfg(feature = "cpu")]
    return fused::conv_gelu(x, conv, left, out_time, operations);
    #[cfg(not(feature = "cpu"))]
    None
}

/// As [`conv_gelu`], from the frames of the first mask to those of the second; padded frames count as
/// zero, whatever they hold. On adapters alone.
#[inline(always)]
pub(crate) fn masked_conv_gelu(
    x: &Tensor<3>,
    conv: Pair,
    left: usize,
    masks: [&FrameMask; 2],
    operations: Operations,
) -> Option<Tensor<3>> {
    #[cfg(feature = "gpu")]
    if wgsl::takes_with(x, &conv.1, operations) {
        return Some(wgsl::conv_gelu(x, conv, left, masks));
    }
    None
}

/// `x + scale * drop(down(drop(silu(up(norm(x))))))`.
#[inline(always)]
pub(crate) fn feed_forward(
    x: &Tensor<3>,
    norm: NormPair,
    up: AffineWeights,
    down: AffineWeights,
    options: FeedForwardOptions<'_>,
) -> Option<Tensor<3>> {
    #[cfg(feature = "gpu")]
    if wgsl::takes_with(x, &norm.0, options.pass.operations) && drops_nothing(&options.masks) {
        return Some(wgsl::feed_forward(x, norm, up, down, &options));
    }
    #[cfg(feature = "cpu")]
    return fused::feed_forward(x, norm, up, down, options);
    #[cfg(not(feature = "cpu"))]
    None
}

/// `x + drop(out(attend(qkv(norm(x)))))`.
#[inline(always)]
pub(crate) fn attention(
    x: &Tensor<3>,
    norm: NormPair,
    qkv: AffineWeights,
    out: AffineWeights,
    options: AttentionOptions<'_>,
) -> Option<Tensor<3>> {
    #[cfg(feature = "gpu")]
    {
        let takes = wgsl::takes_with(x, &norm.0, options.pass.operations)
            && wgsl::takes_heads(x.dims()[2] / options.n_heads);
        if takes && drops_nothing(&options.masks) {
            return Some(wgsl::attention(x, norm, qkv, out, &options));
        }
    }
    #[cfg(feature = "cpu")]
    return fused::attention(x, norm, qkv, out, options);
    #[cfg(not(feature = "cpu"))]
    None
}

/// `x + drop(out(silu(norm(depthwise(glu(gate(norm_in(x))))))))`.
#[inline(always)]
pub(crate) fn convolution(
    x: &Tensor<3>,
    weights: ConvolutionWeights,
    options: ConvolutionOptions<'_>,
) -> Option<Tensor<3>> {
    #[cfg(feature = "gpu")]
    if wgsl::takes_with(x, &weights.norm.0, options.pass.operations)
        && drops_nothing(&[options.mask])
    {
        return Some(wgsl::convolution(x, weights, options));
    }
    #[cfg(feature = "cpu")]
    return fused::convolution(x, weights, options);
    #[cfg(not(feature = "cpu"))]
    None
}

/// `x * weight + bias`, on adapters alone.
#[inline(always)]
pub(crate) fn linear(
    x: &Tensor<3>,
    map: Pair,
    mask: &FrameMask,
    operations: Operations,
) -> Option<Tensor<3>> {
    #[cfg(feature = "gpu")]
    if wgsl::takes_with(x, &map.1, operations) {
        return Some(wgsl::linear(x, map, mask));
    }
    None
}

/// Adds `table`, `[time, channels]`, to each utterance; on adapters alone.
#[inline(always)]
pub(crate) fn add_to_each(
    x: &Tensor<3>,
    table: &[f32],
    mask: &FrameMask,
    operations: Operations,
) -> Option<Tensor<3>> {
    #[cfg(feature = "gpu")]
    if wgsl::takes(x, operations) {
        return Some(wgsl::add_to_each(x, table, mask));
    }
    None
}

/// Whether nothing is dropped; in a browser, where no mask is ever drawn, it is known.
#[cfg(feature = "gpu")]
#[inline(always)]
fn drops_nothing(masks: &[Option<crate::kernels::drop_mask::DropMask>]) -> bool {
    adapter::ALONE || masks.iter().all(Option::is_none)
}
