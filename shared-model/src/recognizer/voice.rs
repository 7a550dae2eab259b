//! Speech or not, block by block: level against a tracked noise floor, with hysteresis.

use std::collections::VecDeque;

use super::activity::SILENCE_DB;

/// The floor is the quietest tenth of a second of the last four seconds: speech pauses more often
/// than that (after minimum statistics, Martin 2001).
const FLOOR_BINS: usize = 40;
const BLOCKS_PER_BIN: usize = 10;
/// Assumed before anything was heard; it is forgotten after the four seconds.
const FIRST_FLOOR_DB: f32 = -70.0;
/// Even without any pause, speech of normal level stays above the thresholds.
const HIGHEST_FLOOR_DB: f32 = -35.0;
/// Above the floor: begins speech, when so many of the last blocks are.
const OPEN_DB: f32 = 12.0;
const OPEN_BLOCKS: usize = 6;
const OPEN_OF_BLOCKS: usize = 10;
/// Above the floor: goes on with speech.
const KEEP_DB: f32 = 7.0;

/// Follows the level of live audio. Constant memory and work per block.
pub(super) struct VoiceDetector {
    bins: VecDeque<f32>,
    bin_sum: f32,
    bin_len: usize,
    /// Whether each of the last blocks was above the opening threshold.
    loud: VecDeque<bool>,
    is_open: bool,
}

impl VoiceDetector {
    pub(super) fn new() -> Self {
        Self {
            bins: VecDeque::from([FIRST_FLOOR_DB; FLOOR_BINS]),
            bin_sum: 0.0,
            bin_len: 0,
            loud: VecDeque::from([false; OPEN_OF_BLOCKS]),
            is_open: false,
        }
    }

    /// Takes the next block's level; whether it belongs to speech.
    pub(super) fn push(&mut self, level: f32) -> bool {
        let above = level - self.floor();
        self.loud.pop_front();
        self.loud.push_back(above > OPEN_DB);
        if !self.is_open {
            self.is_open = self.loud.iter().filter(|loud| **loud).count() >= OPEN_BLOCKS;
        }
        self.track_floor(level);
        self.is_open && above > KEEP_DB
    }

    /// The next speech has to pass the opening threshold again.
    pub(super) fn close(&mut self) {
        self.is_open = false;
        self.loud.iter_mut().for_each(|loud| *loud = false);
    }

    fn floor(&self) -> f32 {
        let quietest = self.bins.iter().copied().fold(f32::INFINITY, f32::min);
        quietest.clamp(SILENCE_DB, HIGHEST_FLOOR_DB)
    }

    fn track_floor(&mut self, level: f32) {
        self.bin_sum += level;
        self.bin_len += 1;
        if self.bin_len == BLOCKS_PER_BIN {
            self.bins.pop_front();
            self.bins.push_back(self.bin_sum / BLOCKS_PER_BIN as f32);
            (self.bin_sum, self.bin_len) = (0.0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech_blocks(detector: &mut VoiceDetector, levels: impl Iterator<Item = f32>) -> usize {
        levels.filter(|level| detector.push(*level)).count()
    }

    #[test]
    fn silence_and_steady_room_noise_are_not_speech() {
        let mut detector = VoiceDetector::new();
        assert_eq!(speech_blocks(&mut detector, [-120.0; 1000].into_iter()), 0);
        assert_eq!(speech_blocks(&mut detector, [-69.0; 1000].into_iter()), 0);
    }

    #[test]
    fn speech_is_found_within_a_tenth_of_a_second_at_any_usual_level() {
        for (noise, speech) in [
            (-120.0, -60.0),
            (-75.0, -50.0),
            (-50.0, -25.0),
            (-120.0, -10.0),
        ] {
            let mut detector = VoiceDetector::new();
            speech_blocks(&mut detector, [noise; 500].into_iter());
            let found = speech_blocks(&mut detector, [speech; 50].into_iter());
            assert!(found >= 40, "{noise} {speech}: {found}");
        }
    }

    #[test]
    fn a_click_does_not_open() {
        let mut detector = VoiceDetector::new();
        let levels = (0..1000).map(|i| if i % 100 < 4 { -20.0 } else { -75.0 });
        assert_eq!(speech_blocks(&mut detector, levels), 0);
    }

    #[test]
    fn a_steady_noise_that_begins_loudly_is_floor_after_four_seconds() {
        let mut detector = VoiceDetector::new();
        speech_blocks(&mut detector, [-45.0; 500].into_iter());
        assert_eq!(speech_blocks(&mut detector, [-45.0; 500].into_iter()), 0);
    }

    #[test]
    fn long_speech_of_normal_level_stays_speech() {
        let mut detector = VoiceDetector::new();
        let levels = (0..2000).map(|i| if i % 30 < 5 { -34.0 } else { -22.0 });
        assert!(speech_blocks(&mut detector, levels) > 1500);
    }
}
