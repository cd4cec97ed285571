//! The cells of a tile cut into B × B blocks, for methods that visit one cell
//! after another: the blocks of a diagonal share no row and no column, so they
//! can be visited side by side, and the result is that of visiting them in turn.

use std::ops::Range;

use rand::seq::SliceRandom;

use super::Cells;

/// The cells of a tile, block by block.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocks {
    /// B: blocks of the rows, and of the columns.
    pub count: usize,
    /// First row of each block of rows, then the number of rows, `[B + 1]`.
    pub rows: Vec<u32>,
    /// First column of each block of columns, then the number of columns, `[B + 1]`.
    pub columns: Vec<u32>,
    /// First cell of block (r, c) at `r·B + c`, then the number of cells, `[B² + 1]`.
    pub offsets: Vec<u32>,
    /// The cells.
    pub cells: Cells,
}

impl Blocks {
    /// Cells of the largest block.
    pub fn largest(&self) -> u32 {
        self.offsets.windows(2).map(|ends| ends[1] - ends[0]).max().unwrap_or(0)
    }

    /// Cuts rows and columns into `count` contiguous ranges of about as many
    /// cells each, and sorts the cells into the blocks. Inside a block they
    /// keep their order.
    ///
    /// `cells` are fewer than 2³²; their rows are below `rows`, their columns
    /// below `columns`; `count` is at least 1.
    pub fn cut(cells: &Cells, rows: usize, columns: usize, count: usize) -> Self {
        let row_bounds = balance(&cells.rows, rows, count);
        let column_bounds = balance(&cells.columns, columns, count);
        let (row_block, column_block) = (owners(&row_bounds), owners(&column_bounds));
        let block = |p: usize| {
            row_block[cells.rows[p] as usize] as usize * count
                + column_block[cells.columns[p] as usize] as usize
        };
        let mut offsets = vec![0u32; count * count + 1];
        for p in 0..cells.ratings.len() {
            offsets[block(p) + 1] += 1;
        }
        for b in 0..count * count {
            offsets[b + 1] += offsets[b];
        }
        let mut next = offsets.clone();
        let mut sorted = Cells {
            rows: vec![0; cells.rows.len()],
            columns: vec![0; cells.rows.len()],
            ratings: vec![0.0; cells.rows.len()],
        };
        for p in 0..cells.ratings.len() {
            let slot = &mut next[block(p)];
            let to = *slot as usize;
            *slot += 1;
            sorted.rows[to] = cells.rows[p];
            sorted.columns[to] = cells.columns[p];
            sorted.ratings[to] = cells.ratings[p];
        }
        Self { count, rows: row_bounds, columns: column_bounds, offsets, cells: sorted }
    }

    /// Where the cells of block (row, column) lie.
    pub fn block(&self, row: usize, column: usize) -> Range<usize> {
        let b = row * self.count + column;
        self.offsets[b] as usize..self.offsets[b + 1] as usize
    }

    /// Brings the cells of each block into an order drawn from `rng`.
    pub fn shuffle(&mut self, rng: &mut impl rand::Rng) {
        let mut block = Vec::new();
        for pair in self.offsets.windows(2) {
            let range = pair[0] as usize..pair[1] as usize;
            let Cells { rows, columns, ratings } = &mut self.cells;
            let (rows, columns, ratings) =
                (&mut rows[range.clone()], &mut columns[range.clone()], &mut ratings[range]);
            block.clear();
            block.extend(rows.iter().zip(&*columns).zip(&*ratings).map(|((&r, &c), &y)| (r, c, y)));
            block.shuffle(rng);
            for (i, &(row, column, rating)) in block.iter().enumerate() {
                (rows[i], columns[i], ratings[i]) = (row, column, rating);
            }
        }
    }

    /// The bounds of rows, columns and cells in one array: the table of
    /// [`crate::kernel::sgd_diagonal`].
    pub fn table(&self) -> Vec<u32> {
        [&self.rows[..], &self.columns, &self.offsets].concat()
    }
}

/// Cuts `0..length` into ranges of about as many indices each: their bounds, `[count + 1]`.
fn balance(indices: &[u32], length: usize, count: usize) -> Vec<u32> {
    let mut before = vec![0u64; length + 1];
    for &index in indices {
        before[index as usize + 1] += 1;
    }
    for i in 0..length {
        before[i + 1] += before[i];
    }
    let total = before[length];
    let mut bounds = vec![0u32];
    for block in 1..count as u64 {
        let goal = total * block / count as u64;
        // Of the two bounds around the goal, the nearer.
        let above = before.partition_point(|&n| n < goal);
        let nearer =
            if above > 0 && goal - before[above - 1] < before[above] - goal { above - 1 } else { above };
        bounds.push((nearer as u32).max(bounds[block as usize - 1]));
    }
    bounds.push(length as u32);
    bounds
}

/// The range that each index is in.
fn owners(bounds: &[u32]) -> Vec<u32> {
    let ranges = bounds.windows(2).enumerate();
    ranges.flat_map(|(i, pair)| std::iter::repeat_n(i as u32, (pair[1] - pair[0]) as usize)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Distinct cells in random order, numbered by their ratings. Low indices
    /// have most of them, and row 0 is full.
    fn skewed(rows: usize, columns: usize, seed: u64) -> Cells {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut pairs = Vec::new();
        for row in 0..rows {
            for column in 0..columns {
                let chance = 2.0 / (1.0 + row as f64 * 0.2 + column as f64 * 0.3);
                if row == 0 || rng.random_bool(chance.min(1.0)) {
                    pairs.push((row as u32, column as u32));
                }
            }
        }
        pairs.shuffle(&mut rng);
        Cells {
            rows: pairs.iter().map(|p| p.0).collect(),
            columns: pairs.iter().map(|p| p.1).collect(),
            ratings: (0..pairs.len()).map(|p| p as f32).collect(),
        }
    }

    fn cases() -> Vec<(Cells, Blocks)> {
        let mut cases = Vec::new();
        for (seed, (rows, columns)) in
            [(1, 1), (1, 50), (50, 1), (7, 5), (60, 90), (200, 40)].into_iter().enumerate()
        {
            let cells = skewed(rows, columns, seed as u64);
            for count in [1, 2, 3, 7, 20] {
                let mut blocks = Blocks::cut(&cells, rows, columns, count);
                cases.push((cells.clone(), blocks.clone()));
                blocks.shuffle(&mut ChaCha8Rng::seed_from_u64(9));
                cases.push((cells.clone(), blocks));
            }
        }
        cases
    }

    #[test]
    fn the_blocks_of_a_diagonal_share_no_row_and_no_column() {
        for (_, blocks) in cases() {
            for diagonal in 0..blocks.count {
                let (mut rows, mut columns) = (BTreeSet::new(), BTreeSet::new());
                for row in 0..blocks.count {
                    let cells = blocks.block(row, (row + diagonal) % blocks.count);
                    let mine: BTreeSet<u32> = blocks.cells.rows[cells.clone()].iter().copied().collect();
                    assert!(mine.is_disjoint(&rows), "a row twice on diagonal {diagonal}");
                    rows.extend(mine);
                    let mine: BTreeSet<u32> = blocks.cells.columns[cells].iter().copied().collect();
                    assert!(mine.is_disjoint(&columns), "a column twice on diagonal {diagonal}");
                    columns.extend(mine);
                }
            }
        }
    }

    #[test]
    fn the_diagonals_have_every_cell_once_and_within_its_bounds() {
        for (cells, blocks) in cases() {
            let mut seen = vec![0; cells.ratings.len()];
            for diagonal in 0..blocks.count {
                for row in 0..blocks.count {
                    let column = (row + diagonal) % blocks.count;
                    for p in blocks.block(row, column) {
                        let (r, c) = (blocks.cells.rows[p], blocks.cells.columns[p]);
                        assert!((blocks.rows[row]..blocks.rows[row + 1]).contains(&r));
                        assert!((blocks.columns[column]..blocks.columns[column + 1]).contains(&c));
                        let number = blocks.cells.ratings[p] as usize;
                        assert_eq!((r, c), (cells.rows[number], cells.columns[number]));
                        seen[number] += 1;
                    }
                }
            }
            assert!(seen.iter().all(|&n| n == 1));
            assert_eq!(blocks.table().len(), crate::kernel::sgd_diagonal::table_len(blocks.count));
        }
    }

    #[test]
    fn cells_keep_their_order_until_they_are_shuffled() {
        let cells = skewed(60, 90, 3);
        let mut blocks = Blocks::cut(&cells, 60, 90, 4);
        let ascending =
            |blocks: &Blocks, b: usize| blocks.cells.ratings[blocks.block(b / 4, b % 4)].is_sorted();
        assert!((0..16).all(|b| ascending(&blocks, b)));
        let before = blocks.clone();
        blocks.shuffle(&mut ChaCha8Rng::seed_from_u64(1));
        assert!((0..16).all(|b| !ascending(&blocks, b)));
        let mut other = before.clone();
        other.shuffle(&mut ChaCha8Rng::seed_from_u64(2));
        assert_ne!(blocks, other, "the seed counts");
        assert_eq!(Blocks::cut(&cells, 60, 90, 1).cells, cells);
    }

    #[test]
    fn ranges_have_about_as_many_cells_each() {
        let cells = skewed(200, 40, 5);
        let blocks = Blocks::cut(&cells, 200, 40, 5);
        for (bounds, indices, length) in
            [(&blocks.rows, &cells.rows, 200usize), (&blocks.columns, &cells.columns, 40)]
        {
            let mut counts = vec![0; length];
            indices.iter().for_each(|&index| counts[index as usize] += 1);
            let most: usize = *counts.iter().max().unwrap();
            for pair in bounds.windows(2) {
                let held: usize = counts[pair[0] as usize..pair[1] as usize].iter().sum();
                // A range can't be nearer to its share than half an index at either end.
                assert!(held.abs_diff(indices.len() / 5) <= most + 1, "{held} of {}", indices.len());
            }
            assert!(bounds[1] < length as u32 / 5, "the first indices have most of the cells");
        }
    }
}
