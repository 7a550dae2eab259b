//! Element-wise functions that vectorise.

/// `e^x` to about 1e-7 relative, by Cephes' polynomial on the remainder of `x / ln 2`.
///
/// Written without `clamp`, `max` or a conversion to integers: those keep the loop around it from
/// being vectorised on WebAssembly. The exponent comes from the bits of the rounding constant.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let p = 1.987_569_1e-4 * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits());
    p * f32::from_bits(exponent.wrapping_add(127) << 23)
}

#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Distribution function of the standard normal distribution to 1e-7, and its density: the error
/// function after Abramowitz and Stegun, formula 7.1.26.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    const INVERSE_SQRT_TAU: f32 = 0.398_942_3;
    let bell = exp(-0.5 * x * x);
    let magnitude = if x < 0.0 { -x } else { x };
    let t = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * magnitude);
    let p = 1.061_405_4 * t - 1.453_152_1;
    let p = p * t + 1.421_413_8;
    let p = p * t - 0.284_496_72;
    let p = p * t + 0.254_829_6;
    let upper = 0.5 * p * t * bell;
    let below = if x < 0.0 { upper } else { 1.0 - upper };
    (below, bell * INVERSE_SQRT_TAU)
}

/// `x * Phi(x)`.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    x * normal(x).0
}

/// Derivative of [`gelu`].
#[inline(always)]
pub(crate) fn gelu_slope(x: f32) -> f32 {
    let (below, density) = normal(x);
    below + x * density
}

/// `x * sigmoid(x)`.
#[inline(always)]
pub(crate) fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

/// [`silu`] and its derivative.
#[inline(always)]
pub(crate) fn silu_with_slope(x: f32) -> (f32, f32) {
    let s = sigmoid(x);
    (x * s, s * (1.0 + x * (1.0 - s)))
}

/// Numbers that are summed at once.
const LANES: usize = 16;

/// Sum over the places of equally long slices of `term` of what stands there, in lanes: an order
/// that a vector unit can keep. The slices are cut into arrays first: a check of an index in the
/// loop would keep it from being vectorised.
#[inline(always)]
pub(crate) fn sum<const N: usize>(values: [&[f32]; N], term: impl Fn([f32; N]) -> f32) -> f32 {
    let cut = values.map(|values| values.as_chunks::<LANES>());
    let mut lanes = [0.0f32; LANES];
    let chunks = cut.iter().map(|(chunks, _)| chunks.len()).min();
    for index in 0..chunks.unwrap_or(0) {
        let chunks = cut.map(|(chunks, _)| &chunks[index]);
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(chunks.map(|chunk| chunk[lane]));
        }
    }
    let rest = cut.iter().map(|(_, rest)| rest.len()).min();
    for (index, sum) in lanes.iter_mut().enumerate().take(rest.unwrap_or(0)) {
        *sum += term(cut.map(|(_, rest)| rest[index]));
    }
    lanes.iter().sum()
}

/// The largest of `values`, negative infinity of none.
#[inline(always)]
pub(crate) fn max(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = larger(chunk[lane], lanes[lane]);
        }
    }
    let lanes = lanes.iter().chain(rest);
    lanes.fold(f32::NEG_INFINITY, |most, value| larger(*value, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_exact_to_rounding() {
        let mut worst = 0.0f64;
        for step in -870_000..=880_000 {
            let x = step as f32 * 1e-4;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 3e-7, "{worst}");
        assert!(exp(f32::NAN).is_nan());
        assert!(sigmoid(f32::NEG_INFINITY) < 1e-37);
        assert_eq!(sigmoid(f32::INFINITY), 1.0);
    }

    #[test]
    fn the_normal_distribution_agrees_with_its_integral() {
        // Simpson's rule from 0 outwards, in f64.
        let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let (mut integral, h) = (0.5f64, 1e-3);
        for step in 0..6000 {
            let x = step as f64 * h;
            let (below, at) = normal(x as f32);
            assert!((f64::from(below) - integral).abs() < 3e-7, "{x}");
            assert!((f64::from(at) - density(x)).abs() < 1e-7, "{x}");
            assert!((normal(-x as f32).0 - (1.0 - below)).abs() < 1e-7, "{x}");
            integral += h / 6.0 * (density(x) + 4.0 * density(x + h / 2.0) + density(x + h));
        }
    }

    #[test]
    fn sums_and_maxima_see_every_value() {
        for len in [0, 1, 15, 16, 17, 40] {
            let values: Vec<f32> = (0..len).map(|i| i as f32 - 20.0).collect();
            let exact: f32 = values.iter().sum();
            assert_eq!(sum([&values], |[x]| x), exact);
            let twice: f32 = values.iter().map(|x| x * x).sum();
            assert_eq!(sum([&values, &values], |[x, y]| x * y), twice);
            let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(max(&values), most);
        }
    }
}
