//! The batch form over a whole clip.

use super::frame::FramePlan;
use super::{FeatureConfig, FeatureError, Features, FrontEndParts};
use crate::audio::level_gain;

/// Computes features of 16 kHz samples. Windows, filters and FFT plan are made once.
#[derive(Clone)]
pub struct FeatureExtractor {
    plan: FramePlan,
    level_gain: bool,
}

impl FeatureExtractor {
    /// # Errors
    /// Bands that cannot be had: too few, too many, or outside 0 to 8000 Hz.
    pub fn new(config: &FeatureConfig) -> Result<Self, FeatureError> {
        Ok(Self {
            plan: FramePlan::new(config)?,
            level_gain: config.level_gain,
        })
    }

    /// What a clip is multiplied by before [`Self::extract`]: [`level_gain`] of it, or 1 where the
    /// configuration takes audio as it is.
    pub fn gain(&self, samples: &[f32]) -> f32 {
        if self.level_gain {
            level_gain(samples)
        } else {
            1.0
        }
    }

    /// What its frames are computed with.
    pub fn parts(&self) -> FrontEndParts {
        self.plan.parts()
    }

    /// Frames that a clip of `num_samples` gives: one per 160 samples, rounded for
    /// [`FrontEnd::Kaldi`](super::FrontEnd::Kaldi) (less than 5 ms give none), rounded down and one
    /// more for [`FrontEnd::Paper`](super::FrontEnd::Paper). No samples give no frames.
    pub fn num_frames(&self, num_samples: usize) -> usize {
        self.plan.num_frames(num_samples)
    }

    /// `samples`: mono 16 kHz PCM in `[-1, 1]`; NaN and infinite samples count as 0.
    /// Gives `[num_frames, n_mels]`.
    pub fn extract(&self, samples: &[f32]) -> Features {
        let num_frames = self.num_frames(samples.len());
        let mut scratch = self.plan.scratch();
        let mut data = Vec::with_capacity(num_frames * self.plan.n_mels());
        for frame in 0..num_frames {
            self.plan
                .compute(frame, samples, 0, samples.len(), &mut scratch, &mut data);
        }
        Features {
            data,
            n_mels: self.plan.n_mels(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::f64::consts::TAU;

    use serde::Deserialize;

    use super::super::FrontEnd;
    use super::*;

    /// One case of `golden/fbank.json`.
    #[derive(Deserialize)]
    struct Golden {
        front_end: FrontEnd,
        signal: String,
        num_samples: usize,
        n_mels: usize,
        low_hz: f32,
        high_hz: f32,
        values: Vec<f32>,
    }

    fn noise(length: usize, amplitude: f64, offset: f64) -> Vec<f64> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f64::from(state >> 8) / 16_777_216.0 - 0.5) * amplitude + offset
        };
        (0..length).map(|_| next()).collect()
    }

    /// The formulas of `golden/make_fbank.py`.
    fn signal(kind: &str, length: usize) -> Vec<f32> {
        let seconds = |i: usize| i as f64 / 16_000.0;
        let voice = |(i, noise): (usize, f64)| {
            let t = seconds(i);
            let phase = TAU * (120.0 * t + 15.0 * t * t);
            let beat = 0.5 - 0.5 * (TAU * 4.0 * t).cos();
            let tone: f64 = (1..=10).map(f64::from).map(|k| (k * phase).sin() / k).sum();
            f64::from(noise as f32) + 0.1 * beat * tone
        };
        let exact: Vec<f64> = match kind {
            "silence" => vec![0.0; length],
            "noise" => noise(length, 1.0, 0.0),
            "quiet" => noise(length, 2e-4, 0.0),
            "offset" => noise(length, 0.1, 0.25),
            "voice" => noise(length, 0.004, 0.0)
                .into_iter()
                .enumerate()
                .map(voice)
                .collect(),
            "chirp" => (0..length)
                .map(|i| 0.1 * (TAU * 8000.0 * seconds(i) * seconds(i)).sin())
                .collect(),
            other => panic!("unknown signal {other}"),
        };
        exact.into_iter().map(|x| x as f32).collect()
    }

    fn golden(front_end: FrontEnd) -> Vec<Golden> {
        let all: Vec<Golden> =
            serde_json::from_str(include_str!("../../golden/fbank.json")).unwrap();
        all.into_iter()
            .filter(|case| case.front_end == front_end)
            .collect()
    }

    fn features(case: &Golden) -> Features {
        let config = FeatureConfig {
            front_end: case.front_end,
            n_mels: case.n_mels,
            low_hz: case.low_hz,
            high_hz: case.high_hz,
            ..FeatureConfig::default()
        };
        let extractor = FeatureExtractor::new(&config).unwrap();
        extractor.extract(&signal(&case.signal, case.num_samples))
    }

    #[test]
    fn log_mel_equals_kaldi_native_fbank() {
        let cases = golden(FrontEnd::Kaldi);
        assert_eq!(cases.len(), 19);
        for case in cases {
            let features = features(&case);
            assert_eq!(
                features.data.len(),
                case.values.len(),
                "{} {}",
                case.signal,
                case.num_samples
            );
            for (index, (ours, theirs)) in features.data.iter().zip(&case.values).enumerate() {
                assert!(
                    (ours - theirs).abs() < 1e-3,
                    "{} of {} samples, frame {}, band {}: {ours} for {theirs}",
                    case.signal,
                    case.num_samples,
                    index / case.n_mels,
                    index % case.n_mels,
                );
            }
        }
    }

    #[test]
    fn raw_mel_power_equals_torchaudios_definition() {
        let cases = golden(FrontEnd::Paper);
        assert_eq!(cases.len(), 9);
        for case in cases {
            let features = features(&case);
            assert_eq!(
                features.data.len(),
                case.values.len(),
                "{} {}",
                case.signal,
                case.num_samples
            );
            let loudest = case.values.iter().copied().fold(0.0, f32::max);
            for (ours, theirs) in features.data.iter().zip(&case.values) {
                let allowed = 1e-4 * theirs + 1e-6 * loudest;
                assert!(
                    (ours - theirs).abs() <= allowed,
                    "{}: {ours} for {theirs}",
                    case.signal
                );
            }
        }
    }

    #[test]
    fn no_samples_give_no_frames_and_the_counts_hold_for_every_length() {
        for front_end in [FrontEnd::Kaldi, FrontEnd::Paper] {
            let config = FeatureConfig {
                front_end,
                ..FeatureConfig::default()
            };
            let extractor = FeatureExtractor::new(&config).unwrap();
            assert_eq!(extractor.extract(&[]).data.len(), 0);
            for length in 1..=700 {
                let expected = match front_end {
                    FrontEnd::Kaldi => (length + 80) / 160,
                    FrontEnd::Paper => length / 160 + 1,
                };
                assert_eq!(extractor.num_frames(length), expected);
                assert_eq!(extractor.extract(&vec![0.1; length]).num_frames(), expected);
            }
        }
    }

    #[test]
    fn unusable_samples_count_as_zero() {
        let extractor = FeatureExtractor::new(&FeatureConfig::default()).unwrap();
        let mut broken = signal("noise", 1000);
        let mut zeroed = broken.clone();
        for (index, value) in [
            (3, f32::NAN),
            (500, f32::INFINITY),
            (999, f32::NEG_INFINITY),
        ] {
            broken[index] = value;
            zeroed[index] = 0.0;
        }
        assert_eq!(extractor.extract(&broken), extractor.extract(&zeroed));
        let huge = extractor.extract(&[f32::MAX, f32::MIN].repeat(400));
        assert!(huge.data.iter().all(|value| value.is_finite()));
    }

    #[test]
    fn clips_are_brought_to_one_level_unless_the_configuration_takes_them_as_they_are() {
        let clip: Vec<f32> = signal("voice", 16_000).iter().map(|v| v * 0.01).collect();
        let gain = |level_gain| {
            let config = FeatureConfig {
                level_gain,
                ..FeatureConfig::default()
            };
            FeatureExtractor::new(&config).unwrap().gain(&clip)
        };
        assert!(gain(true) > 2.0, "{}", gain(true));
        assert_eq!(gain(true), level_gain(&clip));
        assert_eq!(gain(false), 1.0);
    }

    #[test]
    fn the_choice_of_a_level_is_written_only_where_it_is_not_the_usual_one() {
        let json = |level_gain| {
            let config = FeatureConfig {
                level_gain,
                ..FeatureConfig::default()
            };
            let json = serde_json::to_string(&config).unwrap();
            assert_eq!(
                serde_json::from_str::<FeatureConfig>(&json).unwrap(),
                config
            );
            json
        };
        assert!(!json(true).contains("level_gain"));
        assert!(json(false).contains("level_gain"));
    }
}
