//! Absolute positions: sinusoids that are added to the frames.

use burn::prelude::*;

use super::{
    fusion,
    host::{self, ALONE},
    mask::FrameMask,
    positions::turn_rates,
};
use crate::kernels::operations::Operations;

/// `[batch, time, d_model]` plus [`sinusoids`].
pub(crate) fn add_sinusoids(x: Tensor<3>, mask: &FrameMask, operations: Operations) -> Tensor<3> {
    let [_, time, d_model] = x.dims();
    let table = sinusoids(time, d_model);
    if fusion::are_tried(operations)
        && let Some(y) = fusion::add_to_each(&x, &table, mask, operations)
    {
        return y;
    }
    if ALONE {
        return host::changed(x, |values| add_to_each(values, &table));
    }
    let table = host::tensor(table, [1, time, d_model], &x.device());
    x + table
}

/// Adds `table` to each utterance.
fn add_to_each(values: &mut [f32], table: &[f32]) {
    for utterance in values.chunks_exact_mut(table.len().max(1)) {
        for (value, term) in utterance.iter_mut().zip(table) {
            *value += term;
        }
    }
}

/// `[time, d_model]`: sine at even channels, cosine at odd ones.
fn sinusoids(time: usize, d_model: usize) -> Vec<f32> {
    let pairs = d_model / 2;
    let rates = turn_rates(pairs);
    let mut table = Vec::with_capacity(time * d_model);
    for frame in 0..time {
        for rate in &rates {
            let (sin, cos) = (frame as f64 * rate).sin_cos();
            table.extend([sin as f32, cos as f32]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_utterance_is_given_the_same_positions() {
        let table = sinusoids(2, 4);
        let (sin, cos) = (1f64.sin() as f32, 1f64.cos() as f32);
        let slow = 0.01f64;
        let second = [sin, cos, slow.sin() as f32, slow.cos() as f32];
        assert_eq!(table, [[0.0, 1.0, 0.0, 1.0], second].concat());
        let mut values = vec![1.0; 16];
        add_to_each(&mut values, &table);
        let expected: Vec<f32> = table.iter().map(|value| value + 1.0).collect();
        assert_eq!(values, [expected.clone(), expected].concat());
    }
}
