//! Products of activations `[rows, depth]` and weights `[depth, columns]`, as the network has them,
//! in f32 and with int8 weights. The f32 kernel is the site's own file.
//!
//! int8: activations are scaled per row and weights per column. `pairs` takes activations as 16-bit
//! numbers of 8 bits and plain SIMD, `quads` as 7 bits and relaxed SIMD. Both write f32, and the time
//! of making the activations integers counts.

use std::arch::wasm32::*;

#[path = "../../../../shared-model/src/kernels/simd128.rs"]
#[allow(dead_code)]
mod tiles;

struct Case {
    rows: usize,
    depth: usize,
    columns: usize,
    x: Vec<f32>,
    weight: Vec<f32>,
    /// By column.
    scale: Vec<f32>,
    /// `[depth / 2][column][2]`
    pairs: Vec<i8>,
    /// `[depth / 4][column][4]`
    quads: Vec<i8>,
    /// Sum of each column's integers times 64: what the offset of unsigned activations adds.
    offsets: Vec<i32>,
    y: Vec<f32>,
}

static mut CASE: Option<Case> = None;

fn with<T>(work: impl FnOnce(&mut Case) -> T) -> T {
    // One thread, and no call within another.
    #[allow(static_mut_refs)]
    unsafe {
        work(CASE.as_mut().expect("prepare comes first"))
    }
}

/// `depth` a multiple of 4, `columns` of 8.
#[unsafe(no_mangle)]
pub extern "C" fn prepare(rows: usize, depth: usize, columns: usize) {
    let mut state = 1u32;
    let mut random = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let x = (0..rows * depth).map(&mut random).collect();
    let weight: Vec<f32> = (0..depth * columns).map(&mut random).collect();
    let scale: Vec<f32> = (0..columns)
        .map(|c| {
            let column = weight.iter().skip(c).step_by(columns);
            column.fold(1e-9f32, |most, w| most.max(w.abs())) / 127.0
        })
        .collect();
    let integer = |d: usize, c: usize| (weight[d * columns + c] / scale[c]).round() as i8;
    let packed = |group: usize| {
        let mut packed = vec![0i8; depth * columns];
        for d in 0..depth {
            for c in 0..columns {
                packed[(d / group * columns + c) * group + d % group] = integer(d, c);
            }
        }
        packed
    };
    let offsets = (0..columns)
        .map(|c| (0..depth).map(|d| 64 * i32::from(integer(d, c))).sum())
        .collect();
    let case = Case {
        rows,
        depth,
        columns,
        x,
        pairs: packed(2),
        quads: packed(4),
        weight,
        scale,
        offsets,
        y: vec![0.0; rows * columns],
    };
    unsafe { CASE = Some(case) };
}

#[unsafe(no_mangle)]
pub extern "C" fn floats(repeats: usize) {
    with(|case| {
        let matrix = |values, rows, columns| tiles::Rows {
            values,
            rows,
            columns,
            stride: columns,
        };
        for _ in 0..repeats {
            case.y.fill(0.0);
            let x = matrix(&case.x, case.rows, case.depth);
            let weight = matrix(&case.weight, case.depth, case.columns);
            tiles::multiply_add((&mut case.y, case.columns), x, weight);
        }
    });
}

/// The same tiles with fused multiply-adds.
#[unsafe(no_mangle)]
pub extern "C" fn fused_floats(repeats: usize) {
    with(|case| {
        for _ in 0..repeats {
            for row in (0..case.rows).step_by(4) {
                for column in (0..case.columns).step_by(8) {
                    let mut sums = [[f32x4_splat(0.0); 2]; 4];
                    for d in 0..case.depth {
                        let right: [v128; 2] = std::array::from_fn(|v| {
                            let at = d * case.columns + column + 4 * v;
                            unsafe { v128_load(case.weight.as_ptr().add(at).cast()) }
                        });
                        for (r, sums) in sums.iter_mut().enumerate() {
                            let at = (row + r) * case.depth + d;
                            let left = unsafe { v128_load32_splat(case.x.as_ptr().add(at).cast()) };
                            for v in 0..2 {
                                sums[v] = f32x4_relaxed_madd(left, right[v], sums[v]);
                            }
                        }
                    }
                    write(case, row, column, sums);
                }
            }
        }
    });
}

fn write(case: &mut Case, row: usize, column: usize, sums: [[v128; 2]; 4]) {
    for (r, sums) in sums.into_iter().enumerate() {
        for (v, sum) in sums.into_iter().enumerate() {
            let at = (row + r) * case.columns + column + 4 * v;
            unsafe { v128_store(case.y.as_mut_ptr().add(at).cast(), sum) };
        }
    }
}

/// Scale of a row whose largest magnitude becomes `most`.
fn row_scale(row: &[f32], most: f32) -> f32 {
    let mut lanes = f32x4_splat(1e-9);
    for four in row.chunks_exact(4) {
        lanes = f32x4_pmax(lanes, f32x4_abs(unsafe { v128_load(four.as_ptr().cast()) }));
    }
    let highest = f32x4_extract_lane::<0>(lanes)
        .max(f32x4_extract_lane::<1>(lanes))
        .max(f32x4_extract_lane::<2>(lanes))
        .max(f32x4_extract_lane::<3>(lanes));
    highest / most
}

#[unsafe(no_mangle)]
pub extern "C" fn pairs(repeats: usize) {
    with(|case| {
        let (depth, columns) = (case.depth, case.columns);
        let mut integers = vec![0i16; 4 * depth];
        for _ in 0..repeats {
            for row in (0..case.rows).step_by(4) {
                let mut scales = [0.0; 4];
                for r in 0..4 {
                    let x = &case.x[(row + r) * depth..][..depth];
                    scales[r] = row_scale(x, 127.0);
                    let inverse = f32x4_splat(1.0 / scales[r]);
                    for (d, four) in x.chunks_exact(4).enumerate() {
                        let x = unsafe { v128_load(four.as_ptr().cast()) };
                        let x = i32x4_trunc_sat_f32x4(f32x4_nearest(f32x4_mul(x, inverse)));
                        let x = i16x8_narrow_i32x4(x, x);
                        let at = r * depth + 4 * d;
                        unsafe { v128_store64_lane::<0>(x, integers.as_mut_ptr().add(at).cast()) };
                    }
                }
                for column in (0..columns).step_by(8) {
                    let mut sums = [[i32x4_splat(0); 2]; 4];
                    for d in 0..depth / 2 {
                        let right: [v128; 2] = std::array::from_fn(|v| unsafe {
                            let at = (d * columns + column + 4 * v) * 2;
                            i16x8_load_extend_i8x8(case.pairs.as_ptr().add(at))
                        });
                        for (r, sums) in sums.iter_mut().enumerate() {
                            let at = r * depth + 2 * d;
                            let left =
                                unsafe { v128_load32_splat(integers.as_ptr().add(at).cast()) };
                            for v in 0..2 {
                                sums[v] = i32x4_add(sums[v], i32x4_dot_i16x8(left, right[v]));
                            }
                        }
                    }
                    write_scaled(case, row, column, sums, scales);
                }
            }
        }
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn quads(repeats: usize) {
    with(|case| {
        let (depth, columns) = (case.depth, case.columns);
        let mut integers = vec![0u8; 4 * depth];
        for _ in 0..repeats {
            for row in (0..case.rows).step_by(4) {
                let mut scales = [0.0; 4];
                for r in 0..4 {
                    let x = &case.x[(row + r) * depth..][..depth];
                    scales[r] = row_scale(x, 63.0);
                    let inverse = f32x4_splat(1.0 / scales[r]);
                    for (d, four) in x.chunks_exact(4).enumerate() {
                        let x = unsafe { v128_load(four.as_ptr().cast()) };
                        let x = i32x4_trunc_sat_f32x4(f32x4_nearest(f32x4_mul(x, inverse)));
                        let x = i32x4_add(x, i32x4_splat(64));
                        let x = i16x8_narrow_i32x4(x, x);
                        let x = u8x16_narrow_i16x8(x, x);
                        let at = r * depth + 4 * d;
                        unsafe { v128_store32_lane::<0>(x, integers.as_mut_ptr().add(at).cast()) };
                    }
                }
                for column in (0..columns).step_by(8) {
                    let offsets: [v128; 2] = std::array::from_fn(|v| unsafe {
                        v128_load(case.offsets.as_ptr().add(column + 4 * v).cast())
                    });
                    let mut sums = [offsets.map(|sum| i32x4_neg(sum)); 4];
                    for d in 0..depth / 4 {
                        let right: [v128; 2] = std::array::from_fn(|v| unsafe {
                            let at = (d * columns + column + 4 * v) * 4;
                            v128_load(case.quads.as_ptr().add(at).cast())
                        });
                        for (r, sums) in sums.iter_mut().enumerate() {
                            let at = r * depth + 4 * d;
                            let left =
                                unsafe { v128_load32_splat(integers.as_ptr().add(at).cast()) };
                            for v in 0..2 {
                                sums[v] =
                                    i32x4_relaxed_dot_i8x16_i7x16_add(right[v], left, sums[v]);
                            }
                        }
                    }
                    write_scaled(case, row, column, sums, scales);
                }
            }
        }
    });
}

fn write_scaled(
    case: &mut Case,
    row: usize,
    column: usize,
    sums: [[v128; 2]; 4],
    scales: [f32; 4],
) {
    let mut scaled = sums;
    for (sums, scale) in scaled.iter_mut().zip(scales) {
        for (v, sum) in sums.iter_mut().enumerate() {
            let columns = unsafe { v128_load(case.scale.as_ptr().add(column + 4 * v).cast()) };
            let factor = f32x4_mul(columns, f32x4_splat(scale));
            *sum = f32x4_mul(f32x4_convert_i32x4(*sum), factor);
        }
    }
    write(case, row, column, scaled);
}

/// Largest difference of the last result from the exact product, over the largest magnitude.
#[unsafe(no_mangle)]
pub extern "C" fn error() -> f64 {
    with(|case| {
        let (mut worst, mut most) = (0.0f64, 0.0f64);
        for row in 0..case.rows {
            for column in 0..case.columns {
                let exact: f64 = (0..case.depth)
                    .map(|d| {
                        f64::from(case.x[row * case.depth + d])
                            * f64::from(case.weight[d * case.columns + column])
                    })
                    .sum();
                let got = f64::from(case.y[row * case.columns + column]);
                worst = worst.max((got - exact).abs());
                most = most.max(exact.abs());
            }
        }
        worst / most
    })
}
