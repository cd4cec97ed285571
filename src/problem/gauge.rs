//! The gauge of a factorisation: `U·Vᵀ` stays when both sides are turned by
//! matching k × k matrices. Learned priors need the turn in which the signal
//! sits in the leading factors, balanced between the sides.

use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

use crate::error::Result;
use crate::kernel::simd::{self, Simd, WithSimd};
use crate::world::World;
use crate::world::together::gather;

/// Lanes of a vector of f64.
const DOUBLES: usize = simd::LANES / 2;

/// Rows whose sums are in registers together.
const ROWS: usize = 8;

/// Rows that one task adds up; fixed, so that the bits don't depend on the threads.
pub(super) const BLOCK: usize = 4096;

/// Directions weaker than this, relative to the strongest, are dropped.
const NEGLIGIBLE: f64 = 1e-9;

/// Turns both sides into the balanced singular gauge: with `U·Vᵀ = A·S·Bᵀ`,
/// `U ← A·√S·c`, `V ← B·√S/c`. With `c = (m/n)^¼` for m and n rows that aren't
/// 0, a factor has the same mean square on both sides.
///
/// Only k × k algebra: from the Grams `UᵀU = QΛQᵀ` comes `R = Λ^½·Qᵀ` of each
/// side; with the singular value decomposition `R_u·R_vᵀ = A·S·Bᵀ`,
/// `U ← U·R_vᵀ·B·S^(−½)·c` and `V ← V·R_uᵀ·A·S^(−½)/c`, which needs no inverse
/// where the rank exceeds the data's.
///
/// # Shapes
/// `u`: `[m, width]`, `v`: `[n, width]`, row-major; the first `rank` columns are
/// turned, the others stay.
///
/// # Source
/// Raiko, Ilin & Karhunen 2007; Ilin & Raiko, JMLR 11 (2010), section 4.3.
pub fn balance(u: &mut [f32], v: &mut [f32], width: usize, rank: usize, c: f64) {
    let grams = [&*u, &*v].map(|x| gram(x, width, rank));
    balance_by(&grams, u, v, width, c);
}

/// As [`balance`], where the Grams of all rows are known and these may be some of them.
pub(crate) fn balance_by(grams: &[DMatrix<f64>; 2], u: &mut [f32], v: &mut [f32], width: usize, c: f64) {
    let (root_u, root_v) = rayon::join(|| root(&grams[0]), || root(&grams[1]));
    let svd = (&root_u * root_v.transpose()).svd(true, true);
    let (Some(a), Some(b_t)) = (svd.u, svd.v_t) else { return };
    let largest = svd.singular_values.max();
    let shrink = svd.singular_values.map(|s| if s > NEGLIGIBLE * largest { s.powf(-0.5) } else { 0.0 });
    let shrink = DMatrix::from_diagonal(&shrink);
    let mut turn_u = root_v.transpose() * b_t.transpose() * &shrink * c;
    let mut turn_v = root_u.transpose() * a * shrink / c;
    // A factor may be turned around on both sides at once: rounding must not decide it.
    for (mut u, mut v) in turn_u.column_iter_mut().zip(turn_v.column_iter_mut()) {
        if u[u.icamax()] < 0.0 {
            u.neg_mut();
            v.neg_mut();
        }
    }
    rayon::join(|| turn(u, width, &turn_u), || turn(v, width, &turn_v));
}

/// The singular values of `U·Vᵀ`, greatest first, from its factors' Grams as in [`balance`].
///
/// Values below about 1e-8 of the greatest are rounding.
///
/// # Shapes
/// `u`: `[m, rank]`, `v`: `[n, rank]`, row-major; `[rank]` values, all 0 where a side has no row.
#[cfg(feature = "report")]
pub(crate) fn singular_values(u: &[f32], v: &[f32], rank: usize) -> Vec<f64> {
    let (root_u, root_v) = rayon::join(|| root(&gram(u, rank, rank)), || root(&gram(v, rank, rank)));
    let values = (root_u * root_v.transpose()).singular_values();
    let mut values: Vec<f64> = values.iter().copied().collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values
}

/// `XᵀX` of the first `rank` columns, in f64.
pub(crate) fn gram(x: &[f32], width: usize, rank: usize) -> DMatrix<f64> {
    gram_of(&sum_of(&gram_parts(x, width, rank, BLOCK), gram_len(rank)), rank)
}

/// Elements of one part of [`gram_parts`].
pub(crate) fn gram_len(rank: usize) -> usize {
    rank * rank.next_multiple_of(DOUBLES)
}

/// What each block of `rows` rows adds to [`gram`], `[blocks, gram_len(rank)]`.
pub(crate) fn gram_parts(x: &[f32], width: usize, rank: usize, rows: usize) -> Vec<f64> {
    let padded = rank.next_multiple_of(DOUBLES);
    let blocks: Vec<Vec<f64>> =
        x.par_chunks(rows * width).map(|block| simd::run(Gram { block, width, rank, padded })).collect();
    blocks.concat()
}

/// The Gram from the sum of its parts.
pub(crate) fn gram_of(sum: &[f64], rank: usize) -> DMatrix<f64> {
    let padded = rank.next_multiple_of(DOUBLES);
    DMatrix::from_fn(rank, rank, |i, j| sum[i.max(j) * padded + i.min(j)])
}

/// The sum of parts of `len` elements each, in their order.
fn sum_of(parts: &[f64], len: usize) -> Vec<f64> {
    let mut total = vec![0.0; len];
    for part in parts.chunks_exact(len) {
        total.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    total
}

/// Σ x² of each column over each block of `rows` rows, `[blocks, width]`, in f64.
pub(crate) fn column_squares(x: &[f32], width: usize, rows: usize) -> Vec<f64> {
    let blocks = x.par_chunks(rows * width).map(|block| {
        let mut sums = vec![0.0; width];
        for row in block.chunks_exact(width) {
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x).powi(2));
        }
        sums
    });
    blocks.collect::<Vec<_>>().concat()
}

/// The sum of the parts of all processes, `len` elements each, in their order: the same for all.
///
/// # Errors
/// As [`World::all_gather`].
pub(crate) fn sum_over(world: &dyn World, parts: &[f64], len: usize) -> Result<Vec<f64>> {
    Ok(sum_of(&gather(world, parts)?.concat(), len))
}

/// The Gram of some rows: its lower half, and what else is in its vectors.
struct Gram<'a> {
    block: &'a [f32],
    width: usize,
    rank: usize,
    padded: usize,
}

impl WithSimd for Gram<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f64> {
        let Gram { block, width, rank, padded } = self;
        let mut sums = vec![0.0; rank * padded];
        let mut rows = [(); ROWS].map(|()| vec![0.0f64; padded]);
        for group in block.chunks(ROWS * width) {
            rows.iter_mut().for_each(|row| row.fill(0.0));
            for (row, x) in rows.iter_mut().zip(group.chunks_exact(width)) {
                row.iter_mut().zip(&x[..rank]).for_each(|(row, &x)| *row = f64::from(x));
            }
            for (i, sums) in sums.chunks_exact_mut(padded).enumerate() {
                let sums = S::as_mut_simd_f64s(sums).0;
                for (block, sum) in sums.iter_mut().enumerate().take(i / S::F64_LANES + 1) {
                    for row in &rows {
                        let right = S::as_simd_f64s(row).0[block];
                        *sum = simd.mul_add_f64s(simd.splat_f64s(row[i]), right, *sum);
                    }
                }
            }
        }
        sums
    }
}

/// `R` with `RᵀR` the Gram.
fn root(gram: &DMatrix<f64>) -> DMatrix<f64> {
    let eigen = SymmetricEigen::new(gram.clone());
    DMatrix::from_diagonal(&eigen.eigenvalues.map(|l| l.max(0.0).sqrt())) * eigen.eigenvectors.transpose()
}

/// `X ← X·T` on the first columns.
fn turn(x: &mut [f32], width: usize, t: &DMatrix<f64>) {
    let rank = t.nrows();
    // A vector of T's columns after the other, so that each is walked once a group of rows.
    let mut columns = Vec::with_capacity(rank * rank.next_multiple_of(DOUBLES));
    for first in (0..rank).step_by(DOUBLES) {
        for f in 0..rank {
            columns.extend((first..first + DOUBLES).map(|j| if j < rank { t[(f, j)] } else { 0.0 }));
        }
    }
    x.par_chunks_mut(BLOCK / 8 * width).for_each(|block| {
        simd::run(Turn { block, width, rank, columns: &columns });
    });
}

struct Turn<'a> {
    block: &'a mut [f32],
    width: usize,
    rank: usize,
    columns: &'a [f64],
}

impl WithSimd for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Turn { block, width, rank, columns } = self;
        let columns = S::as_simd_f64s(columns).0;
        let mut old = vec![[0.0f64; ROWS]; rank];
        for group in block.chunks_mut(ROWS * width) {
            for (r, row) in group.chunks_exact(width).enumerate() {
                old.iter_mut().zip(row).for_each(|(old, &x)| old[r] = f64::from(x));
            }
            for (vector, columns) in columns.chunks_exact(rank).enumerate() {
                let mut sums = [simd.splat_f64s(0.0); ROWS];
                for (&t, old) in columns.iter().zip(&old) {
                    for (sum, &x) in sums.iter_mut().zip(old) {
                        *sum = simd.mul_add_f64s(simd.splat_f64s(x), t, *sum);
                    }
                }
                let sums: &[f64] = bytemuck::cast_slice(&sums);
                for (row, sums) in group.chunks_exact_mut(width).zip(sums.chunks_exact(DOUBLES)) {
                    for (x, &sum) in row[..rank].iter_mut().skip(vector * DOUBLES).zip(sums) {
                        *x = sum as f32;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::factors;

    fn product(u: &[f32], v: &[f32], width: usize, rank: usize) -> Vec<f64> {
        let dot = |a: &[f32], b: &[f32]| (0..rank).map(|f| f64::from(a[f]) * f64::from(b[f])).sum();
        u.chunks(width).flat_map(|a| v.chunks(width).map(move |b| dot(a, b))).collect()
    }

    #[test]
    fn the_product_stays_and_the_gauge_is_balanced() {
        // Width above the rank, and (the third) a rank above what the rows can hold.
        for (m, n, rank, extra) in [(30, 50, 4, 0), (80, 20, 7, 2), (5, 40, 12, 2), (1, 1, 1, 0)] {
            let (u, v) = factors(3, m, n, rank + extra);
            let width = rank + extra;
            let scale = |x: Vec<f32>| -> Vec<f32> {
                x.iter().enumerate().map(|(i, x)| x * (1 + i % 5) as f32).collect()
            };
            let (mut u, mut v) = (scale(u), scale(v));
            let before = (u.clone(), v.clone());
            let expected = product(&u, &v, width, rank);
            balance(&mut u, &mut v, width, rank, (m as f64 / n as f64).powf(0.25));
            for (x, y) in product(&u, &v, width, rank).iter().zip(&expected) {
                assert!((x - y).abs() < 1e-5, "{x} for {y}");
            }
            for (old, new) in before.0.chunks(width).zip(u.chunks(width)) {
                assert_eq!(old[rank..], new[rank..], "columns beyond the rank stay");
            }
            let (gu, gv) = (gram(&u, width, rank), gram(&v, width, rank));
            for i in 0..rank {
                for j in 0..rank {
                    if i != j {
                        assert!(gu[(i, j)].abs() < 1e-4 && gv[(i, j)].abs() < 1e-4, "orthogonal columns");
                    }
                }
                let (mean_u, mean_v) = (gu[(i, i)] / m as f64, gv[(i, i)] / n as f64);
                assert!((mean_u - mean_v).abs() < 1e-4 * (1.0 + mean_u), "balanced: {mean_u} and {mean_v}");
                assert!(i == 0 || gu[(i, i)] <= gu[(i - 1, i - 1)] + 1e-5, "the strongest first");
            }
        }
    }
}
