//! Affine maps by the kernels for WebAssembly's vectors of four numbers.

use burn::{
    backend::{
        Backend, Dispatch, DispatchDevice, Flex, TensorMetadata, backend_extension,
        tensor::FloatTensor,
    },
    prelude::*,
    tensor::DType,
};

use super::rows::rows_of;
use crate::kernels::simd128::{Rows, multiply_add};

#[backend_extension(Flex)]
trait SimdOps: Backend {
    fn affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

type Primitive = FloatTensor<Flex>;

impl SimdOps for Flex {
    fn affine(x: Primitive, weight: Primitive, bias: Primitive) -> Primitive {
        let mut shape = x.shape().as_slice().to_vec();
        let (x, weight, bias) = (rows_of(&x), rows_of(&weight), rows_of(&bias));
        let (d_in, d_out) = (weight.len() / bias.len(), bias.len());
        let rows = x.len() / d_in;
        let mut y = Vec::with_capacity(rows * d_out);
        for _ in 0..rows {
            y.extend_from_slice(&bias);
        }
        let matrix = |values, rows, columns| Rows {
            values,
            rows,
            columns,
            stride: columns,
        };
        let (x, weight) = (matrix(&x, rows, d_in), matrix(&weight, d_in, d_out));
        multiply_add((&mut y, d_out), x, weight);
        if let Some(last) = shape.last_mut() {
            *last = d_out;
        }
        Primitive::from_data(TensorData::new(y, shape))
    }
}

/// `x weight + bias` over the last axis, on the CPU backend only.
#[inline(always)]
pub(super) fn affine<const D: usize>(
    x: &Tensor<D>,
    weight: &Tensor<2>,
    bias: &Tensor<1>,
) -> Option<Tensor<D>> {
    let device = x.device();
    // Known while compiling where there is no other backend.
    let is_ours = cfg!(not(feature = "gpu"))
        || x.dtype() == DType::F32 && matches!(device.as_dispatch(), DispatchDevice::Flex(_));
    is_ours.then(|| {
        Tensor::from_dispatch(<Dispatch as SimdOps>::affine(
            x.clone().into_dispatch(),
            weight.clone().into_dispatch(),
            bias.clone().into_dispatch(),
        ))
    })
}
