//! Whether words of confidence 0.8 are right eight times in ten.

use serde::{Deserialize, Serialize};

/// Bins of equal width, from 0 to 1.
pub const NUM_CONFIDENCE_BINS: usize = 10;

/// The words whose confidences lie in one bin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceBin {
    /// How many.
    pub words: usize,
    /// Mean of their confidences.
    pub confidence: f64,
    /// Share of them that is right.
    pub right: f64,
}

/// Words by confidence. Bin `i` of 10 holds those from `i / 10` up to and without `(i + 1) / 10`,
/// the last one those of 1, too; a confidence outside of 0 to 1 or that is no number counts as the
/// nearest, or as 0.
pub fn confidence_bins(
    words: impl IntoIterator<Item = (f32, bool)>,
) -> [ConfidenceBin; NUM_CONFIDENCE_BINS] {
    let mut bins = [ConfidenceBin::default(); NUM_CONFIDENCE_BINS];
    for (confidence, is_right) in words {
        let confidence = match confidence {
            none if none.is_nan() => 0.0,
            any => any.clamp(0.0, 1.0),
        };
        let place = (confidence * NUM_CONFIDENCE_BINS as f32) as usize;
        let bin = &mut bins[place.min(NUM_CONFIDENCE_BINS - 1)];
        bin.words += 1;
        bin.confidence += f64::from(confidence);
        bin.right += f64::from(u8::from(is_right));
    }
    for bin in bins.iter_mut().filter(|bin| bin.words > 0) {
        bin.confidence /= bin.words as f64;
        bin.right /= bin.words as f64;
    }
    bins
}

/// Expected calibration error (Guo et al., "On calibration of modern neural networks", ICML 2017):
/// the mean over all words of the distance between their bin's confidence and its share of right
/// words, 0 to 1; 0 without words.
pub fn expected_calibration_error(bins: &[ConfidenceBin]) -> f64 {
    let words: usize = bins.iter().map(|bin| bin.words).sum();
    let distances = bins
        .iter()
        .map(|bin| bin.words as f64 * (bin.confidence - bin.right).abs());
    distances.sum::<f64>() / words.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_the_distance_of_each_bin_weighted_by_its_words() {
        // Bin 8: 0.85 and 0.8, one right: |0.825 - 0.5| = 0.325. Bin 9: 1.0 and 0.9, both right:
        // |0.95 - 1| = 0.05. Bin 0: 0.05, wrong: 0.05. (2 * 0.325 + 2 * 0.05 + 0.05) / 5 = 0.16.
        let words = [
            (0.85, true),
            (0.8, false),
            (1.0, true),
            (0.9, true),
            (0.05, false),
        ];
        let bins = confidence_bins(words);
        let counts = bins.map(|bin| bin.words);
        assert_eq!(counts, [1, 0, 0, 0, 0, 0, 0, 0, 2, 2]);
        assert!((bins[8].confidence - 0.825).abs() < 1e-6 && bins[8].right == 0.5);
        assert!((expected_calibration_error(&bins) - 0.16).abs() < 1e-6);
    }

    #[test]
    fn too_sure_and_too_unsure_words_of_different_bins_do_not_cancel() {
        let bins = confidence_bins([(0.95, false), (0.05, true)]);
        assert!((expected_calibration_error(&bins) - 0.95).abs() < 1e-6);
    }

    #[test]
    fn senseless_confidences_are_counted_and_no_words_have_no_error() {
        let bins = confidence_bins([(f32::NAN, false), (-1.0, false), (7.0, true)]);
        assert_eq!((bins[0].words, bins[9].words), (2, 1));
        assert_eq!(expected_calibration_error(&bins), 0.0);
        assert_eq!(expected_calibration_error(&confidence_bins([])), 0.0);
    }
}
