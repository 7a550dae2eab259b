//! Agreement of two views of an utterance.

use burn::prelude::*;

use super::frames;

/// Consistency of CR-CTC (Yao et al., 2024, equation 5): the divergence KL(other view || this view)
/// of every real frame, summed over the frames of each row times `weights`. The other view is a
/// constant for each, so both are pulled.
///
/// - `log_probs`: `[utterances * 2, time, vocab]`, natural log; the views of an utterance are
///   neighbours.
/// - `lengths`: real frames per row, `<= time`, the same in both views.
/// - `weights`: per row, those of its CTC loss.
pub fn consistency_loss(log_probs: Tensor<3>, lengths: &[usize], weights: &[f64]) -> Tensor<1> {
    let [rows, time, vocab] = log_probs.dims();
    assert!(
        rows.is_multiple_of(2) && lengths.len() == rows && weights.len() == rows,
        "the consistency of {rows} rows got {} lengths and {} weights",
        lengths.len(),
        weights.len()
    );
    let other = log_probs
        .clone()
        .detach()
        .reshape([rows / 2, 2, time, vocab])
        .flip([1])
        .reshape([rows, time, vocab]);
    let per_frame = (other.clone().exp() * (other - log_probs)).sum_dim(2);
    let per_frame = frames::zero_padding(per_frame, lengths);
    let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
    let weights = TensorData::new(weights, [rows, 1, 1]);
    (per_frame.clone() * Tensor::from_data(weights, &per_frame.device().inner())).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::activation::log_softmax;

    use super::*;

    /// Two utterances of two views, two frames and two classes; the last frame of the second is
    /// padding.
    const LOGITS: [f32; 16] = [
        0.2, -0.4, 1.0, 0.5, // the first, one view
        0.9, 0.3, -0.7, 0.1, // the other
        -0.3, 0.8, 7.0, -7.0, // the second
        0.6, 0.4, -9.0, 3.0,
    ];
    const LENGTHS: [usize; 4] = [2, 2, 1, 1];
    const WEIGHTS: [f64; 4] = [0.5, 0.5, 0.25, 0.25];

    fn loss(logits: &[f32]) -> f32 {
        let data = TensorData::new(logits.to_vec(), [4, 2, 2]);
        let log_probs = log_softmax(Tensor::from_data(data, &Device::flex()), 2);
        consistency_loss(log_probs, &LENGTHS, &WEIGHTS).into_scalar::<f32>()
    }

    fn probabilities(logits: &[f32]) -> [f64; 2] {
        let odds = f64::from(logits[1] - logits[0]).exp();
        [1.0 / (1.0 + odds), odds / (1.0 + odds)]
    }

    /// KL(target || view) by its definition.
    fn divergence(target: &[f32], view: &[f32]) -> f64 {
        let (target, view) = (probabilities(target), probabilities(view));
        (0..2).map(|c| target[c] * (target[c] / view[c]).ln()).sum()
    }

    #[test]
    fn it_is_the_weighted_divergence_both_ways_of_real_frames() {
        let frame = |row: usize, time: usize| &LOGITS[row * 4 + time * 2..][..2];
        let both = |a, b, time| {
            divergence(frame(a, time), frame(b, time)) + divergence(frame(b, time), frame(a, time))
        };
        let want = 0.5 * (both(0, 1, 0) + both(0, 1, 1)) + 0.25 * both(2, 3, 0);
        assert!((f64::from(loss(&LOGITS)) - want).abs() < 1e-6);
    }

    #[test]
    fn equal_views_agree() {
        let mut logits = LOGITS;
        logits.copy_within(0..4, 4);
        logits.copy_within(8..10, 12);
        assert!(loss(&logits).abs() < 1e-7);
    }

    #[test]
    fn each_view_is_pulled_towards_the_other_as_a_constant() {
        let device = Device::flex().autodiff();
        let data = TensorData::new(LOGITS.to_vec(), [4, 2, 2]);
        let logits = Tensor::<3>::from_data(data, &device).require_grad();
        let loss = consistency_loss(log_softmax(logits.clone(), 2), &LENGTHS, &WEIGHTS);
        let gradient = logits.grad_remove(&mut loss.backward()).unwrap();
        let gradient: Vec<f32> = gradient.into_data().iter().collect();
        for row in 0..4 {
            for time in 0..2 {
                let at = |row: usize| row * 4 + time * 2;
                let own = probabilities(&LOGITS[at(row)..][..2]);
                let other = probabilities(&LOGITS[at(row ^ 1)..][..2]);
                for class in 0..2 {
                    // d KL(other || softmax(x)) / dx = softmax(x) - other.
                    let want = if time < LENGTHS[row] {
                        WEIGHTS[row] * (own[class] - other[class])
                    } else {
                        0.0
                    };
                    let got = f64::from(gradient[at(row) + class]);
                    assert!((got - want).abs() < 1e-6, "{got} instead of {want}");
                }
            }
        }
    }
}
