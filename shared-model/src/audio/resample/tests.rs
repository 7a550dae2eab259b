//! Both resamplers, by what they are to do.

#![allow(clippy::unwrap_used)]

use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;

/// What both resamplers do.
trait Stream {
    fn push(&mut self, samples: &[f32]) -> Vec<f32>;
    fn finish(&mut self) -> Vec<f32>;
}

impl Stream for StreamResampler {
    fn push(&mut self, samples: &[f32]) -> Vec<f32> {
        self.push(samples).unwrap()
    }
    fn finish(&mut self) -> Vec<f32> {
        self.finish().unwrap()
    }
}

impl Stream for polyphase::StreamResampler {
    fn push(&mut self, samples: &[f32]) -> Vec<f32> {
        self.push(samples).unwrap()
    }
    fn finish(&mut self) -> Vec<f32> {
        self.finish().unwrap()
    }
}

/// The resampler of recordings and that of a browser's engine.
fn both(from_hz: u32, to_hz: u32) -> [Box<dyn Stream>; 2] {
    [
        Box::new(StreamResampler::new(from_hz, to_hz).unwrap()),
        Box::new(polyphase::StreamResampler::new(from_hz, to_hz).unwrap()),
    ]
}

fn converted(samples: &[f32], from_hz: u32, to_hz: u32) -> [Vec<f32>; 2] {
    both(from_hz, to_hz).map(|mut stream| {
        let mut out = stream.push(samples);
        out.extend(stream.finish());
        out
    })
}

fn tone(hz: f64, rate_hz: u32, length: usize) -> Vec<f32> {
    (0..length)
        .map(|i| (TAU * hz * i as f64 / f64::from(rate_hz)).sin() as f32 * 0.5)
        .collect()
}

fn rms(samples: &[f32]) -> f32 {
    (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt()
}

#[test]
fn tones_keep_their_phase_and_size_at_every_usual_rate() {
    let rates = [
        8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000,
        192_000, 44_101,
    ];
    for from_hz in rates {
        for hz in [100.0, 1000.0, 3000.0] {
            let ideal = tone(hz, 16_000, 8_000);
            for out in converted(&tone(hz, from_hz, from_hz as usize / 2), from_hz, 16_000) {
                for i in 400..7600 {
                    let off = (out[i] - ideal[i]).abs();
                    assert!(
                        off < 0.01,
                        "{from_hz} Hz, tone of {hz}: sample {i} is off by {off}"
                    );
                }
            }
        }
    }
}

#[test]
fn tones_above_the_new_nyquist_frequency_vanish() {
    for (from_hz, hz) in [
        (48_000, 8_200.0),
        (48_000, 15_000.0),
        (44_100, 9_000.0),
        (22_050, 9_500.0),
        (192_000, 40_000.0),
    ] {
        for out in converted(&tone(hz, from_hz, from_hz as usize / 2), from_hz, 16_000) {
            let left = rms(&out[400..7600]);
            assert!(left < 1e-3, "{hz} Hz at {from_hz} leaves {left}");
        }
    }
    // No image above 4 kHz: what is left after taking the tone away is next to nothing.
    let ideal = tone(3500.0, 16_000, 8_000);
    for out in converted(&tone(3500.0, 8_000, 4_000), 8_000, 16_000) {
        let image: Vec<f32> = out.iter().zip(&ideal).map(|(a, b)| a - b).collect();
        assert!(rms(&image[400..7600]) < 0.01);
    }
}

#[test]
fn the_passband_reaches_the_last_mel_band() {
    for from_hz in [44_100, 48_000] {
        for out in converted(
            &tone(7500.0, from_hz, from_hz as usize / 2),
            from_hz,
            16_000,
        ) {
            assert!(rms(&out[400..7600]) > 0.9 * 0.5 / 2f32.sqrt(), "{from_hz}");
        }
    }
}

#[test]
fn lengths_are_the_rounded_quotient_for_clips_of_any_length() {
    for (from_hz, to_hz) in [
        (44_100, 16_000),
        (8_000, 16_000),
        (11_025, 16_000),
        (16_000, 17_600),
        (1_000, 16_000),
        (768_000, 1_000),
        (16_000, 16_000),
    ] {
        for length in [0usize, 1, 2, 5, 100, 441, 1000, 4801] {
            let expected = (length as f64 * f64::from(to_hz) / f64::from(from_hz)).round();
            for out in converted(&vec![0.25; length], from_hz, to_hz) {
                assert!(
                    (out.len() as f64 - expected).abs() < 0.5,
                    "{length} at {from_hz} to {to_hz}"
                );
                assert!(out.iter().all(|s| s.is_finite() && s.abs() < 0.5));
            }
        }
    }
}

#[test]
fn rates_out_of_range_are_refused_and_unusable_samples_count_as_zero() {
    for rate in [0, 999, 768_001, u32::MAX] {
        assert_eq!(
            resample(&[0.0], rate, 16_000),
            Err(AudioError::SampleRate(rate))
        );
        assert_eq!(
            resample(&[0.0], 16_000, rate),
            Err(AudioError::SampleRate(rate))
        );
        assert!(polyphase::StreamResampler::new(rate, 16_000).is_err());
    }
    for from_hz in [16_000, 48_000, 11_025] {
        let broken = [f32::NAN, f32::INFINITY, -f32::INFINITY].repeat(500);
        for out in converted(&broken, from_hz, 16_000) {
            assert!(out.iter().all(|&s| s == 0.0));
        }
    }
}

#[test]
fn live_audio_is_held_back_for_less_than_40_ms() {
    for from_hz in [
        8_000u32, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000, 47_999,
    ] {
        for mut stream in both(from_hz, 16_000) {
            let mut given = 0;
            for pushed in 1..=100 {
                given += stream.push(&vec![0.1; from_hz as usize / 100]).len();
                let held_secs = f64::from(pushed) * 0.01 - given as f64 / 16_000.0;
                assert!(held_secs < 0.04, "{from_hz}: {held_secs} s");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_chopping_equals_the_whole_clip(
        pushes in proptest::collection::vec(0usize..3000, 0..8),
        rates in 0usize..4,
    ) {
        let (from_hz, to_hz) = [(44_100, 16_000), (8_000, 16_000), (11_025, 16_000), (16_000, 16_000)][rates];
        let clip = tone(440.0, from_hz, pushes.iter().sum());
        let wholes = converted(&clip, from_hz, to_hz);
        for (mut stream, whole) in both(from_hz, to_hz).into_iter().zip(wholes) {
            for _ in 0..2 {
                let (mut rest, mut streamed) = (clip.as_slice(), Vec::new());
                for &length in &pushes {
                    let (now, later) = rest.split_at(length);
                    rest = later;
                    streamed.extend(stream.push(now));
                }
                streamed.extend(stream.finish());
                prop_assert_eq!(&streamed, &whole);
            }
        }
    }
}
