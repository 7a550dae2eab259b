//! Variations of training audio and features. Every draw comes from a generator keyed by run, phase,
//! epoch and utterance (see [`EpochPlan`]), so that results do not depend on threads or on where a run
//! resumed.

mod noise;
mod room;
mod spec_augment;
mod waveform;

pub use spec_augment::{SpecMask, spec_augment};

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use shared_model::audio::AudioError;

use super::EpochPlan;
use crate::config::AugmentConfig;

/// The generator of one utterance in one epoch.
pub type AugmentRng = Xoshiro256PlusPlus;

/// The generator for utterance `index` in an epoch.
pub fn utterance_rng(seed: u64, plan: EpochPlan, index: usize) -> AugmentRng {
    AugmentRng::seed_from_u64(plan.seed(seed, index as u64))
}

/// True with probability `share`.
pub(super) fn chance(rng: &mut AugmentRng, share: f32) -> bool {
    share > 0.0 && rng.random_range(0.0..1.0_f32) < share
}

/// One of the configured speeds; 1 if there are none.
pub(super) fn draw_speed(config: &AugmentConfig, rng: &mut AugmentRng) -> f32 {
    match config.speeds.len() {
        0 => 1.0,
        count => config.speeds[rng.random_range(0..count)],
    }
}

/// Changes 16 kHz `samples`: plays them at `speed`, then puts them into a room, limits the band and
/// adds noise as `config` says. `other_clip` gives another
/// clip of the data set for babble (`None` where it cannot be read).
pub fn augment_waveform(
    samples: Vec<f32>,
    speed: f32,
    config: &AugmentConfig,
    rng: &mut AugmentRng,
    mut other_clip: impl FnMut(&mut AugmentRng) -> Option<Vec<f32>>,
) -> Result<Vec<f32>, AudioError> {
    let mut samples = waveform::change_speed(samples, speed)?;
    if chance(rng, config.room_share) {
        room::reverberate(&mut samples, rng);
    }
    if chance(rng, config.band_limit_share) {
        let edge_hz = rng.random_range(3_400.0..8_000.0_f32);
        waveform::low_pass(&mut samples, edge_hz);
    }
    if chance(rng, config.noise_share) {
        let [low_db, high_db] = config.noise_snr_db;
        let snr_db = rng.random_range(low_db..=high_db.max(low_db));
        let sound = background(samples.len(), rng, &mut other_clip);
        noise::mix(&mut samples, &sound, snr_db);
    }
    Ok(samples)
}

/// `len` samples of white noise, pink noise or babble, at no level in particular.
pub(crate) fn background(
    len: usize,
    rng: &mut AugmentRng,
    other_clip: &mut impl FnMut(&mut AugmentRng) -> Option<Vec<f32>>,
) -> Vec<f32> {
    match rng.random_range(0..3) {
        0 => noise::white(len, rng),
        1 => noise::pink(len, rng),
        _ => noise::babble(len, rng, other_clip),
    }
}

/// A linear gain drawn evenly from plus or minus `gain_db`.
pub fn random_gain(config: &AugmentConfig, rng: &mut AugmentRng) -> f32 {
    if config.gain_db <= 0.0 {
        return 1.0;
    }
    10.0_f32.powf(rng.random_range(-config.gain_db..=config.gain_db) / 20.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_same_key_gives_the_same_audio_and_another_key_another() {
        let config = AugmentConfig {
            speeds: vec![],
            noise_share: 1.0,
            band_limit_share: 0.5,
            ..AugmentConfig::default()
        };
        let clip: Vec<f32> = (0..8000).map(|i| (i as f32 * 0.05).sin() * 0.1).collect();
        let run = |epoch, index| {
            let plan = EpochPlan {
                epoch,
                ..EpochPlan::plain()
            };
            let mut rng = utterance_rng(1, plan, index);
            augment_waveform(clip.clone(), 1.0, &config, &mut rng, |_| None).unwrap()
        };
        assert_eq!(run(0, 0), run(0, 0));
        assert_ne!(run(0, 0), run(1, 0));
        assert_ne!(run(0, 0), run(0, 1));
    }
}
