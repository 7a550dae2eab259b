//! Tensors from values on the host.

#[cfg(all(feature = "cpu", not(feature = "gpu"), target_arch = "wasm32"))]
use burn::backend::{Flex, tensor::FloatTensor};
use burn::prelude::*;

/// `values` in rows as a tensor on `device`.
pub(crate) fn tensor<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    let data = TensorData::new(values, shape);
    // The common way can convert from any type of number to any other, which is a tenth of the
    // browser's module for the CPU; where that backend is the only one there is a direct way.
    #[cfg(all(feature = "cpu", not(feature = "gpu"), target_arch = "wasm32"))]
    {
        let _ = device;
        Tensor::from_primitive::<Flex>(FloatTensor::<Flex>::from_data(data))
    }
    #[cfg(not(all(feature = "cpu", not(feature = "gpu"), target_arch = "wasm32")))]
    Tensor::from_data(data, device)
}
