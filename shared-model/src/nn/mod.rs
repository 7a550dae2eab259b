//! Layers without policy. Activations are `[batch, time, channels]` throughout.
//!
//! Each branch of a block composes burn's operations, which any device has, and tries [`fused`]
//! first, which has the whole branch as one operation on the CPU.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod branch;
pub(crate) mod builder;
pub(crate) mod conv_module;
pub(crate) mod dropout;
pub(crate) mod feed_forward;
#[cfg(feature = "cpu")]
pub(crate) mod fused;
#[cfg(not(feature = "cpu"))]
pub(crate) mod fused_absent;
pub(crate) mod host;
pub(crate) mod linear;
pub(crate) mod mask;
pub(crate) mod norm;
pub(crate) mod pass;
pub(crate) mod positions;
#[cfg(all(feature = "cpu", target_arch = "wasm32", target_feature = "simd128"))]
mod simd128_affine;

#[cfg(not(feature = "cpu"))]
pub(crate) use fused_absent as fused;
