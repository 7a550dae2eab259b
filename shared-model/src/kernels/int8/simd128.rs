//! The sums in WebAssembly's vectors.

#![allow(
    unsafe_code,
    reason = "loads without checks; the caller has checked lengths"
)]

use std::arch::wasm32::{
    i16x8_load_extend_i8x8, i32x4_add, i32x4_dot_i16x8, i32x4_splat, v128, v128_load32_splat,
    v128_store,
};

use super::{COLUMNS, ROWS, Sums};

/// Rows and vectors of columns whose sums are in registers together.
const TILE: (usize, usize) = (4, 2);

/// `left` has `ROWS` rows of `2 * pairs` values, `panel` has `2 * COLUMNS * pairs`.
pub(super) fn products(left: &[i16], panel: &[i8], pairs: usize) -> Sums {
    let mut out = [[0; COLUMNS]; ROWS];
    for first in (0..ROWS).step_by(TILE.0) {
        for column in (0..COLUMNS).step_by(4 * TILE.1) {
            tile(left, panel, pairs, (first, column), &mut out);
        }
    }
    out
}

/// Writes the sums from row and column `first` on. Not inlined: four copies would add to the
/// browser's download.
#[inline(never)]
fn tile(left: &[i16], panel: &[i8], pairs: usize, first: (usize, usize), out: &mut Sums) {
    let mut sums = [[i32x4_splat(0); TILE.1]; TILE.0];
    for d in 0..pairs {
        let right: [v128; TILE.1] = std::array::from_fn(|v| {
            let at = (d * COLUMNS + first.1 + 4 * v) * 2;
            // SAFETY: the panel has 32 values for each pair of depths.
            unsafe { i16x8_load_extend_i8x8(panel.as_ptr().add(at)) }
        });
        for (r, sums) in sums.iter_mut().enumerate() {
            let at = 2 * ((first.0 + r) * pairs + d);
            // SAFETY: each row has two values for each pair of depths.
            let left = unsafe { v128_load32_splat(left.as_ptr().add(at).cast()) };
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = i32x4_add(*sum, i32x4_dot_i16x8(left, right));
            }
        }
    }
    for (out, sums) in out[first.0..].iter_mut().zip(sums) {
        for (v, sum) in sums.into_iter().enumerate() {
            let place = &mut out[first.1 + 4 * v..][..4];
            // SAFETY: the place has four values.
            unsafe { v128_store(place.as_mut_ptr().cast(), sum) };
        }
    }
}
