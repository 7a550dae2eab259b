//! Matrix multiplication of views, and affine maps of rows with their gradients.

#[cfg(target_arch = "x86_64")]
use std::cell::OnceCell;

#[cfg(target_arch = "x86_64")]
use super::bf16::{self, RightTiles};
use super::{
    int8::Int8Matrix,
    operations::Operations,
    view::{Into, View, end},
};

/// Panics unless each access of a product stays inside the three slices.
fn assert_fit((out, row_stride): &(&mut [f32], usize), a: View<'_>, b: View<'_>) {
    assert_eq!(a.columns, b.rows, "columns of the left, rows of the right");
    assert!(
        *row_stride >= b.columns
            && end(a.rows, b.columns, *row_stride, 1) <= out.len()
            && a.end() <= a.values.len()
            && b.end() <= b.values.len(),
        "a matrix reaches beyond its slice"
    );
}

/// `out = scale * a b` or `out += scale * a b`; `out` has rows of `row_stride` values.
fn multiply(out: (&mut [f32], usize), a: View<'_>, b: View<'_>, scale: f32, into: Into) {
    assert_fit(&out, a, b);
    let (out, row_stride) = out;
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    multiply_in_tiles((out, row_stride), a, b, scale, into);
    // SAFETY: the assertion above keeps every access inside the three slices, and `out` is
    // borrowed mutably, so that it overlaps neither of the others.
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            row_stride as isize,
            into == Into::Add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// As [`multiply`], faster there than gemm's kernels.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn multiply_in_tiles(
    (out, row_stride): (&mut [f32], usize),
    a: View<'_>,
    b: View<'_>,
    scale: f32,
    into: Into,
) {
    use super::simd128::multiply_add;
    if into == Into::Replace {
        for row in out.chunks_mut(row_stride).take(a.rows) {
            row[..b.columns].fill(0.0);
        }
    }
    let left = (a.column_stride != 1).then(|| a.packed(1.0));
    let a = left
        .as_ref()
        .map_or(a, |values| View::new(values, a.columns));
    let right = (b.column_stride != 1 || scale != 1.0).then(|| b.packed(scale));
    let b = right
        .as_ref()
        .map_or(b, |values| View::new(values, b.columns));
    multiply_add((out, row_stride), a.as_rows(), b.as_rows());
}

/// What the factors of products are rounded to; sums are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Factors {
    F32,
    #[cfg(target_arch = "x86_64")]
    Bf16,
}

impl Factors {
    pub(crate) fn of(operations: Operations) -> Self {
        #[cfg(target_arch = "x86_64")]
        if operations.multiplies_bf16() {
            return Self::Bf16;
        }
        let _ = operations;
        Self::F32
    }
}

/// The right factor of one or more products, laid out once for all.
pub(crate) struct RightFactor<'a> {
    matrix: View<'a>,
    factors: Factors,
    #[cfg(target_arch = "x86_64")]
    tiles: OnceCell<RightTiles>,
}

impl<'a> RightFactor<'a> {
    pub(crate) fn new(matrix: View<'a>, factors: Factors) -> Self {
        Self {
            matrix,
            factors,
            #[cfg(target_arch = "x86_64")]
            tiles: OnceCell::new(),
        }
    }

    /// `out = scale * a self` or `out += scale * a self`; `out` has rows of as many values as its
    /// number says.
    pub(crate) fn multiply(&self, out: (&mut [f32], usize), a: View<'_>, scale: f32, into: Into) {
        match self.factors {
            Factors::F32 => multiply(out, a, self.matrix, scale, into),
            #[cfg(target_arch = "x86_64")]
            Factors::Bf16 => {
                assert_fit(&out, a, self.matrix);
                let tiles = self.tiles.get_or_init(|| RightTiles::of(self.matrix));
                bf16::multiply(out, a, tiles, scale, into);
            }
        }
    }
}

/// `x W + b` of rows.
pub(crate) struct Affine<'a> {
    /// `[d_out]`
    bias: &'a [f32],
    /// `[d_in, d_out]`
    weight: RightFactor<'a>,
    /// Its transpose.
    back: RightFactor<'a>,
    int8: Option<&'a Int8Matrix>,
}

impl<'a> Affine<'a> {
    /// Weight `[d_in, d_out]` and bias `[d_out]`.
    pub(crate) fn new(weight: &'a [f32], bias: &'a [f32], factors: Factors) -> Self {
        let weight = View::new(weight, bias.len());
        Self {
            bias,
            weight: RightFactor::new(weight, factors),
            back: RightFactor::new(weight.transposed(), factors),
            int8: None,
        }
    }

    /// The same with the integers that the weight came as, if it did and they are to be used.
    pub(crate) fn with_int8(self, int8: Option<&'a Int8Matrix>) -> Self {
        Self { int8, ..self }
    }

    pub(crate) fn d_out(&self) -> usize {
        self.bias.len()
    }

    pub(crate) fn d_in(&self) -> usize {
        self.weight.matrix.rows
    }

    /// Appends `[rows, d_out]`.
    #[inline(never)]
    pub(crate) fn append(&self, x: View<'_>, out: &mut Vec<f32>) {
        let start = out.len();
        out.reserve(x.rows * self.d_out());
        for _ in 0..x.rows {
            out.extend_from_slice(self.bias);
        }
        let out = &mut out[start..];
        match self.int8 {
            Some(int8) if x.column_stride == 1 => int8.add_product(out, x.values, x.row_stride),
            _ => self.weight.multiply((out, self.d_out()), x, 1.0, Into::Add),
        }
    }

    /// Gradient of the input: replaces `out` by `[rows, d_in]`.
    pub(crate) fn input_gradient(&self, gradient: &[f32], out: &mut Vec<f32>) {
        let gradient = View::new(gradient, self.d_out());
        out.resize(gradient.rows * self.d_in(), 0.0);
        let out = (out.as_mut_slice(), self.d_in());
        self.back.multiply(out, gradient, 1.0, Into::Replace);
    }
}

/// Gradients of an affine map's weight and bias, summed over rows.
pub(crate) struct AffineGradient {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
    factors: Factors,
}

impl AffineGradient {
    pub(crate) fn zeros(map: &Affine<'_>) -> Self {
        Self {
            weight: vec![0.0; map.d_in() * map.d_out()],
            bias: vec![0.0; map.d_out()],
            factors: map.weight.factors,
        }
    }

    /// Adds what rows `x` and the gradient of their images give.
    pub(crate) fn add(&mut self, x: View<'_>, gradient: &[f32]) {
        let d_out = self.bias.len();
        for row in gradient.chunks_exact(d_out) {
            for (sum, value) in self.bias.iter_mut().zip(row) {
                *sum += value;
            }
        }
        let out = (self.weight.as_mut_slice(), d_out);
        let gradient = RightFactor::new(View::new(gradient, d_out), self.factors);
        gradient.multiply(out, x.transposed(), 1.0, Into::Add);
    }
}

/// Ranges of rows whose `width` values each stay in the second-level cache together.
pub(crate) fn row_chunks(
    rows: usize,
    width: usize,
) -> impl Iterator<Item = std::ops::Range<usize>> {
    const CACHED: usize = 160 * 1024;
    let chunk = (CACHED / width.max(1)).max(32);
    // Equal chunks: a short last one would waste as much time in packing as a whole one.
    let chunk = rows.div_ceil(rows.div_ceil(chunk).max(1)).max(1);
    (0..rows)
        .step_by(chunk)
        .map(move |start| start..rows.min(start + chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_views_can_be_computed_by_hand() {
        // [[1, 2], [3, 4]] in rows of three values.
        let a = [1.0, 2.0, 9.0, 3.0, 4.0, 9.0];
        let a = View::strided(&a, 2, 2, 3);
        let b = [5.0, 6.0, 7.0, 8.0];
        let b = View::new(&b, 2);
        let mut out = [0.0; 4];
        multiply((&mut out, 2), a, b, 1.0, Into::Replace);
        assert_eq!(out, [19.0, 22.0, 43.0, 50.0]);
        multiply((&mut out, 2), a.transposed(), b, 2.0, Into::Add);
        assert_eq!(out, [71.0, 82.0, 119.0, 138.0]);
    }

    #[test]
    fn chunks_cover_every_row_once_and_are_alike() {
        for (rows, width) in [(0, 10), (1, 10), (5000, 1000), (333, 1 << 20)] {
            let chunks: Vec<_> = row_chunks(rows, width).collect();
            let covered: Vec<usize> = chunks.iter().cloned().flatten().collect();
            assert_eq!(covered, (0..rows).collect::<Vec<_>>());
            let longest = chunks.iter().map(|chunk| chunk.len()).max();
            let shortest = chunks.iter().map(|chunk| chunk.len()).min();
            assert!(longest.unwrap_or(0) <= shortest.unwrap_or(0) + chunks.len());
        }
    }
}
