//! Layers without policy. Activations are `[batch, time, channels]` throughout.
//!
//! Each branch of a block is composed of burn's operations, which every device has. On the CPU it
//! uses [`fused`] instead, which has the whole branch as one operation.

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
#[cfg(feature = "cpu")]
pub(crate) mod rows;
#[cfg(all(feature = "cpu", target_arch = "wasm32", target_feature = "simd128"))]
mod simd128_affine;

#[cfg(not(feature = "cpu"))]
pub(crate) use fused_absent as fused;
