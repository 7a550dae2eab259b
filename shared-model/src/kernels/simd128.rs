//! Tiles of four rows and eight columns of a product stay in registers while the depth is walked.
//! Nothing is packed: the weights of a small network stay in the cache as they are.

use std::arch::wasm32::{
    f32x4_add, f32x4_mul, f32x4_splat, v128_load, v128_load32_splat, v128_store,
};

/// Rows of a slice, `stride` values from the start of one to the next.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub values: &'a [f32],
    pub rows: usize,
    pub columns: usize,
    pub stride: usize,
}

impl Rows<'_> {
    fn end(&self) -> usize {
        end(self.rows, self.columns, self.stride)
    }
}

fn end(rows: usize, columns: usize, stride: usize) -> usize {
    if rows == 0 || columns == 0 {
        return 0;
    }
    (rows - 1) * stride + columns
}

/// `out += a b`; `out` has rows of `stride` values.
pub(crate) fn multiply_add((out, stride): (&mut [f32], usize), a: Rows<'_>, b: Rows<'_>) {
    assert!(
        a.columns == b.rows
            && a.end() <= a.values.len()
            && b.end() <= b.values.len()
            && stride >= b.columns
            && end(a.rows, b.columns, stride) <= out.len(),
        "a matrix reaches beyond its slice"
    );
    let product = Product {
        a: a.values.as_ptr(),
        a_stride: a.stride,
        b: b.values.as_ptr(),
        b_stride: b.stride,
        depth: a.columns,
        out: out.as_mut_ptr(),
        out_stride: stride,
    };
    let whole = a.rows - a.rows % 4;
    for row in (0..whole).step_by(4) {
        product.rows::<4>(row, b.columns);
    }
    match a.rows - whole {
        3 => product.rows::<3>(whole, b.columns),
        2 => product.rows::<2>(whole, b.columns),
        1 => product.rows::<1>(whole, b.columns),
        _ => {}
    }
}

/// Operands whose extents were checked.
struct Product {
    a: *const f32,
    a_stride: usize,
    b: *const f32,
    b_stride: usize,
    depth: usize,
    out: *mut f32,
    out_stride: usize,
}

impl Product {
    /// `ROWS` rows of the result.
    #[inline(always)]
    fn rows<const ROWS: usize>(&self, row: usize, columns: usize) {
        let mut column = 0;
        while column + 8 <= columns {
            self.tile::<ROWS, 2>(row, column);
            column += 8;
        }
        if column + 4 <= columns {
            self.tile::<ROWS, 1>(row, column);
            column += 4;
        }
        for column in column..columns {
            self.column::<ROWS>(row, column);
        }
    }

    /// `ROWS` rows and four times `VECTORS` columns of the result.
    #[inline(always)]
    fn tile<const ROWS: usize, const VECTORS: usize>(&self, row: usize, column: usize) {
        // SAFETY: `multiply_add` checked the extents, and its loops stay inside of them; `out` is
        // borrowed mutably, so that it overlaps neither operand.
        #[allow(unsafe_code)]
        unsafe {
            let a = self.a.add(row * self.a_stride);
            let out = self.out.add(row * self.out_stride + column);
            let place = |r: usize, v: usize| out.add(r * self.out_stride + 4 * v);
            let mut sums = [[f32x4_splat(0.0); VECTORS]; ROWS];
            for (r, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = v128_load(place(r, v).cast());
                }
            }
            for depth in 0..self.depth {
                let b = self.b.add(depth * self.b_stride + column);
                let mut right = [f32x4_splat(0.0); VECTORS];
                for (v, right) in right.iter_mut().enumerate() {
                    *right = v128_load(b.add(4 * v).cast());
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let left = v128_load32_splat(a.add(r * self.a_stride + depth).cast());
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = f32x4_add(*sum, f32x4_mul(left, right));
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    v128_store(place(r, v).cast(), *sum);
                }
            }
        }
    }

    /// One column of `ROWS` rows.
    #[inline(always)]
    fn column<const ROWS: usize>(&self, row: usize, column: usize) {
        for row in row..row + ROWS {
            // SAFETY: as in `tile`.
            #[allow(unsafe_code)]
            unsafe {
                let a = self.a.add(row * self.a_stride);
                let out = self.out.add(row * self.out_stride + column);
                for depth in 0..self.depth {
                    *out += *a.add(depth) * *self.b.add(depth * self.b_stride + column);
                }
            }
        }
    }
}
