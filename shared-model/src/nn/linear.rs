//! Affine map of the last axis.

use std::sync::Arc;

use burn::{module::Param, prelude::*, tensor::module};

use super::{branch::AffineWeights, builder::Builder};
use crate::{
    kernels::int8::Int8Matrix,
    network::Mode,
    weights::{Init, WeightError},
};

#[derive(Module, Debug)]
pub(crate) struct Linear {
    /// `[d_in, d_out]`
    weight: Param<Tensor<2>>,
    /// `[d_out]`
    bias: Param<Tensor<1>>,
    #[module(skip)]
    int8: Option<Arc<Int8Matrix>>,
    /// In the model.
    #[module(skip)]
    name: String,
}

impl Linear {
    pub(crate) fn new(
        mut builder: Builder,
        d_in: usize,
        d_out: usize,
        weight_init: Init,
        bias_init: Init,
    ) -> Result<Self, WeightError> {
        Ok(Self {
            int8: builder.int8("weight"),
            name: builder.path().to_owned(),
            weight: builder.weight("weight", [d_in, d_out], weight_init)?,
            bias: builder.weight("bias", [d_out], bias_init)?,
        })
    }

    /// PyTorch's defaults for weight and bias.
    pub(crate) fn with_default_init(
        builder: Builder,
        d_in: usize,
        d_out: usize,
    ) -> Result<Self, WeightError> {
        Self::new(builder, d_in, d_out, Init::FanIn(d_in), Init::FanIn(d_in))
    }

    /// `[.., d_in]` to `[.., d_out]`.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        #[cfg(all(feature = "cpu", target_arch = "wasm32", target_feature = "simd128"))]
        if let Some(y) = super::simd128_affine::affine(&x, &weight, &bias) {
            return y;
        }
        module::linear(x, weight, Some(bias))
    }

    /// `[d_in, d_out]` and `[d_out]`.
    /// As [`Self::forward`], telling the input to who observes.
    pub(crate) fn observed(&self, x: Tensor<3>, mode: &mut Mode) -> Tensor<3> {
        if let Mode::Observe(tell) = mode {
            tell(&self.name, x.clone());
        }
        self.forward(x)
    }

    pub(crate) fn weights(&self) -> AffineWeights {
        AffineWeights {
            pair: (self.weight.val(), self.bias.val()),
            int8: self.int8.clone(),
        }
    }

    pub(crate) fn device(&self) -> Device {
        self.bias.val().device()
    }
}
