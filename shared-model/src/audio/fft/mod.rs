//! Fourier transforms of real signals.
//!
//! The crate `realfft` plans transforms of any size, of which a browser's engine needs two: there they
//! are computed by [`radix4`], in a thirtieth of the code.

#[cfg(any(test, target_arch = "wasm32"))]
mod radix4;

#[cfg(not(target_arch = "wasm32"))]
mod planned;

pub(crate) use realfft::num_complex::Complex;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use planned::{RealFft, Scratch};
#[cfg(target_arch = "wasm32")]
pub(crate) use radix4::{RealFft, Scratch};
