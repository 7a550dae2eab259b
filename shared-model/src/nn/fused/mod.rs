//! Parts of the network as loops over slices on the CPU backend, each with its own gradient.
//!
//! In burn, a branch of a Conformer block consists of dozens of operations, each of which allocates
//! its result and passes over memory once more. Here a branch with its residual connection is one
//! operation: rows stay in the cache from the norm through the matrix multiplications to the sum,
//! and only what the gradient needs is kept. On any device but the CPU backend every function
//! returns `None`, and the caller composes burn's own operations, which are the definition.

#![cfg_attr(
    not(feature = "autodiff"),
    allow(dead_code, unused_imports, reason = "only gradients need them")
)]

mod attention;
mod convolution;
mod feed_forward;
#[cfg(feature = "autodiff")]
mod gradient;
mod norm;
mod subsampling;
#[cfg(all(test, feature = "autodiff"))]
mod tests;

use std::{borrow::Cow, sync::Arc};

use burn::{
    backend::{
        Backend, Dispatch, DispatchDevice, Flex, TensorMetadata, backend_extension,
        tensor::FloatTensor,
    },
    prelude::*,
    tensor::DType,
};

use super::{
    branch::{NormPair, Pair},
    host::ALONE,
    rows::{Primitive, rows_of, slice},
};
use crate::kernels::{int8::Int8Matrix, operations::Operations};

pub(crate) use attention::attention;
pub(crate) use convolution::convolution;
pub(crate) use feed_forward::feed_forward;
pub(crate) use norm::layer_norm;
pub(crate) use subsampling::conv_gelu;

/// A function of activations `[batch, time, channels]` and weights, row-major slices all.
trait Kernel: Send + Sync {
    /// The shape of the result for an input of shape `input`.
    fn output_shape(&self, input: [usize; 3]) -> [usize; 3] {
        input
    }

    /// The result, and what [`Self::backward`] will need of the way to it. Nothing needs to be
    /// kept unless `keep`.
    fn forward(&self, x: &[f32], weights: &[&[f32]], keep: bool) -> (Vec<f32>, Kept);

    /// Gradients of the input, which may be left empty unless `want_input`, and of each weight.
    /// Who only recognises does not carry this code.
    #[cfg(feature = "autodiff")]
    fn backward(
        &self,
        x: &[f32],
        weights: &[&[f32]],
        kept: &Kept,
        gradient: &[f32],
        want_input: bool,
    ) -> (Vec<f32>, Vec<Vec<f32>>);
}

/// burn asks this of everything that it differentiates. Nobody reads it: telling what is in a kernel
/// would only add to the browser's download.
impl std::fmt::Debug for dyn Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kernel")
    }
}

/// Intermediate results.
type Kept = Vec<Vec<f32>>;

/// A kernel with its input and two, six or ten weights: what the network's parts have.
#[allow(
    clippy::too_many_arguments,
    reason = "the macro dispatches on single tensors, not on lists of them"
)]
#[backend_extension(Flex, Autodiff: cfg(feature = "autodiff"))]
trait FusedOps: Backend {
    fn with_2(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        kernel: Arc<dyn Kernel>,
    ) -> FloatTensor<Self>;

    fn with_6(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        f: FloatTensor<Self>,
        kernel: Arc<dyn Kernel>,
    ) -> FloatTensor<Self>;

    fn with_10(
        x: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        f: FloatTensor<Self>,
        g: FloatTensor<Self>,
        h: FloatTensor<Self>,
        i: FloatTensor<Self>,
        j: FloatTensor<Self>,
        kernel: Arc<dyn Kernel>,
    ) -> FloatTensor<Self>;
}

impl FusedOps for Flex {
    fn with_2(x: Primitive, a: Primitive, b: Primitive, kernel: Arc<dyn Kernel>) -> Primitive {
        Inputs::new(x, &[a, b]).forward(&*kernel, false).0
    }

    fn with_6(
        x: Primitive,
        a: Primitive,
        b: Primitive,
        c: Primitive,
        d: Primitive,
        e: Primitive,
        f: Primitive,
        kernel: Arc<dyn Kernel>,
    ) -> Primitive {
        let inputs = Inputs::new(x, &[a, b, c, d, e, f]);
        inputs.forward(&*kernel, false).0
    }

    fn with_10(
        x: Primitive,
        a: Primitive,
        b: Primitive,
        c: Primitive,
        d: Primitive,
        e: Primitive,
        f: Primitive,
        g: Primitive,
        h: Primitive,
        i: Primitive,
        j: Primitive,
        kernel: Arc<dyn Kernel>,
    ) -> Primitive {
        let inputs = Inputs::new(x, &[a, b, c, d, e, f, g, h, i, j]);
        inputs.forward(&*kernel, false).0
    }
}

/// A kernel's operands, contiguous.
#[derive(Debug, Clone)]
struct Inputs {
    x: Primitive,
    weights: Vec<Primitive>,
}

impl Inputs {
    fn new(x: Primitive, weights: &[Primitive]) -> Self {
        Self {
            x: in_rows(&x),
            weights: weights.iter().map(in_rows).collect(),
        }
    }

    fn slices(&self) -> (&[f32], Vec<&[f32]>) {
        (slice(&self.x), self.weights.iter().map(slice).collect())
    }

    fn forward(&self, kernel: &dyn Kernel, keep: bool) -> (Primitive, Kept) {
        let (x, weights) = self.slices();
        let (y, kept) = kernel.forward(x, &weights, keep);
        let shape = self.x.shape();
        let shape = kernel.output_shape([shape[0], shape[1], shape[2]]);
        (tensor(y, &shape), kept)
    }
}

/// The same tensor with its rows one after another.
fn in_rows(x: &Primitive) -> Primitive {
    match rows_of(x) {
        Cow::Borrowed(_) => x.clone(),
        Cow::Owned(values) => tensor(values, x.layout().shape().as_slice()),
    }
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> Primitive {
    Primitive::from_data(TensorData::new(values, shape.to_vec()))
}

/// Whether a kernel can take `x`.
#[inline(always)]
pub(crate) fn is_supported<const D: usize>(x: &Tensor<D>) -> bool {
    if ALONE {
        return true;
    }
    let device = x.device().without_autodiff();
    x.dtype() == DType::F32 && matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

/// The integers that weights came as, if they are to be used: never where something learns.
fn int8_of<const N: usize>(
    operations: Operations,
    int8: [Option<Arc<Int8Matrix>>; N],
) -> [Option<Arc<Int8Matrix>>; N] {
    int8.map(|matrix| matrix.filter(|_| operations == Operations::Fused))
}

fn apply_2<const D: usize>(
    kernel: impl Kernel + 'static,
    x: &Tensor<3>,
    (a, b): (Tensor<D>, Tensor<1>),
) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as FusedOps>::with_2(
        x.clone().into_dispatch(),
        a.into_dispatch(),
        b.into_dispatch(),
        Arc::new(kernel),
    ))
}

fn apply_6(
    kernel: impl Kernel + 'static,
    x: &Tensor<3>,
    (a, b): NormPair,
    (c, d): Pair,
    (e, f): Pair,
) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as FusedOps>::with_6(
        x.clone().into_dispatch(),
        a.into_dispatch(),
        b.into_dispatch(),
        c.into_dispatch(),
        d.into_dispatch(),
        e.into_dispatch(),
        f.into_dispatch(),
        Arc::new(kernel),
    ))
}

fn apply_10(
    kernel: impl Kernel + 'static,
    x: &Tensor<3>,
    (a, b): NormPair,
    (c, d): Pair,
    (e, f): Pair,
    (g, h): NormPair,
    (i, j): Pair,
) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as FusedOps>::with_10(
        x.clone().into_dispatch(),
        a.into_dispatch(),
        b.into_dispatch(),
        c.into_dispatch(),
        d.into_dispatch(),
        e.into_dispatch(),
        f.into_dispatch(),
        g.into_dispatch(),
        h.into_dispatch(),
        i.into_dispatch(),
        j.into_dispatch(),
        Arc::new(kernel),
    ))
}
