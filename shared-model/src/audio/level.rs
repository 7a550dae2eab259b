//! Level normalisation: quiet speech is brought to one level before features, so that the floor of
//! the logarithm does not swallow it.

use super::usable_sample;

/// RMS that the loud frames are brought to: -20 dBFS, about that of recorded speech.
const WORKING_LEVEL: f32 = 0.1;

/// +60 dB.
const LARGEST_GAIN: f32 = 1000.0;
/// -40 dB, reached only by samples far outside `[-1, 1]`.
const SMALLEST_GAIN: f32 = 0.01;

/// Frames below -75 dBFS are the noise of an empty room or of the converter.
const QUIETEST_SPEECH: f32 = 1.78e-4;

/// Frames below -120 dBFS are digital silence: they say nothing about the room.
const DIGITAL_SILENCE: f32 = 1e-6;

/// From -45 dBFS on a sound is taken for speech however steady it is.
const SURELY_MEANT: f32 = 5.6e-3;

/// Frames more than 30 dB under the loudest are pauses.
const PAUSE: f32 = 0.0316;

/// Speech stands out from its pauses by at least this factor (8 dB); a hum or hiss does not.
const SPEECH_OVER_NOISE: f32 = 2.5;

/// 20 ms at 16 kHz.
const FRAME: usize = 320;

/// 10 ms at 16 kHz.
const LIVE_FRAME: usize = 160;

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
    levels.sort_by(|a, b| b.total_cmp(a));
    if levels.is_empty() {
        return 1.0;
    }
    // The loudest, but for a click: a twentieth of the frames, 200 ms at most.
    let loudest = levels[(levels.len() / 20).min(10)];
    let num_active = levels.partition_point(|&level| level >= loudest * PAUSE);
    let level = levels[num_active / 20];
    let quiet = levels[levels.len() - 1 - levels.len() / 10];
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

/// The causal form of [`level_gain`] for live audio. The gain stays 1.0 until something stands out
/// from the noise, follows louder speech within some 10 ms and quieter speech by 3 dB per second of
/// speech, and glides over 10 ms, whatever the blocks that are pushed.
#[derive(Debug, Clone)]
pub struct LevelFollower {
    /// Level of loud speech; `None` before the first.
    level: Option<f32>,
    /// Level of the pauses; `None` before the first sound.
    noise: Option<f32>,
    /// Gains at the beginning and at the end of the present frame.
    gains: (f32, f32),
    frame: FrameSums,
}

impl LevelFollower {
    /// The share of the way to a louder level that is gone in a frame.
    const ATTACK: f32 = 0.5;
    /// Most by which the level rises in a frame (6 dB), lest a click silence the speech after it.
    const LARGEST_RISE: f32 = 2.0;
    /// Fall in a frame of speech: 3 dB in a second.
    const DECAY: f32 = 0.996_55;
    /// Rise of the noise in a frame: 2 dB in a second.
    const NOISE_RISE: f32 = 1.002_3;
    /// Speech begins softly: its loud frames are about this much (6 dB) above the first.
    const ONSET: f32 = 2.0;

    pub fn new() -> Self {
        Self {
            level: None,
            noise: None,
            gains: (1.0, 1.0),
            frame: FrameSums::default(),
        }
    }

    /// Applies the gain known so far to a block of 16 kHz samples, in place. NaN and infinite
    /// samples become 0.
    pub fn apply(&mut self, samples: &mut [f32]) {
        for sample in samples {
            let usable = usable_sample(*sample);
            let (from, to) = self.gains;
            let done = self.frame.count as f32 / LIVE_FRAME as f32;
            *sample = usable * (from + (to - from) * done);
            self.frame.add(usable);
            if self.frame.count == LIVE_FRAME {
                self.follow(self.frame.rms());
                self.frame = FrameSums::default();
                self.gains = (to, self.level.map_or(1.0, gain_for));
            }
        }
    }

    fn follow(&mut self, rms: f32) {
        if rms <= DIGITAL_SILENCE {
            return;
        }
        let noise = self
            .noise
            .map_or(rms, |noise| rms.min(noise * Self::NOISE_RISE));
        self.noise = Some(noise);
        let stands_out = rms >= SURELY_MEANT || rms >= noise * SPEECH_OVER_NOISE;
        if rms < QUIETEST_SPEECH || !stands_out {
            return;
        }
        self.level = Some(match self.level {
            None => rms * Self::ONSET,
            Some(level) if rms > level => {
                (level + (rms - level) * Self::ATTACK).min(level * Self::LARGEST_RISE)
            }
            Some(level) if rms > level * PAUSE => level * Self::DECAY,
            Some(level) => level,
        });
    }
}

impl Default for LevelFollower {
    fn default() -> Self {
        Self::new()
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
            let mut live = noise(minute, amplitude);
            LevelFollower::new().apply(&mut live);
            assert_eq!(live, noise(minute, amplitude));
        }
        assert!(level_gain(&speech(2, 1e-3)) <= LARGEST_GAIN);
    }

    #[test]
    fn live_gain_nears_the_gain_of_the_whole_clip_within_the_first_second() {
        for peak in [0.001, 0.01, 0.1, 0.9] {
            let clip = [
                vec![0.0; 8_000],
                noise(16_000, peak * 0.005),
                speech(6, peak),
            ]
            .concat();
            let whole = level_gain(&clip);
            let mut follower = LevelFollower::new();
            let mut live = clip.clone();
            follower.apply(&mut live);
            for second in 3..7 {
                let part = second * 16_000..(second + 1) * 16_000;
                let sums = |samples: &[f32]| FrameSums::of(samples).rms();
                let ratio = sums(&live[part.clone()]) / (sums(&clip[part]) * whole);
                assert!(
                    (0.5..2.0).contains(&ratio),
                    "peak {peak}, second {second}: {ratio}"
                );
            }
        }
    }

    #[test]
    fn blocks_of_any_size_give_the_same_live_audio_and_no_step() {
        let clip = speech(3, 0.01);
        let mut whole = clip.clone();
        LevelFollower::new().apply(&mut whole);
        for size in [1, 37, 160, 1000, 20_000] {
            let mut chopped = clip.clone();
            let mut follower = LevelFollower::new();
            chopped
                .chunks_mut(size)
                .for_each(|block| follower.apply(block));
            assert_eq!(chopped, whole, "blocks of {size}");
        }
        // On a constant the output is the gain itself, here on its way down after a loud frame.
        let mut follower = LevelFollower::new();
        follower.apply(&mut speech(1, 0.01));
        follower.apply(&mut noise(160, 0.5));
        let mut probe = vec![1.0; 160];
        follower.apply(&mut probe);
        let step = probe
            .windows(2)
            .map(|p| (p[1] / p[0]).ln().abs())
            .fold(0.0, f32::max);
        assert!(probe[159] < 0.6 * probe[0] && step < 0.02, "{step}");
    }

    #[test]
    fn a_click_costs_little_and_a_quieter_speaker_is_reached() {
        let mut follower = LevelFollower::new();
        follower.apply(&mut speech(3, 0.01));
        let before = follower.gains.1;
        follower.apply(&mut [0.0; 160]);
        follower.apply(&mut [1.0, -1.0].repeat(20));
        follower.apply(&mut [0.0; 400]);
        assert!(
            follower.gains.1 > before / 2.5,
            "{} after {before}",
            follower.gains.1
        );
        let mut follower = LevelFollower::new();
        follower.apply(&mut speech(3, 0.5));
        follower.apply(&mut speech(20, 0.05));
        let quiet = speech(20, 0.05);
        let ratio = follower.gains.1 / level_gain(&quiet);
        assert!((0.5..2.0).contains(&ratio), "{ratio}");
    }
}
