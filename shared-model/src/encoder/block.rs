//! One Conformer block: half feed-forward, attention, convolution, half feed-forward, layer norm.

use burn::prelude::*;

use crate::{
    network::{Mode, ModelConfig},
    nn::{
        attention::SelfAttention, builder::Builder, conv_module::ConvModule,
        feed_forward::FeedForward, norm::Norm, pass::Pass,
    },
    weights::WeightError,
};

#[derive(Module, Debug)]
pub(crate) struct Block {
    ffn1: FeedForward,
    attention: SelfAttention,
    conv: ConvModule,
    ffn2: FeedForward,
    norm: Norm,
}

impl Block {
    pub(crate) fn new(mut builder: Builder, config: &ModelConfig) -> Result<Self, WeightError> {
        Ok(Self {
            ffn1: FeedForward::new(builder.scope("ffn1"), config)?,
            attention: SelfAttention::new(builder.scope("attention"), config)?,
            conv: ConvModule::new(builder.scope("conv"), config)?,
            ffn2: FeedForward::new(builder.scope("ffn2"), config)?,
            norm: Norm::layer(builder.scope("norm"), config.d_model)?,
        })
    }

    /// `[batch, time, d_model]` to the same shape.
    pub(crate) fn forward(&self, x: Tensor<3>, pass: Pass<'_>, mode: &mut Mode) -> Tensor<3> {
        let x = self.ffn1.forward(x, pass, mode);
        let x = self.attention.forward(x, pass, mode);
        let x = self.conv.forward(x, pass, mode);
        let x = self.ffn2.forward(x, pass, mode);
        self.norm.forward_layer(x, pass.operations)
    }

    /// The norm that may keep running statistics.
    pub(crate) fn batch_norm(&self) -> &Norm {
        self.conv.norm()
    }

    pub(crate) fn batch_norm_mut(&mut self) -> &mut Norm {
        self.conv.norm_mut()
    }
}
