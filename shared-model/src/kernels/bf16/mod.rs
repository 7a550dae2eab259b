//! Products of matrices in bf16 with sums in f32: on the tile unit of recent Intel processors (AMX),
//! else with AVX-512's products of pairs (`avx512_bf16`: AMD from Zen 4 on).
//!
//! Both factors are rounded to bf16 and laid out in [`tiles`].

#![allow(
    unsafe_code,
    reason = "intrinsics and tile instructions; each place says why it is sound"
)]

mod amx;
mod tiles;
mod vectors;

use std::sync::OnceLock;

use super::view::{Into, View};
use tiles::{DEPTH, SIDE, Side, Tile, ZEROS, pack};

/// What multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Tiles,
    Vectors,
}

/// The processor's unit for bf16. Looks once.
fn unit() -> Option<Unit> {
    static UNIT: OnceLock<Option<Unit>> = OnceLock::new();
    *UNIT.get_or_init(|| {
        let has_vectors = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512bf16");
        match (has_vectors, amx::is_available()) {
            (false, _) => None,
            (true, false) => Some(Unit::Vectors),
            (true, true) => Some(Unit::Tiles),
        }
    })
}

/// Whether this processor multiplies bf16.
pub(crate) fn is_available() -> bool {
    unit().is_some()
}

/// A right factor as tiles.
pub(super) struct RightTiles {
    tiles: Vec<Tile>,
    depth: usize,
    columns: usize,
    unit: Unit,
}

impl RightTiles {
    /// Needs [`is_available`].
    pub(super) fn of(matrix: View<'_>) -> Self {
        let Some(unit) = unit() else {
            panic!("the processor has no products of bf16");
        };
        Self::for_unit(unit, matrix)
    }

    fn for_unit(unit: Unit, matrix: View<'_>) -> Self {
        let columns = matrix.transposed();
        let panels = columns.rows.div_ceil(2 * SIDE);
        let mut tiles = vec![ZEROS; panels * 2 * columns.columns.div_ceil(DEPTH)];
        // SAFETY: the processor has AVX-512 and bf16, which every unit needs.
        unsafe { pack(columns, 0, 1.0, Side::Right, &mut tiles) };
        Self {
            tiles,
            depth: matrix.rows,
            columns: matrix.columns,
            unit,
        }
    }
}

/// `out = scale * a b` or `out += scale * a b`, where `out` has rows of `row_stride` values.
pub(super) fn multiply(
    out: (&mut [f32], usize),
    a: View<'_>,
    b: &RightTiles,
    scale: f32,
    into: Into,
) {
    assert_eq!(a.columns, b.depth, "columns of the left, rows of the right");
    if b.depth == 0 && into == Into::Add {
        return;
    }
    match b.unit {
        // SAFETY: `b` was made for tiles, so that they are available.
        Unit::Tiles => unsafe {
            amx::with_tiles(|| by_panels(out, a, b, scale, |panel| add_on_tiles(panel, into)));
        },
        Unit::Vectors => by_panels(out, a, b, scale, |panel| {
            // SAFETY: `b` was made for these vectors, so that the processor has them.
            unsafe { vectors::add_product(panel, into) };
        }),
    }
}

/// At most 32 rows of the left factor beside at most 32 columns of the right.
struct Panel<'a> {
    /// From the first sum to the last.
    out: &'a mut [f32],
    row_stride: usize,
    height: usize,
    width: usize,
    /// Two rows of tiles by depth.
    left: &'a [Tile],
    right: &'a [Tile],
    depth: usize,
}

/// Calls `add` for every panel of a product.
fn by_panels(
    (out, row_stride): (&mut [f32], usize),
    a: View<'_>,
    b: &RightTiles,
    scale: f32,
    add: impl Fn(Panel<'_>),
) {
    let blocks = b.depth.div_ceil(DEPTH);
    let mut left = vec![ZEROS; 2 * blocks];
    for row in (0..a.rows).step_by(2 * SIDE) {
        let height = (a.rows - row).min(2 * SIDE);
        // SAFETY: the processor has AVX-512 and bf16, since `b` was made.
        unsafe { pack(a, row, scale, Side::Left, &mut left) };
        for panel in 0..b.columns.div_ceil(2 * SIDE) {
            let column = panel * 2 * SIDE;
            let width = (b.columns - column).min(2 * SIDE);
            let out = &mut out[row * row_stride + column..][..(height - 1) * row_stride + width];
            add(Panel {
                out,
                row_stride,
                height,
                width,
                left: &left,
                right: &b.tiles[panel * 2 * blocks..][..2 * blocks],
                depth: b.depth,
            });
        }
    }
}

/// Adds a panel's product on the tile unit, two by two tiles of sums; an odd last tile is computed
/// beside one of zeros. Only under [`amx::with_tiles`].
fn add_on_tiles(panel: Panel<'_>, into: Into) {
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
    if (height, width) == (2 * SIDE, 2 * SIDE) {
        // SAFETY: 32 rows of 32 values lie in the slice, and the panels hold `blocks` tiles twice
        // each.
        unsafe { amx::add_product(out.as_mut_ptr(), row_stride, left, right, blocks, into) };
        return;
    }
    let mut sums = [0.0; 4 * SIDE * SIDE];
    // SAFETY: as above, for `sums`.
    unsafe {
        let sums = sums.as_mut_ptr();
        amx::add_product(sums, 2 * SIDE, left, right, blocks, Into::Replace);
    }
    for (out, sums) in out.chunks_mut(row_stride).zip(sums.chunks_exact(2 * SIDE)) {
        for (out, sum) in out[..width].iter_mut().zip(sums) {
            *out = if into == Into::Add { *out + sum } else { *sum };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            matmul::{Factors, RightFactor},
            operations::Operations,
        },
        *,
    };

    const SCALE: f32 = 0.5;

    fn value(at: usize) -> f32 {
        ((at * 7919 + 13) % 1009) as f32 / 504.5 - 1.0
    }

    /// What multiplies in a test: without a unit, f32 as on every other processor.
    fn multiply_on(
        unit: Option<Unit>,
        out: (&mut [f32], usize),
        a: View<'_>,
        b: View<'_>,
        into: Into,
    ) {
        match unit {
            Some(unit) => multiply(out, a, &RightTiles::for_unit(unit, b), SCALE, into),
            None => RightFactor::new(b, Factors::F32).multiply(out, a, SCALE, into),
        }
    }

    /// As the unit rounds its factors.
    fn rounded(unit: Option<Unit>, x: f32) -> f64 {
        f64::from(unit.map_or(x, |_| half::bf16::from_f32(x).to_f32()))
    }

    #[test]
    fn products_are_those_of_operands_rounded_to_bf16() {
        let widest = unit();
        // A processor with tiles has the vectors, too; any processor has f32, which stands for bf16
        // where there is no unit.
        let vectors = widest.map(|_| Unit::Vectors);
        for unit in [None, vectors, widest] {
            check_products(unit);
        }
        let chosen = Factors::of(Operations::FusedBf16);
        assert_eq!(chosen == Factors::Bf16, widest.is_some());
    }

    fn check_products(unit: Option<Unit>) {
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
                    multiply_on(unit, (&mut out, stride), left, right, into);
                    for r in 0..rows {
                        for c in 0..stride {
                            let before = (r * stride + c) as f64;
                            let product: f64 = (0..depth)
                                .filter(|_| c < columns)
                                .map(|d| {
                                    rounded(unit, SCALE * a_at(r, d)) * rounded(unit, b_at(d, c))
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
                                "{unit:?}, {rows} x {columns} x {depth}, layout {layout}, at {r}, {c}: {found}, not {expected}"
                            );
                        }
                    }
                }
            }
        }
    }
}
