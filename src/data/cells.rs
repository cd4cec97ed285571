//! Ratings by row, by a counting sort on all threads.

use std::mem::replace;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use rayon::prelude::*;

use super::held::Known;
use super::ratings::{Ratings, Stats};
use crate::world::{Share, blocks};

/// Ratings that are worth a thread of their own.
const MIN_BLOCK: usize = 1 << 15;

/// What training needs of its ratings: sorted by user and by item, and their distribution.
#[derive(Debug)]
pub(crate) struct Layout {
    /// A row is a user, a column an item.
    pub(crate) by_user: Cells,
    /// A row is an item, a column a user: a row's cells in the order of the users.
    pub(crate) by_item: Cells,
    /// The ratings in numbers.
    pub(crate) stats: Stats,
    /// Users of a user block, see [`blocks`].
    pub(crate) block: usize,
    /// Ratings of each item, `[items]`: where users are shared out, of all of them.
    pub(crate) item_counts: Vec<u64>,
}

impl Layout {
    /// Sorts ratings both ways.
    pub(crate) fn of(ratings: &Ratings) -> Self {
        let Ratings { users, items, user, item, value, .. } = ratings;
        let (by_user, stats) =
            rayon::join(|| Cells::build(users.len(), user, item, value), || ratings.stats());
        let by_item = by_user.transposed(items.len());
        let item_counts = by_item.counts();
        Self { by_user, by_item, stats, block: blocks(users.len(), stats.count), item_counts }
    }

    /// As [`Layout::of`], or of the ratings of a share of all users.
    pub(crate) fn with(ratings: &Ratings, share: Option<&Share>) -> Self {
        let Some(share) = share else { return Self::of(ratings) };
        let &Share { stats, block, ref item_counts, .. } = share;
        Self { stats, block, item_counts: item_counts.clone(), ..Self::of(ratings) }
    }

    /// Who has ratings.
    pub(crate) fn known(&self) -> Known {
        Known { user_counts: self.by_user.counts(), item_counts: self.item_counts.clone() }
    }
}

/// The cells of an item by the user blocks that they are of, in their order; blocks without are left out.
pub(crate) fn by_block(cells: &[[u32; 2]], block: usize) -> impl Iterator<Item = &[[u32; 2]]> {
    let mut rest = cells;
    std::iter::from_fn(move || {
        let &[first, _] = rest.first()?;
        let end = (first as usize / block + 1).saturating_mul(block);
        let (mine, others) = rest.split_at(rest.partition_point(|&[user, _]| (user as usize) < end));
        rest = others;
        Some(mine)
    })
}

/// Cells by row: of each its column and its value.
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
    /// # Panics
    /// If there is a row beyond `rows`.
    pub(crate) fn build(rows: usize, row_of: &[u32], column_of: &[u32], values: &[f32]) -> Self {
        let length = row_of.len().div_ceil(parts(rows, row_of.len(), rayon::current_num_threads())).max(1);
        let columns = row_of.par_chunks(length).zip(column_of.par_chunks(length));
        let triples: Vec<_> = columns.zip(values.par_chunks(length)).collect();
        Self::sorted(rows, row_of.len(), &triples, |((rows, columns), values)| {
            let pairs = rows.iter().zip(*columns).zip(*values);
            pairs.map(|((&row, &column), &value)| (row, [column, value.to_bits()]))
        })
    }

    /// The same cells by column: a column's in the order of the rows.
    ///
    /// # Panics
    /// If there is a column beyond `columns`.
    pub(crate) fn transposed(&self, columns: usize) -> Self {
        self.transposed_rows(0..self.offsets.len() - 1, columns)
    }

    /// As [`Cells::transposed`], of some rows alone, whose numbers stay.
    ///
    /// # Panics
    /// If there is a column beyond `columns`, or a row of `rows` that there is not.
    #[expect(clippy::indexing_slicing, reason = "documented")]
    pub(crate) fn transposed_rows(&self, rows: Range<usize>, columns: usize) -> Self {
        let offsets = &self.offsets[rows.start..=rows.end];
        let (first, entries) = (offsets[0], offsets[rows.len()] - offsets[0]);
        let pieces = parts(columns, entries as usize, rayon::current_num_threads());
        let bound = |piece: usize| {
            let at = first + entries * piece as u64 / pieces as u64;
            let row =
                if piece == pieces { rows.len() } else { offsets.partition_point(|&offset| offset < at) };
            rows.start + row.min(rows.len())
        };
        let ranges: Vec<_> = (0..pieces).map(|piece| bound(piece)..bound(piece + 1)).collect();
        Self::sorted(columns, entries as usize, &ranges, |range| {
            let cells = range.clone().map(|row| (row as u32, self.row(row)));
            cells.flat_map(|(row, cells)| cells.iter().map(move |&[column, bits]| (column, [row, bits])))
        })
    }

    /// Sorts the entries of parts by row, and then by their order.
    ///
    /// A counting sort: each part knows where its own of every row begin, so that all write at
    /// once, and what they write does not depend on how many they are.
    #[expect(clippy::indexing_slicing, reason = "documented, and every place is below the entries' number")]
    fn sorted<'p, P: Sync, E: Iterator<Item = (u32, [u32; 2])>>(
        rows: usize,
        entries: usize,
        parts: &'p [P],
        entries_of: impl Fn(&'p P) -> E + Sync,
    ) -> Self {
        let count = |part| {
            let mut counts = vec![0_u64; rows];
            entries_of(part).for_each(|(row, _)| counts[row as usize] += 1);
            counts
        };
        // How many of each row a part has; then where they begin.
        let mut places: Vec<Vec<u64>> = parts.par_iter().map(count).collect();
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
        let cells: Vec<AtomicU32> = bytemuck::zeroed_vec(2 * entries);
        let (pairs, _) = cells.as_chunks::<2>();
        parts.par_iter().zip(&mut places).for_each(|(part, places)| {
            for (row, [column, value]) in entries_of(part) {
                let place = &mut places[row as usize];
                let [to, bits] = &pairs[*place as usize];
                to.store(column, Ordering::Relaxed);
                bits.store(value, Ordering::Relaxed);
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

/// Parts of entries: each counts all rows, and all counts together are no more than the entries.
fn parts(rows: usize, entries: usize, threads: usize) -> usize {
    threads.min(entries / MIN_BLOCK).min(entries / rows.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_cells_of_an_item_are_in_the_order_of_users() {
        for (seed, count) in [(1, 0), (2, 1), (3, 500), (4, 70_000)] {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut draw =
                |most: u32| -> Vec<u32> { (0..count).map(|_| rng.random_range(0..most)).collect() };
            let (users, items) = (draw(300), draw(70));
            let values: Vec<f32> = (0..count).map(|p| p as f32).collect();
            let by_user = Cells::build(301, &users, &items, &values);
            let by_item = by_user.transposed(71);
            let mut all: Vec<usize> = (0..count).collect();
            all.sort_by_key(|&p| (items[p], users[p]));
            let sorted: Vec<[u32; 2]> = all.iter().map(|&p| [users[p], values[p].to_bits()]).collect();
            let rows: Vec<[u32; 2]> = (0..71).flat_map(|item| by_item.row(item).to_vec()).collect();
            assert_eq!(rows, sorted);
            for item in 0..71 {
                let row = by_item.row(item);
                let blocks: Vec<&[[u32; 2]]> = by_block(row, 64).collect();
                assert_eq!(blocks.concat(), row);
                for block in &blocks {
                    assert!(block.iter().all(|cell| cell[0] / 64 == block[0][0] / 64));
                }
                assert!(blocks.is_sorted_by(|a, b| a[0][0] / 64 < b[0][0] / 64));
            }
        }
    }

    #[test]
    fn counting_takes_no_more_memory_than_what_is_counted() {
        assert_eq!(parts(6_000, 1_000_000, 4), 4);
        assert_eq!(parts(6_000, 1_000_000, 64), 30);
        for (rows, entries) in [(0, 0), (1, 1), (10_000_000, 40_000_000), (50_000_000, 40_000_000)] {
            for threads in [1, 2, 8, 256] {
                let parts = parts(rows, entries, threads);
                assert!((1..=threads).contains(&parts) && (parts == 1 || parts * rows <= entries));
            }
        }
    }
}
