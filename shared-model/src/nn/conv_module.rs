//! Convolution module of a Conformer block (Gulati et al. 2020, figure 2).

use burn::{
    module::Param,
    prelude::*,
    tensor::{module, ops::ConvOptions},
};

use super::{
    activation::{glu, silu},
    builder::Builder,
    dropout::dropout,
    fused,
    linear::Linear,
    mask::FrameMask,
    norm::Norm,
};
use crate::{
    model::{Mode, ModelConfig},
    weights::{Init, WeightError},
};

#[derive(Module, Debug)]
pub(crate) struct ConvModule {
    norm_in: Norm,
    /// Pointwise, to twice the width for the gate.
    gate: Linear,
    depthwise: DepthwiseConv,
    norm: Norm,
    /// Pointwise.
    out: Linear,
    dropout: f64,
}

impl ConvModule {
    pub(crate) fn new(mut builder: Builder, config: &ModelConfig) -> Result<Self, WeightError> {
        let d_model = config.d_model;
        Ok(Self {
            norm_in: Norm::layer(builder.scope("norm_in"), d_model)?,
            gate: Linear::with_default_init(builder.scope("gate"), d_model, 2 * d_model)?,
            depthwise: DepthwiseConv::new(builder.scope("depthwise"), d_model, config.conv_kernel)?,
            norm: Norm::new(builder.scope("norm"), d_model, config.norm)?,
            out: Linear::with_default_init(builder.scope("out"), d_model, d_model)?,
            dropout: config.dropout,
        })
    }

    /// `[batch, time, d_model]` to the same shape, without the residual.
    pub(crate) fn forward(&self, x: Tensor<3>, mask: &FrameMask, mode: &mut Mode) -> Tensor<3> {
        let x = glu(self.gate.forward(self.norm_in.forward_layer(x)));
        let x = self.depthwise.forward(mask.zero_padding(x));
        let x = silu(self.norm.forward(x, mask, mode));
        dropout(self.out.forward(x), self.dropout, mode)
    }

    /// The norm that may keep running statistics.
    pub(crate) fn norm(&self) -> &Norm {
        &self.norm
    }

    pub(crate) fn norm_mut(&mut self) -> &mut Norm {
        &mut self.norm
    }
}

/// One kernel a channel over time, odd length, output as long as the input.
#[derive(Module, Debug)]
struct DepthwiseConv {
    /// `[kernel, channels]`
    weight: Param<Tensor<2>>,
    /// `[channels]`
    bias: Param<Tensor<1>>,
}

impl DepthwiseConv {
    fn new(mut builder: Builder, channels: usize, kernel: usize) -> Result<Self, WeightError> {
        Ok(Self {
            weight: builder.weight("weight", [kernel, channels], Init::FanIn(kernel))?,
            bias: builder.weight("bias", [channels], Init::FanIn(kernel))?,
        })
    }

    /// `[batch, time, channels]` to the same shape.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        depthwise_conv(x, self.weight.val(), self.bias.val())
    }
}

/// Depthwise convolution of `[batch, time, channels]` with `[kernel, channels]`, zeros around.
fn depthwise_conv(x: Tensor<3>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<3> {
    fused::depthwise(&x, &weight, &bias).unwrap_or_else(|| {
        let [kernel, channels] = weight.dims();
        let weight = weight.swap_dims(0, 1).reshape([channels, 1, kernel]);
        let options = ConvOptions::new([1], [kernel / 2], [1], channels);
        module::conv1d(x.swap_dims(1, 2), weight, Some(bias), options).swap_dims(1, 2)
    })
}
