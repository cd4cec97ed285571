//! The twin in vectors: consecutive cells.

use super::Params;
use crate::kernel::simd::{Simd, WithSimd};

/// Some cells and the rows that they gather.
pub(super) struct Piece<'a> {
    pub(super) params: Params,
    pub(super) rows: &'a [u32],
    pub(super) columns: &'a [u32],
    pub(super) ratings: &'a [f32],
    pub(super) row_factors: &'a [f32],
    pub(super) column_factors: &'a [f32],
    pub(super) residuals: &'a mut [f32],
}

impl WithSimd for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { params, rows, columns, ratings, row_factors, column_factors, residuals } = self;
        let width = params.width as usize;
        let cells = rows.iter().zip(columns).zip(ratings);
        for (residual, ((&row, &column), &rating)) in residuals.iter_mut().zip(cells) {
            let (u, v) = (row as usize * width, column as usize * width);
            let dot = dot(simd, &row_factors[u..u + width], &column_factors[v..v + width]);
            *residual = rating - params.bounded(dot);
        }
    }
}

/// `u·v` lane by lane; then over the lanes, and what is left of a vector after them.
#[inline(always)]
fn dot<S: Simd>(simd: S, u: &[f32], v: &[f32]) -> f32 {
    let ((u, u_rest), (v, v_rest)) = (S::as_simd_f32s(u), S::as_simd_f32s(v));
    let mut sums = simd.splat_f32s(0.0);
    for (&u, &v) in u.iter().zip(v) {
        sums = simd.mul_add_f32s(u, v, sums);
    }
    // Two where there are biases, mostly: not worth a vector.
    let mut rest = 0.0f32;
    for (&u, &v) in u_rest.iter().zip(v_rest) {
        rest = u.mul_add(v, rest);
    }
    simd.reduce_sum_f32s(sums) + rest
}

#[cfg(test)]
mod tests {
    use super::super::UNCLIPPED;
    use super::*;
    use crate::kernel::simd::InstructionSet;

    #[test]
    fn every_instruction_set_leaves_the_same_residuals() {
        for width in [1, 15, 16, 34, 66, 130] {
            let element = |i: usize| (i as f32 * 0.73).sin();
            let factors: Vec<f32> = (0..9 * width).map(element).collect();
            let (rows, columns) = ([0, 3, 8, 8, 2], [1, 1, 0, 7, 5]);
            let ratings = [1.0, 2.0, 3.0, 4.0, 5.0];
            let params = Params { count: 5, width: width as u32, low: UNCLIPPED.0, high: UNCLIPPED.1 };
            let bits = |set: InstructionSet| {
                let mut residuals = [f32::NAN; 5];
                set.run(Piece {
                    params,
                    rows: &rows,
                    columns: &columns,
                    ratings: &ratings,
                    row_factors: &factors,
                    column_factors: &factors,
                    residuals: &mut residuals,
                });
                residuals.map(f32::to_bits)
            };
            let expected = bits(InstructionSet::Plain);
            for set in InstructionSet::all() {
                assert_eq!(bits(set), expected, "width {width}, {set:?}");
            }
        }
    }
}
