//! Ratings by row, by a counting sort on all threads.

use std::sync::atomic::{AtomicU32, Ordering};

use rayon::prelude::*;

use super::sparse::offsets;

/// Ratings that are worth a thread of their own.
const MIN_BLOCK: usize = 1 << 15;

/// Cells by row: of each its column and its value, in the order of the ratings.
///
/// # Shapes
/// `offsets`: `[rows + 1]`; `cells`: `[entries, 2]`.
#[derive(Debug)]
pub(crate) struct Cells {
    offsets: Vec<u64>,
    /// A column and the bits of a value.
    cells: Vec<u32>,
}

impl Cells {
    /// Sorts triples by row.
    pub(crate) fn build(rows: usize, row_of: &[u32], column_of: &[u32], values: &[f32]) -> Self {
        let offsets = offsets(rows, row_of);
        let cells = scatter(&offsets, row_of, column_of, values);
        Self { offsets, cells }
    }

    /// The cells of a row: column and value.
    pub(crate) fn row(&self, row: usize) -> impl ExactSizeIterator<Item = (u32, f32)> {
        let ends = self.offsets.get(row).zip(self.offsets.get(row + 1));
        let (cells, _) = self.cells.as_chunks::<2>();
        let cells = ends.and_then(|(&start, &end)| cells.get(start as usize..end as usize));
        cells.unwrap_or_default().iter().map(|&[column, value]| (column, f32::from_bits(value)))
    }
}

/// Sorts ratings by row and then by their position: the other side's row and the value's bits of
/// each, `[cells, 2]`. `offsets`: where each row's begin, and last their number.
///
/// A counting sort of blocks: each knows where its part of every row begins, so that all write at
/// once, and what they write does not depend on how many they are.
///
/// # Panics
/// If a row is beyond the offsets, or has more ratings than they leave for it.
#[expect(clippy::indexing_slicing, reason = "documented")]
pub(crate) fn scatter(offsets: &[u64], rows: &[u32], others: &[u32], values: &[f32]) -> Vec<u32> {
    let blocks = rayon::current_num_threads().min(rows.len() / MIN_BLOCK).max(1);
    let length = rows.len().div_ceil(blocks).max(1);
    let mut places: Vec<Vec<u64>> = rows
        .par_chunks(length)
        .map(|rows| {
            let mut counts = vec![0u64; offsets.len() - 1];
            rows.iter().for_each(|&row| counts[row as usize] += 1);
            counts
        })
        .collect();
    let mut next = offsets[..offsets.len() - 1].to_vec();
    for counts in &mut places {
        for (count, next) in counts.iter_mut().zip(&mut next) {
            (*count, *next) = (*next, *next + *count);
        }
    }
    // Each is written once: atomic only so that blocks may share the array.
    let cells: Vec<AtomicU32> = bytemuck::zeroed_vec(2 * rows.len());
    let (pairs, _) = cells.as_chunks::<2>();
    let blocks = rows.par_chunks(length).zip(others.par_chunks(length)).zip(values.par_chunks(length));
    blocks.zip(&mut places).for_each(|(((rows, others), values), places)| {
        for ((&row, &other), &value) in rows.iter().zip(others).zip(values) {
            let place = &mut places[row as usize];
            let [column, bits] = &pairs[*place as usize];
            column.store(other, Ordering::Relaxed);
            bits.store(value.to_bits(), Ordering::Relaxed);
            *place += 1;
        }
    });
    cells.into_iter().map(AtomicU32::into_inner).collect()
}
