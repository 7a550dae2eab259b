//! Operations that the CPU backend would compute as several passes over memory, in one pass each.
//!
//! burn composes SiLU and GLU from a scalar `expf`, differentiates layer norm through eight
//! operations, and a depthwise convolution's weight channel by channel. Here each is a loop over
//! slices with its own gradient. Every function answers `None` on any other device than the CPU
//! backend; the caller then composes burn's own operations, which are the definition.

#[cfg(feature = "autodiff")]
mod gradient;
#[cfg(feature = "autodiff")]
mod gradient_kernels;
mod kernels;

use burn::{
    backend::{
        Backend, Dispatch, DispatchDevice, Flex, TensorMetadata, backend_extension, ops::ModuleOps,
        tensor::FloatTensor,
    },
    prelude::*,
    tensor::DType,
};

/// The operations themselves, `[.., channels]` in and out.
#[backend_extension(Flex, Autodiff: cfg(feature = "autodiff"))]
trait FusedOps: Backend {
    fn silu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn glu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn depthwise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;
}

impl FusedOps for Flex {
    fn silu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (values, shape) = contiguous(&x);
        tensor(kernels::silu(slice(&values)), &shape)
    }

    fn glu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (values, mut shape) = contiguous(&x);
        let channels = shape[shape.len() - 1] / 2;
        let rank = shape.len();
        shape[rank - 1] = channels;
        tensor(kernels::glu(slice(&values), channels), &shape)
    }

    fn depthwise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (values, shape) = contiguous(&x);
        let (weight, bias) = (weight.to_contiguous(), bias.to_contiguous());
        let size = kernels::Size {
            time: shape[1],
            channels: shape[2],
        };
        let y = kernels::depthwise(slice(&values), slice(&weight), slice(&bias), size);
        tensor(y, &shape)
    }

    fn norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        Self::layer_norm(x, gamma, Some(beta), epsilon)
    }
}

type Primitive = FloatTensor<Flex>;

fn contiguous(x: &Primitive) -> (Primitive, Vec<usize>) {
    (x.to_contiguous(), x.shape().as_slice().to_vec())
}

fn slice(x: &Primitive) -> &[f32] {
    let len = x.layout().num_elements();
    let start = x.layout().start_offset();
    &x.storage::<f32>()[start..start + len]
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> Primitive {
    Primitive::from_data(TensorData::new(values, shape.to_vec()))
}

/// Whether the fused form can take `x`.
pub(super) fn is_supported<const D: usize>(x: &Tensor<D>) -> bool {
    let device = x.device().without_autodiff();
    x.dtype() == DType::F32 && matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

/// `x * sigmoid(x)`.
pub(super) fn silu<const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>> {
    is_supported(x)
        .then(|| Tensor::from_dispatch(<Dispatch as FusedOps>::silu(x.clone().into_dispatch())))
}

/// First half of the channels times the sigmoid of the second, `[.., 2 * c]` to `[.., c]`.
pub(super) fn glu<const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>> {
    is_supported(x)
        .then(|| Tensor::from_dispatch(<Dispatch as FusedOps>::glu(x.clone().into_dispatch())))
}

/// Depthwise convolution of `[batch, time, channels]` with `[kernel, channels]`, zeros around.
pub(super) fn depthwise(x: &Tensor<3>, weight: &Tensor<2>, bias: &Tensor<1>) -> Option<Tensor<3>> {
    is_supported(x).then(|| {
        Tensor::from_dispatch(<Dispatch as FusedOps>::depthwise(
            x.clone().into_dispatch(),
            weight.clone().into_dispatch(),
            bias.clone().into_dispatch(),
        ))
    })
}

/// Layer norm over the last axis with scale and shift.
pub(super) fn layer_norm<const D: usize>(
    x: &Tensor<D>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    epsilon: f64,
) -> Option<Tensor<D>> {
    is_supported(x).then(|| {
        Tensor::from_dispatch(<Dispatch as FusedOps>::norm(
            x.clone().into_dispatch(),
            gamma.clone().into_dispatch(),
            beta.clone().into_dispatch(),
            epsilon,
        ))
    })
}

#[cfg(all(test, feature = "autodiff"))]
mod tests {
    use burn::tensor::{activation, module, ops::ConvOptions};

    use super::*;
    use crate::weights::{Init, RandomInit, WeightSource};

    /// Rounding of sums of a hundred terms of about 1.
    const TOLERANCE: f32 = 2e-5;

    fn noise<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
        let values = RandomInit { seed: 1 }
            .take(
                name,
                &shape,
                Init::Xavier {
                    fan_in: 1,
                    fan_out: 1,
                },
            )
            .unwrap_or_default();
        let device = Device::flex().autodiff();
        Tensor::from_data(TensorData::new(values, shape), &device).require_grad()
    }

    fn assert_close<const D: usize>(a: Tensor<D>, b: Tensor<D>) {
        assert_eq!(a.dims(), b.dims());
        let worst = (a - b).abs().max().into_scalar::<f32>();
        assert!(worst < TOLERANCE, "{worst}");
    }

    /// Compares results and the gradients of a random projection of them.
    fn compare(
        inputs: (&Tensor<3>, &Tensor<2>, &Tensor<1>),
        fused: Option<Tensor<3>>,
        composed: Tensor<3>,
    ) {
        let fused = fused.unwrap_or_else(|| unreachable!("flex is supported"));
        assert_close(fused.clone().inner(), composed.clone().inner());
        let projection = noise("projection", fused.dims()).inner();
        let slope = |y: Tensor<3>| (y * projection.clone()).sum().backward();
        let (fused, composed) = (slope(fused), slope(composed));
        let (x, weight, bias) = inputs;
        let pairs = |a: Option<Tensor<1>>, b: Option<Tensor<1>>| match (a, b) {
            (Some(a), Some(b)) => assert_close(a, b),
            (a, b) => assert_eq!(a.is_some(), b.is_some()),
        };
        let flat = |gradients, which| match which {
            0 => x.grad(gradients).map(|g| g.reshape([-1])),
            1 => weight.grad(gradients).map(|g| g.reshape([-1])),
            _ => bias.grad(gradients),
        };
        for which in 0..3 {
            pairs(flat(&fused, which), flat(&composed, which));
        }
    }

    #[test]
    fn fused_operations_equal_composed_ones_with_their_gradients() {
        // Fewer channels than are summed at once, some more, and a multiple; utterances shorter
        // than half the kernel.
        for (channels, time, kernel) in [(6, 5, 3), (38, 3, 9), (64, 20, 15), (34, 1, 1)] {
            let x = noise("x", [2, time, channels]);
            let weight = noise("weight", [kernel, channels]);
            let bias = noise("bias", [channels]);
            let inputs = (&x, &weight, &bias);
            compare(inputs, silu(&x), activation::silu(x.clone()));
            compare(inputs, glu(&x), activation::glu(x.clone(), 2));
            compare(
                inputs,
                layer_norm(&x, &bias, &bias, 1e-5),
                module::layer_norm(x.clone(), bias.clone(), Some(bias.clone()), 1e-5),
            );
            let grouped = module::conv1d(
                x.clone().swap_dims(1, 2),
                weight
                    .clone()
                    .swap_dims(0, 1)
                    .reshape([channels, 1, kernel]),
                Some(bias.clone()),
                ConvOptions::new([1], [kernel / 2], [1], channels),
            );
            compare(
                inputs,
                depthwise(&x, &weight, &bias),
                grouped.swap_dims(1, 2),
            );
        }
    }

    #[test]
    fn strided_views_are_read_in_order() {
        let x = noise("x", [4, 3, 2]).swap_dims(0, 2);
        let fused = silu(&x).unwrap_or_else(|| unreachable!("flex is supported"));
        assert_close(fused.inner(), activation::silu(x).inner());
    }
}
