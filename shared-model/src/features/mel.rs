//! Triangular mel filters over the bins of a power spectrum.

use super::{FeatureConfig, FeatureError, FrontEnd};

const NYQUIST_HZ: f64 = 8000.0;

/// Bins that are weighted at once.
const LANES: usize = 4;

/// The filters' weights, without most of the zeros around each triangle.
#[derive(Debug, Clone)]
pub(super) struct MelFilters {
    /// First bin and number of groups of weights of every band.
    bands: Vec<(usize, usize)>,
    /// Weights of all bands, one after the other; zeros fill each band's last group.
    weights: Vec<[f32; LANES]>,
    /// Bins that a band's last group reaches.
    num_bins: usize,
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
            num_bins: 0,
        };
        for band in 0..n_mels {
            let inside = |bin: &usize| height(band, *bin) > 0.0;
            let first = (0..num_bins).find(inside).unwrap_or(0);
            let bins = (first..num_bins).take_while(inside);
            let triangle: Vec<f32> = bins.map(|bin| height(band, bin) as f32).collect();
            let groups = triangle.chunks(LANES).map(|group| {
                let mut filled = [0.0; LANES];
                filled[..group.len()].copy_from_slice(group);
                filled
            });
            let before = filters.weights.len();
            filters.weights.extend(groups);
            let num_groups = filters.weights.len() - before;
            filters.bands.push((first, num_groups));
            filters.num_bins = filters.num_bins.max(first + num_groups * LANES);
        }
        filters
    }

    /// First bin and weights of every band.
    pub(super) fn bands(&self) -> Vec<(usize, Vec<f32>)> {
        let mut weights = self.weights.as_flattened();
        let bands = self.bands.iter().map(|&(first, num_groups)| {
            let (band, rest) = weights.split_at(num_groups * LANES);
            weights = rest;
            // Zeros fill the last group.
            let num_weights = band
                .iter()
                .rposition(|&w| w != 0.0)
                .map_or(0, |last| last + 1);
            (first, band[..num_weights].to_vec())
        });
        bands.collect()
    }

    /// Bins that [`Self::apply`] reads: the spectrum's, and zeros after them.
    pub(super) fn num_bins(&self) -> usize {
        self.num_bins
    }

    /// Weighted power of every band, added to the end of `out`. `power` has [`Self::num_bins`]
    /// values or more; those beyond the spectrum are 0.
    pub(super) fn apply(&self, power: &[f32], out: &mut Vec<f32>) {
        let mut weights = self.weights.as_slice();
        for &(first, num_groups) in &self.bands {
            let (band, rest) = weights.split_at(num_groups);
            weights = rest;
            let (groups, _) = power[first..].as_chunks::<LANES>();
            let mut sums = [0.0; LANES];
            for (weights, power) in band.iter().zip(groups) {
                for lane in 0..LANES {
                    sums[lane] += weights[lane] * power[lane];
                }
            }
            out.push((sums[0] + sums[1]) + (sums[2] + sums[3]));
        }
    }
}

/// Natural logarithm of positive normal numbers, in place; its error is below 2.4e-7 of it or of 0.5.
/// Without branches or calls, so that the compiler can take several at once.
pub(super) fn ln_in_place(values: &mut [f32]) {
    // x = 2^exponent * mantissa, the mantissa within a factor of sqrt(2) of 1.
    const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
    for value in values {
        let bits = value.to_bits().wrapping_sub(SQRT_HALF_BITS);
        let exponent = (bits as i32 >> 23) as f32;
        let mantissa = f32::from_bits((bits & 0x007f_ffff) + SQRT_HALF_BITS);
        // ln(m) = 2 atanh((m - 1) / (m + 1)); the series' next term is below 1e-9.
        let s = (mantissa - 1.0) / (mantissa + 1.0);
        let square = s * s;
        let series = square * (1.0 / 3.0 + square * (0.2 + square * (1.0 / 7.0 + square / 9.0)));
        *value = exponent * std::f32::consts::LN_2 + 2.0 * (s + s * series);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_kaldi_triangles_add_up_to_one_between_the_first_and_last_centre() {
        let filters = MelFilters::kaldi(&FeatureConfig::default(), 512).expect("the default works");
        let mut sums = vec![0.0f32; 256];
        let mut groups = filters.weights.iter();
        for &(first, num_groups) in &filters.bands {
            let band = groups.by_ref().take(num_groups).flatten();
            for (sum, weight) in sums[first..].iter_mut().zip(band) {
                *sum += weight;
            }
        }
        for (bin, sum) in sums.iter().enumerate().take(235).skip(3) {
            assert!((sum - 1.0).abs() < 1e-5, "bin {bin}: {sum}");
        }
    }

    #[test]
    fn every_band_is_the_plain_sum_of_its_triangle_over_the_spectrum() {
        let config = FeatureConfig::default();
        let filters = MelFilters::kaldi(&config, 512).expect("the default works");
        let mut power: Vec<f32> = (0..257).map(|bin| 1.0 + (bin * bin % 11) as f32).collect();
        power.resize(filters.num_bins().max(257), 0.0);
        let mut bands = Vec::new();
        filters.apply(&power, &mut bands);
        let mel = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
        let spacing = (mel(7600.0) - mel(20.0)) / 81.0;
        for (band, &found) in bands.iter().enumerate() {
            let center = mel(20.0) + (band + 1) as f64 * spacing;
            let height = |bin: usize| 1.0 - (mel(bin as f64 * 31.25) - center).abs() / spacing;
            let expected: f64 = (0..256)
                .map(|bin| height(bin).max(0.0) * f64::from(power[bin]))
                .sum();
            let error = (f64::from(found) - expected).abs();
            assert!(
                error < 1e-5 * expected,
                "band {band}: {found} for {expected}"
            );
        }
    }

    #[test]
    fn the_logarithm_is_exact_to_rounding_for_every_size_of_number() {
        let mut values: Vec<f32> = (0..200_000u32)
            .map(|step| f32::from_bits(f32::EPSILON.to_bits() + step * 6_000))
            .collect();
        let inputs = values.clone();
        ln_in_place(&mut values);
        for (x, found) in inputs.into_iter().zip(values) {
            let exact = f64::from(x).ln();
            let error = (f64::from(found) - exact).abs();
            assert!(
                error <= 2.4e-7 * exact.abs().max(0.5),
                "ln({x}): {found} for {exact}"
            );
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
                    ..FeatureConfig::default()
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
