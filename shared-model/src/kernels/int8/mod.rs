//! Products of activations with weights that stay int8.
//!
//! A row of activations is scaled to integers of 16 bits and rounded; a weight has one scale per
//! output channel. Sums of products of integers are exact, so every processor gets the same ones:
//!
//! ```text
//! y[r, c] = scale_x[r] * scale_w[c] * sum over d of round(x[r, d] / scale_x[r]) * w[d, c]
//! ```

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use super::vectorize::vectorized;

/// Rows of activations that are multiplied together.
const ROWS: usize = 8;
/// Columns of a weight that lie together.
const COLUMNS: usize = 16;
/// Largest magnitude of an activation's integer, unless sums of the weight's depth could overflow.
/// The same instructions would also do with 8 bits. But activations on two processors may differ in
/// their last bit and then round differently; in 8 bits that is a difference of a hundredth, which
/// can change words.
const MOST: i32 = 32_000;

/// Sums of a group of rows and a panel of columns.
type Sums = [[i32; COLUMNS]; ROWS];

/// A weight `[depth, columns]` of int8 with a scale for each column, laid out for products.
#[derive(Clone, PartialEq)]
pub struct Int8Matrix {
    depth: usize,
    /// `[panel][depth / 2][column][2]`; zeros where panel or pair reach beyond the matrix.
    pairs: Vec<i8>,
    /// By column.
    scales: Vec<f32>,
}

impl std::fmt::Debug for Int8Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Int8Matrix({} x {})", self.depth, self.scales.len())
    }
}

impl Int8Matrix {
    /// `values`: `[depth, columns]` row after row; `scales`: one a column.
    ///
    /// # Panics
    /// Unless there are as many values as that.
    pub fn new(values: &[i8], scales: &[f32]) -> Self {
        let columns = scales.len();
        assert_eq!(values.len() % columns.max(1), 0, "whole rows");
        let depth = values.len().checked_div(columns).unwrap_or(0);
        let mut pairs = vec![0; columns.div_ceil(COLUMNS) * panel_len(depth)];
        for (d, row) in values.chunks_exact(columns.max(1)).enumerate() {
            for (c, &value) in row.iter().enumerate() {
                pairs[place(depth, d, c)] = value;
            }
        }
        Self {
            depth,
            pairs,
            scales: scales.to_vec(),
        }
    }

    /// The integers, `[depth, columns]` row after row.
    pub fn values(&self) -> Vec<i8> {
        let columns = self.scales.len();
        let row = |d| (0..columns).map(move |c| self.pairs[place(self.depth, d, c)]);
        (0..self.depth).flat_map(row).collect()
    }

    /// What each column's integers are multiplied by.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// Largest magnitude of an activation's integer.
    fn most(&self) -> f32 {
        const LARGEST_WEIGHT: i32 = 128;
        let depth = i32::try_from(self.depth.max(1)).unwrap_or(i32::MAX);
        MOST.min(i32::MAX / LARGEST_WEIGHT / depth) as f32
    }

    /// Adds the product of `x`, rows of `depth` values `stride` apart, to `out`, rows of as many
    /// values as there are columns.
    #[inline(never)]
    pub(crate) fn add_product(&self, out: &mut [f32], x: &[f32], stride: usize) {
        let columns = self.scales.len();
        let pairs = self.depth.div_ceil(2);
        let most = self.most();
        let mut integers = vec![0i16; ROWS * 2 * pairs];
        for (group, out) in out.chunks_mut(ROWS * columns.max(1)).enumerate() {
            let mut scales = [0.0; ROWS];
            for (r, scale) in scales.iter_mut().enumerate().take(out.len() / columns) {
                let x = &x[(group * ROWS + r) * stride..][..self.depth];
                *scale = quantise(x, most, &mut integers[r * 2 * pairs..][..self.depth]);
            }
            for (panel, weights) in self.pairs.chunks_exact(2 * COLUMNS * pairs).enumerate() {
                let sums = products(&integers, weights, pairs);
                let first = panel * COLUMNS;
                let width = (columns - first).min(COLUMNS);
                let by_column = &self.scales[first..first + width];
                for ((out, sums), scale) in out.chunks_exact_mut(columns).zip(&sums).zip(scales) {
                    add_scaled(&mut out[first..first + width], sums, scale, by_column);
                }
            }
        }
    }
}

/// Integers of a panel, zeros included.
fn panel_len(depth: usize) -> usize {
    depth.div_ceil(2) * 2 * COLUMNS
}

/// Where row `d` of column `c` lies among the pairs.
fn place(depth: usize, d: usize, c: usize) -> usize {
    c / COLUMNS * panel_len(depth) + (d / 2 * COLUMNS + c % COLUMNS) * 2 + d % 2
}

/// `out += sums * scale * scales`.
#[inline(always)]
fn add_scaled(out: &mut [f32], sums: &[i32; COLUMNS], scale: f32, scales: &[f32]) {
    for ((out, &sum), by_column) in out.iter_mut().zip(sums).zip(scales) {
        *out += sum as f32 * (scale * by_column);
    }
}

vectorized! {
    /// Integers of a row, of which the largest magnitude becomes `most`, and what one of them stands
    /// for.
    fn quantise(x: &[f32], most: f32, out: &mut [i16]) -> f32 {
        // Added to a small number, it leaves the number's whole part in the last bits.
        const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23
        const LANES: usize = 16;
        // Of a row of zeros, so that its inverse is finite.
        const LEAST: f32 = 1e-30;
        let mut lanes = [LEAST; LANES];
        let chunks = x.chunks_exact(LANES);
        for (lane, value) in lanes.iter_mut().zip(chunks.remainder()) {
            *lane = value.abs();
        }
        for chunk in chunks {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                let magnitude = value.abs();
                *lane = if magnitude > *lane { magnitude } else { *lane };
            }
        }
        let highest = lanes
            .iter()
            .fold(LEAST, |most, &lane| if lane > most { lane } else { most });
        let (scale, inverse) = (highest / most, most / highest);
        for (out, value) in out.iter_mut().zip(x) {
            let bits = (value * inverse + ROUND).to_bits();
            *out = bits.wrapping_sub(ROUND.to_bits()) as i16;
        }
        scale
    }
}

/// Sums of `ROWS` rows of `2 * pairs` integers with a panel.
#[inline(never)]
fn products(left: &[i16], panel: &[i8], pairs: usize) -> Sums {
    assert!(
        left.len() >= ROWS * 2 * pairs && panel.len() >= 2 * COLUMNS * pairs,
        "rows and panel have the depth's pairs"
    );
    #[cfg(target_arch = "x86_64")]
    if let Some(sums) = x86_64::products(left, panel, pairs) {
        return sums;
    }
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return simd128::products(left, panel, pairs);
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    plain_products(left, panel, pairs)
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
fn plain_products(left: &[i16], panel: &[i8], pairs: usize) -> Sums {
    let mut sums = [[0; COLUMNS]; ROWS];
    for (left, sums) in left.chunks_exact(2 * pairs.max(1)).zip(&mut sums) {
        for (left, right) in left.chunks_exact(2).zip(panel.chunks_exact(2 * COLUMNS)) {
            for (sum, right) in sums.iter_mut().zip(right.chunks_exact(2)) {
                *sum += i32::from(left[0]) * i32::from(right[0])
                    + i32::from(left[1]) * i32::from(right[1]);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(at: usize) -> f32 {
        ((at * 7919 + 13) % 1009) as f32 / 504.5 - 1.0
    }

    fn integer(at: usize) -> i8 {
        ((at * 5237 + 7) % 255) as i8
    }

    #[test]
    fn products_are_those_of_rounded_activations() {
        for (rows, depth, columns) in [(1, 1, 1), (8, 32, 16), (9, 33, 40), (21, 97, 29)] {
            let values: Vec<i8> = (0..depth * columns).map(integer).collect();
            let scales: Vec<f32> = (0..columns).map(|c| 0.01 + c as f32 * 1e-3).collect();
            let stride = depth + 3;
            let x: Vec<f32> = (0..rows * stride).map(value).collect();
            let mut out = vec![0.5; rows * columns];
            Int8Matrix::new(&values, &scales).add_product(&mut out, &x, stride);
            for r in 0..rows {
                let row = &x[r * stride..][..depth];
                let most = row.iter().fold(0.0f64, |m, x| m.max(f64::from(x.abs())));
                for c in 0..columns {
                    let sum: f64 = (0..depth)
                        .map(|d| {
                            let x = (f64::from(row[d]) / most * 32_000.0).round();
                            x * f64::from(values[d * columns + c])
                        })
                        .sum();
                    let expected = 0.5 + sum * most / 32_000.0 * f64::from(scales[c]);
                    let found = f64::from(out[r * columns + c]);
                    // A value in the middle between two integers may go either way.
                    let tolerance =
                        1e-5 * (1.0 + expected.abs()) + most / 250.0 * f64::from(scales[c]);
                    assert!(
                        (found - expected).abs() < tolerance,
                        "{r}, {c}: {found}, {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_integers_come_back_as_they_were_given() {
        for (depth, columns) in [(1, 1), (33, 40), (97, 29)] {
            let values: Vec<i8> = (0..depth * columns).map(integer).collect();
            let scales: Vec<f32> = (0..columns).map(|c| 0.01 + c as f32).collect();
            let matrix = Int8Matrix::new(&values, &scales);
            assert_eq!(matrix.values(), values, "{depth} x {columns}");
            assert_eq!(matrix.scales(), scales);
        }
    }

    #[test]
    fn every_processor_gets_the_same_sums() {
        for pairs in [1, 5, 72] {
            let left: Vec<i16> = (0..ROWS * 2 * pairs)
                .map(|at| i16::from(integer(at + 3)))
                .collect();
            let panel: Vec<i8> = (0..2 * COLUMNS * pairs).map(integer).collect();
            let plain = plain_products(&left, &panel, pairs);
            assert_eq!(products(&left, &panel, pairs), plain);
            #[cfg(target_arch = "x86_64")]
            x86_64::check(&left, &panel, pairs, &plain);
        }
    }

    #[test]
    fn sums_of_the_largest_integers_do_not_overflow() {
        for depth in [1, 432, 5000] {
            let matrix = Int8Matrix::new(&vec![-128; depth], &[1.0]);
            let mut out = [0.0];
            matrix.add_product(&mut out, &vec![1.0; depth], depth);
            let expected = -128.0 * depth as f32;
            assert!((out[0] / expected - 1.0).abs() < 1e-5, "{depth}: {out:?}");
        }
    }

    #[test]
    fn rows_of_zeros_stay_zero() {
        let matrix = Int8Matrix::new(&[1, 2, 3, 4], &[1.0, 1.0]);
        let mut out = [0.0; 4];
        matrix.add_product(&mut out, &[0.0, 0.0, 1.0, -1.0], 2);
        assert_eq!(out[..2], [0.0, 0.0]);
        assert!(
            (out[2] + 2.0).abs() < 1e-6 && (out[3] + 2.0).abs() < 1e-6,
            "{out:?}"
        );
    }

    #[test]
    fn a_row_is_rounded_to_the_nearest_integers() {
        let mut out = [0; 18];
        let mut x = [0.0; 18];
        x[..4].copy_from_slice(&[1.27, -0.014, 0.006, -1.0]);
        x[17] = 2.54;
        let scale = quantise(&x, 127.0, &mut out);
        assert!((scale - 0.02).abs() < 1e-8);
        assert_eq!((out[..4].to_vec(), out[17]), (vec![64, -1, 0, -50], 127));
    }
}
