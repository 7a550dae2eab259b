//! The encoder: convolutional subsampling and a stack of Conformer blocks.

mod block;
mod subsampling;

use burn::prelude::*;

use crate::{
    kernels::operations::Operations,
    network::{Mode, ModelConfig, Positions},
    nn::{
        builder::Builder,
        dropout::{draw, dropout},
        mask::FrameMask,
        pass::Pass,
        positions::RotaryTables,
        sinusoids::add_sinusoids,
    },
    weights::WeightError,
};
pub(crate) use block::Block;
pub(crate) use subsampling::Frontend;

/// Positions and blocks.
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    blocks: Vec<Block>,
    n_heads: usize,
    dropout: f64,
    #[module(skip)]
    positions: Positions,
}

impl Encoder {
    pub(crate) fn new(mut builder: Builder, config: &ModelConfig) -> Result<Self, WeightError> {
        let blocks = (0..config.n_layers)
            .map(|index| Block::new(builder.scope(format_args!("blocks.{index}")), config))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            blocks,
            n_heads: config.n_heads,
            dropout: config.dropout,
            positions: config.positions,
        })
    }

    /// `[batch, time, d_model]` to the output of each block, same shape.
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        mask: &FrameMask,
        operations: Operations,
        mode: &mut Mode,
    ) -> Vec<Tensor<3>> {
        let [_, time, d_model] = x.dims();
        let device = x.device();
        let (x, rotary) = match self.positions {
            Positions::None => (x, None),
            Positions::Sinusoid => (add_sinusoids(x, mask, operations), None),
            Positions::Rotary => {
                let tables = RotaryTables::new(time, d_model / self.n_heads, &device);
                (x, Some(tables))
            }
        };
        let pass = Pass {
            mask,
            rotary: rotary.as_ref(),
            operations,
        };
        let mut x = dropout(x, draw(self.dropout, mode));
        let mut hidden = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            x = block.forward(x, pass, mode);
            hidden.push(x.clone());
        }
        hidden
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub(crate) fn blocks_mut(&mut self) -> &mut [Block] {
        &mut self.blocks
    }
}
