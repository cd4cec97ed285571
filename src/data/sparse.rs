//! Compressed sparse rows, built in parallel with the same result for any number of threads.

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
    columns: &'a mut [u32],
    order: &'a mut [u64],
}

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
        let mut offsets = Vec::with_capacity(rows + 1);
        let mut total = 0;
        offsets.push(0);
        offsets.extend(count(rows, row_of).into_iter().map(|n| {
            total += n;
            total
        }));

        let mut columns = vec![0; row_of.len()];
        let mut order = vec![0; row_of.len()];
        // Each task scans every row number and keeps those in its band: more
        // reading, but sequential, and no two tasks write to one place.
        bands(&offsets, &mut columns, &mut order).into_par_iter().for_each(|band| {
            band.scatter(&offsets, row_of, column_of);
        });
        (Self { offsets, columns }, order)
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
    #[expect(clippy::indexing_slicing, reason = "`count` has seen every row, and the offsets are its sums")]
    fn scatter(self, offsets: &[u64], row_of: &[u32], column_of: &[u32]) {
        let Band { rows, columns, order } = self;
        let base = offsets[rows.start];
        let mut next: Vec<u64> = offsets[rows.clone()].iter().map(|start| start - base).collect();
        for (position, &row) in row_of.iter().enumerate() {
            if rows.contains(&(row as usize)) {
                let slot = &mut next[row as usize - rows.start];
                columns[*slot as usize] = column_of[position];
                order[*slot as usize] = position as u64;
                *slot += 1;
            }
        }
        let mut entries: Vec<(u32, u64)> = Vec::new();
        for row in rows {
            let range = (offsets[row] - base) as usize..(offsets[row + 1] - base) as usize;
            let (columns, order) = (&mut columns[range.clone()], &mut order[range]);
            // Entries of a row come by position, so equal columns are in order already.
            if !columns.is_sorted() {
                entries.clear();
                entries.extend(columns.iter().copied().zip(order.iter().copied()));
                entries.sort_unstable();
                for (entry, (column, position)) in columns.iter_mut().zip(order.iter_mut()).zip(&entries) {
                    *entry.0 = *column;
                    *entry.1 = *position;
                }
            }
        }
    }
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

/// Cuts the rows into one band for each thread, of about as many entries each.
#[expect(clippy::indexing_slicing, reason = "bands end at a row, or behind the last")]
fn bands<'a>(offsets: &[u64], mut columns: &'a mut [u32], mut order: &'a mut [u64]) -> Vec<Band<'a>> {
    let (rows, entries) = (offsets.len() - 1, columns.len() as u64);
    let wanted = if entries < 1 << 14 { 1 } else { rayon::current_num_threads() as u64 };
    let mut bands = Vec::new();
    let mut start = 0;
    for band in 1..=wanted {
        let goal = (u128::from(entries) * u128::from(band) / u128::from(wanted)) as u64;
        let balanced = offsets.partition_point(|&offset| offset < goal).clamp(start, rows);
        let end = if band == wanted { rows } else { balanced };
        let taken = (offsets[end] - offsets[start]) as usize;
        let (left, right) = (columns.split_at_mut(taken), order.split_at_mut(taken));
        bands.push(Band { rows: start..end, columns: left.0, order: right.0 });
        (columns, order) = (left.1, right.1);
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
            assert_eq!(built, naive(rows as usize, &row_of, &column_of), "{rows}×{columns}, {entries}");
        }
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
