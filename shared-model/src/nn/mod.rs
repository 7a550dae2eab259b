//! Layers without policy. Activations are `[batch, time, channels]` throughout.
//!
//! Each branch of a block is composed of burn's operations, which every device has. Where a backend
//! has it as one operation or a few, [`fusion`] finds that.

pub(crate) mod activation;
#[cfg(feature = "gpu")]
pub(crate) mod adapter;
pub(crate) mod attention;
pub(crate) mod branch;
pub(crate) mod builder;
pub(crate) mod conv_module;
pub(crate) mod dropout;
pub(crate) mod feed_forward;
#[cfg(feature = "cpu")]
pub(crate) mod fused;
pub(crate) mod fusion;
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
pub(crate) mod sinusoids;
#[cfg(feature = "gpu")]
pub(crate) mod wgsl;
