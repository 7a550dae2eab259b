//! Tensors from values on the host, and back.

#[cfg(all(feature = "cpu", not(feature = "gpu"), target_arch = "wasm32"))]
use burn::backend::{Flex, tensor::FloatTensor};
use burn::prelude::*;

/// In the browser's module for the CPU there is no other backend. burn's own operations, which have code
/// for every type of number and for quantised ones, would be a quarter of it: what is known while
/// compiling leaves them out, and a few loops over slices stand in their place.
pub(crate) const ALONE: bool = cfg!(all(
    feature = "cpu",
    not(feature = "gpu"),
    target_arch = "wasm32"
));

/// `values` in rows as a tensor on `device`.
pub(crate) fn tensor<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    #[cfg(feature = "gpu")]
    if super::adapter::ALONE {
        return super::adapter::from_values(&values, shape, device);
    }
    let data = TensorData::new(values, shape);
    // The common way can convert from any type of number to any other.
    #[cfg(all(feature = "cpu", not(feature = "gpu"), target_arch = "wasm32"))]
    {
        let _ = device;
        Tensor::from_primitive::<Flex>(FloatTensor::<Flex>::from_data(data))
    }
    #[cfg(not(all(feature = "cpu", not(feature = "gpu"), target_arch = "wasm32")))]
    Tensor::from_data(data, device)
}

/// The values in rows, read from the device at once.
pub(crate) fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    #[cfg(all(feature = "cpu", not(feature = "gpu"), target_arch = "wasm32"))]
    {
        x.try_into_primitive::<Flex>()
            .map_or_else(|_| Vec::new(), |x| super::rows::rows_of(&x).into_owned())
    }
    #[cfg(not(all(feature = "cpu", not(feature = "gpu"), target_arch = "wasm32")))]
    x.into_data().iter::<f32>().collect()
}

/// The values in rows, once the device has them.
///
/// # Errors
/// What the device fails with.
pub(crate) async fn read<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>, String> {
    if ALONE {
        return Ok(values(x));
    }
    // Not by a constant: what a future may still do is compiled, whether it comes to that or not.
    #[cfg(all(feature = "gpu", not(feature = "cpu"), target_arch = "wasm32"))]
    return super::adapter::read(x).await;
    #[cfg(not(all(feature = "gpu", not(feature = "cpu"), target_arch = "wasm32")))]
    {
        let data = x.into_data_async().await;
        data.map(|data| data.iter::<f32>().collect())
            .map_err(|error| error.to_string())
    }
}

/// `x` with its values changed on the host; `change` gets them in rows.
pub(crate) fn changed<const D: usize>(
    x: Tensor<D>,
    change: impl FnOnce(&mut Vec<f32>),
) -> Tensor<D> {
    reshaped(x, |shape, values| {
        change(values);
        shape
    })
}

/// As [`changed`], where `change` gets the shape, too, and gives that of the result.
pub(crate) fn reshaped<const D: usize>(
    x: Tensor<D>,
    change: impl FnOnce([usize; D], &mut Vec<f32>) -> [usize; D],
) -> Tensor<D> {
    let (shape, device) = (x.dims(), x.device());
    let mut values = values(x);
    let shape = change(shape, &mut values);
    tensor(values, shape, &device)
}
