//! The forward loops, over contiguous slices whose last axis is the channels.

/// Frames an utterance and channels a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub time: usize,
    pub channels: usize,
}

/// Defines a function whose body is compiled a second time for AVX2 and chosen when it runs. A
/// build for x86-64 may otherwise assume SSE2 only, half the width.
macro_rules! vectorized {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$doc])*
        $vis fn $name($($arg: $ty),*) $(-> $out)? {
            #[inline(always)]
            fn portable($($arg: $ty),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn wide($($arg: $ty),*) $(-> $out)? {
                    portable($($arg),*)
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    #[allow(unsafe_code, reason = "sound: the processor was just asked for AVX2")]
                    return unsafe { wide($($arg),*) };
                }
            }
            portable($($arg),*)
        }
    };
}

#[cfg(feature = "autodiff")]
pub(super) use vectorized;

/// `e^x` to about 1e-7 relative, by Cephes' polynomial on the remainder of `x / ln 2`.
///
/// Written without `clamp`, `max` or a conversion to integers: those keep the loop around it from
/// being vectorised on WebAssembly. The exponent comes from the bits of the rounding constant.
#[inline(always)]
fn exp(x: f32) -> f32 {
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
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

vectorized! {
    pub(super) fn silu(x: &[f32]) -> Vec<f32> {
        x.iter().map(|&x| x * sigmoid(x)).collect()
    }
}

vectorized! {
    /// Rows of `2 * channels` to rows of `channels`.
    pub(super) fn glu(x: &[f32], channels: usize) -> Vec<f32> {
        let mut y = vec![0.0; x.len() / 2];
        for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(2 * channels)) {
            let (value, gate) = x.split_at(channels);
            for ((y, value), gate) in y.iter_mut().zip(value).zip(gate) {
                *y = value * sigmoid(*gate);
            }
        }
        y
    }
}

/// Channels that are summed at once; they stay in registers.
pub(super) const LANES: usize = 32;

/// The taps of an odd kernel that meet a real frame at `frame`, and the frame of the first.
#[inline(always)]
fn taps(frame: usize, time: usize, kernel: usize) -> (std::ops::Range<usize>, usize) {
    let half = kernel / 2;
    let first = half.saturating_sub(frame);
    let last = kernel.min(time + half - frame);
    (first..last, frame + first - half)
}

vectorized! {
    /// `y[t] = bias + sum_j weight[j] * x[t + j - kernel / 2]` for each channel of each utterance.
    pub(super) fn depthwise(x: &[f32], weight: &[f32], bias: &[f32], size: Size) -> Vec<f32> {
        let Size { time, channels } = size;
        let kernel = weight.len() / channels;
        let mut y = vec![0.0; x.len()];
        let stride = time * channels;
        for (y, x) in y.chunks_exact_mut(stride).zip(x.chunks_exact(stride)) {
            for (frame, y) in y.chunks_exact_mut(channels).enumerate() {
                let (taps, first) = taps(frame, time, kernel);
                let mut start = 0;
                while start + LANES <= channels {
                    let mut sums = [0.0f32; LANES];
                    sums.copy_from_slice(&bias[start..start + LANES]);
                    for (at, tap) in taps.clone().enumerate() {
                        let x = &x[(first + at) * channels + start..][..LANES];
                        let weight = &weight[tap * channels + start..][..LANES];
                        for lane in 0..LANES {
                            sums[lane] += x[lane] * weight[lane];
                        }
                    }
                    y[start..start + LANES].copy_from_slice(&sums);
                    start += LANES;
                }
                for c in start..channels {
                    let products = taps.clone().enumerate().map(|(at, tap)| {
                        x[(first + at) * channels + c] * weight[tap * channels + c]
                    });
                    y[c] = bias[c] + products.sum::<f32>();
                }
            }
        }
        y
    }
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
}
