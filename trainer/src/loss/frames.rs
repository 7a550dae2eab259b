//! Real frames and padding of `[batch, time, ..]` tensors.

use burn::prelude::*;

/// `[batch, time, 1]`: 1 at real frames, 0 at padding.
pub fn frame_mask(lengths: &[usize], time: usize, device: &Device) -> Tensor<3> {
    let values: Vec<f32> = lengths
        .iter()
        .flat_map(|&length| (0..time).map(move |t| if t < length { 1.0 } else { 0.0 }))
        .collect();
    Tensor::from_data(TensorData::new(values, [lengths.len(), time, 1]), device)
}

/// `[batch, time, channels]` with zeros where there is no real frame. Padding may hold anything,
/// even values that are not numbers: it is replaced, not weighed.
pub(super) fn zero_padding(frames: Tensor<3>, lengths: &[usize]) -> Tensor<3> {
    let shape = frames.dims();
    let padding = frame_mask(lengths, shape[1], &frames.device().inner()).lower_elem(0.5);
    frames.mask_fill(padding.expand(shape), 0.0)
}

/// Sum of `[batch, time, 1]` over real frames.
pub(super) fn sum(per_frame: Tensor<3>, lengths: &[usize]) -> Tensor<1> {
    zero_padding(per_frame, lengths).sum()
}

/// Means over real frames: `[batch, time, d_model]` to `[batch, d_model]`.
pub fn utterance_means(hidden: Tensor<3>, lengths: &[usize]) -> Tensor<2> {
    let [batch, _, d_model] = hidden.dims();
    let device = hidden.device().inner();
    let counts: Vec<f32> = lengths.iter().map(|&l| l.max(1) as f32).collect();
    let counts = Tensor::<2>::from_data(TensorData::new(counts, [batch, 1]), &device);
    zero_padding(hidden, lengths)
        .sum_dim(1)
        .reshape([batch, d_model])
        / counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_leave_padding_out_whatever_it_holds() {
        let values = vec![1.0, 2.0, 3.0, 6.0, f32::NAN, 9.0];
        let hidden = Tensor::from_data(TensorData::new(values, [1, 3, 2]), &Device::flex());
        let means: Vec<f32> = utterance_means(hidden, &[2]).into_data().iter().collect();
        assert_eq!(means, vec![2.0, 4.0]);
    }
}
