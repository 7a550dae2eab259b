//! Matrices in slices.

/// A matrix in a slice.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub values: &'a [f32],
    pub rows: usize,
    pub columns: usize,
    pub row_stride: usize,
    pub column_stride: usize,
}

impl<'a> View<'a> {
    /// Rows of `columns` values one after the other.
    pub(crate) fn new(values: &'a [f32], columns: usize) -> Self {
        Self::strided(values, values.len() / columns, columns, columns)
    }

    /// `rows` rows of `columns` values, `row_stride` values from the start of one to the next.
    /// Rows may overlap.
    pub(crate) fn strided(
        values: &'a [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Self {
        Self {
            values,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    pub(super) fn as_rows(&self) -> super::simd128::Rows<'a> {
        super::simd128::Rows {
            values: self.values,
            rows: self.rows,
            columns: self.columns,
            stride: self.row_stride,
        }
    }

    /// A copy by rows, times `scale`.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    pub(super) fn packed(&self, scale: f32) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.rows * self.columns);
        for row in 0..self.rows {
            let start = row * self.row_stride;
            let places = (0..self.columns).map(|column| start + column * self.column_stride);
            values.extend(places.map(|at| scale * self.values[at]));
        }
        values
    }

    /// Index behind the last element.
    pub(super) fn end(&self) -> usize {
        end(self.rows, self.columns, self.row_stride, self.column_stride)
    }
}

/// Index behind the last element of a matrix in a slice.
pub(super) fn end(rows: usize, columns: usize, row_stride: usize, column_stride: usize) -> usize {
    if rows == 0 || columns == 0 {
        return 0;
    }
    (rows - 1) * row_stride + (columns - 1) * column_stride + 1
}

/// What a product does with the matrix that it is written to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Into {
    Replace,
    Add,
}
