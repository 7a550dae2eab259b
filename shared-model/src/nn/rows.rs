//! The values of the CPU backend's tensors, where they lie.

use std::borrow::Cow;

use burn::backend::{Flex, tensor::FloatTensor};

/// A tensor of the CPU backend, of f32.
pub(crate) type Primitive = FloatTensor<Flex>;

/// The values of a tensor whose rows lie one after another.
pub(crate) fn slice(x: &Primitive) -> &[f32] {
    let len = x.layout().num_elements();
    let start = x.layout().start_offset();
    &x.storage::<f32>()[start..start + len]
}

/// The values in rows, whatever order they lie in.
pub(crate) fn rows_of(x: &Primitive) -> Cow<'_, [f32]> {
    let layout = x.layout();
    if x.is_contiguous() {
        return Cow::Borrowed(slice(x));
    }
    let mut values = Vec::with_capacity(layout.num_elements());
    let (shape, start) = (layout.shape().as_slice(), layout.start_offset());
    gather(x.storage(), shape, layout.strides(), start, &mut values);
    Cow::Owned(values)
}

fn gather(
    storage: &[f32],
    shape: &[usize],
    strides: &[isize],
    start: usize,
    values: &mut Vec<f32>,
) {
    match (shape, strides) {
        ([length, shape @ ..], [stride, strides @ ..]) => {
            for index in 0..*length {
                let start = start.wrapping_add_signed(index as isize * stride);
                gather(storage, shape, strides, start, values);
            }
        }
        _ => values.push(storage[start]),
    }
}
