//! Products of matrices in bf16 with sums in f32 on the tile unit of recent x86-64 processors
//! (Intel AMX).
//!
//! Both operands are rounded to bf16 and laid out in tiles of 16 x 32 values, 1024 bytes each. A
//! tile of the left operand has a row of 32 consecutive depths for each of 16 rows; one of the
//! right operand has, for each of 16 pairs of depths, the pairs of 16 columns. Taken as 32-bit
//! pairs of depths, the second is the transpose of the first for the same matrix transposed.

#![allow(
    unsafe_code,
    reason = "intrinsics and tile instructions; each place says why it is sound"
)]

use std::{
    arch::{
        asm,
        x86_64::{
            __cpuid_count, __m512, __m512i, __mmask16, _mm512_cvtne2ps_pbh, _mm512_loadu_ps,
            _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_permutexvar_epi16, _mm512_set1_ps,
            _mm512_setzero_ps, _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_unpackhi_epi32,
            _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
        },
    },
    sync::OnceLock,
};

use super::matmul::{Into, View};

/// Rows and columns of a tile of sums.
const SIDE: usize = 16;
/// Depths of an operand's tile.
const DEPTH: usize = 32;
const TILE_BYTES: usize = 1024;
/// A row of a tile: 16 pairs of bf16.
type Pairs = __m512i;
type Tile = [Pairs; SIDE];

// SAFETY: zero bits are a value of both types.
const ZEROS: Tile = unsafe { std::mem::zeroed() };

/// Whether processor and system let this process use tiles of bf16. Asks the system once.
pub(crate) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| processor_has_tiles() && system_grants_tiles())
}

fn processor_has_tiles() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    let features = __cpuid_count(7, 0).edx;
    features & AMX_BF16 != 0
        && features & AMX_TILE != 0
        && is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("avx512bw")
}

/// Linux gives a process the tiles' registers when it asks for them
/// (`Documentation/arch/x86/xstate.rst` of the kernel); other systems are not asked.
fn system_grants_tiles() -> bool {
    #[cfg(target_os = "linux")]
    {
        const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
        const XFEATURE_XTILEDATA: libc::c_long = 18;
        // SAFETY: the call reads its two numbers and writes no memory of this process.
        unsafe {
            libc::syscall(
                libc::SYS_arch_prctl,
                ARCH_REQ_XCOMP_PERM,
                XFEATURE_XTILEDATA,
            ) == 0
        }
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// The shapes of the eight tiles: 16 rows of 64 bytes each.
#[repr(C, align(64))]
struct TileShapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static SHAPES: TileShapes = {
    let mut shapes = TileShapes {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        row_bytes: [0; 16],
        rows: [0; 16],
    };
    let mut tile = 0;
    while tile < 8 {
        shapes.row_bytes[tile] = 64;
        shapes.rows[tile] = SIDE as u8;
        tile += 1;
    }
    shapes
};

/// A right factor as tiles.
pub(super) struct RightTiles {
    tiles: Vec<Tile>,
    depth: usize,
    columns: usize,
}

impl RightTiles {
    /// Needs [`is_available`].
    pub(super) fn of(matrix: View<'_>) -> Self {
        assert!(is_available(), "the processor has no tiles");
        let columns = matrix.transposed();
        let panels = columns.rows.div_ceil(2 * SIDE);
        let mut tiles = vec![ZEROS; panels * 2 * columns.columns.div_ceil(DEPTH)];
        // SAFETY: the processor has AVX-512 and bf16, as was asserted.
        unsafe { pack(columns, 0, 1.0, Side::Right, &mut tiles) };
        Self {
            tiles,
            depth: matrix.rows,
            columns: matrix.columns,
        }
    }
}

/// `out = scale * a b` or `out += scale * a b`, where `out` has rows of `row_stride` values.
pub(super) fn multiply(
    (out, row_stride): (&mut [f32], usize),
    a: View<'_>,
    b: &RightTiles,
    scale: f32,
    into: Into,
) {
    assert_eq!(a.columns, b.depth, "columns of the left, rows of the right");
    let blocks = b.depth.div_ceil(DEPTH);
    if blocks == 0 && into == Into::Add {
        return;
    }
    // Two by two tiles of sums; an odd last tile is computed beside one of zeros.
    let mut left = vec![ZEROS; 2 * blocks];
    // SAFETY: `b` was made, so that the tiles are available; no thread has them in use between
    // calls.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(nostack, readonly)) };
    for row in (0..a.rows).step_by(2 * SIDE) {
        let height = (a.rows - row).min(2 * SIDE);
        // SAFETY: the processor has AVX-512 and bf16, since `b` was made.
        unsafe { pack(a, row, scale, Side::Left, &mut left) };
        for panel in 0..b.columns.div_ceil(2 * SIDE) {
            let right = &b.tiles[panel * 2 * blocks..][..2 * blocks];
            let column = panel * 2 * SIDE;
            let width = (b.columns - column).min(2 * SIDE);
            let out = &mut out[row * row_stride + column..][..(height - 1) * row_stride + width];
            if (height, width) == (2 * SIDE, 2 * SIDE) {
                // SAFETY: 32 rows of 32 values lie in the slice just cut, and the panels hold
                // `blocks` tiles twice each.
                unsafe { add_product(out.as_mut_ptr(), row_stride, &left, right, blocks, into) };
                continue;
            }
            let mut sums = [0.0; 4 * SIDE * SIDE];
            // SAFETY: as above, for `sums`.
            unsafe {
                let sums = sums.as_mut_ptr();
                add_product(sums, 2 * SIDE, &left, right, blocks, Into::Replace);
            }
            for (out, sums) in out.chunks_mut(row_stride).zip(sums.chunks_exact(2 * SIDE)) {
                for (out, sum) in out[..width].iter_mut().zip(sums) {
                    *out = if into == Into::Add { *out + sum } else { *sum };
                }
            }
        }
    }
    // SAFETY: no tile is in use any more. Released, they need not be saved when threads change.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// Adds 32 rows of `left` times 32 columns of `right` to `out`, or replaces it.
///
/// # Safety
/// `out` has 32 rows of 32 values, `row_stride` apart; `left` and `right` have two rows of `blocks`
/// tiles each; the tiles are available.
unsafe fn add_product(
    out: *mut f32,
    row_stride: usize,
    left: &[Tile],
    right: &[Tile],
    blocks: usize,
    into: Into,
) {
    let lower = 4 * SIDE * row_stride;
    // SAFETY: the caller's promise covers each address; tiles are named nowhere else.
    unsafe {
        asm!(
            "test {add}, {add}",
            "jz 2f",
            "tileloadd tmm0, [{out} + {stride}]",
            "tileloadd tmm1, [{out} + {stride} + 64]",
            "tileloadd tmm2, [{lower} + {stride}]",
            "tileloadd tmm3, [{lower} + {stride} + 64]",
            "jmp 3f",
            "2:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "3:",
            "test {blocks}, {blocks}",
            "jz 5f",
            "4:",
            "tileloadd tmm4, [{left_0} + {row}]",
            "tileloadd tmm6, [{right_0} + {row}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{right_1} + {row}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{left_1} + {row}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {left_0}, 1024",
            "add {left_1}, 1024",
            "add {right_0}, 1024",
            "add {right_1}, 1024",
            "dec {blocks}",
            "jnz 4b",
            "5:",
            "tilestored [{out} + {stride}], tmm0",
            "tilestored [{out} + {stride} + 64], tmm1",
            "tilestored [{lower} + {stride}], tmm2",
            "tilestored [{lower} + {stride} + 64], tmm3",
            add = in(reg) usize::from(into == Into::Add),
            out = in(reg) out,
            lower = in(reg) out.byte_add(lower),
            stride = in(reg) 4 * row_stride,
            row = in(reg) 64usize,
            left_0 = inout(reg) left.as_ptr() => _,
            left_1 = inout(reg) left.as_ptr().byte_add(blocks * TILE_BYTES) => _,
            right_0 = inout(reg) right.as_ptr() => _,
            right_1 = inout(reg) right.as_ptr().byte_add(blocks * TILE_BYTES) => _,
            blocks = inout(reg) blocks => _,
            options(nostack),
        );
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Fills `out` with `scale` times rows of the matrix from `first` on, as an operand's tiles: two rows
/// of tiles after the other, a row's tiles by depth; zeros where tiles reach beyond the matrix.
/// `x` has the operand's outer dimension as rows and the depth as columns.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pack(x: View<'_>, first: usize, scale: f32, side: Side, out: &mut [Tile]) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn value(at: usize) -> f32 {
        ((at * 7919 + 13) % 1009) as f32 / 504.5 - 1.0
    }

    fn rounded_to_bf16(x: f32) -> f64 {
        f64::from(half::bf16::from_f32(x).to_f32())
    }

    #[test]
    fn products_are_those_of_operands_rounded_to_bf16() {
        if !is_available() {
            eprintln!("this processor has no tiles: nothing to test");
            return;
        }
        for (rows, columns, depth) in [
            (1, 1, 1),
            (32, 32, 32),
            (33, 40, 70),
            (100, 17, 31),
            (5, 160, 97),
        ] {
            for layout in 0..4 {
                let (by_columns_a, by_columns_b) = (layout & 1 == 1, layout & 2 == 2);
                let (a_stride, b_stride) = match (by_columns_a, by_columns_b) {
                    (false, false) => (depth + 3, columns + 1),
                    (true, false) => (rows + 3, columns + 1),
                    (false, true) => (depth + 3, depth + 1),
                    (true, true) => (rows + 3, depth + 1),
                };
                let a: Vec<f32> = (0..(rows.max(depth)) * a_stride).map(value).collect();
                let b: Vec<f32> = (0..(columns.max(depth)) * b_stride)
                    .map(|at| value(at + 5))
                    .collect();
                let a_at = |r: usize, d: usize| match by_columns_a {
                    true => a[d * a_stride + r],
                    false => a[r * a_stride + d],
                };
                let b_at = |d: usize, c: usize| match by_columns_b {
                    true => b[c * b_stride + d],
                    false => b[d * b_stride + c],
                };
                let left = match by_columns_a {
                    true => View::strided(&a, depth, rows, a_stride).transposed(),
                    false => View::strided(&a, rows, depth, a_stride),
                };
                let right = match by_columns_b {
                    true => View::strided(&b, columns, depth, b_stride).transposed(),
                    false => View::strided(&b, depth, columns, b_stride),
                };
                for into in [Into::Replace, Into::Add] {
                    let stride = columns + 2;
                    let mut out: Vec<f32> = (0..rows * stride).map(|at| at as f32).collect();
                    multiply((&mut out, stride), left, &RightTiles::of(right), 0.5, into);
                    for r in 0..rows {
                        for c in 0..stride {
                            let before = (r * stride + c) as f64;
                            let product: f64 = (0..depth)
                                .filter(|_| c < columns)
                                .map(|d| {
                                    rounded_to_bf16(0.5 * a_at(r, d)) * rounded_to_bf16(b_at(d, c))
                                })
                                .sum();
                            let expected = match into {
                                Into::Replace if c < columns => product,
                                _ => before + product,
                            };
                            let found = f64::from(out[r * stride + c]);
                            assert!(
                                (found - expected).abs()
                                    < 2e-6 * (1.0 + expected.abs() + depth as f64),
                                "{rows} x {columns} x {depth}, layout {layout}, at {r}, {c}: {found}, not {expected}"
                            );
                        }
                    }
                }
            }
        }
    }
}
