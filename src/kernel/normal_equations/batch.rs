//! The twin in vectors: `XᵀX` of a batch of cells at a time, in register tiles.

use super::{Params, stride};
use crate::kernel::simd::{Simd, WithSimd, padded};
use crate::kernel::tiles::{Factors, TILE_ROWS, Then, copy_vectors, unknown_zero};

/// Cells whose rows lie side by side in a core's first cache.
const CELLS: usize = 32;

/// What a thread works in.
pub(super) struct Scratch {
    /// Rows `[x, y, 0…]` of a batch, `[CELLS, padded(width + 1)]`.
    stage: Vec<f32>,
    /// The system as a square, whose last row is the right-hand side.
    square: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(width: usize) -> Self {
        let row = padded(width + 1);
        let rows = (width + 1).next_multiple_of(TILE_ROWS);
        Self { stage: vec![0.0; CELLS * row], square: vec![0.0; rows * row] }
    }
}

/// One row's system.
pub(super) struct System<'a> {
    pub(super) params: Params,
    /// Column of each of the row's cells.
    pub(super) columns: &'a [u32],
    /// Place of each cell's rating; `None` where `ratings` are those of the cells.
    pub(super) order: Option<&'a [u32]>,
    pub(super) ratings: &'a [f32],
    /// The row's factors.
    pub(super) w: &'a [f32],
    pub(super) others: &'a [f32],
    pub(super) scratch: &'a mut Scratch,
    pub(super) system: &'a mut [f32],
}

impl WithSimd for System<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { params, columns, order, ratings, w, others, scratch, system } = self;
        let width = params.width as usize;
        let row = padded(width + 1);
        let rows = (width + 1).next_multiple_of(TILE_ROWS);
        debug_assert_eq!(system.len(), stride(width));
        if columns.is_empty() {
            if params.accumulate == 0 {
                system.fill(0.0);
            }
            return;
        }
        let zero = unknown_zero(simd);
        for (batch, columns) in columns.chunks(CELLS).enumerate() {
            let first = batch * CELLS;
            for (c, (stage, &column)) in scratch.stage.chunks_exact_mut(row).zip(columns).enumerate() {
                // What lies behind x and y only gets into sums that nobody reads.
                copy_vectors(simd, zero, &others[column as usize * width..], width, stage);
                stage[width] = match order {
                    Some(order) => ratings[order[first + c] as usize],
                    None => ratings[first + c],
                };
                if let Some(&w) = w.get(params.frozen as usize) {
                    stage[width] -= w * std::mem::take(&mut stage[params.frozen as usize]);
                }
            }
            let x = &scratch.stage[..columns.len() * row];
            let product = Factors { a: x, b: x, stride: row };
            let then = if batch == 0 { Then::Store } else { Then::Add };
            product.triangle(simd, 0..rows, width, &mut scratch.square, then);
        }
        let mut rest = system;
        for (i, sums) in scratch.square.chunks_exact(row).take(width + 1).enumerate() {
            let len = (i + 1).min(width);
            if params.accumulate == 0 {
                // The next row overwrites what follows this one.
                copy_vectors(simd, zero, sums, len, rest);
            } else {
                rest.iter_mut().zip(&sums[..len]).for_each(|(to, sum)| *to += sum);
            }
            rest = &mut rest[len..];
        }
    }
}
