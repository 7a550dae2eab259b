//! Values to a graphics adapter and back, without burn's conversions between types of numbers, which are a
//! good part of a browser's module.

use burn::{
    backend::{Cube, DispatchDevice, tensor::FloatTensor},
    prelude::*,
    tensor::DType,
};
use cubecl::client::Client;
pub(crate) use cubecl::server::Handle;

/// In the browser's module for graphics adapters nothing else computes, and what is known while
/// compiling leaves burn's operations out, which are most of such a module.
pub(crate) const ALONE: bool = cfg!(all(
    feature = "gpu",
    not(feature = "cpu"),
    target_arch = "wasm32"
));

/// A tensor of a graphics adapter.
pub(crate) type Primitive = FloatTensor<Cube>;

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
    let (device, dtype) = (device.clone(), DType::F32);
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

/// The tensor as the backend has it; only for one of a graphics adapter.
pub(crate) fn primitive<const D: usize>(x: &Tensor<D>) -> Primitive {
    match x.clone().try_into_primitive::<Cube>() {
        Ok(primitive) => primitive,
        Err(_) => unreachable!("the tensor was found to be on a graphics adapter"),
    }
}

pub(crate) fn tensor<const D: usize>(primitive: Primitive) -> Tensor<D> {
    Tensor::from_primitive::<Cube>(primitive)
}

/// Numbers that lie in a buffer of the adapter.
pub(crate) fn uploaded(client: &Client, bytes: impl Iterator<Item = [u8; 4]>) -> Handle {
    client.create_from_slice(&bytes.flatten().collect::<Vec<u8>>())
}
