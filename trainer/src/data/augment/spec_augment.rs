//! SpecAugment (Park et al., 2019): bands and stretches of frames hidden from the network.

use rand::RngExt;
use shared_model::features::Features;

use super::AugmentRng;
use crate::config::AugmentConfig;

/// Masks an utterance's frames in place. Hidden values become the utterance's mean of their band,
/// which is zero after normalisation.
pub fn spec_augment(features: &mut Features, config: &AugmentConfig, rng: &mut AugmentRng) {
    let (frames, bands) = (features.num_frames(), features.n_mels);
    if frames == 0 || bands == 0 {
        return;
    }
    let mean = band_means(features);
    for _ in 0..config.freq_masks {
        let width = rng.random_range(0..=config.freq_mask_bands.min(bands));
        let start = rng.random_range(0..=bands - width);
        for frame in features.data.chunks_exact_mut(bands) {
            frame[start..start + width].copy_from_slice(&mean[start..start + width]);
        }
    }
    let share = config.time_mask_share * frames as f32 / config.time_masks.max(1) as f32;
    let longest = config.time_mask_frames.min(share as usize).min(frames);
    for _ in 0..config.time_masks {
        let length = rng.random_range(0..=longest);
        let start = rng.random_range(0..=frames - length);
        for frame in features.data[start * bands..(start + length) * bands].chunks_exact_mut(bands)
        {
            frame.copy_from_slice(&mean);
        }
    }
}

fn band_means(features: &Features) -> Vec<f32> {
    let mut sums = vec![0.0_f64; features.n_mels];
    for frame in features.data.chunks_exact(features.n_mels) {
        for (sum, &value) in sums.iter_mut().zip(frame) {
            *sum += f64::from(value);
        }
    }
    let frames = features.num_frames().max(1) as f64;
    sums.into_iter().map(|sum| (sum / frames) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::augment::utterance_rng;

    /// Values that no mean equals: frame and band can be told from each.
    fn features(frames: usize, bands: usize) -> Features {
        Features {
            data: (0..frames * bands).map(|i| (i * i % 1009) as f32).collect(),
            n_mels: bands,
        }
    }

    #[test]
    fn masks_stay_within_their_limits_and_hold_the_mean() {
        let config = AugmentConfig {
            freq_masks: 0,
            time_masks: 2,
            time_mask_frames: 30,
            time_mask_share: 0.2,
            ..AugmentConfig::default()
        };
        let plain = features(100, 8);
        let mean = band_means(&plain);
        let mut hidden_most = 0;
        for index in 0..200 {
            let mut masked = plain.clone();
            spec_augment(&mut masked, &config, &mut utterance_rng(1, 0, index));
            let hidden: Vec<usize> = (0..100)
                .filter(|&i| masked.frame(i) != plain.frame(i))
                .collect();
            assert!(hidden.iter().all(|&i| masked.frame(i) == mean.as_slice()));
            hidden_most = hidden_most.max(hidden.len());
        }
        assert!((15..=20).contains(&hidden_most), "{hidden_most}");
    }

    #[test]
    fn frequency_masks_hide_the_same_bands_in_every_frame() {
        let config = AugmentConfig {
            freq_masks: 1,
            freq_mask_bands: 5,
            time_masks: 0,
            ..AugmentConfig::default()
        };
        let plain = features(20, 16);
        let mut widest = 0;
        for index in 0..100 {
            let mut masked = plain.clone();
            spec_augment(&mut masked, &config, &mut utterance_rng(1, 0, index));
            let hidden = |frame: usize| -> Vec<usize> {
                (0..16)
                    .filter(|&b| masked.frame(frame)[b] != plain.frame(frame)[b])
                    .collect()
            };
            let first = hidden(0);
            assert!((1..20).all(|frame| hidden(frame) == first));
            widest = widest.max(first.len());
        }
        assert_eq!(widest, 5);
    }

    #[test]
    fn an_utterance_of_one_frame_or_none_is_no_trouble() {
        for frames in [0, 1, 2] {
            let mut masked = features(frames, 80);
            spec_augment(
                &mut masked,
                &AugmentConfig::default(),
                &mut utterance_rng(1, 0, 0),
            );
            assert_eq!(masked.num_frames(), frames);
        }
    }
}
