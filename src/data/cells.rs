//! Ratings by row, by a counting sort on all threads.

use std::mem::replace;
use std::sync::atomic::{AtomicU32, Ordering};

use rayon::prelude::*;

use super::held::Known;
use super::ratings::{Ratings, Stats};

/// Ratings that are worth a thread of their own.
const MIN_BLOCK: usize = 1 << 15;

/// What training needs of its ratings: sorted by user and by item, and their distribution.
#[derive(Debug)]
pub(crate) struct Layout {
    /// A row is a user, a column an item.
    pub(crate) by_user: Cells,
    /// A row is an item, a column a user.
    pub(crate) by_item: Cells,
    /// The ratings in numbers.
    pub(crate) stats: Stats,
}

impl Layout {
    /// Sorts ratings both ways.
    pub(crate) fn of(ratings: &Ratings) -> Self {
        let Ratings { users, items, user, item, value, .. } = ratings;
        Self {
            by_user: Cells::build(users.len(), user, item, value),
            by_item: Cells::build(items.len(), item, user, value),
            stats: ratings.stats(),
        }
    }

    /// Who has ratings.
    pub(crate) fn known(&self) -> Known {
        Known { user_counts: self.by_user.counts(), item_counts: self.by_item.counts() }
    }
}

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
    /// Sorts triples by row and then by their position.
    ///
    /// A counting sort of blocks: each knows where its part of every row begins, so that all write at
    /// once, and what they write does not depend on how many they are.
    ///
    /// # Panics
    /// If there is a row beyond `rows`.
    #[expect(clippy::indexing_slicing, reason = "documented, and every place is below the entries' number")]
    pub(crate) fn build(rows: usize, row_of: &[u32], column_of: &[u32], values: &[f32]) -> Self {
        let blocks = blocks(rows, row_of.len(), rayon::current_num_threads());
        let length = row_of.len().div_ceil(blocks).max(1);
        let count = |row_of: &[u32]| {
            let mut counts = vec![0_u64; rows];
            row_of.iter().for_each(|&row| counts[row as usize] += 1);
            counts
        };
        // How many of each row a block has; then where they begin.
        let mut places: Vec<Vec<u64>> = row_of.par_chunks(length).map(count).collect();
        let mut offsets = Vec::with_capacity(rows + 1);
        let mut total = 0;
        for row in 0..rows {
            offsets.push(total);
            for places in &mut places {
                total += replace(&mut places[row], total);
            }
        }
        offsets.push(total);
        // Each is written once: atomic only so that blocks may share the array.
        let cells: Vec<AtomicU32> = bytemuck::zeroed_vec(2 * row_of.len());
        let (pairs, _) = cells.as_chunks::<2>();
        let blocks =
            row_of.par_chunks(length).zip(column_of.par_chunks(length)).zip(values.par_chunks(length));
        blocks.zip(&mut places).for_each(|(((rows, columns), values), places)| {
            for ((&row, &column), &value) in rows.iter().zip(columns).zip(values) {
                let place = &mut places[row as usize];
                let [to, bits] = &pairs[*place as usize];
                to.store(column, Ordering::Relaxed);
                bits.store(value.to_bits(), Ordering::Relaxed);
                *place += 1;
            }
        });
        Self { offsets, cells: cells.into_iter().map(AtomicU32::into_inner).collect() }
    }

    /// Where each row's cells begin, and last their number, `[rows + 1]`.
    pub(crate) fn offsets(&self) -> &[u64] {
        &self.offsets
    }

    /// Cells of each row, `[rows]`.
    pub(crate) fn counts(&self) -> Vec<u64> {
        self.offsets.iter().skip(1).zip(&self.offsets).map(|(end, start)| end - start).collect()
    }

    /// The cells of a row: a column and the bits of a value each.
    pub(crate) fn row(&self, row: usize) -> &[[u32; 2]] {
        let ends = self.offsets.get(row).zip(self.offsets.get(row + 1));
        let (cells, _) = self.cells.as_chunks::<2>();
        ends.and_then(|(&start, &end)| cells.get(start as usize..end as usize)).unwrap_or_default()
    }

    /// The cells alone, `[entries, 2]`, with other values for theirs.
    pub(crate) fn with_values(self, value: impl Fn(f32) -> f32 + Sync) -> Vec<u32> {
        let mut cells = self.cells;
        cells.as_chunks_mut::<2>().0.par_iter_mut().with_min_len(MIN_BLOCK).for_each(|[_, bits]| {
            *bits = value(f32::from_bits(*bits)).to_bits();
        });
        cells
    }
}

/// Blocks of entries: each counts all rows, and all counts together are no more than the entries.
fn blocks(rows: usize, entries: usize, threads: usize) -> usize {
    threads.min(entries / MIN_BLOCK).min(entries / rows.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_takes_no_more_memory_than_what_is_counted() {
        assert_eq!(blocks(6_000, 1_000_000, 4), 4);
        assert_eq!(blocks(6_000, 1_000_000, 64), 30);
        for (rows, entries) in [(0, 0), (1, 1), (10_000_000, 40_000_000), (50_000_000, 40_000_000)] {
            for threads in [1, 2, 8, 256] {
                let blocks = blocks(rows, entries, threads);
                assert!((1..=threads).contains(&blocks) && (blocks == 1 || blocks * rows <= entries));
            }
        }
    }
}
