//! Multi-head self-attention.

use burn::{
    prelude::*,
    tensor::{activation::softmax, module, ops::AttentionModuleOptions},
};

use super::{
    branch::AttentionOptions,
    builder::Builder,
    dropout::{draw, dropout},
    fusion,
    linear::Linear,
    mask::FrameMask,
    norm::{EPSILON, Norm},
    pass::Pass,
};
use crate::{
    kernels::drop_mask::DropMask,
    network::{Mode, ModelConfig},
    weights::{Init, WeightError},
};

#[derive(Module, Debug)]
pub(crate) struct SelfAttention {
    norm: Norm,
    /// Queries, keys and values, packed in this order.
    qkv: Linear,
    out: Linear,
    n_heads: usize,
    dropout: f64,
}

impl SelfAttention {
    pub(crate) fn new(mut builder: Builder, config: &ModelConfig) -> Result<Self, WeightError> {
        let d_model = config.d_model;
        Ok(Self {
            norm: Norm::layer(builder.scope("norm"), d_model)?,
            qkv: Linear::new(
                builder.scope("qkv"),
                d_model,
                3 * d_model,
                Init::Xavier {
                    fan_in: d_model,
                    fan_out: 3 * d_model,
                },
                Init::Constant(0.0),
            )?,
            out: Linear::new(
                builder.scope("out"),
                d_model,
                d_model,
                Init::FanIn(d_model),
                Init::Constant(0.0),
            )?,
            n_heads: config.n_heads,
            dropout: config.dropout,
        })
    }

    /// `[batch, time, d_model]` to the same shape: the input plus the branch.
    pub(crate) fn forward(&self, x: Tensor<3>, pass: Pass<'_>, mode: &mut Mode) -> Tensor<3> {
        let Pass {
            mask,
            rotary,
            operations,
        } = pass;
        let masks = [(); 2].map(|()| draw(self.dropout, mode));
        if fusion::are_tried(operations) {
            let options = AttentionOptions {
                n_heads: self.n_heads,
                pass,
                masks,
                epsilon: EPSILON,
            };
            let (norm, qkv, out) = (self.norm.weights(), self.qkv.weights(), self.out.weights());
            if let Some(y) = fusion::attention(&x, norm, qkv, out, options) {
                return y;
            }
        }
        let [batch, time, d_model] = x.dims();
        let (heads, d_head) = (self.n_heads, d_model / self.n_heads);

        let normed = self.norm.forward_layer(x.clone(), operations);
        let qkv = self.qkv.observed(normed, mode);
        let qk = qkv
            .clone()
            .narrow(2, 0, 2 * d_model)
            .reshape([batch, time, 2 * heads, d_head]);
        let qk = match rotary {
            Some(tables) => tables.rotate(qk),
            None => qk,
        };
        let q = qk.clone().narrow(2, 0, heads).swap_dims(1, 2); // [batch, heads, time, d_head]
        let k = qk.narrow(2, heads, heads).swap_dims(1, 2);
        let v = qkv
            .narrow(2, 2 * d_model, d_model)
            .reshape([batch, time, heads, d_head])
            .swap_dims(1, 2);

        let attended = attend(q, k, v, mask, masks[0])
            .swap_dims(1, 2)
            .reshape([batch, time, d_model]);
        x + dropout(self.out.observed(attended, mode), masks[1])
    }
}

/// Scaled dot-product attention over real keys; all shapes `[batch, heads, time, d_head]`.
fn attend(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: &FrameMask,
    drop_mask: Option<DropMask>,
) -> Tensor<4> {
    let d_head = q.dims()[3];
    if drop_mask.is_none() && !mask.has_padding() && !q.is_autodiff() {
        return module::attention(q, k, v, None, None, AttentionModuleOptions::default());
    }
    let scores = (q * (d_head as f64).powf(-0.5)).matmul(k.swap_dims(2, 3));
    let weights = softmax(mask.hide_padded_keys(scores), 3); // [batch, heads, query, key]
    dropout(weights, drop_mask).matmul(v)
}
