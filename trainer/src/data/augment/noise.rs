//! Additive noise: white, pink, and a babble of other clips.

use rand::RngExt;

use super::AugmentRng;

/// Voices in a babble.
const VOICES: usize = 4;

pub(super) fn white(len: usize, rng: &mut AugmentRng) -> Vec<f32> {
    (0..len).map(|_| rng.random_range(-1.0..1.0_f32)).collect()
}

/// About -3 dB an octave, by leaky integrators of spread time constants (Paul Kellet's filter in
/// its three-pole form).
pub(super) fn pink(len: usize, rng: &mut AugmentRng) -> Vec<f32> {
    let mut poles = [0.0_f32; 3];
    (0..len)
        .map(|_| {
            let white = rng.random_range(-1.0..1.0_f32);
            poles[0] = 0.99765 * poles[0] + white * 0.099_046;
            poles[1] = 0.963 * poles[1] + white * 0.296_516_4;
            poles[2] = 0.57 * poles[2] + white * 1.052_691_3;
            poles.iter().sum::<f32>() + white * 0.1848
        })
        .collect()
}

/// Other clips at equal level, each from a random place and repeated to fill `len`. White noise
/// where no clip can be had.
pub(super) fn babble(
    len: usize,
    rng: &mut AugmentRng,
    other_clip: &mut impl FnMut(&mut AugmentRng) -> Option<Vec<f32>>,
) -> Vec<f32> {
    let mut sum = vec![0.0_f32; len];
    let mut voices = 0;
    for _ in 0..VOICES {
        let Some(clip) = other_clip(rng) else {
            continue;
        };
        let level = power(&clip).sqrt();
        if level < 1e-6 {
            continue;
        }
        let start = rng.random_range(0..clip.len());
        for (sample, other) in sum.iter_mut().zip(clip.iter().cycle().skip(start)) {
            *sample += other / level;
        }
        voices += 1;
    }
    if voices == 0 { white(len, rng) } else { sum }
}

/// Adds `noise` at a signal-to-noise ratio over the whole clip. Silence stays silent.
pub(super) fn mix(samples: &mut [f32], noise: &[f32], snr_db: f32) {
    let (signal, disturbance) = (power(samples), power(noise));
    if signal < 1e-12 || disturbance < 1e-12 {
        return;
    }
    let gain = (signal / disturbance / 10.0_f32.powf(snr_db / 10.0)).sqrt();
    for (sample, noise) in samples.iter_mut().zip(noise) {
        *sample += gain * noise;
    }
}

pub(super) fn power(samples: &[f32]) -> f32 {
    let sum: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    (sum / samples.len().max(1) as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{EpochPlan, augment::utterance_rng};

    #[test]
    fn noise_comes_out_at_the_ratio_that_was_asked_for() {
        let mut rng = utterance_rng(1, EpochPlan::plain(), 3);
        let clean: Vec<f32> = (0..16_000).map(|i| (i as f32 * 0.1).sin() * 0.2).collect();
        let clip = clean.clone();
        for sound in [
            white(16_000, &mut rng),
            pink(16_000, &mut rng),
            babble(16_000, &mut rng, &mut |_| Some(clip[..5000].to_vec())),
        ] {
            let mut noisy = clean.clone();
            mix(&mut noisy, &sound, 10.0);
            let added: Vec<f32> = noisy.iter().zip(&clean).map(|(n, c)| n - c).collect();
            let snr_db = 10.0 * (power(&clean) / power(&added)).log10();
            assert!((snr_db - 10.0).abs() < 0.01, "{snr_db}");
        }
        let mut silence = vec![0.0; 100];
        mix(&mut silence, &[1.0; 100], 10.0);
        assert_eq!(silence, [0.0; 100]);
    }

    #[test]
    fn pink_noise_has_more_power_at_low_frequencies_than_white() {
        // Differencing removes low frequencies: it leaves more of white noise than of pink.
        let kept = |noise: &[f32]| {
            let steps: Vec<f32> = noise.windows(2).map(|w| w[1] - w[0]).collect();
            power(&steps) / power(noise)
        };
        let mut rng = utterance_rng(1, EpochPlan::plain(), 3);
        let (white, pink) = (white(50_000, &mut rng), pink(50_000, &mut rng));
        assert!(kept(&white) > 1.9);
        assert!(kept(&pink) < 1.2);
    }
}
