//! Compressed sparse rows, built in parallel with the same result for any number of threads.

use std::mem::replace;
use std::ops::Range;

use rayon::prelude::*;

use super::cells::Cells;

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

/// Words of 64 columns that are looked through in the time that sorting takes for a column.
const BITS_PAY: usize = 8;

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
        let offsets = offsets(&count(rows, row_of));
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

    /// The pattern alone, of cells whose columns are below `columns`, no two of a row the same.
    #[expect(clippy::indexing_slicing, reason = "documented: a word for each column")]
    pub(crate) fn pattern(cells: &Cells, columns: usize) -> Self {
        let offsets = cells.offsets().to_vec();
        let mut all = vec![0; offsets.last().map_or(0, |&entries| entries as usize)];
        bands(&offsets, &mut [], &mut all).into_par_iter().for_each(|band| {
            // A bit for each column of the row.
            let mut bits = vec![0_u64; columns.div_ceil(64)];
            for (place, row) in rows_of(&offsets, &band.rows).zip(band.rows.clone()) {
                let (from, to) = (cells.row(row), band.columns.get_mut(place).unwrap_or_default());
                if from.len() * BITS_PAY < bits.len() {
                    to.iter_mut().zip(from).for_each(|(to, &[column, _])| *to = column);
                    to.sort_unstable();
                    continue;
                }
                from.iter().for_each(|&[column, _]| bits[column as usize / 64] |= 1 << (column % 64));
                let mut to = to.iter_mut();
                for (word, first) in bits.iter_mut().zip((0..).step_by(64)) {
                    while *word != 0 {
                        to.next().into_iter().for_each(|to| *to = first + word.trailing_zeros());
                        *word &= *word - 1;
                    }
                }
            }
        });
        Self { offsets, columns: all }
    }

    /// Whether a row has a column twice, among triples as [`build`](Self::build) takes them: what that
    /// would show, for less time and memory.
    #[expect(clippy::indexing_slicing, reason = "`count` has seen every row, and columns are below theirs")]
    pub(super) fn repeats(rows: usize, columns: usize, row_of: &[u32], column_of: &[u32]) -> bool {
        let offsets = offsets(&count(rows, row_of));
        let mut by_row = vec![0_u32; row_of.len()];
        bands(&offsets, &mut [], &mut by_row).into_par_iter().any(|band| {
            let (rows, by_row) = (band.rows.clone(), band.scatter(&offsets, row_of, column_of));
            // The row, counted from 1, in which each column was met last.
            let mut met = vec![0_u32; columns];
            rows_of(&offsets, &rows).zip(1..).any(|(row, number)| {
                by_row[row].iter().any(|&column| replace(&mut met[column as usize], number) == number)
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

impl<'a> Band<'a> {
    /// Puts the columns of the rows' entries in the order of rows, and of positions in a row.
    #[expect(clippy::indexing_slicing, reason = "`count` has seen every row, and the offsets are its sums")]
    fn scatter(self, offsets: &[u64], row_of: &[u32], column_of: &[u32]) -> &'a mut [u32] {
        let Band { rows, columns, .. } = self;
        let mut next = starts(offsets, &rows);
        within(&rows, row_of, |row, position| {
            columns[next[row]] = column_of[position];
            next[row] += 1;
        });
        columns
    }

    /// Puts the keys of the rows' entries in the order of rows and columns. A key is a column and, behind
    /// it, what the entry brings along: it is scattered in one piece, and compared in one.
    #[expect(clippy::indexing_slicing, reason = "`count` has seen every row, and the offsets are its sums")]
    fn sort_keys(
        self,
        offsets: &[u64],
        row_of: &[u32],
        column_of: &[u32],
        with: impl Fn(usize) -> u32,
    ) -> (&'a mut [u64], &'a mut [u32]) {
        let Band { rows, keys, columns } = self;
        let mut next = starts(offsets, &rows);
        within(&rows, row_of, |row, position| {
            keys[next[row]] = u64::from(column_of[position]) << 32 | u64::from(with(position));
            next[row] += 1;
        });
        for row in rows_of(offsets, &rows) {
            let keys = &mut keys[row];
            if !keys.is_sorted() {
                keys.sort_unstable();
            }
        }
        (keys, columns)
    }

    /// Puts the entries of the rows in their order; there are at most 2³².
    fn sort(self, offsets: &[u64], row_of: &[u32], column_of: &[u32]) {
        let (keys, columns) = self.sort_keys(offsets, row_of, column_of, |position| position as u32);
        for (column, key) in columns.iter_mut().zip(keys) {
            *column = (*key >> 32) as u32;
            *key &= u64::from(u32::MAX);
        }
    }

    /// The same for more entries than 32 bits can tell apart.
    #[expect(clippy::indexing_slicing, reason = "`count` has seen every row, and the offsets are its sums")]
    fn sort_many(self, offsets: &[u64], row_of: &[u32], column_of: &[u32]) {
        let Band { rows, keys: order, columns } = self;
        let mut next = starts(offsets, &rows);
        within(&rows, row_of, |row, position| {
            order[next[row]] = position as u64;
            next[row] += 1;
        });
        for row in rows_of(offsets, &rows) {
            let order = &mut order[row.clone()];
            order.sort_unstable_by_key(|&position| (column_of[position as usize], position));
            for (column, &position) in columns[row].iter_mut().zip(&*order) {
                *column = column_of[position as usize];
            }
        }
    }
}

/// Where the entries of each of these rows lie, counted from the first of them.
#[expect(clippy::indexing_slicing, reason = "there is an offset behind every row")]
fn rows_of(offsets: &[u64], rows: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let offsets = &offsets[rows.start..=rows.end];
    let base = offsets[0];
    offsets.windows(2).map(move |row| (row[0] - base) as usize..(row[1] - base) as usize)
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

/// Where the entries of each row begin, and last their number, `[rows + 1]`.
pub(crate) fn offsets(counts: &[u64]) -> Vec<u64> {
    let mut total = 0;
    let ends = counts.iter().map(|n| {
        total += n;
        total
    });
    std::iter::once(0).chain(ends).collect()
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

/// Cuts the rows into one band for each thread, of about as many entries each. `keys` or `columns` may
/// be empty.
#[expect(clippy::indexing_slicing, reason = "bands end at a row, or behind the last")]
fn bands<'a>(offsets: &[u64], mut keys: &'a mut [u64], mut columns: &'a mut [u32]) -> Vec<Band<'a>> {
    let rows = offsets.len() - 1;
    let entries = offsets[rows];
    let wanted = if entries < 1 << 14 { 1 } else { rayon::current_num_threads() as u64 };
    let mut bands = Vec::new();
    let mut start = 0;
    for band in 1..=wanted {
        let goal = (u128::from(entries) * u128::from(band) / u128::from(wanted)) as u64;
        let balanced = offsets.partition_point(|&offset| offset < goal).clamp(start, rows);
        let end = if band == wanted { rows } else { balanced };
        let taken = (offsets[end] - offsets[start]) as usize;
        let left = keys.split_at_mut(taken.min(keys.len()));
        let right = columns.split_at_mut(taken.min(columns.len()));
        bands.push(Band { rows: start..end, keys: left.0, columns: right.0 });
        (keys, columns) = (left.1, right.1);
        start = end;
    }
    bands
}

#[cfg(test)]
mod tests;
