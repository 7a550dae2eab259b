//! The pitch of a sound, frame by frame: whether it glides as a voice's does.
//!
//! The pitch is the lag of the highest peak of the normalised autocorrelation (Boersma, "Accurate
//! short-term analysis of the fundamental frequency", IFA Proceedings 17, 1993), at half the
//! sample rate and with pre-emphasis, so that rumble has none.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::activity::BLOCK_SAMPLES;

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
    fft: Arc<dyn RealToComplex<f32>>,
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
            fft: RealFftPlanner::new().plan_fft_forward(FFT_SIZE),
            window: (0..WINDOW).map(hann).collect(),
            window_correlation: Vec::new(),
        };
        let mut scratch = tracker.scratch();
        scratch.time[..WINDOW].copy_from_slice(&tracker.window);
        tracker.autocorrelate(&mut scratch);
        tracker.window_correlation = scratch.time[..=longest_lag() + 1].to_vec();
        tracker
    }

    /// Frames of `samples` (16 kHz), one every 10 ms, computed as they are asked for.
    pub(super) fn frames<'a>(
        &'a self,
        samples: &'a [f32],
    ) -> impl Iterator<Item = FramePitch> + 'a {
        let mut scratch = self.scratch();
        let mut halved = Vec::new();
        let rest = (samples.len() / 2).checked_sub(WINDOW);
        let num_frames = rest.map_or(0, |rest| rest / HOP + 1);
        (0..num_frames).map(move |frame| {
            halved.drain(..HOP.min(halved.len()));
            let known = frame * HOP + halved.len();
            halved.extend((known..frame * HOP + WINDOW).map(|at| halved_sample(samples, at)));
            self.pitch(&halved, &mut scratch)
        })
    }

    fn scratch(&self) -> Scratch {
        Scratch {
            time: self.fft.make_input_vec(),
            spectrum: self.fft.make_output_vec(),
            fft: self.fft.make_scratch_vec(),
        }
    }

    /// `time` of the scratch becomes its autocorrelation over the value at lag 0.
    fn autocorrelate(&self, scratch: &mut Scratch) {
        let Scratch {
            time,
            spectrum,
            fft,
        } = scratch;
        // The lengths are the plan's own: neither transform can fail.
        let _ = self.fft.process_with_scratch(time, spectrum, fft);
        // The power spectrum of a real signal is even, so that transforming it forward is
        // transforming it back.
        for (bin, value) in spectrum.iter().enumerate() {
            time[bin] = value.norm_sqr();
            time[(FFT_SIZE - bin) % FFT_SIZE] = value.norm_sqr();
        }
        let _ = self.fft.process_with_scratch(time, spectrum, fft);
        let scale = 1.0 / (spectrum[0].re + f32::MIN_POSITIVE);
        for (value, transformed) in time.iter_mut().zip(spectrum.iter()) {
            *value = transformed.re * scale;
        }
    }

    fn pitch(&self, frame: &[f32], scratch: &mut Scratch) -> FramePitch {
        let mean = frame.iter().sum::<f32>() / frame.len() as f32;
        scratch.time.fill(0.0);
        for ((out, value), weight) in scratch.time.iter_mut().zip(frame).zip(&self.window) {
            *out = (value - mean) * weight;
        }
        self.autocorrelate(scratch);
        let correlation = |lag: usize| scratch.time[lag] / self.window_correlation[lag];
        let (shortest, longest) = ((RATE_HZ / HIGHEST_HZ) as usize, longest_lag());
        let best = (shortest..=longest)
            .max_by(|a, b| correlation(*a).total_cmp(&correlation(*b)))
            .unwrap_or(shortest);
        let strength = correlation(best);
        let is_peak = |lag: &usize| {
            let height = correlation(*lag);
            height > OCTAVE_SHARE * strength
                && height >= correlation(lag - 1)
                && height >= correlation(lag + 1)
        };
        let lag = (shortest + 1..best).find(is_peak).unwrap_or(best);
        let (before, at, after) = (correlation(lag - 1), correlation(lag), correlation(lag + 1));
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
}

struct Scratch {
    time: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    fft: Vec<Complex<f32>>,
}

fn longest_lag() -> usize {
    (RATE_HZ / LOWEST_HZ) as usize
}

/// A sample at half the rate, with pre-emphasis.
fn halved_sample(samples: &[f32], at: usize) -> f32 {
    let low_passed = |at: usize| {
        let sample = |index: usize| samples.get(index).copied().unwrap_or(0.0);
        let centre = 2 * at;
        let sides = HALF_BAND.iter().enumerate().map(|(index, tap)| {
            let distance = 2 * index + 1;
            let before = centre.checked_sub(distance).map_or(0.0, sample);
            tap * (before + sample(centre + distance))
        });
        0.5 * sample(centre) + sides.sum::<f32>()
    };
    low_passed(at) - PRE_EMPHASIS * at.checked_sub(1).map_or(0.0, low_passed)
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

    #[test]
    fn a_steady_tone_has_its_frequency_in_every_frame() {
        for hz in [80.0, 123.0, 220.0, 331.0, 470.0] {
            let frames: Vec<_> = PitchTracker::new().frames(&harmonic(0.5, |_| hz)).collect();
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
        let tracker = PitchTracker::new();
        for (index, frame) in tracker.frames(&glide).enumerate() {
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
        let tracker = PitchTracker::new();
        let strong = tracker.frames(&noise).filter(|f| f.strength > 0.45).count();
        assert!(strong < 4, "{strong} of 197");
        assert!(
            tracker
                .frames(&[0.0; 16_000])
                .all(|f| f.strength.abs() < 0.01)
        );
        assert_eq!(tracker.frames(&[0.0; 100]).count(), 0);
    }
}
