//! Convolution module of a Conformer block (Gulati et al. 2020, figure 2).

use burn::{
    module::Param,
    prelude::*,
    tensor::{module, ops::ConvOptions},
};

use super::{
    activation::{glu, silu},
    branch::{ConvolutionOptions, ConvolutionWeights},
    builder::Builder,
    dropout::{draw, dropout},
    fusion::{self, convolution},
    host::ALONE,
    linear::Linear,
    norm::{EPSILON, Norm},
    pass::Pass,
};
use crate::{
    kernels::drop_mask::DropMask,
    network::{Mode, ModelConfig},
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

    /// `[batch, time, d_model]` to the same shape: the input plus the branch.
    pub(crate) fn forward(&self, x: Tensor<3>, pass: Pass<'_>, mode: &mut Mode) -> Tensor<3> {
        let Pass {
            mask, operations, ..
        } = pass;
        let drop_mask = draw(self.dropout, mode);
        if fusion::are_tried(operations)
            && (ALONE || self.norm.is_layer() || fusion::is_on_adapter(&x, operations))
            && let Some(y) = self.fused(&x, pass, drop_mask)
        {
            return y;
        }
        let normed = self.norm_in.forward_layer(x.clone(), operations);
        let inner = glu(self.gate.observed(normed, mode));
        let inner = self.depthwise.forward(mask.zero_padding(inner));
        let inner = silu(self.norm.forward(inner, mask, operations, mode));
        x + dropout(self.out.observed(inner, mode), drop_mask)
    }

    /// The branch as one operation, where the device has it; a batch norm in evaluation.
    #[inline(always)]
    pub(crate) fn fused(
        &self,
        x: &Tensor<3>,
        pass: Pass<'_>,
        mask: Option<DropMask>,
    ) -> Option<Tensor<3>> {
        let weights = ConvolutionWeights {
            norm_in: self.norm_in.weights(),
            gate: self.gate.weights(),
            depthwise: (self.depthwise.weight.val(), self.depthwise.bias.val()),
            norm: self.norm.weights(),
            out: self.out.weights(),
        };
        let options = ConvolutionOptions {
            pass,
            mask,
            running: self.norm.running(),
            epsilon: EPSILON,
        };
        convolution(x, weights, options)
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

    /// `[batch, time, channels]` to the same shape, zeros around.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let [kernel, channels] = weight.dims();
        let weight = weight.swap_dims(0, 1).reshape([channels, 1, kernel]);
        let options = ConvOptions::new([1], [kernel / 2], [1], channels);
        module::conv1d(x.swap_dims(1, 2), weight, Some(bias), options).swap_dims(1, 2)
    }
}
