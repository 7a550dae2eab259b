//! Where a clip has sound at all: blocks of 10 ms, their levels, and the regions worth decoding.

use std::ops::Range;

use crate::audio::SAMPLE_RATE_HZ;

/// Samples of a block (10 ms).
pub(super) const BLOCK_SAMPLES: usize = SAMPLE_RATE_HZ as usize / 100;
/// Blocks a second.
pub(super) const BLOCKS_PER_SEC: f32 = 100.0;

/// Levels are dB relative to a full-scale square wave. Below this is digital silence: zeros, or
/// the last bit of a 16-bit recording (dither is at -93 to -96 dB).
pub(super) const SILENCE_DB: f32 = -80.0;
/// Silence kept at each end of a region: recordings rarely have more around speech, so that most
/// clips are decoded whole, as they were in training.
const MARGIN_BLOCKS: usize = 30;
/// Silence that parts two regions. Shorter gaps stay inside one region, as they are in training.
const GAP_BLOCKS: usize = 200;
/// A region this quiet throughout is speech only if its level moves.
const STEADY_BELOW_DB: f32 = -45.0;
/// How far the loud parts of quiet speech stand out of the quiet parts at least; white noise moves
/// by about 2 dB in this measure.
const STEADY_RANGE_DB: f32 = 6.0;

/// Level of each whole or begun block of `samples`, its mean removed. Samples that are not finite
/// count as zero.
pub(super) fn block_levels(samples: &[f32]) -> Vec<f32> {
    samples.chunks(BLOCK_SAMPLES).map(block_level).collect()
}

pub(super) fn block_level(block: &[f32]) -> f32 {
    let finite = |value: &f32| {
        if value.is_finite() {
            f64::from(*value)
        } else {
            0.0
        }
    };
    let count = block.len().max(1) as f64;
    let mean = block.iter().map(finite).sum::<f64>() / count;
    let power = block
        .iter()
        .map(|v| (finite(v) - mean).powi(2))
        .sum::<f64>()
        / count;
    (10.0 * (power + 1e-12).log10()) as f32
}

/// The parts of a clip that may hold speech, as ranges of blocks, in order and disjoint: sound
/// with a margin of silence, parted by long digital silence, without those whose sound is a faint
/// steady noise.
pub(super) fn active_regions(levels: &[f32]) -> Vec<Range<usize>> {
    let mut sounds: Vec<Range<usize>> = Vec::new();
    for (block, level) in levels.iter().enumerate() {
        if *level <= SILENCE_DB {
            continue;
        }
        match sounds.last_mut() {
            Some(last) if block - last.end < GAP_BLOCKS => last.end = block + 1,
            _ => sounds.push(block..block + 1),
        }
    }
    sounds.retain(|sound| !is_steady_noise(&levels[sound.clone()]));
    // Gaps are longer than two margins, so that regions stay disjoint.
    for sound in &mut sounds {
        sound.start = sound.start.saturating_sub(MARGIN_BLOCKS);
        sound.end = (sound.end + MARGIN_BLOCKS).min(levels.len());
    }
    sounds
}

/// Quiet, and without the ups and downs of speech.
fn is_steady_noise(levels: &[f32]) -> bool {
    // Means over 50 ms: a single click in a quiet room is no speech either.
    let means = levels
        .chunks(5)
        .map(|chunk| chunk.iter().sum::<f32>() / chunk.len() as f32);
    let smooth = ascending(means.collect());
    let quantile = |share: f32| {
        let index = (smooth.len().saturating_sub(1) as f32 * share).round() as usize;
        smooth.get(index).copied().unwrap_or(SILENCE_DB)
    };
    let loud = quantile(0.98);
    loud < STEADY_BELOW_DB && loud - quantile(0.1) < STEADY_RANGE_DB
}

/// Levels from the lowest to the highest.
pub(super) fn ascending(mut levels: Vec<f32>) -> Vec<f32> {
    levels.sort_by(f32::total_cmp);
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(num_samples: usize, amplitude: f32) -> Vec<f32> {
        (0..num_samples)
            .map(|i| amplitude * (i as f32 * 0.35).sin())
            .collect()
    }

    fn noise(num_samples: usize, amplitude: f32) -> Vec<f32> {
        let mut state = 9u32;
        (0..num_samples)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                amplitude * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
            })
            .collect()
    }

    #[test]
    fn levels_are_decibels_of_full_scale_without_the_offset() {
        // A square wave of amplitude 0.1 around 0.5: power 0.01, that is -20 dB.
        let square: Vec<f32> = (0..160)
            .map(|i| if i % 2 == 0 { 0.6 } else { 0.4 })
            .collect();
        assert!((block_level(&square) + 20.0).abs() < 1e-3);
        assert_eq!(block_levels(&[0.0; 161]), vec![-120.0, -120.0]);
        assert!(block_level(&[f32::NAN; 160]) <= -119.0);
        assert!(block_levels(&[]).is_empty());
    }

    #[test]
    fn silence_dither_and_room_noise_have_no_region() {
        for samples in [
            vec![0.0; 960_000],
            noise(960_000, 1.0 / 32768.0),
            noise(160_000, 0.003),
            Vec::new(),
        ] {
            assert!(active_regions(&block_levels(&samples)).is_empty());
        }
    }

    #[test]
    fn leading_silence_is_trimmed_to_the_margin() {
        let mut samples = vec![0.0; 20 * 16_000];
        samples.extend(tone(16_000, 0.3));
        samples.extend(vec![0.0; 5 * 16_000]);
        assert_eq!(active_regions(&block_levels(&samples)), vec![1970..2130]);
    }

    #[test]
    fn long_silence_parts_and_short_silence_joins() {
        let silence = |secs: f32| vec![0.0; (secs * 16_000.0) as usize];
        let samples = [
            tone(8000, 0.2),
            silence(1.0),
            tone(8000, 0.2),
            silence(3.0),
            tone(8000, 0.2),
        ];
        let regions = active_regions(&block_levels(&samples.concat()));
        assert_eq!(regions, vec![0..230, 470..550]);
    }

    #[test]
    fn quiet_sound_that_moves_is_kept() {
        // Bursts of 200 ms at -60 dB in noise at -78 dB.
        let mut samples = noise(32_000, 2e-4);
        for start in [4_000, 12_000, 20_000] {
            for (sample, value) in samples[start..].iter_mut().zip(tone(3_200, 1.4e-3)) {
                *sample += value;
            }
        }
        assert_eq!(active_regions(&block_levels(&samples)).len(), 1);
    }
}
