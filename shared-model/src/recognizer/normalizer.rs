//! Feature normalisation for live audio, where the utterance's end is not known yet.

use crate::{features::Features, model::NORMALIZATION_EPSILON};

/// Running form of the utterance normalisation: mean and variance of each mel band start from the
/// corpus's, which count as `prior_frames` frames, and move to the segment's own as frames arrive.
/// With the whole utterance pushed and no prior it is the utterance normalisation.
#[derive(Debug, Clone)]
pub struct RunningNormalizer {
    /// Weight of the corpus statistics, in frames.
    prior_frames: f32,
    prior_mean: Vec<f32>,
    prior_std: Vec<f32>,
    num_frames: usize,
    /// Sums of the differences from `prior_mean`, which keeps them small.
    sum: Vec<f64>,
    sum_of_squares: Vec<f64>,
}

impl RunningNormalizer {
    /// `mean`, `std`: the corpus statistics, `[n_mels]` each
    /// ([`crate::model::CtcModel::corpus_stats`]).
    pub fn new(mean: &[f32], std: &[f32], prior_frames: f32) -> Self {
        Self {
            prior_frames,
            prior_mean: mean.to_vec(),
            prior_std: std.to_vec(),
            num_frames: 0,
            sum: vec![0.0; mean.len()],
            sum_of_squares: vec![0.0; mean.len()],
        }
    }

    /// Takes frames into the statistics.
    pub fn push(&mut self, features: &Features) {
        for frame in features.data.chunks_exact(self.prior_mean.len().max(1)) {
            self.num_frames += 1;
            for (band, value) in frame.iter().enumerate() {
                let difference = f64::from(*value) - f64::from(self.prior_mean[band]);
                self.sum[band] += difference;
                self.sum_of_squares[band] += difference * difference;
            }
        }
    }

    /// The frames normalised by the statistics so far.
    pub fn normalize(&self, features: &Features) -> Features {
        let count = f64::from(self.prior_frames) + self.num_frames as f64;
        let scales: Vec<(f64, f64)> = (0..self.prior_mean.len())
            .map(|band| {
                let prior_variance = f64::from(self.prior_std[band]).powi(2);
                if count <= 0.0 {
                    return (
                        f64::from(self.prior_mean[band]),
                        (prior_variance + NORMALIZATION_EPSILON).sqrt(),
                    );
                }
                let shift = self.sum[band] / count;
                let power =
                    f64::from(self.prior_frames) * prior_variance + self.sum_of_squares[band];
                let variance = (power / count - shift * shift).max(0.0);
                (
                    f64::from(self.prior_mean[band]) + shift,
                    (variance + NORMALIZATION_EPSILON).sqrt(),
                )
            })
            .collect();
        let data = features
            .data
            .iter()
            .zip(scales.iter().cycle())
            .map(|(value, (mean, std))| ((f64::from(*value) - mean) / std) as f32)
            .collect();
        Features {
            data,
            n_mels: features.n_mels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_at_the_corpus_statistics_and_ends_at_the_segments() {
        let features = Features {
            data: vec![1.0, 10.0, 3.0, 30.0],
            n_mels: 2,
        };
        let mut normalizer = RunningNormalizer::new(&[0.0, 20.0], &[2.0, 5.0], 1.0);
        // The network adds 0.001 to each variance.
        let first = normalizer.normalize(&features);
        for (found, expected) in first.data.iter().zip([
            1.0 / 4.001f32.sqrt(),
            -10.0 / 25.001f32.sqrt(),
            3.0 / 4.001f32.sqrt(),
            10.0 / 25.001f32.sqrt(),
        ]) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
        // One prior frame of mean 0, variance 4 and frames 1 and 3: mean 4/3, second moment
        // (4 + 1 + 9) / 3, variance 14/3 - 16/9 = 26/9.
        normalizer.push(&features);
        let blended = normalizer.normalize(&features).data[0];
        let expected = (1.0 - 4.0 / 3.0) / (26.0f32 / 9.0).sqrt();
        assert!((blended - expected).abs() < 1e-4, "{blended} {expected}");
    }

    #[test]
    fn a_whole_utterance_without_a_prior_is_normalised_as_the_network_does() {
        // A band of speech and one that hardly moves: mean 2 and 5, variance 1 and 0.0001.
        let features = Features {
            data: vec![1.0, 4.99, 3.0, 5.01],
            n_mels: 2,
        };
        let mut own = RunningNormalizer::new(&[7.0, 7.0], &[1.0, 1.0], 0.0);
        own.push(&features);
        let (speech, still) = (1.0 / 1.001f32.sqrt(), 0.01 / 0.0011f32.sqrt());
        let found = own.normalize(&features).data;
        for (found, expected) in found.iter().zip([-speech, -still, speech, still]) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }
}
