//! Compressed sparse rows, built in parallel with the same result for any number of threads.

use std::mem::replace;
use std::ops::Range;

use rayon::prelude::*;

/// A sparse pattern by rows: the columns of row r are
/// `columns[offsets[r]..offsets[r + 1]]`, ascending.
///
/// With users as rows this is CSR; with the roles swapped, CSC.
///
/// # Shapes
/// `offsets`: `[rows + 1]`; `columns`: `[entries]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compressed {
    /// Where each row begins, and last the number of entries.
    pub offsets: Vec<u64>,
    /// Column of each entry.
    pub columns: Vec<u32>,
}

impl Default for Compressed {
    fn default() -> Self {
        Self { offsets: vec![0], columns: Vec::new() }
    }
}

/// One task's rows with the part of the output that is theirs.
struct Band<'a> {
    rows: Range<usize>,
    keys: &'a mut [u64],
    columns: &'a mut [u32],
}

/// Positions that a task looks at before it scatters those of its rows.
const GLANCE: usize = 1 << 10;

impl Compressed {
    /// Sorts triples by row, then by column, then by their position.
    ///
    /// Returns the pattern and its `order`: entry p of the pattern is triple
    /// `order[p]` of the source (see [`gather`] for its values).
    ///
    /// # Shapes
    /// `row_of`, `column_of`, `order`: `[entries]`; `row_of < rows`.
    ///
    /// # Panics
    /// If the lengths differ or a row is out of range.
    pub fn build(rows: usize, row_of: &[u32], column_of: &[u32]) -> (Self, Vec<u64>) {
        assert_eq!(row_of.len(), column_of.len(), "one row and one column for each entry");
        let offsets = offsets(rows, row_of);
        let mut columns = vec![0; row_of.len()];
        let mut order = vec![0; row_of.len()];
        // Each task scans every row number and keeps those in its band: more
        // reading, but sequential, and no two tasks write to one place.
        if row_of.len() as u64 <= 1 << 32 {
            bands(&offsets, &mut order, &mut columns).into_par_iter().for_each(|band| {
                band.sort(&offsets, row_of, column_of);
            });
        } else {
            bands(&offsets, &mut order, &mut columns).into_par_iter().for_each(|band| {
                band.sort_many(&offsets, row_of, column_of);
            });
        }
        (Self { offsets, columns }, order)
    }

    /// Whether a row has a column twice, among triples as [`build`](Self::build) takes them: what that
    /// would show, for less time and memory.
    #[expect(clippy::indexing_slicing, reason = "`count` has seen every row, and columns are below theirs")]
    pub(super) fn repeats(rows: usize, columns: usize, row_of: &[u32], column_of: &[u32]) -> bool {
        let offsets = offsets(rows, row_of);
        let mut by_row = vec![0_u32; row_of.len()];
        bands(&offsets, &mut [], &mut by_row).into_par_iter().any(|band| {
            let Band { rows, columns: by_row, .. } = band;
            let base = offsets[rows.start];
            let mut next = starts(&offsets, &rows);
            within(&rows, row_of, |row, position| {
                by_row[next[row]] = column_of[position];
                next[row] += 1;
            });
            // The row, counted from 1, in which each column was met last.
            let mut met = vec![0_u32; columns];
            rows.into_iter().zip(1..).any(|(row, number)| {
                let range = (offsets[row] - base) as usize..(offsets[row + 1] - base) as usize;
                by_row[range].iter().any(|&column| replace(&mut met[column as usize], number) == number)
            })
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Where the entries of a row lie.
    ///
    /// # Panics
    /// If `row` is not below [`Compressed::rows`].
    #[expect(clippy::indexing_slicing, reason = "documented")]
    pub fn range(&self, row: usize) -> Range<usize> {
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }

    /// The columns of a row, ascending.
    ///
    /// # Panics
    /// If `row` is not below [`Compressed::rows`].
    #[expect(clippy::indexing_slicing, reason = "documented")]
    pub fn row(&self, row: usize) -> &[u32] {
        &self.columns[self.range(row)]
    }
}

impl Band<'_> {
    /// Puts the entries of the rows in their order.
    ///
    /// A key is a column and a position, 32 bits each: it is scattered in one piece, and compared in one.
    #[expect(clippy::indexing_slicing, reason = "`count` has seen every row, and the offsets are its sums")]
    fn sort(self, offsets: &[u64], row_of: &[u32], column_of: &[u32]) {
        let Band { rows, keys, columns } = self;
        let base = offsets[rows.start];
        let mut next = starts(offsets, &rows);
        within(&rows, row_of, |row, position| {
            keys[next[row]] = u64::from(column_of[position]) << 32 | position as u64;
            next[row] += 1;
        });
        for row in rows {
            let range = (offsets[row] - base) as usize..(offsets[row + 1] - base) as usize;
            let keys = &mut keys[range.clone()];
            if !keys.is_sorted() {
                keys.sort_unstable();
            }
            for (column, key) in columns[range].iter_mut().zip(keys) {
                *column = (*key >> 32) as u32;
                *key &= u64::from(u32::MAX);
            }
        }
    }

    /// The same for more entries than 32 bits can tell apart.
    #[expect(clippy::indexing_slicing, reason = "`count` has seen every row, and the offsets are its sums")]
    fn sort_many(self, offsets: &[u64], row_of: &[u32], column_of: &[u32]) {
        let Band { rows, keys: order, columns } = self;
        let base = offsets[rows.start];
        let mut next = starts(offsets, &rows);
        within(&rows, row_of, |row, position| {
            order[next[row]] = position as u64;
            next[row] += 1;
        });
        for row in rows {
            let range = (offsets[row] - base) as usize..(offsets[row + 1] - base) as usize;
            let order = &mut order[range.clone()];
            order.sort_unstable_by_key(|&position| (column_of[position as usize], position));
            for (column, &position) in columns[range].iter_mut().zip(&*order) {
                *column = column_of[position as usize];
            }
        }
    }
}

/// Calls `each` with every entry of these rows: its row, counted from the first of them, and its
/// position, in the order of positions.
fn within(rows: &Range<usize>, row_of: &[u32], mut each: impl FnMut(usize, usize)) {
    let (first, count) = (rows.start as u32, rows.len() as u32);
    let mut mine = [(0_u32, 0_u32); GLANCE];
    for (part, start) in row_of.chunks(GLANCE).zip((0..).step_by(GLANCE)) {
        // Without a branch that no processor can foresee.
        let mut found = 0;
        for (&row, at) in part.iter().zip(0..) {
            let row = row.wrapping_sub(first);
            if let Some(place) = mine.get_mut(found) {
                *place = (row, at);
            }
            found += usize::from(row < count);
        }
        for &(row, at) in mine.iter().take(found) {
            each(row as usize, start + at as usize);
        }
    }
}

/// Where each of these rows begins, counted from the first of them.
#[expect(clippy::indexing_slicing, reason = "there is an offset behind every row")]
fn starts(offsets: &[u64], rows: &Range<usize>) -> Vec<usize> {
    let base = offsets[rows.start];
    offsets[rows.clone()].iter().map(|start| (start - base) as usize).collect()
}

/// Where the entries of each row begin, and last their number.
fn offsets(rows: usize, row_of: &[u32]) -> Vec<u64> {
    let mut offsets = Vec::with_capacity(rows + 1);
    let mut total = 0;
    offsets.push(0);
    offsets.extend(count(rows, row_of).into_iter().map(|n| {
        total += n;
        total
    }));
    offsets
}

/// `values` in the order of a pattern: entry p is `values[order[p]]`.
///
/// # Panics
/// If there are fewer `values` than the pattern was built of.
#[expect(clippy::indexing_slicing, reason = "documented")]
pub fn gather<T: Copy + Send + Sync>(order: &[u64], values: &[T]) -> Vec<T> {
    order.par_iter().map(|&position| values[position as usize]).collect()
}

/// How often each of `0..rows` occurs in `row_of`; panics if another does.
#[expect(clippy::indexing_slicing, reason = "indices of ids that exist")]
pub(crate) fn count(rows: usize, row_of: &[u32]) -> Vec<u64> {
    let tally = |part: &[u32]| {
        let mut counts = vec![0_u64; rows];
        for &row in part {
            counts[row as usize] += 1;
        }
        counts
    };
    // Whole numbers: the sum is the same however the parts are cut.
    let part = row_of.len().div_ceil(rayon::current_num_threads()).max(1 << 16).max(rows);
    let added = row_of.par_chunks(part).map(tally).reduce_with(|mut a, b| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        a
    });
    added.unwrap_or_else(|| vec![0; rows])
}

/// Cuts the rows into one band for each thread, of about as many entries each. `keys` may be empty.
#[expect(clippy::indexing_slicing, reason = "bands end at a row, or behind the last")]
fn bands<'a>(offsets: &[u64], mut keys: &'a mut [u64], mut columns: &'a mut [u32]) -> Vec<Band<'a>> {
    let (rows, entries) = (offsets.len() - 1, columns.len() as u64);
    let wanted = if entries < 1 << 14 { 1 } else { rayon::current_num_threads() as u64 };
    let mut bands = Vec::new();
    let mut start = 0;
    for band in 1..=wanted {
        let goal = (u128::from(entries) * u128::from(band) / u128::from(wanted)) as u64;
        let balanced = offsets.partition_point(|&offset| offset < goal).clamp(start, rows);
        let end = if band == wanted { rows } else { balanced };
        let taken = (offsets[end] - offsets[start]) as usize;
        let (left, right) = (columns.split_at_mut(taken), keys.split_at_mut(taken.min(keys.len())));
        bands.push(Band { rows: start..end, keys: right.0, columns: left.0 });
        (columns, keys) = (left.1, right.1);
        start = end;
    }
    bands
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn naive(rows: usize, row_of: &[u32], column_of: &[u32]) -> (Compressed, Vec<u64>) {
        let mut order: Vec<u64> = (0..row_of.len() as u64).collect();
        order.sort_by_key(|&p| (row_of[p as usize], column_of[p as usize]));
        let columns = order.iter().map(|&p| column_of[p as usize]).collect();
        let before = |row| row_of.iter().filter(|&&r| (r as usize) < row).count() as u64;
        (Compressed { offsets: (0..=rows).map(before).collect(), columns }, order)
    }

    fn random(seed: u64, rows: u32, columns: u32, entries: usize) -> (Vec<u32>, Vec<u32>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let skewed = |rng: &mut ChaCha8Rng, n: u32| {
            let most = rng.random_range(0..n);
            rng.random_range(0..=most)
        };
        (0..entries).map(|_| (skewed(&mut rng, rows), skewed(&mut rng, columns))).unzip()
    }

    #[test]
    fn equals_the_naive_construction() {
        for (seed, (rows, columns, entries)) in
            [(1, 1, 1), (5, 3, 40), (40, 5, 10), (7, 900, 3_000), (60, 50, 20_000), (3, 2, 0)]
                .into_iter()
                .enumerate()
        {
            let (row_of, column_of) = random(seed as u64, rows, columns, entries);
            let built = Compressed::build(rows as usize, &row_of, &column_of);
            let expected = naive(rows as usize, &row_of, &column_of);
            assert_eq!(built, expected, "{rows}×{columns}, {entries}");
            // The way of more entries than a test can have.
            let (offsets, order, mut many) = (&expected.0.offsets, &expected.1, built.clone());
            many.0.columns.fill(9);
            many.1.fill(9);
            for band in bands(offsets, &mut many.1, &mut many.0.columns) {
                band.sort_many(offsets, &row_of, &column_of);
            }
            assert_eq!((&many.0.columns, &many.1), (&expected.0.columns, order));
        }
    }

    #[test]
    fn repeats_are_found_wherever_they_are() {
        for seed in 0..60 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (rows, columns) = (rng.random_range(1..300), rng.random_range(60..900));
            let entries = rng.random_range(0..40_000).min(rows * columns) as usize;
            // Distinct pairs in any order, by a step that has no factor in common with their number.
            let (cells, step) = (u64::from(rows * columns), 1_000_003);
            let (mut row_of, mut column_of): (Vec<u32>, Vec<u32>) = (0..entries as u64)
                .map(|p| ((p * step % cells) as u32 / columns, (p * step % cells) as u32 % columns))
                .unzip();
            let found = |row_of: &[u32], column_of: &[u32]| {
                Compressed::repeats(rows as usize, columns as usize, row_of, column_of)
            };
            assert!(!found(&row_of, &column_of), "seed {seed}");
            if entries > 1 {
                let (from, to) = (rng.random_range(0..entries), rng.random_range(0..entries - 1));
                let to = to + usize::from(to >= from);
                (row_of[to], column_of[to]) = (row_of[from], column_of[from]);
                assert!(found(&row_of, &column_of), "seed {seed}");
            }
        }
        assert!(!Compressed::repeats(0, 0, &[], &[]));
    }

    #[test]
    fn one_thread_and_four_agree() {
        let (row_of, column_of) = random(11, 3_000, 800, 300_000);
        let build = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| (Compressed::build(3_000, &row_of, &column_of), count(3_000, &row_of)))
        };
        let one = build(1);
        assert_eq!(one, build(4));
        assert_eq!(one, build(7));
        assert_eq!(one.0, naive(3_000, &row_of, &column_of));
    }

    #[test]
    fn a_row_with_half_of_all_entries_and_rows_without_any() {
        let entries = 40_000;
        let row_of: Vec<u32> = (0..entries).map(|p| if p % 2 == 0 { 6 } else { p % 5 }).collect();
        let column_of: Vec<u32> = (0..entries).map(|p| entries - p).collect();
        let (pattern, order) = Compressed::build(9, &row_of, &column_of);
        assert_eq!(pattern.row(6).len(), entries as usize / 2);
        assert!(pattern.row(5).is_empty() && pattern.row(7).is_empty() && pattern.row(8).is_empty());
        assert_eq!((pattern.rows(), pattern.len()), (9, entries as usize));
        assert_eq!(gather(&order, &column_of), pattern.columns);
        assert_eq!(&pattern.columns[pattern.range(6)], pattern.row(6));
    }

    #[test]
    fn equal_pairs_keep_their_order() {
        let (_, order) = Compressed::build(2, &[1, 0, 1, 1], &[3, 3, 3, 2]);
        assert_eq!(order, [1, 3, 0, 2]);
    }
}
