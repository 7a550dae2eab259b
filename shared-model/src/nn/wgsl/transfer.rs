//! Values to an adapter and back, without burn's conversions between types of numbers, which are a good
//! part of a browser's module.

use burn::{backend::DispatchDevice, prelude::*};

#[cfg(all(not(feature = "cpu"), target_arch = "wasm32"))]
use super::launch::primitive;
use super::launch::{Primitive, tensor, uploaded};

/// `values` in rows.
pub(crate) fn from_values<const D: usize>(
    values: &[f32],
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    #[allow(irrefutable_let_patterns, reason = "there may be other backends")]
    let DispatchDevice::Cube(device) = device.as_dispatch() else {
        unreachable!("a graphics adapter was asked for")
    };
    let client = device.client();
    let handle = uploaded(&client, values.iter().map(|value| value.to_ne_bytes()));
    let (device, dtype) = (device.clone(), burn::tensor::DType::F32);
    tensor(Primitive::new_contiguous(
        client,
        device,
        shape.into(),
        handle,
        dtype,
    ))
}

/// The values in rows, once the adapter has them.
///
/// # Errors
/// What the adapter fails with.
#[cfg(all(not(feature = "cpu"), target_arch = "wasm32"))]
pub(crate) async fn read<const D: usize>(x: Tensor<D>) -> Result<Vec<f32>, String> {
    let Primitive { client, handle, .. } = primitive(&x);
    let read = client.read_async(vec![handle]).await;
    let read = read.map_err(|error| error.to_string())?;
    let words = read.iter().flat_map(|bytes| bytes.as_chunks().0);
    Ok(words.map(|bytes| f32::from_ne_bytes(*bytes)).collect())
}
