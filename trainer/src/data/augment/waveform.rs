//! Speed and bandwidth.

use shared_model::audio::{AudioError, SAMPLE_RATE_HZ, resample};

/// Plays faster (`speed > 1`) or slower; pitch moves along.
pub(super) fn change_speed(samples: Vec<f32>, speed: f32) -> Result<Vec<f32>, AudioError> {
    let rate_hz = (SAMPLE_RATE_HZ as f32 * speed).round() as u32;
    if rate_hz == SAMPLE_RATE_HZ {
        return Ok(samples);
    }
    resample(&samples, rate_hz, SAMPLE_RATE_HZ)
}

/// Half the taps of the low-pass filter, without the middle one.
const HALF_TAPS: usize = 48;
/// Samples that are filtered at once.
const BLOCK: usize = 1024;

/// Removes what lies above `edge_hz`, with a windowed-sinc filter (Blackman window, 97 taps, about
/// 900 Hz of transition). Edges near the Nyquist frequency change nothing.
pub(super) fn low_pass(samples: &mut [f32], edge_hz: f32) {
    let cutoff = edge_hz / SAMPLE_RATE_HZ as f32;
    if cutoff >= 0.49 {
        return;
    }
    let taps = sinc_taps(cutoff);
    let mut padded = vec![0.0; samples.len() + 2 * HALF_TAPS];
    padded[HALF_TAPS..HALF_TAPS + samples.len()].copy_from_slice(samples);
    // Tap by tap over samples that stay in the cache: a sum over the taps would go one by one.
    for (block, samples) in samples.chunks_mut(BLOCK).enumerate() {
        let window = &padded[block * BLOCK..][..samples.len() + 2 * HALF_TAPS];
        samples.fill(0.0);
        for (delayed, tap) in window.windows(samples.len()).zip(&taps) {
            for (sample, x) in samples.iter_mut().zip(delayed) {
                *sample += x * tap;
            }
        }
    }
}

/// A linear-phase low-pass with unit gain at zero frequency; `cutoff` in cycles per sample.
fn sinc_taps(cutoff: f32) -> Vec<f32> {
    use std::f32::consts::PI;
    let half = HALF_TAPS as f32;
    let mut taps: Vec<f32> = (0..=2 * HALF_TAPS)
        .map(|i| {
            let n = i as f32 - half;
            let sinc = if n == 0.0 {
                2.0 * cutoff
            } else {
                (2.0 * PI * cutoff * n).sin() / (PI * n)
            };
            let phase = PI * i as f32 / half;
            sinc * (0.42 - 0.5 * phase.cos() + 0.08 * (2.0 * phase).cos())
        })
        .collect();
    let sum: f32 = taps.iter().sum();
    taps.iter_mut().for_each(|tap| *tap /= sum);
    taps
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn tone(hz: f32, len: usize) -> Vec<f32> {
        let step = 2.0 * std::f32::consts::PI * hz / SAMPLE_RATE_HZ as f32;
        (0..len).map(|i| (step * i as f32).sin()).collect()
    }

    fn rms(samples: &[f32]) -> f32 {
        (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn speech_below_the_edge_stays_and_what_is_above_goes() {
        let mut low = tone(1_000.0, 16_000);
        low_pass(&mut low, 3_400.0);
        assert!((rms(&low[200..15_800]) - std::f32::consts::FRAC_1_SQRT_2).abs() < 0.002);
        let mut high = tone(5_000.0, 16_000);
        low_pass(&mut high, 3_400.0);
        assert!(rms(&high[200..15_800]) < 0.001);
    }

    #[test]
    fn every_sample_is_the_sum_over_the_taps() {
        let samples: Vec<f32> = (0..2 * BLOCK + 7)
            .map(|i| (i * i % 31) as f32 - 15.0)
            .collect();
        let mut filtered = samples.clone();
        low_pass(&mut filtered, 4_000.0);
        let taps = sinc_taps(0.25);
        for (at, got) in filtered.iter().enumerate() {
            let products = taps.iter().enumerate().filter_map(|(tap, weight)| {
                let place = (at + tap).checked_sub(HALF_TAPS)?;
                Some(f64::from(*samples.get(place)?) * f64::from(*weight))
            });
            let want: f64 = products.sum();
            assert!((f64::from(*got) - want).abs() < 1e-4, "{at}: {got} {want}");
        }
    }

    #[test]
    fn a_clip_played_faster_is_shorter_and_higher() {
        let fast = change_speed(tone(400.0, 16_000), 1.25).unwrap();
        assert_eq!(fast.len(), 12_800);
        let crossings = fast
            .windows(2)
            .filter(|w| w[0] <= 0.0 && w[1] > 0.0)
            .count();
        assert!((398..=402).contains(&crossings), "{crossings}");
        let same = tone(400.0, 100);
        assert_eq!(change_speed(same.clone(), 1.0).unwrap(), same);
    }
}
