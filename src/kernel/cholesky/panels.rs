//! The twin in vectors: sixteen rows of a system at a time.
//!
//! `A = LᵀDL`, L a unit lower triangle, from the last row to the first: row k, divided by its
//! pivot, is row k of L, and each row j above it loses `l_kj` times row k. Rows then lie as the
//! systems have them, from column 0 on. A panel of sixteen is eliminated in registers, and what it
//! takes from the rows above is a matrix product. Then `Lᵀ(D L w) = b` in the same order, and
//! `L w` from the first row to the last.

use super::{Params, TINY};
use crate::aligned::Aligned;
use crate::kernel::simd::{LANES, Simd, WithSimd, dot, vectors};
use crate::kernel::tiles::{Factors, Then, copy_vectors, unknown_zero};

/// What a thread works in.
pub(super) struct Scratch {
    /// The system as a square, then L, `[row, row]`: the width rounded up to whole vectors.
    square: Aligned<f32>,
    /// A panel's rows before they are divided, `[LANES, row]`.
    undivided: Aligned<f32>,
    /// b, then D⁻¹L⁻ᵀb, then the solution, `[row]`.
    right: Aligned<f32>,
}

impl Scratch {
    pub(super) fn new(width: usize) -> Self {
        let row = width.next_multiple_of(LANES);
        let zeros = |rows| Aligned::zeros(rows * row);
        Self { square: zeros(row), undivided: zeros(LANES), right: zeros(1) }
    }
}

/// One row's system.
pub(super) struct Solve<'a> {
    pub(super) params: Params,
    pub(super) lambda: f32,
    /// As `normal_equations` leaves it.
    pub(super) system: &'a [f32],
    pub(super) scratch: &'a mut Scratch,
    /// The row's factors: receives the solution.
    pub(super) w: &'a mut [f32],
}

impl WithSimd for Solve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { params, lambda, system, scratch, w } = self;
        let width = params.width as usize;
        let row = width.next_multiple_of(LANES);
        let Scratch { square, undivided, right } = scratch;
        let zero = unknown_zero(simd);
        let mut rest = system;
        for (i, to) in square.chunks_exact_mut(row).take(width).enumerate() {
            // What lies right of the diagonal is read by nobody.
            copy_vectors(simd, zero, rest, i + 1, to);
            rest = &rest[i + 1..];
        }
        right[..width].copy_from_slice(rest);
        let trace: f32 = (0..width).map(|f| square[f * (row + 1)]).sum();
        let rho = lambda.max(params.ridge * trace).max(TINY);
        for (f, &w) in w.iter().enumerate() {
            square[f * (row + 1)] += rho;
            if f != params.frozen as usize {
                right[f] += (rho - lambda) * w;
            }
        }
        for first in (0..width).step_by(LANES).rev() {
            let count = LANES.min(width - first);
            let (above, panel) = square.split_at_mut(first * row);
            let panel = &mut panel[..count * row];
            let undivided = &mut undivided[..count * row];
            eliminate(simd, panel, undivided, first, rho, right);
            let product = Factors { a: panel, b: undivided, stride: row };
            product.triangle(simd, 0..first, first, above, Then::Subtract);
        }
        for (panel, l) in square.chunks(LANES * row).enumerate() {
            substitute(simd, panel, l, right);
        }
        for (k, (w, &x)) in w.iter_mut().zip(right.iter()).enumerate() {
            if k != params.frozen as usize {
                *w = x;
            }
        }
    }
}

/// Turns the rows of a panel from `first` on into those of L, leaves them undivided, too, and
/// brings the right-hand side as far.
#[inline(always)]
fn eliminate<S: Simd>(
    simd: S,
    panel: &mut [f32],
    undivided: &mut [f32],
    first: usize,
    rho: f32,
    right: &mut [f32],
) {
    let row = right.len();
    let count = panel.len() / row;
    let mut l = [[0.0f32; LANES]; LANES];
    let mut pivots = [rho; LANES];
    // The diagonal block; rows beyond the panel's are 0, and stay so.
    let mut block = load::<S>(simd, panel, row, first / LANES);
    // Unrolled, so that the block stays in registers.
    macro_rules! rows {
        ($($k:literal)*) => { $(pivots[$k] = divide::<S, $k>(simd, &mut block, &mut l[$k], rho);)* };
    }
    rows!(15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0);
    for vector in 0..first / LANES {
        let mut block = load::<S>(simd, panel, row, vector);
        for k in (1..LANES).rev() {
            for m in 0..k {
                block[m] = simd.negate_mul_add_f32s(simd.splat_f32s(l[k][m]), block[k], block[m]);
            }
        }
        let rows = panel.chunks_exact_mut(row).zip(undivided.chunks_exact_mut(row));
        for ((panel, undivided), (x, &pivot)) in rows.zip(block.iter().zip(&pivots)) {
            S::as_mut_simd_f32s(undivided).0[vector] = *x;
            S::as_mut_simd_f32s(panel).0[vector] = simd.div_f32s(*x, simd.splat_f32s(pivot));
        }
    }
    for (panel, l) in panel.chunks_exact_mut(row).zip(&l) {
        panel[first..first + LANES].copy_from_slice(l);
    }
    for k in (0..count).rev() {
        let b = right[first + k];
        let l = &vectors::<S>(&panel[k * row..(k + 1) * row])[..=first / LANES];
        let minus_b = simd.splat_f32s(-b);
        for (right, &l) in S::as_mut_simd_f32s(right).0.iter_mut().zip(l) {
            *right = simd.mul_add_f32s(minus_b, l, *right);
        }
    }
    for (right, pivot) in right[first..].iter_mut().zip(pivots).take(count) {
        *right /= pivot;
    }
}

/// Row `K` of a diagonal block becomes one of L, and is taken from the rows above. Returns its pivot.
#[inline(always)]
fn divide<S: Simd, const K: usize>(
    simd: S,
    block: &mut [S::f32s; LANES],
    l: &mut [f32; LANES],
    rho: f32,
) -> f32 {
    let values: [f32; LANES] = bytemuck::cast(block[K]);
    let pivot = values[K].max(rho);
    let divided: [f32; LANES] = bytemuck::cast(simd.div_f32s(block[K], simd.splat_f32s(pivot)));
    for m in 0..K {
        l[m] = divided[m];
        block[m] = simd.negate_mul_add_f32s(simd.splat_f32s(divided[m]), block[K], block[m]);
    }
    pivot
}

/// Takes a panel's part of `L w = z` from z to w, where the panels before it have been.
#[inline(always)]
fn substitute<S: Simd>(simd: S, panel: usize, l: &[f32], right: &mut [f32]) {
    let row = right.len();
    let (before, mine) = right.split_at_mut(panel * LANES);
    let mut sums = [0.0f32; LANES];
    for (sum, l) in sums.iter_mut().zip(l.chunks_exact(row)) {
        *sum = dot(simd, &vectors::<S>(l)[..panel], vectors::<S>(before));
    }
    let mut z: [f32; LANES] = std::array::from_fn(|k| mine[k] - sums[k]);
    for k in 0..LANES {
        // Column by column: sums in a vector's lanes would have to wait for each other.
        for below in k + 1..LANES {
            z[below] -= l[below * row + panel * LANES + k] * z[k];
        }
    }
    mine[..LANES].copy_from_slice(&z);
}

/// A vector of each row of a panel; 0 where it has none.
#[inline(always)]
fn load<S: Simd>(simd: S, panel: &[f32], row: usize, vector: usize) -> [S::f32s; LANES] {
    let mut block = [simd.splat_f32s(0.0); LANES];
    for (to, row) in block.iter_mut().zip(panel.chunks_exact(row)) {
        *to = vectors::<S>(row)[vector];
    }
    block
}

#[cfg(test)]
mod tests {
    use super::super::RIDGE;
    use super::*;
    use crate::kernel::simd::InstructionSet;

    /// The same solution, bit for bit, from every instruction set and from used scratch.
    #[test]
    fn every_instruction_set_finds_the_same_solution() {
        for width in [1, 5, 16, 17, 34, 48, 130] {
            let element = |i: usize| (i as f32 * 0.73).sin() / (width as f32).sqrt();
            let mut system = Vec::new();
            for i in 0..width {
                system.extend((0..=i).map(|j| if i == j { 3.0 } else { element(i * width + j) }));
            }
            system.extend((0..width).map(element));
            let params = Params { first: 0, rows: 1, width: width as u32, frozen: 0, ridge: RIDGE };
            let mut scratch = Scratch::new(width);
            let mut solution = |set: InstructionSet| {
                let mut w = vec![0.5; width];
                let (system, scratch) = (&system[..], &mut scratch);
                set.run(Solve { params, lambda: 0.25, system, scratch, w: &mut w });
                w.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let expected = solution(InstructionSet::Plain);
            for set in InstructionSet::all() {
                assert_eq!(solution(set), expected, "width {width}, {set:?}");
            }
        }
    }
}
