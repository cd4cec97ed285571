//! Products `AᵀB` of tall matrices, a tile of the result in registers at a time.

use std::ops::Range;

use super::simd::{LANES, Simd, vectors};

/// Rows of a tile at most; results have a whole number of them.
pub(super) const TILE_ROWS: usize = 8;

/// Copies the first `len` elements of `from` to `to`, and whatever follows them as far as the last
/// vector goes, if there is so much.
///
/// `zero` is −0, which changes no element. That the compiler does not know it keeps it from calling
/// `memcpy`, which takes as long for a short row as what is done with it.
#[inline(always)]
pub(super) fn copy_vectors<S: Simd>(simd: S, zero: S::f32s, from: &[f32], len: usize, to: &mut [f32]) {
    let whole = len.next_multiple_of(LANES);
    if from.len() < whole || to.len() < whole {
        to[..len].copy_from_slice(&from[..len]);
        return;
    }
    let to = S::as_mut_simd_f32s(&mut to[..whole]).0;
    for (to, &from) in to.iter_mut().zip(vectors::<S>(&from[..whole])) {
        *to = simd.add_f32s(from, zero);
    }
}

/// What [`copy_vectors`] needs.
#[inline(always)]
pub(super) fn unknown_zero<S: Simd>(simd: S) -> S::f32s {
    simd.splat_f32s(std::hint::black_box(-0.0))
}

/// What to multiply: both row by row, a row of each `stride` elements long.
#[derive(Clone, Copy)]
pub(super) struct Factors<'a> {
    /// Its columns are the result's rows.
    pub(super) a: &'a [f32],
    /// Its columns are the result's columns.
    pub(super) b: &'a [f32],
    /// A multiple of [`LANES`].
    pub(super) stride: usize,
}

/// What becomes of a product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Store,
    Add,
    Subtract,
}

impl Factors<'_> {
    /// The lower triangle of `AᵀB`, as far as it has these rows and lies below `columns`: into
    /// `square`, whose rows are `stride` long. Its tiles overlap the diagonal, so that up to
    /// [`LANES`] elements beyond it are written, too. Rows are multiples of [`TILE_ROWS`].
    ///
    /// Each element is a sum over the rows of A in their order, whatever the tiles.
    #[inline(always)]
    pub(super) fn triangle<S: Simd>(
        self,
        simd: S,
        rows: Range<usize>,
        columns: usize,
        square: &mut [f32],
        then: Then,
    ) {
        for row in rows.step_by(TILE_ROWS) {
            let end = columns.min(row + TILE_ROWS).div_ceil(LANES);
            // As many sums as there are registers for, beside the operands.
            if const { S::REGISTER_COUNT >= 32 } {
                let mut vector = 0;
                while vector + 3 <= end {
                    self.tile::<S, TILE_ROWS, 3>(simd, row, vector, square, then);
                    vector += 3;
                }
                match end - vector {
                    2 => self.tile::<S, TILE_ROWS, 2>(simd, row, vector, square, then),
                    1 => self.tile::<S, TILE_ROWS, 1>(simd, row, vector, square, then),
                    _ => {}
                }
            } else {
                for vector in 0..end {
                    self.tile::<S, 4, 1>(simd, row, vector, square, then);
                    self.tile::<S, 4, 1>(simd, row + 4, vector, square, then);
                }
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const H: usize, const N: usize>(
        self,
        simd: S,
        row: usize,
        vector: usize,
        square: &mut [f32],
        then: Then,
    ) {
        let mut sums = [[simd.splat_f32s(0.0); N]; H];
        for (a, b) in self.a.chunks_exact(self.stride).zip(self.b.chunks_exact(self.stride)) {
            let a = &a[row..row + H];
            let b = &vectors::<S>(b)[vector..vector + N];
            for h in 0..H {
                let a = simd.splat_f32s(a[h]);
                for n in 0..N {
                    sums[h][n] = simd.mul_add_f32s(a, b[n], sums[h][n]);
                }
            }
        }
        for (to, sums) in square[row * self.stride..].chunks_exact_mut(self.stride).zip(sums) {
            let to = &mut S::as_mut_simd_f32s(to).0[vector..vector + N];
            for (to, sum) in to.iter_mut().zip(sums) {
                *to = match then {
                    Then::Store => sum,
                    Then::Add => simd.add_f32s(*to, sum),
                    Then::Subtract => simd.sub_f32s(*to, sum),
                };
            }
        }
    }
}
