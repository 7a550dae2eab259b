//! Products of matrices outside a network, by the kernels of the fused operations.

use super::{
    matmul::{Factors, RightFactor},
    operations::Operations,
    view::{Into, View},
};

/// The right factor of a product, as rows one after the other.
#[derive(Debug, Clone, Copy)]
pub enum Right<'a> {
    /// `[depth, columns]`
    Plain(&'a [f32]),
    /// `[columns, depth]`
    Transposed(&'a [f32]),
}

/// `out += scale * left right`, with `left` `[rows, depth]` and `out` `[rows, columns]`, row after
/// row; factors are rounded to bf16 if `operations` say so.
///
/// # Panics
/// If a slice is shorter than its shape `[rows, depth, columns]` says.
pub fn add_product(
    out: &mut [f32],
    left: &[f32],
    right: Right<'_>,
    scale: f32,
    [rows, depth, columns]: [usize; 3],
    operations: Operations,
) {
    let right = match right {
        Right::Plain(values) => View::strided(values, depth, columns, columns),
        Right::Transposed(values) => View::strided(values, columns, depth, depth).transposed(),
    };
    let left = View::strided(left, rows, depth, depth);
    RightFactor::new(right, Factors::of(operations)).multiply(
        (out, columns),
        left,
        scale,
        Into::Add,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_can_be_computed_by_hand() {
        let left = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        for operations in [Operations::Fused, Operations::FusedBf16] {
            let mut out = [1.0; 4];
            let right = Right::Plain(&[1.0, 0.0, 0.0, 1.0, 1.0, -1.0]);
            add_product(&mut out, &left, right, 2.0, [2, 3, 2], operations);
            assert_eq!(out, [9.0, -1.0, 21.0, -1.0]);
            let right = Right::Transposed(&[1.0, 0.0, 1.0, 0.0, 1.0, -1.0]);
            add_product(&mut out, &left, right, -2.0, [2, 3, 2], operations);
            assert_eq!(out, [1.0; 4]);
        }
    }
}
