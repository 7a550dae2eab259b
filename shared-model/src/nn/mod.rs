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
#[path = "composed.rs"]
pub(crate) mod fused;
pub(crate) mod host;
#[cfg_attr(
    not(feature = "cpu"),
    allow(dead_code, reason = "only the CPU's operations multiply integers")
)]
pub mod int8;
pub(crate) mod linear;
pub(crate) mod mask;
pub(crate) mod norm;
pub(crate) mod operations;
pub(crate) mod pass;
pub(crate) mod positions;
#[cfg(feature = "cpu")]
pub mod products;
#[cfg(all(feature = "cpu", target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
pub(crate) mod vectorize;
