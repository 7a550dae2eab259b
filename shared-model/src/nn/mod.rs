//! Layers without policy. Activations are `[batch, time, channels]` throughout.
//!
//! What a faster device-specific form could replace is one function each: [`activation`]'s three,
//! [`norm::Norm::forward`], [`attention`]'s core and [`conv_module`]'s depthwise convolution.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod builder;
pub(crate) mod conv_module;
pub(crate) mod dropout;
pub(crate) mod feed_forward;
#[cfg(feature = "cpu")]
mod fused;
#[cfg(not(feature = "cpu"))]
#[path = "composed.rs"]
mod fused;
pub(crate) mod linear;
pub(crate) mod mask;
pub(crate) mod norm;
pub(crate) mod positions;
#[cfg(all(feature = "cpu", target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
