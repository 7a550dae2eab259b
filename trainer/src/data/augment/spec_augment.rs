//! SpecAugment (Park et al., 2019): bands and stretches of frames hidden from the network.

use std::ops::Range;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::AugmentRng;
use crate::config::AugmentConfig;

/// What is hidden of an utterance. It is hidden behind the network's normalisation, so that what
/// stays visible does not change with it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SpecMask {
    /// Bands, in every frame.
    pub bands: Vec<Range<usize>>,
    /// Frames, in every band.
    pub frames: Vec<Range<usize>>,
}

impl SpecMask {
    /// Whether it hides nothing.
    pub fn is_empty(&self) -> bool {
        self.bands.is_empty() && self.frames.is_empty()
    }

    /// Sets what is hidden to 0; `visible`: `[frames, n_mels]`, row-major, of at least the frames that
    /// the mask was drawn for.
    pub fn hide(&self, visible: &mut [f32], n_mels: usize) {
        for frames in &self.frames {
            visible[frames.start * n_mels..frames.end * n_mels].fill(0.0);
        }
        for frame in visible.chunks_exact_mut(n_mels.max(1)) {
            for bands in &self.bands {
                frame[bands.clone()].fill(0.0);
            }
        }
    }
}

/// Draws the mask of an utterance of `frames` frames of `n_mels` bands.
pub fn spec_augment(
    frames: usize,
    n_mels: usize,
    config: &AugmentConfig,
    rng: &mut AugmentRng,
) -> SpecMask {
    let share = config.time_mask_share * frames as f32 / config.time_masks.max(1) as f32;
    let longest = config.time_mask_frames.min(share as usize);
    let mut ranges = |count: usize, widest: usize, of: usize| -> Vec<Range<usize>> {
        let range = |_| {
            let width = rng.random_range(0..=widest.min(of));
            let start = rng.random_range(0..=of - width);
            start..start + width
        };
        let ranges = (0..count).map(range);
        ranges.filter(|range| !range.is_empty()).collect()
    };
    SpecMask {
        bands: ranges(config.freq_masks, config.freq_mask_bands, n_mels),
        frames: ranges(config.time_masks, longest, frames),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{EpochPlan, augment::utterance_rng};

    /// Which values of `frames` frames a mask hides, for utterance `index`.
    fn hidden(
        frames: usize,
        n_mels: usize,
        config: &AugmentConfig,
        index: usize,
    ) -> Vec<Vec<bool>> {
        let mut rng = utterance_rng(1, EpochPlan::plain(), index);
        let mut visible = vec![1.0; frames * n_mels];
        spec_augment(frames, n_mels, config, &mut rng).hide(&mut visible, n_mels);
        let rows = visible.chunks(n_mels);
        rows.map(|row| row.iter().map(|&v| v == 0.0).collect())
            .collect()
    }

    #[test]
    fn masks_of_time_stay_within_their_limits_and_hide_whole_frames() {
        let config = AugmentConfig {
            freq_masks: 0,
            time_masks: 2,
            time_mask_frames: 30,
            time_mask_share: 0.2,
            ..AugmentConfig::default()
        };
        let mut hidden_most = 0;
        for index in 0..200 {
            let hidden = hidden(100, 8, &config, index);
            assert!(hidden.iter().all(|frame| *frame == [frame[0]; 8]));
            hidden_most = hidden_most.max(hidden.iter().filter(|frame| frame[0]).count());
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
        let mut widest = 0;
        for index in 0..100 {
            let hidden = hidden(20, 16, &config, index);
            assert!(hidden.iter().all(|frame| *frame == hidden[0]));
            widest = widest.max(hidden[0].iter().filter(|&&band| band).count());
        }
        assert_eq!(widest, 5);
    }

    #[test]
    fn an_utterance_of_one_frame_or_none_is_no_trouble() {
        for frames in [0, 1, 2] {
            let config = AugmentConfig::default();
            assert_eq!(hidden(frames, 80, &config, 0).len(), frames);
        }
    }
}
