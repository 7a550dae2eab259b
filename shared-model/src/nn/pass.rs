//! What the layers of one forward pass share.

use super::{mask::FrameMask, positions::RotaryTables};
use crate::kernels::operations::Operations;

/// Handed from block to block.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub mask: &'a FrameMask,
    /// Present if the model has rotary positions.
    pub rotary: Option<&'a RotaryTables>,
    pub operations: Operations,
}
