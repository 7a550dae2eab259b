//! Products of tiles with AVX-512's products of pairs of bf16.

use std::arch::x86_64::{
    __m512, __m512bh, __mmask16, _mm512_add_ps, _mm512_dpbf16_ps, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_set1_epi32, _mm512_setzero_ps,
};

use super::{
    Panel,
    tiles::{DEPTH, Pairs, SIDE, Tile},
};
use crate::kernels::view::Into;

/// Rows of sums in registers at once, beside one or two times 16 columns.
const ROWS: usize = 8;

/// Adds a panel's product to its sums, or replaces them.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn add_product(panel: Panel<'_>, into: Into) {
    let Panel {
        out,
        row_stride,
        height,
        width,
        left,
        right,
        depth,
    } = panel;
    let blocks = depth.div_ceil(DEPTH);
    for row in (0..height).step_by(ROWS) {
        let left = &left[row / SIDE * blocks..][..blocks];
        let rows = Rows {
            left,
            first: row % SIDE,
            depth,
        };
        let out = &mut out[row * row_stride..];
        let shape = (ROWS.min(height - row), width);
        if width > SIDE {
            rows.add_columns::<2>(right, (out, row_stride), shape, into);
        } else {
            rows.add_columns::<1>(right, (out, row_stride), shape, into);
        }
    }
}

/// Eight rows of a left factor.
struct Rows<'a> {
    /// By depth.
    left: &'a [Tile],
    /// Row of each tile that is the first of the eight.
    first: usize,
    depth: usize,
}

impl Rows<'_> {
    /// Their product with `TILES` times 16 columns, of which `height` rows of `width` sums are wanted.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn add_columns<const TILES: usize>(
        &self,
        right: &[Tile],
        (out, row_stride): (&mut [f32], usize),
        (height, width): (usize, usize),
        into: Into,
    ) {
        let blocks = self.left.len();
        let mut sums = [[_mm512_setzero_ps(); TILES]; ROWS];
        for (block, left) in self.left.iter().enumerate() {
            let pairs = (self.depth - block * DEPTH).min(DEPTH).div_ceil(2);
            let left = &words(left)[self.first..][..ROWS];
            for pair in 0..pairs.min(SIDE) {
                let mut columns = [right[block][pair]; TILES];
                for (tile, column) in columns.iter_mut().enumerate() {
                    *column = right[tile * blocks + block][pair];
                }
                for (row, sums) in left.iter().zip(&mut sums) {
                    let both = _mm512_set1_epi32(row[pair]);
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = _mm512_dpbf16_ps(*sum, bf16(both), bf16(column));
                    }
                }
            }
        }
        for (out, sums) in out.chunks_mut(row_stride).zip(sums).take(height) {
            for (out, sum) in out[..width].chunks_mut(SIDE).zip(sums) {
                store(out, sum, into);
            }
        }
    }
}

/// The pairs of a tile, row by row.
fn words(tile: &Tile) -> &[[i32; SIDE]; SIDE] {
    // SAFETY: both are 16 x 16 times 32 bits without invalid values, and vectors are aligned more.
    unsafe { &*std::ptr::from_ref(tile).cast() }
}

fn bf16(pairs: Pairs) -> __m512bh {
    // SAFETY: both are 512 bits without invalid values.
    unsafe { std::mem::transmute(pairs) }
}

/// Writes as many sums as `out` has, at most 16.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn store(out: &mut [f32], sum: __m512, into: Into) {
    let mask = ((1u32 << out.len()) - 1) as __mmask16;
    // SAFETY: the mask reads and writes the slice and nothing behind it.
    unsafe {
        let sum = match into {
            Into::Replace => sum,
            Into::Add => _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out.as_ptr()), sum),
        };
        _mm512_mask_storeu_ps(out.as_mut_ptr(), mask, sum);
    }
}
