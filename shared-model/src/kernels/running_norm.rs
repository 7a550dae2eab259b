//! A norm by statistics that do not depend on what is normalised.

/// `(x - mean) * inverse_std * scale + shift` for each row of `x`; all others are `[channels]`.
pub(crate) fn scale_by_channel(
    x: &mut [f32],
    mean: &[f32],
    inverse_std: &[f32],
    [scale, shift]: [&[f32]; 2],
) {
    let factors = inverse_std
        .iter()
        .zip(scale)
        .map(|(inverse, scale)| inverse * scale);
    let factors: Vec<f32> = factors.collect();
    let terms = shift.iter().zip(mean).zip(&factors);
    let terms: Vec<f32> = terms
        .map(|((shift, mean), factor)| shift - mean * factor)
        .collect();
    for row in x.chunks_exact_mut(mean.len().max(1)) {
        for ((value, factor), term) in row.iter_mut().zip(&factors).zip(&terms) {
            *value = *value * factor + term;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_is_normalised_by_its_own_statistics() {
        let mut x = [3.0, 10.0, 1.0, -10.0];
        // Channel 0: (x - 1) / 2 * 4 + 1; channel 1: (x - 0) / 5 * 1 + 0.
        scale_by_channel(&mut x, &[1.0, 0.0], &[0.5, 0.2], [&[4.0, 1.0], &[1.0, 0.0]]);
        assert_eq!(x, [5.0, 2.0, 1.0, -2.0]);
    }
}
