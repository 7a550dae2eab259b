//! Level normalisation: quiet speech is brought to one level before features, so that the floor of
//! the logarithm does not swallow it.

use super::usable_sample;

/// RMS that the loud frames are brought to: -20 dBFS, about that of recorded speech.
pub const WORKING_LEVEL: f32 = 0.1;

/// Most that a clip is amplified by: +60 dB.
pub const LARGEST_GAIN: f32 = 1000.0;
/// Most that a clip is attenuated by: -40 dB, reached only by samples far outside `[-1, 1]`.
pub const SMALLEST_GAIN: f32 = 0.01;

/// Frames below -75 dBFS are the noise of an empty room or of the converter.
pub const QUIETEST_SPEECH: f32 = 1.78e-4;

/// Frames below -120 dBFS are digital silence: they say nothing about the room.
pub const DIGITAL_SILENCE: f32 = 1e-6;

/// From -45 dBFS on a sound is taken for speech however steady it is.
pub const SURELY_MEANT: f32 = 5.6e-3;

/// Frames more than 30 dB under the loudest are pauses.
pub const PAUSE: f32 = 0.0316;

/// Speech stands out from its pauses by at least this factor (8 dB); a hum or hiss does not.
pub const SPEECH_OVER_NOISE: f32 = 2.5;

/// Samples of a frame whose level is taken: 20 ms at 16 kHz.
pub const FRAME: usize = 320;

/// A click is no speech: one frame in so many is passed over when the loudest is sought.
pub const CLICK_SHARE: usize = 20;

/// Frames that are passed over at most as a click: 200 ms.
pub const LONGEST_CLICK: usize = 10;

/// The level of a clip is that of the frame that one in so many without pauses are louder than.
pub const LOUD_SHARE: usize = 20;

/// The level of a room is that of the frame that one in so many are quieter than.
pub const QUIET_SHARE: usize = 10;

/// Gain (linear factor) that brings the loud part of `samples` (16 kHz) to the working level, an
/// RMS of 0.1. Never more than +60 dB; 1.0 for silence, for anything below -75 dBFS and for steady
/// noise below -45 dBFS.
///
/// The level is the 95th percentile of the 20 ms frames that are no pauses, so that neither long
/// silence nor a click moves it.
pub fn level_gain(samples: &[f32]) -> f32 {
    let mut levels: Vec<f32> = samples
        .chunks(FRAME)
        .map(|frame| FrameSums::of(frame).rms())
        .filter(|&level| level > DIGITAL_SILENCE)
        .collect();
    levels.sort_by(f32::total_cmp);
    levels.reverse();
    if levels.is_empty() {
        return 1.0;
    }
    let loudest = levels[(levels.len() / CLICK_SHARE).min(LONGEST_CLICK)];
    let num_active = levels.partition_point(|&level| level >= loudest * PAUSE);
    let level = levels[num_active / LOUD_SHARE];
    let quiet = levels[levels.len() - 1 - levels.len() / QUIET_SHARE];
    if level < QUIETEST_SPEECH || (level < SURELY_MEANT && level < quiet * SPEECH_OVER_NOISE) {
        return 1.0;
    }
    gain_for(level)
}

fn gain_for(level: f32) -> f32 {
    (WORKING_LEVEL / level).clamp(SMALLEST_GAIN, LARGEST_GAIN)
}

/// Enough to know the RMS about the mean of the samples added so far.
#[derive(Debug, Clone, Copy, Default)]
struct FrameSums {
    sum: f64,
    squares: f64,
    count: usize,
}

impl FrameSums {
    fn of(frame: &[f32]) -> Self {
        let mut sums = Self::default();
        frame
            .iter()
            .for_each(|&sample| sums.add(usable_sample(sample)));
        sums
    }

    fn add(&mut self, sample: f32) {
        let sample = f64::from(sample);
        self.sum += sample;
        self.squares += sample * sample;
        self.count += 1;
    }

    /// The mean is taken away: an offset of the converter is no sound.
    fn rms(&self) -> f32 {
        let count = self.count.max(1) as f64;
        let mean = self.sum / count;
        (self.squares / count - mean * mean).max(0.0).sqrt() as f32
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::features::{FeatureConfig, FeatureExtractor};

    /// Syllables of a harmonic voice at 4 a second over a floor of noise 45 dB below.
    fn speech(secs: usize, peak: f32) -> Vec<f32> {
        let mut noise = noise(secs * 16_000, 0.005 * peak).into_iter();
        let tau = std::f32::consts::TAU;
        (0..secs * 16_000)
            .map(|i| {
                let t = i as f32 / 16_000.0;
                let syllable =
                    (tau * 2.0 * t).sin().abs().powi(2) * (0.6 + 0.4 * (tau * 0.3 * t).sin());
                let voice: f32 = (1..12)
                    .map(|k| (tau * 130.0 * k as f32 * t).sin() / k as f32)
                    .sum();
                peak * 0.5 * syllable * voice + noise.next().unwrap()
            })
            .collect()
    }

    fn noise(length: usize, amplitude: f32) -> Vec<f32> {
        let mut state = 7u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / 8_388_608.0 - 1.0) * amplitude
        };
        (0..length).map(|_| next()).collect()
    }

    fn scaled(samples: &[f32], gain: f32) -> Vec<f32> {
        samples.iter().map(|s| s * gain).collect()
    }

    #[test]
    fn speech_up_to_50_db_too_quiet_gives_the_same_features() {
        let extractor = FeatureExtractor::new(&FeatureConfig::default()).unwrap();
        let loud = speech(4, 0.5);
        let reference = extractor.extract(&scaled(&loud, level_gain(&loud)));
        for down_db in [10.0f32, 30.0, 50.0] {
            let quiet = scaled(&loud, 10f32.powf(-down_db / 20.0));
            let features = extractor.extract(&scaled(&quiet, level_gain(&quiet)));
            for (a, b) in features.data.iter().zip(&reference.data) {
                assert!((a - b).abs() < 0.01, "{down_db} dB: {a} for {b}");
            }
        }
    }

    #[test]
    fn the_loud_frames_come_to_the_working_level() {
        let clip = speech(4, 0.02);
        let out = scaled(&clip, level_gain(&clip));
        let loudest = out
            .chunks(FRAME)
            .map(|f| FrameSums::of(f).rms())
            .fold(0.0, f32::max);
        assert!((0.09..0.2).contains(&loudest), "{loudest}");
    }

    #[test]
    fn silence_noise_floors_pauses_and_clicks_do_not_move_the_gain() {
        let clip = speech(4, 0.02);
        let gain = level_gain(&clip);
        let beside = |before: Vec<f32>| level_gain(&[before, clip.clone()].concat()) / gain;
        assert!((beside(vec![0.0; 20 * 16_000]) - 1.0).abs() < 0.01);
        assert!((beside(noise(20 * 16_000, 2e-5)) - 1.0).abs() < 0.3);
        let mut clicked = clip.clone();
        clicked[5000..5040].fill(0.9);
        assert!((level_gain(&clicked) / gain - 1.0).abs() < 0.2);
        let offset: Vec<f32> = clip.iter().map(|s| s + 0.3).collect();
        assert!((level_gain(&offset) / gain - 1.0).abs() < 0.01);
    }

    #[test]
    fn silence_and_steady_noise_are_left_alone() {
        let minute = 60 * 16_000;
        assert_eq!(level_gain(&[]), 1.0);
        assert_eq!(level_gain(&vec![0.0; minute]), 1.0);
        assert_eq!(level_gain(&vec![0.2; minute]), 1.0);
        assert_eq!(level_gain(&[f32::NAN; 1000]), 1.0);
        for amplitude in [3e-5, 2e-4, 1e-3, 5e-3] {
            assert_eq!(level_gain(&noise(minute, amplitude)), 1.0, "{amplitude}");
        }
        assert!(level_gain(&speech(2, 1e-3)) <= LARGEST_GAIN);
    }
}
