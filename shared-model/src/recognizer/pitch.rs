//! The pitch of a sound, frame by frame: whether it glides as a voice's does.
//!
//! The pitch is the lag of the highest peak of the normalised autocorrelation (Boersma, "Accurate
//! short-term analysis of the fundamental frequency", IFA Proceedings 17, 1993), at half the
//! sample rate and with pre-emphasis, so that rumble has none.

use super::activity::BLOCK_SAMPLES;
use crate::{
    audio::{
        fft::{self, RealFft},
        mean,
    },
    kernels::vectorize::vectorized,
};

/// Half of the recogniser's rate: harmonics up to 4 kHz decide.
const RATE_HZ: f32 = 8000.0;
/// Samples between frames at that rate, a block of 10 ms.
const HOP: usize = BLOCK_SAMPLES / 2;
/// 40 ms: three periods of the lowest pitch.
const WINDOW: usize = 4 * HOP;
const LOWEST_HZ: f32 = 70.0;
const HIGHEST_HZ: f32 = 500.0;
/// Holds a window and the longest lag, so that the circular correlation is the linear one.
const FFT_SIZE: usize = 512;
const PRE_EMPHASIS: f32 = 0.9;
/// Of two peaks of nearly the same height the shorter lag is the pitch, not an octave below it.
const OCTAVE_SHARE: f32 = 0.9;
/// Half of a low-pass filter at a quarter of the sample rate (a half-band filter: every second tap
/// but the middle one is zero), with Hann's window: taps at distance 1, 3, 5, 7.
const HALF_BAND: [f32; 4] = [0.306_174, -0.073_341, 0.019_648, -0.001_73];

/// Pitch of a frame, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct FramePitch {
    /// Natural log of Hz.
    pub ln_hz: f32,
    /// Height of the autocorrelation's peak: 1 for a periodic sound, about 0.2 for noise.
    pub strength: f32,
}

/// Transform and window, made once.
#[derive(Clone)]
pub(super) struct PitchTracker {
    fft: RealFft,
    /// Hann.
    window: Vec<f32>,
    /// Autocorrelation of the window over its value at lag 0, by lag.
    window_correlation: Vec<f32>,
}

impl PitchTracker {
    pub(super) fn new() -> Self {
        let hann = |i: usize| {
            let phase = std::f32::consts::TAU * i as f32 / (WINDOW - 1) as f32;
            0.5 - 0.5 * phase.cos()
        };
        let mut tracker = Self {
            fft: RealFft::new(FFT_SIZE),
            window: (0..WINDOW).map(hann).collect(),
            window_correlation: Vec::new(),
        };
        let mut scratch = tracker.scratch();
        scratch.time[..WINDOW].copy_from_slice(&tracker.window);
        tracker.autocorrelate(&mut scratch);
        tracker.window_correlation = scratch.correlation;
        tracker
    }

    /// Frames of so many samples (16 kHz), one every 10 ms.
    pub(super) fn num_frames(num_samples: usize) -> usize {
        let rest = (num_samples / 2).checked_sub(WINDOW);
        rest.map_or(0, |rest| rest / HOP + 1)
    }

    pub(super) fn scratch(&self) -> Scratch {
        Scratch {
            time: vec![0.0; FFT_SIZE],
            fft: self.fft.scratch(),
            correlation: vec![0.0; longest_lag() + 2],
        }
    }

    /// The pitch of one frame of `samples`.
    pub(super) fn pitch(&self, samples: &[f32], frame: usize, scratch: &mut Scratch) -> FramePitch {
        let mut halved = [0.0; WINDOW];
        halve(samples, frame * HOP, &mut halved);
        let mean = mean(&halved);
        let (windowed, padding) = scratch.time.split_at_mut(WINDOW);
        for ((out, value), weight) in windowed.iter_mut().zip(&halved).zip(&self.window) {
            *out = (value - mean) * weight;
        }
        padding.fill(0.0);
        self.autocorrelate(scratch);
        for (value, window) in scratch.correlation.iter_mut().zip(&self.window_correlation) {
            *value /= window;
        }
        highest_peak(&scratch.correlation)
    }

    /// Fills `correlation` of the scratch: the autocorrelation of its `time` over the value at lag 0.
    fn autocorrelate(&self, scratch: &mut Scratch) {
        let Scratch {
            time,
            fft,
            correlation,
        } = scratch;
        let spectrum = self.fft.transform(time, fft);
        // The power spectrum of a real signal is even, so that transforming it forward is
        // transforming it back.
        for (power, value) in time.iter_mut().zip(spectrum) {
            *power = value.norm_sqr();
        }
        let (rising, falling) = time.split_at_mut(FFT_SIZE / 2 + 1);
        for (mirrored, power) in falling.iter_mut().rev().zip(&rising[1..]) {
            *mirrored = *power;
        }
        let spectrum = self.fft.transform(time, fft);
        let scale = 1.0 / (spectrum[0].re + f32::MIN_POSITIVE);
        for (value, transformed) in correlation.iter_mut().zip(spectrum) {
            *value = transformed.re * scale;
        }
    }
}

/// Buffers of a frame's computation, so that frames allocate nothing.
pub(super) struct Scratch {
    time: Vec<f32>,
    fft: fft::Scratch,
    /// By lag.
    correlation: Vec<f32>,
}

fn longest_lag() -> usize {
    (RATE_HZ / LOWEST_HZ) as usize
}

/// The pitch that a frame's normalised autocorrelation tells, by lag.
fn highest_peak(correlation: &[f32]) -> FramePitch {
    let (shortest, longest) = ((RATE_HZ / HIGHEST_HZ) as usize, longest_lag());
    let lags = &correlation[shortest..=longest];
    // `f32::max` is a call on WebAssembly.
    let highest = |a: f32, b: &f32| if *b > a { *b } else { a };
    let strength = lags.iter().fold(f32::NEG_INFINITY, highest);
    let best = lags.iter().rposition(|height| *height == strength);
    let best = shortest + best.unwrap_or(0);
    let is_peak = |lag: &usize| {
        let height = correlation[*lag];
        height > OCTAVE_SHARE * strength
            && height >= correlation[lag - 1]
            && height >= correlation[lag + 1]
    };
    let lag = (shortest + 1..best).find(is_peak).unwrap_or(best);
    let (before, at, after) = (correlation[lag - 1], correlation[lag], correlation[lag + 1]);
    // The top of the parabola through three points.
    let curvature = before - 2.0 * at + after;
    let shift = if curvature.abs() > 1e-9 {
        (0.5 * (before - after) / curvature).clamp(-1.0, 1.0)
    } else {
        0.0
    };
    FramePitch {
        ln_hz: (RATE_HZ / (lag as f32 + shift)).ln(),
        strength,
    }
}

/// Taps on each side of the low-pass filter's middle.
const SIDE_TAPS: usize = HALF_BAND.len();
/// Samples at half the rate before a frame that it depends on: its first one's pre-emphasis.
const LEAD: usize = 1;
/// Pairs of samples that a frame depends on.
const PAIRS: usize = LEAD + WINDOW + 2 * SIDE_TAPS;

/// Samples at half the rate from number `from` on, with pre-emphasis; beyond its ends a signal is
/// zero.
fn halve(samples: &[f32], from: usize, out: &mut [f32; WINDOW]) {
    let mut near = [0.0; 2 * PAIRS];
    // What lies before the beginning stays zero.
    let missing = (2 * (LEAD + SIDE_TAPS)).saturating_sub(2 * from);
    let start = (2 * from).saturating_sub(2 * (LEAD + SIDE_TAPS));
    let there = samples.get(start..).unwrap_or_default();
    for (to, sample) in near[missing..].iter_mut().zip(there) {
        *to = *sample;
    }
    low_pass(&near, out);
}

vectorized! {
    /// Every second sample of `near` behind a half-band filter and with pre-emphasis.
    fn low_pass(near: &[f32; 2 * PAIRS], out: &mut [f32; WINDOW]) {
        let (mut even, mut odd) = ([0.0f32; PAIRS], [0.0f32; PAIRS]);
        for ((pair, even), odd) in near.as_chunks::<2>().0.iter().zip(&mut even).zip(&mut odd) {
            (*even, *odd) = (pair[0], pair[1]);
        }
        let mut low = [0.0f32; LEAD + WINDOW];
        for (at, low) in low.iter_mut().enumerate() {
            let middle = at + SIDE_TAPS;
            let side = |tap: usize| HALF_BAND[tap] * (odd[middle - 1 - tap] + odd[middle + tap]);
            *low = 0.5 * even[middle] + (side(0) + side(1) + side(2) + side(3));
        }
        for (out, pair) in out.iter_mut().zip(low.windows(2)) {
            *out = pair[1] - PRE_EMPHASIS * pair[0];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Harmonics of a pitch that is `hz` at a time in seconds.
    fn harmonic(secs: f32, hz: impl Fn(f32) -> f32) -> Vec<f32> {
        let mut phase = 0.0;
        (0..(secs * 16_000.0) as usize)
            .map(|i| {
                phase += std::f32::consts::TAU * hz(i as f32 / 16_000.0) / 16_000.0;
                (1..10)
                    .map(|k| (phase * k as f32).sin() / k as f32)
                    .sum::<f32>()
                    * 0.1
            })
            .collect()
    }

    fn frames(samples: &[f32]) -> Vec<FramePitch> {
        let tracker = PitchTracker::new();
        let mut scratch = tracker.scratch();
        (0..PitchTracker::num_frames(samples.len()))
            .map(|frame| tracker.pitch(samples, frame, &mut scratch))
            .collect()
    }

    #[test]
    fn a_steady_tone_has_its_frequency_in_every_frame() {
        for hz in [80.0, 123.0, 220.0, 331.0, 470.0] {
            let frames = frames(&harmonic(0.5, |_| hz));
            assert_eq!(frames.len(), 47);
            for frame in frames {
                let found = frame.ln_hz.exp();
                assert!((found / hz - 1.0).abs() < 0.01, "{found} for {hz}");
                assert!(frame.strength > 0.9, "{}", frame.strength);
            }
        }
    }

    #[test]
    fn a_glide_is_followed() {
        let glide = harmonic(1.0, |t| 100.0 * (0.5 * t).exp());
        for (index, frame) in frames(&glide).into_iter().enumerate() {
            // The middle of the frame.
            let expected = 100f32.ln() + 0.5 * (index as f32 * 0.01 + 0.02);
            assert!((frame.ln_hz - expected).abs() < 0.01, "{index}: {frame:?}");
        }
    }

    #[test]
    fn noise_and_silence_have_no_strong_pitch() {
        let mut state = 3u32;
        let noise: Vec<f32> = (0..32_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect();
        let strong = frames(&noise).iter().filter(|f| f.strength > 0.45).count();
        assert!(strong < 4, "{strong} of 197");
        let silence = frames(&[0.0; 16_000]);
        assert!(silence.iter().all(|f| f.strength.abs() < 0.01));
        assert!(frames(&[0.0; 100]).is_empty());
    }

    #[test]
    fn half_the_rate_is_the_filter_of_its_definition_everywhere() {
        let samples: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.7).sin()).collect();
        let sample = |at: isize| {
            let index = usize::try_from(at).ok();
            index
                .and_then(|index| samples.get(index))
                .map_or(0.0, |s| *s)
        };
        let low_passed = |at: isize| {
            let sides = HALF_BAND.iter().zip([1, 3, 5, 7]).map(|(tap, distance)| {
                tap * (sample(2 * at - distance) + sample(2 * at + distance))
            });
            0.5 * sample(2 * at) + sides.sum::<f32>()
        };
        for from in [0, 1, 3, 5, 80, 300] {
            let mut halved = [0.0; WINDOW];
            halve(&samples, from, &mut halved);
            for (index, value) in halved.into_iter().enumerate() {
                let at = (from + index) as isize;
                let expected = low_passed(at) - PRE_EMPHASIS * low_passed(at - 1);
                assert!((value - expected).abs() < 1e-6, "{at}: {value}, {expected}");
            }
        }
    }
}
