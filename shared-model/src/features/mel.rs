//! Triangular mel filters over the bins of a power spectrum.

use super::{FeatureConfig, FeatureError, FrontEnd};

const NYQUIST_HZ: f64 = 8000.0;

/// The filters' weights, without the zeros around each triangle.
#[derive(Debug, Clone)]
pub(super) struct MelFilters {
    /// First bin and number of weights of every band.
    bands: Vec<(usize, usize)>,
    /// Weights of all bands, one after the other.
    weights: Vec<f32>,
}

impl MelFilters {
    pub(super) fn new(config: &FeatureConfig, fft_size: usize) -> Result<Self, FeatureError> {
        if !(8..=256).contains(&config.n_mels) {
            return Err(FeatureError::NumMels(config.n_mels));
        }
        match config.front_end {
            FrontEnd::Kaldi => Self::kaldi(config, fft_size),
            FrontEnd::Paper => Ok(Self::paper(config.n_mels, fft_size)),
        }
    }

    /// Triangles on the mel scale itself; the Nyquist bin is left out, as Kaldi does.
    fn kaldi(config: &FeatureConfig, fft_size: usize) -> Result<Self, FeatureError> {
        let low = f64::from(config.low_hz);
        let mut high = f64::from(config.high_hz);
        if high <= 0.0 {
            high += NYQUIST_HZ;
        }
        if !(0.0 <= low && low < high && high <= NYQUIST_HZ) {
            return Err(FeatureError::Band {
                low_hz: config.low_hz,
                high_hz: config.high_hz,
            });
        }
        let mel = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
        let spacing = (mel(high) - mel(low)) / (config.n_mels + 1) as f64;
        let bin_hz = 2.0 * NYQUIST_HZ / fft_size as f64;
        Ok(Self::triangles(config.n_mels, fft_size / 2, |band, bin| {
            let left = mel(low) + band as f64 * spacing;
            let at = mel(bin as f64 * bin_hz);
            ((at - left) / spacing).min((left + 2.0 * spacing - at) / spacing)
        }))
    }

    /// Triangles in Hz between edges that are evenly spaced in mel (torchaudio's HTK filters
    /// without area normalisation).
    fn paper(n_mels: usize, fft_size: usize) -> Self {
        let top_mel = 2595.0 * (1.0 + NYQUIST_HZ / 700.0).log10();
        let edge = |index: usize| {
            let mel = top_mel * index as f64 / (n_mels + 1) as f64;
            700.0 * (10f64.powf(mel / 2595.0) - 1.0)
        };
        let bin_hz = 2.0 * NYQUIST_HZ / fft_size as f64;
        Self::triangles(n_mels, fft_size / 2 + 1, |band, bin| {
            let (left, center, right) = (edge(band), edge(band + 1), edge(band + 2));
            let at = bin as f64 * bin_hz;
            ((at - left) / (center - left)).min((right - at) / (right - center))
        })
    }

    /// `height(band, bin)` may be negative outside the triangle.
    fn triangles(n_mels: usize, num_bins: usize, height: impl Fn(usize, usize) -> f64) -> Self {
        let mut filters = Self {
            bands: Vec::with_capacity(n_mels),
            weights: Vec::new(),
        };
        for band in 0..n_mels {
            let inside = |bin: &usize| height(band, *bin) > 0.0;
            let first = (0..num_bins).find(inside).unwrap_or(0);
            let before = filters.weights.len();
            let bins = (first..num_bins).take_while(inside);
            filters
                .weights
                .extend(bins.map(|bin| height(band, bin) as f32));
            filters.bands.push((first, filters.weights.len() - before));
        }
        filters
    }

    /// Weighted power of every band, added to the end of `out`.
    pub(super) fn apply(&self, power: &[f32], out: &mut Vec<f32>) {
        let mut weights = self.weights.as_slice();
        for &(first, length) in &self.bands {
            let (band, rest) = weights.split_at(length);
            weights = rest;
            out.push(
                band.iter()
                    .zip(&power[first..first + length])
                    .map(|(w, p)| w * p)
                    .sum(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_kaldi_triangles_add_up_to_one_between_the_first_and_last_centre() {
        let filters = MelFilters::kaldi(&FeatureConfig::default(), 512).expect("the default works");
        let mut sums = vec![0.0f32; 256];
        let mut at = 0;
        for &(first, length) in &filters.bands {
            for bin in 0..length {
                sums[first + bin] += filters.weights[at + bin];
            }
            at += length;
        }
        for (bin, sum) in sums.iter().enumerate().take(235).skip(3) {
            assert!((sum - 1.0).abs() < 1e-5, "bin {bin}: {sum}");
        }
    }

    #[test]
    fn bands_outside_the_spectrum_and_odd_counts_are_refused() {
        let with = |n_mels, low_hz, high_hz| {
            let front_end = FrontEnd::Kaldi;
            MelFilters::new(
                &FeatureConfig {
                    front_end,
                    n_mels,
                    low_hz,
                    high_hz,
                },
                512,
            )
            .err()
        };
        assert_eq!(with(80, 20.0, -400.0), None);
        assert_eq!(with(7, 20.0, -400.0), Some(FeatureError::NumMels(7)));
        assert_eq!(with(257, 20.0, -400.0), Some(FeatureError::NumMels(257)));
        for (low_hz, high_hz) in [
            (-1.0, 0.0),
            (20.0, 8001.0),
            (5000.0, 4000.0),
            (20.0, -7990.0),
            (100.0, 100.0),
        ] {
            assert_eq!(
                with(80, low_hz, high_hz),
                Some(FeatureError::Band { low_hz, high_hz })
            );
        }
        assert!(with(80, f32::NAN, 0.0).is_some() && with(80, 0.0, f32::NAN).is_some());
    }
}
