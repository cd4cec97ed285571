//! The twin in vectors: `XᵀX` of a batch of cells at a time, in register tiles.

use super::{Params, stride};
use crate::aligned::Aligned;
use crate::kernel::simd::{LANES, Simd, WithSimd};
use crate::kernel::tiles::{Factors, TILE_ROWS, Then, copy_vectors, unknown_zero};

/// Cells whose rows lie side by side in a core's first cache.
const CELLS: usize = 32;

/// What a thread works in.
pub(super) struct Scratch {
    /// Rows `[x, y, 0…]` of a batch, `[CELLS, row]`.
    stage: Aligned<f32>,
    /// The system as a square, whose last row is the right-hand side.
    square: Aligned<f32>,
}

impl Scratch {
    pub(super) fn new(width: usize) -> Self {
        let row = (width + 1).next_multiple_of(LANES);
        let rows = (width + 1).next_multiple_of(TILE_ROWS);
        Self { stage: Aligned::zeros(CELLS * row), square: Aligned::zeros(rows * row) }
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
        let row = (width + 1).next_multiple_of(LANES);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::simd::InstructionSet;

    /// The same sums, bit for bit, from every instruction set, for widths around those of a vector
    /// and a tile and for as many cells as fill one batch, two, and a part of a third.
    #[test]
    fn every_instruction_set_adds_up_the_same_system() {
        for (width, cells) in [(1, 1), (7, 31), (16, 32), (34, 70), (49, 5), (130, 64)] {
            let element = |i: usize| (i as f32 * 0.73).sin();
            let others: Vec<f32> = (0..20 * width).map(element).collect();
            let columns: Vec<u32> = (0..cells).map(|c| (c * 7 % 20) as u32).collect();
            let ratings: Vec<f32> = (0..cells).map(|c| element(c + 3)).collect();
            let w: Vec<f32> = (0..width).map(|f| element(f + 11)).collect();
            let params = Params {
                first: 0,
                rows: 1,
                width: width as u32,
                frozen: width as u32 - 1,
                ordered: 0,
                accumulate: 0,
            };
            let sums = |set: InstructionSet| {
                let mut system = vec![f32::NAN; stride(width)];
                set.run(System {
                    params,
                    columns: &columns,
                    order: None,
                    ratings: &ratings,
                    w: &w,
                    others: &others,
                    scratch: &mut Scratch::new(width),
                    system: &mut system,
                });
                system.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let expected = sums(InstructionSet::Plain);
            for set in InstructionSet::all() {
                assert_eq!(sums(set), expected, "width {width}, {cells} cells, {set:?}");
            }
        }
    }
}
