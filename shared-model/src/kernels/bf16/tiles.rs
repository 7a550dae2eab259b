//! The layout of a product's factors: tiles of 16 x 32 values in bf16, 1024 bytes each.
//!
//! A tile of the left factor has a row of 32 consecutive depths for each of 16 rows; one of the
//! right factor has, for each of 16 pairs of depths, the pairs of 16 columns. Taken as 32-bit
//! pairs of depths, the second is the transpose of the first for the same matrix transposed.

use std::arch::x86_64::{
    __m512, __m512i, __mmask16, _mm512_cvtne2ps_pbh, _mm512_loadu_ps, _mm512_maskz_loadu_ps,
    _mm512_mul_ps, _mm512_permutexvar_epi16, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use crate::kernels::view::View;

/// Rows and columns of a tile of sums.
pub(super) const SIDE: usize = 16;
/// Depths of a factor's tile.
pub(super) const DEPTH: usize = 32;
/// A row of a tile: 16 pairs of bf16.
pub(super) type Pairs = __m512i;
pub(super) type Tile = [Pairs; SIDE];

// SAFETY: zero bits are a value of both types.
pub(super) const ZEROS: Tile = unsafe { std::mem::zeroed() };

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// Fills `out` with `scale` times rows of the matrix from `first` on, as a factor's tiles: two rows
/// of tiles after the other, a row's tiles by depth; zeros where tiles reach beyond the matrix.
/// `x` has the factor's outer dimension as rows and the depth as columns.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn pack(x: View<'_>, first: usize, scale: f32, side: Side, out: &mut [Tile]) {
    let scale = _mm512_set1_ps(scale);
    let blocks = x.columns.div_ceil(DEPTH);
    for (tile_row, tiles) in out.chunks_exact_mut(blocks.max(1)).enumerate() {
        let row = first + tile_row * SIDE;
        let height = x.rows.saturating_sub(row).min(SIDE);
        if height == 0 {
            tiles.fill(ZEROS);
            continue;
        }
        for (block, tile) in tiles.iter_mut().enumerate() {
            let depth = block * DEPTH;
            let width = (x.columns - depth).min(DEPTH);
            let values = &x.values[row * x.row_stride + depth * x.column_stride..];
            let is_by_rows = x.column_stride == 1;
            if is_by_rows {
                pairs_in_rows(values, x.row_stride, (height, width), scale, tile);
            } else {
                pairs_of_rows(values, x.column_stride, (width, height), scale, tile);
            }
            if is_by_rows != (side == Side::Left) {
                transpose(tile);
            }
        }
    }
}

/// Reads all (at most 16) values, zeros for the rest.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn load(values: &[f32]) -> __m512 {
    let mask = ((1u32 << values.len()) - 1) as __mmask16;
    // SAFETY: the mask reads the slice and nothing behind it.
    unsafe { _mm512_maskz_loadu_ps(mask, values.as_ptr()) }
}

/// Reads 16 values.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn load_full(values: &[f32]) -> __m512 {
    assert_eq!(values.len(), SIDE);
    // SAFETY: the slice has 16 values.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn rounded(low: __m512, high: __m512, scale: __m512) -> Pairs {
    let both = _mm512_cvtne2ps_pbh(_mm512_mul_ps(high, scale), _mm512_mul_ps(low, scale));
    // SAFETY: both are 512 bits without invalid values.
    unsafe { std::mem::transmute(both) }
}

/// Rows of pairs of neighbours.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pairs_in_rows(
    values: &[f32],
    stride: usize,
    (height, width): (usize, usize),
    scale: __m512,
    out: &mut Tile,
) {
    if (height, width) == (SIDE, DEPTH) {
        for (row, out) in out.iter_mut().enumerate() {
            let (low, high) = values[row * stride..][..DEPTH].split_at(SIDE);
            *out = rounded(load_full(low), load_full(high), scale);
        }
        return;
    }
    for (row, out) in out.iter_mut().enumerate() {
        *out = if row < height {
            let values = &values[row * stride..][..width];
            let (low, high) = values.split_at(width.min(SIDE));
            rounded(load(low), load(high), scale)
        } else {
            _mm512_setzero_si512()
        };
    }
}

/// Rows of pairs of what stands below each other in rows `2 i` and `2 i + 1`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pairs_of_rows(
    values: &[f32],
    stride: usize,
    (height, width): (usize, usize),
    scale: __m512,
    out: &mut Tile,
) {
    let order: [u16; 2 * SIDE] = std::array::from_fn(|at| (at / 2 + SIDE * (at % 2)) as u16);
    // SAFETY: both are 512 bits without invalid values.
    let order = unsafe { std::mem::transmute::<[u16; 2 * SIDE], Pairs>(order) };
    if (height, width) == (DEPTH, SIDE) {
        for (pair, out) in out.iter_mut().enumerate() {
            let row = |at: usize| load_full(&values[at * stride..][..SIDE]);
            let pairs = rounded(row(2 * pair), row(2 * pair + 1), scale);
            *out = _mm512_permutexvar_epi16(order, pairs);
        }
        return;
    }
    for (pair, out) in out.iter_mut().enumerate() {
        let mut rows = [_mm512_setzero_ps(); 2];
        for (at, row) in (2 * pair..height).zip(&mut rows) {
            *row = load(&values[at * stride..][..width]);
        }
        *out = _mm512_permutexvar_epi16(order, rounded(rows[0], rows[1], scale));
    }
}

/// Transposes 16 x 16 pairs.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn transpose(tile: &mut Tile) {
    let x = *tile;
    let mut singles = x;
    let mut doubles = x;
    let mut fours = x;
    for i in 0..SIDE / 2 {
        singles[2 * i] = _mm512_unpacklo_epi32(x[2 * i], x[2 * i + 1]);
        singles[2 * i + 1] = _mm512_unpackhi_epi32(x[2 * i], x[2 * i + 1]);
    }
    // doubles[4 g + c], quarter l: rows 4 g to 4 g + 3 of column 4 l + c.
    for g in 0..4 {
        for half in 0..2 {
            let (a, b) = (singles[4 * g + half], singles[4 * g + 2 + half]);
            doubles[4 * g + 2 * half] = _mm512_unpacklo_epi64(a, b);
            doubles[4 * g + 2 * half + 1] = _mm512_unpackhi_epi64(a, b);
        }
    }
    // fours[8 h + c]: quarters 0 and 2 of rows 8 h to 8 h + 3, then of the next four rows;
    // fours[8 h + 4 + c]: quarters 1 and 3.
    for h in 0..2 {
        for c in 0..4 {
            let (a, b) = (doubles[8 * h + c], doubles[8 * h + 4 + c]);
            fours[8 * h + c] = _mm512_shuffle_i32x4::<0x88>(a, b);
            fours[8 * h + 4 + c] = _mm512_shuffle_i32x4::<0xdd>(a, b);
        }
    }
    for c in 0..8 {
        // Columns 0 to 3, then 4 to 7; eight columns further on, the other quarters.
        let (a, b) = (fours[c], fours[8 + c]);
        tile[c] = _mm512_shuffle_i32x4::<0x88>(a, b);
        tile[8 + c] = _mm512_shuffle_i32x4::<0xdd>(a, b);
    }
}
