//! The twin in vectors: the visits of one block.

use super::{Cells, Params, Part, STATE, Step};
use crate::kernel::simd::{Simd, WithSimd};

/// A block's cells and the rows and columns that nobody else touches meanwhile.
pub(super) struct Walk<'a> {
    pub(super) params: Params,
    pub(super) cells: Cells<'a>,
    pub(super) rows: Part<'a>,
    pub(super) columns: Part<'a>,
}

impl WithSimd for Walk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Loops over the usual ranks are unrolled.
        match self.params.rank {
            16 => self.walk::<S, 16>(simd),
            32 => self.walk::<S, 32>(simd),
            64 => self.walk::<S, 64>(simd),
            128 => self.walk::<S, 128>(simd),
            _ => self.walk::<S, 0>(simd),
        }
    }
}

impl Walk<'_> {
    /// `RANK` is the rank, or 0 where it is not known.
    #[inline(always)]
    fn walk<S: Simd, const RANK: usize>(self, simd: S) {
        let Self { params, cells, mut rows, mut columns } = self;
        let width = params.width as usize;
        let rank = if RANK > 0 { RANK } else { params.rank as usize };
        for at in cells.walk(&params) {
            let row = rows.row(cells.rows[at], width);
            let column = columns.row(cells.columns[at], width);
            visit(simd, &params, rank, cells.ratings[at], row, column);
        }
    }
}

/// One rating's step on its row and its column, both from their old values.
#[inline(always)]
fn visit<S: Simd>(
    simd: S,
    params: &Params,
    rank: usize,
    rating: f32,
    (u, row_state): (&mut [f32], &mut [f32; STATE]),
    (v, column_state): (&mut [f32], &mut [f32; STATE]),
) {
    let (u, u_extra) = u.split_at_mut(rank);
    let (v, v_extra) = v.split_at_mut(rank);
    let (u, u_rest) = S::as_mut_simd_f32s(u);
    let (v, v_rest) = S::as_mut_simd_f32s(v);
    let mut sums = [simd.splat_f32s(0.0); 3];
    for (&u, &v) in u.iter().zip(&*v) {
        add_products(simd, &mut sums, u, v);
    }
    if !u_rest.is_empty() {
        add_products(simd, &mut sums, simd.partial_load_f32s(u_rest), simd.partial_load_f32s(v_rest));
    }
    let [uv, uu, vv] = sums;
    let products = [simd.reduce_sum_f32s(uv), simd.reduce_sum_f32s(uu), simd.reduce_sum_f32s(vv)];
    let step = params.step(rank, rating, products, (u_extra, row_state), (v_extra, column_state));
    for (u, v) in u.iter_mut().zip(v) {
        (*u, *v) = step_both(simd, *u, *v, step);
    }
    if !u_rest.is_empty() {
        let (x, y) = (simd.partial_load_f32s(u_rest), simd.partial_load_f32s(v_rest));
        let (x, y) = step_both(simd, x, y, step);
        simd.partial_store_f32s(u_rest, x);
        simd.partial_store_f32s(v_rest, y);
    }
}

/// Adds `u·v`, `u·u` and `v·v`, lane by lane.
#[inline(always)]
fn add_products<S: Simd>(simd: S, sums: &mut [S::f32s; 3], u: S::f32s, v: S::f32s) {
    let [uv, uu, vv] = *sums;
    *sums = [simd.mul_add_f32s(u, v, uv), simd.mul_add_f32s(u, u, uu), simd.mul_add_f32s(v, v, vv)];
}

/// `u + s·(e·v − λ·u)` and `v + t·(e·u − μ·v)`.
#[inline(always)]
fn step_both<S: Simd>(simd: S, u: S::f32s, v: S::f32s, (e, own, other): Step) -> (S::f32s, S::f32s) {
    (step(simd, u, v, e, own), step(simd, v, u, e, other))
}

#[inline(always)]
fn step<S: Simd>(simd: S, x: S::f32s, y: S::f32s, e: f32, (rate, penalty): (f32, f32)) -> S::f32s {
    let pull = simd.mul_f32s(simd.splat_f32s(e), y);
    let gradient = simd.negate_mul_add_f32s(simd.splat_f32s(penalty), x, pull);
    simd.mul_add_f32s(simd.splat_f32s(rate), gradient, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::simd::InstructionSet;

    /// The same factors, bit for bit, from every instruction set, for ranks with and without a rest.
    #[test]
    fn every_instruction_set_takes_the_same_steps() {
        let (rows, columns) = (9, 7);
        for (rank, biased) in
            [(1, true), (16, false), (16, true), (32, true), (37, true), (64, true), (130, false)]
        {
            let width = if biased { rank + 2 } else { rank };
            let element = |i: usize| (i as f32 * 0.73).sin() / (rank as f32).sqrt();
            let cells = rows * columns;
            let row_of: Vec<u32> = (0..cells).map(|p| (p / columns) as u32).collect();
            let column_of: Vec<u32> = (0..cells).map(|p| (p % columns) as u32).collect();
            let ratings: Vec<f32> = (0..cells).map(|p| (p as f32).cos()).collect();
            let params = Params {
                diagonal: 0,
                blocks: 1,
                width: width as u32,
                rank: rank as u32,
                stride: 1_073_741_827,
                start: 5,
                rate: 0.2,
                adagrad: 1,
            };
            let bits = |set: InstructionSet| {
                let mut factors: Vec<f32> = (0..(rows + columns) * width).map(element).collect();
                let mut state = [0.01, 1.0, 1.0].repeat(rows + columns);
                let (u, v) = factors.split_at_mut(rows * width);
                let (row_state, column_state) = state.split_at_mut(rows * STATE);
                set.run(Walk {
                    params,
                    cells: Cells { rows: &row_of, columns: &column_of, ratings: &ratings },
                    rows: Part { first: 0, factors: u, state: row_state },
                    columns: Part { first: 0, factors: v, state: column_state },
                });
                factors.into_iter().chain(state).map(f32::to_bits).collect::<Vec<_>>()
            };
            let expected = bits(InstructionSet::Plain);
            for set in InstructionSet::all() {
                assert_eq!(bits(set), expected, "rank {rank}, biased {biased}, {set:?}");
            }
        }
    }
}
