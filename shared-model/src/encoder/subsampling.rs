//! Strided convolutions from feature frames to encoder frames.
//!
//! Each convolution has kernel 3 and stride 2. It is computed as a matrix multiplication of
//! windows of three frames, which keeps `[batch, time, channels]` and needs no convolution kernel
//! of the backend.

use burn::prelude::*;

use crate::{
    kernels::operations::Operations,
    network::{Mode, ModelConfig, conv_length},
    nn::{
        activation::gelu,
        builder::Builder,
        fusion::{are_tried, conv_gelu, masked_conv_gelu},
        linear::Linear,
        mask::FrameMask,
        norm::Norm,
    },
    weights::WeightError,
};

const KERNEL: usize = 3;

/// Three frames to one, every second frame: `[batch, time, c_in]` to `[batch, time', c_out]`.
/// `conv`'s weight is `[3 * c_in, c_out]`, taps outermost. `time` must give at least one frame. GELU
/// follows.
fn strided_conv(
    conv: &Linear,
    x: Tensor<3>,
    is_padded: bool,
    operations: Operations,
    mode: &mut Mode,
) -> Tensor<3> {
    let [batch, time, c_in] = x.dims();
    let out_time = conv_length(time, is_padded);
    // Output t reads frames 2t, 2t + 1, 2t + 2 of the padded input: pair t and the first frame of
    // pair t + 1. Pairing frames is a change of shape only.
    let left = usize::from(is_padded);
    if are_tried(operations)
        && let Some(y) = conv_gelu(&x, conv.weights().pair, left, out_time, operations)
    {
        return y;
    }
    let needed = 2 * (out_time + 1);
    let x = match needed.checked_sub(left + time) {
        Some(right) => pad_time(x, left, right),
        None => x.narrow(1, 0, needed),
    };
    let pairs = x.reshape([batch, out_time + 1, 2 * c_in]);
    let windows = Tensor::cat(
        vec![
            pairs.clone().narrow(1, 0, out_time),
            pairs.narrow(1, 1, out_time).narrow(2, 0, c_in),
        ],
        2,
    );
    gelu(conv.observed(windows, mode))
}

/// Zero frames before and after, `[batch, time, c]` to `[batch, left + time + right, c]`.
fn pad_time(x: Tensor<3>, left: usize, right: usize) -> Tensor<3> {
    let [batch, _, channels] = x.dims();
    let device = x.device();
    let zeros = |frames| Tensor::zeros([batch, frames, channels], &device);
    let mut parts = Vec::with_capacity(3);
    if left > 0 {
        parts.push(zeros(left));
    }
    parts.push(x);
    if right > 0 {
        parts.push(zeros(right));
    }
    Tensor::cat(parts, 1)
}

/// Features to encoder frames: convolution, GELU and norm, then convolution and GELU once (4x) or
/// twice (8x).
#[derive(Module, Debug)]
pub(crate) struct Frontend {
    conv_a: Linear,
    norm: Norm,
    conv_b: Linear,
    conv_c: Option<Linear>,
    #[module(skip)]
    paddings: Vec<bool>,
}

impl Frontend {
    pub(crate) fn new(mut builder: Builder, config: &ModelConfig) -> Result<Self, WeightError> {
        let d_model = config.d_model;
        let paddings: Vec<bool> = config.paddings().collect();
        let mut conv = |name: &str, c_in: usize| {
            Linear::with_default_init(builder.scope(name), KERNEL * c_in, d_model)
        };
        Ok(Self {
            conv_a: conv("conv_a", config.n_mels)?,
            conv_b: conv("conv_b", d_model)?,
            conv_c: match paddings.len() {
                3 => Some(conv("conv_c", d_model)?),
                _ => None,
            },
            norm: Norm::new(builder.scope("norm"), d_model, config.norm)?,
            paddings,
        })
    }

    /// `[batch, time, n_mels]` to `[batch, time', d_model]` and the mask at that resolution.
    /// Padded frames of the input must be zero, but for a graphics adapter's kernels, and `time` must give at least one encoder frame.
    pub(crate) fn forward(
        &self,
        features: Tensor<3>,
        mask: &FrameMask,
        operations: Operations,
        mode: &mut Mode,
    ) -> (Tensor<3>, FrameMask) {
        let mut x = features;
        let mut resized: Option<FrameMask> = None;
        let convs = [Some(&self.conv_a), Some(&self.conv_b), self.conv_c.as_ref()];
        for (index, (conv, &is_padded)) in
            convs.into_iter().flatten().zip(&self.paddings).enumerate()
        {
            let mask = resized.as_ref().unwrap_or(mask);
            let next = mask.resized(|frames| conv_length(frames, is_padded));
            let masks = [mask, &next];
            let left = usize::from(is_padded);
            x = match masked_conv_gelu(&x, conv.weights().pair, left, masks, operations) {
                Some(y) => y,
                None if index == 0 => strided_conv(conv, x, is_padded, operations, mode),
                None => {
                    let x = mask.zero_padding(x);
                    strided_conv(conv, x, is_padded, operations, mode)
                }
            };
            if index == 0 {
                x = self.norm.forward(x, &next, operations, mode);
            }
            resized = Some(next);
        }
        let mask = resized.unwrap_or_else(|| mask.resized(|frames| frames));
        (x, mask)
    }

    /// The norm that may keep running statistics.
    pub(crate) fn batch_norm(&self) -> &Norm {
        &self.norm
    }

    pub(crate) fn batch_norm_mut(&mut self) -> &mut Norm {
        &mut self.norm
    }
}
