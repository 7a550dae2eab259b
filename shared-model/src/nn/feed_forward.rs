//! Feed-forward module of a Conformer block (Gulati et al. 2020, figure 4).

use burn::prelude::*;

use super::{
    activation::silu,
    branch::FeedForwardOptions,
    builder::Builder,
    dropout::{draw, dropout},
    fusion,
    linear::Linear,
    norm::{EPSILON, Norm},
    pass::Pass,
};
use crate::{
    network::{Mode, ModelConfig},
    weights::WeightError,
};

/// A block has two feed-forward branches, each with half a residual step.
const SHARE: f64 = 0.5;

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

    /// `[batch, time, d_model]` to the same shape: the input plus half of the branch.
    pub(crate) fn forward(&self, x: Tensor<3>, pass: Pass<'_>, mode: &mut Mode) -> Tensor<3> {
        let masks = [(); 2].map(|()| draw(self.dropout, mode));
        let (norm, up, down) = (self.norm.weights(), self.up.weights(), self.down.weights());
        if fusion::are_tried(pass.operations) {
            let options = FeedForwardOptions {
                pass,
                masks,
                scale: SHARE,
                epsilon: EPSILON,
            };
            if let Some(y) = fusion::feed_forward(&x, norm, up, down, options) {
                return y;
            }
        }
        let normed = self.norm.forward_layer(x.clone(), pass.operations);
        let inner = silu(self.up.observed(normed, mode));
        let inner = dropout(inner, masks[0]);
        x + dropout(self.down.observed(inner, mode), masks[1]) * SHARE
    }
}
