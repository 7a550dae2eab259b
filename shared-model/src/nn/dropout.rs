//! Dropout of tensors.

use burn::prelude::*;
use rand::Rng;

use super::host;
use crate::{kernels::drop_mask::DropMask, network::Mode};

/// The next mask of a training pass, which drops with probability `p`; `None` in evaluation and at
/// `p` 0.
pub(crate) fn draw(p: f64, mode: &mut Mode) -> Option<DropMask> {
    match mode {
        Mode::Train(context) if p > 0.0 => Some(DropMask::new(p, context.rng.next_u64())),
        _ => None,
    }
}

/// Zeroes what `mask` drops and scales the rest; the rows of the mask are the last axis. Without a
/// mask gives `x` back.
pub(crate) fn dropout<const D: usize>(x: Tensor<D>, mask: Option<DropMask>) -> Tensor<D> {
    let Some(mask) = mask else {
        return x;
    };
    let shape = x.dims();
    let (channels, rows) = (shape[D - 1], shape[..D - 1].iter().product());
    let factors = host::tensor(mask.factors(rows, channels), shape, &x.device());
    x * factors
}
