//! Reverberation of a simulated room (Schroeder, "Natural sounding artificial reverberation",
//! Journal of the Audio Engineering Society 10, 1962): four combs side by side, two all-passes behind
//! them.

use std::ops::Range;

use rand::RngExt;
use shared_model::audio::SAMPLE_RATE_HZ;

use super::{AugmentRng, noise::power};

/// Time in which the sound falls by 60 dB, seconds.
const REVERBERATION_SECS: Range<f32> = 0.15..0.8;
/// Direct sound over reverberation.
const DIRECT_DB: Range<f32> = 0.0..15.0;
/// Delays of the combs, milliseconds; each room stretches them by its size.
const COMBS_MS: [f32; 4] = [29.7, 37.1, 41.1, 43.7];
const ROOM_SIZE: Range<f32> = 0.5..1.3;
/// Delays of the all-passes, milliseconds, and their gain.
const ALL_PASSES_MS: [f32; 2] = [5.0, 1.7];
const ALL_PASS_GAIN: f32 = 0.7;

/// Adds the reverberation of a room that is drawn; the length stays. Silence stays silent.
pub(super) fn reverberate(samples: &mut [f32], rng: &mut AugmentRng) {
    let decay_secs = rng.random_range(REVERBERATION_SECS);
    let size = rng.random_range(ROOM_SIZE);
    let direct_db = rng.random_range(DIRECT_DB);
    let mut tail = vec![0.0_f32; samples.len()];
    for delay_ms in COMBS_MS {
        add_comb(samples, &mut tail, delay_ms * size, decay_secs);
    }
    for delay_ms in ALL_PASSES_MS {
        all_pass(&mut tail, delay_ms * size);
    }
    let (direct, reverberant) = (power(samples), power(&tail));
    if reverberant < 1e-12 {
        return;
    }
    let gain = (direct / reverberant / 10.0_f32.powf(direct_db / 10.0)).sqrt();
    for (sample, tail) in samples.iter_mut().zip(&tail) {
        *sample += gain * tail;
    }
}

fn delay_samples(delay_ms: f32) -> usize {
    ((delay_ms * SAMPLE_RATE_HZ as f32 / 1000.0) as usize).max(1)
}

/// Adds echoes of `samples`, each `delay_ms` after the one before, to `sum`.
fn add_comb(samples: &[f32], sum: &mut [f32], delay_ms: f32, decay_secs: f32) {
    let gain = 10.0_f32.powf(-3.0 * delay_ms / 1000.0 / decay_secs);
    let mut line = vec![0.0_f32; delay_samples(delay_ms)];
    let mut place = 0;
    for (sample, sum) in samples.iter().zip(sum) {
        let delayed = line[place];
        *sum += delayed;
        line[place] = sample + gain * delayed;
        place = (place + 1) % line.len();
    }
}

/// Makes one echo many, without colour.
fn all_pass(samples: &mut [f32], delay_ms: f32) {
    let mut line = vec![0.0_f32; delay_samples(delay_ms)];
    let mut place = 0;
    for sample in samples {
        let delayed = line[place];
        let fed = *sample + ALL_PASS_GAIN * delayed;
        *sample = delayed - ALL_PASS_GAIN * fed;
        line[place] = fed;
        place = (place + 1) % line.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{EpochPlan, augment::utterance_rng};

    #[test]
    fn a_click_is_followed_by_echoes_that_die_away() {
        for index in 0..20 {
            let mut click = vec![0.0; 16_000];
            click[0] = 1.0;
            reverberate(&mut click, &mut utterance_rng(1, EpochPlan::plain(), index));
            assert_eq!(click[0], 1.0);
            let (early, late) = (power(&click[1..4_000]), power(&click[12_000..]));
            assert!(early > 10.0 * late, "{early} {late}");
            // 0 to 15 dB below the direct sound.
            let echoes: f32 = click[1..].iter().map(|s| s * s).sum();
            assert!((0.03..1.01).contains(&echoes), "{echoes}");
        }
    }

    #[test]
    fn echoes_fall_by_60_db_in_the_time_that_was_asked_for() {
        let mut click = vec![0.0; 16_001];
        click[0] = 1.0;
        let mut tail = vec![0.0; 16_001];
        // An echo every 50 ms; the one after half a second has gone through nine gains.
        add_comb(&click, &mut tail, 50.0, 0.5);
        assert_eq!(tail[800], 1.0);
        assert!((20.0 * tail[8_800].log10() + 60.0).abs() < 0.01);
    }

    #[test]
    fn silence_and_no_sound_at_all_stay_as_they_are() {
        let mut rng = utterance_rng(1, EpochPlan::plain(), 0);
        for mut silence in [vec![0.0; 500], vec![]] {
            reverberate(&mut silence, &mut rng);
            assert!(silence.iter().all(|sample| *sample == 0.0));
        }
    }
}
