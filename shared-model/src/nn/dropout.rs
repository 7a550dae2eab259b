//! Dropout whose masks are drawn on the host, so that they are the same on every device.

use burn::prelude::*;
use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::model::Mode;

/// Zeroes each element with probability `p` and scales the rest by `1 / (1 - p)` in training;
/// gives `x` back in evaluation and at `p` 0.
pub(crate) fn dropout<const D: usize>(x: Tensor<D>, p: f64, mode: &mut Mode) -> Tensor<D> {
    match mode {
        Mode::Train(context) if p > 0.0 => {
            let shape = x.dims();
            let factors = keep_factors(shape.iter().product(), p, &mut context.rng);
            let factors = Tensor::from_data(TensorData::new(factors, shape), &x.device());
            x * factors
        }
        _ => x,
    }
}

/// `len` factors, 0 or `1 / (1 - p)`. A random word decides four elements; `p` is rounded to a
/// multiple of `2^-16` and the factor follows the rounded value, so the mean is exact.
fn keep_factors(len: usize, p: f64, rng: &mut Xoshiro256PlusPlus) -> Vec<f32> {
    let dropped = ((p * 65536.0).round() as u32).min(65535);
    let factor = 65536.0 / (65536 - dropped) as f32;
    let mut factors = vec![0.0f32; len];
    for lanes in factors.chunks_mut(4) {
        let word = rng.next_u64();
        for (index, lane) in lanes.iter_mut().enumerate() {
            let draw = (word >> (16 * index)) as u16;
            *lane = if u32::from(draw) >= dropped {
                factor
            } else {
                0.0
            };
        }
    }
    factors
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn kept_share_and_mean_are_right() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        let factors = keep_factors(200_001, 0.3, &mut rng);
        let kept = factors.iter().filter(|f| **f > 0.0).count() as f64 / 200_001.0;
        let mean = factors.iter().map(|f| f64::from(*f)).sum::<f64>() / 200_001.0;
        assert!((kept - 0.7).abs() < 0.005, "{kept}");
        assert!((mean - 1.0).abs() < 0.005, "{mean}");
    }

    #[test]
    fn masks_repeat_for_the_same_seed_and_differ_otherwise() {
        let draw = |seed| keep_factors(64, 0.5, &mut Xoshiro256PlusPlus::seed_from_u64(seed));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
