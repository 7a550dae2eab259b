//! Loops over slices: what the CPU computes. Nothing here knows of tensors, devices or layers.

#![cfg_attr(
    not(feature = "autodiff"),
    allow(dead_code, unused_imports, reason = "only gradients need them")
)]

#[cfg(all(feature = "cpu", target_arch = "x86_64"))]
mod bf16;
#[cfg(feature = "cpu")]
pub(crate) mod depthwise;
pub(crate) mod drop_mask;
#[cfg(feature = "cpu")]
pub(crate) mod elementwise;
#[cfg_attr(
    not(feature = "cpu"),
    allow(dead_code, reason = "only the CPU's operations multiply integers")
)]
pub mod int8;
#[cfg(feature = "cpu")]
pub(crate) mod matmul;
pub(crate) mod operations;
#[cfg(feature = "cpu")]
pub mod products;
#[cfg(feature = "cpu")]
pub(crate) mod rows;
pub(crate) mod running_norm;
#[cfg(all(feature = "cpu", target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) mod simd128;
pub(crate) mod vectorize;
#[cfg(feature = "cpu")]
pub(crate) mod view;
