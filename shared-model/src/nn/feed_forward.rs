//! Feed-forward module of a Conformer block (Gulati et al. 2020, figure 4).

use burn::prelude::*;

use super::{activation::silu, builder::Builder, dropout::dropout, linear::Linear, norm::Norm};
use crate::{
    model::{Mode, ModelConfig},
    weights::WeightError,
};

#[derive(Module, Debug)]
pub(crate) struct FeedForward {
    norm: Norm,
    up: Linear,
    down: Linear,
    dropout: f64,
}

impl FeedForward {
    pub(crate) fn new(mut builder: Builder, config: &ModelConfig) -> Result<Self, WeightError> {
        Ok(Self {
            norm: Norm::layer(builder.scope("norm"), config.d_model)?,
            up: Linear::with_default_init(builder.scope("up"), config.d_model, config.d_ffn)?,
            down: Linear::with_default_init(builder.scope("down"), config.d_ffn, config.d_model)?,
            dropout: config.dropout,
        })
    }

    /// `[batch, time, d_model]` to the same shape, without the residual.
    pub(crate) fn forward(&self, x: Tensor<3>, mode: &mut Mode) -> Tensor<3> {
        let x = self.norm.forward_layer(x);
        let x = dropout(silu(self.up.forward(x)), self.dropout, mode);
        dropout(self.down.forward(x), self.dropout, mode)
    }
}
