//! The observed cells cut into tiles, so that every array fits one buffer.
//!
//! Users and items are cut into shards by index range. A tile is the cells of
//! one user shard and one item shard, with indices local to the shards: one
//! dispatch binds a tile and the two shards' factors.

use std::ops::Range;

use rayon::prelude::*;

use crate::backend::Backend;
use crate::data::Compressed;
use crate::error::{Error, Result};

/// How users and items are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shards {
    /// Ranges of users, in order, covering all.
    pub users: Vec<Range<usize>>,
    /// Ranges of items, in order, covering all.
    pub items: Vec<Range<usize>>,
}

/// What a device sets bounds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a buffer.
    pub bytes: u64,
    /// Cells of a row in one tile.
    pub row: usize,
    /// Cells of a tile.
    pub cells: usize,
}

/// Cells of one tile in CSR order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cells {
    /// User of each cell, from the shard's first, `[cells]`.
    pub rows: Vec<u32>,
    /// Item of each cell, from the shard's first, `[cells]`.
    pub columns: Vec<u32>,
    /// Target of each cell, `[cells]`.
    pub ratings: Vec<f32>,
}

/// One tile of the training cells, ready for the products over CSR and CSC.
#[derive(Debug, Clone, PartialEq)]
pub struct Tile {
    /// Its user shard.
    pub user_shard: usize,
    /// Its item shard.
    pub item_shard: usize,
    /// The cells in CSR order.
    pub cells: Cells,
    /// Where each user's cells begin in CSR order, `[users of the shard + 1]`.
    pub user_offsets: Vec<u32>,
    /// Where each item's cells begin in CSC order, `[items of the shard + 1]`.
    pub item_offsets: Vec<u32>,
    /// User of each cell in CSC order, `[cells]`.
    pub item_columns: Vec<u32>,
    /// Place in CSR order of each cell in CSC order, `[cells]`.
    pub item_order: Vec<u32>,
}

impl Shards {
    /// Cuts users and items so that factors `[rows, width]`, offsets and every
    /// tile's cells are within the limits.
    ///
    /// `by_user`: the pattern of the training cells, without duplicates.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if one row of factors exceeds a buffer.
    pub fn plan(by_user: &Compressed, items: usize, width: usize, limits: &Limits) -> Result<Self> {
        let users = by_user.rows();
        let (rows, cells) = Self::most(width, limits)?;
        let items = even(items, rows);
        let users = if by_user.len() <= cells {
            even(users, rows)
        } else {
            Self::cut_users(by_user, &items, rows, cells)
        };
        Ok(Self { users, items })
    }

    /// All users in one, and all items.
    pub(super) fn whole([users, items]: [usize; 2]) -> Self {
        Self { users: even(users, users.max(1)), items: even(items, items.max(1)) }
    }

    /// The most rows of a shard and cells of a tile.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if one row of factors exceeds a buffer.
    pub(super) fn most(width: usize, limits: &Limits) -> Result<(usize, usize)> {
        let max_bytes = limits.bytes;
        // An offsets array has one element more than rows, so a row costs at least that.
        let rows = (max_bytes / 4 / width as u64).min((max_bytes / 4).saturating_sub(1));
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        if rows == 0 {
            return Err(Error::OutOfMemory {
                what: "one row of factors exceeds a buffer".to_owned(),
                needed: width as u64 * 4,
                available: format!("{max_bytes} a buffer"),
                remedy: "pass a smaller --rank".to_owned(),
            });
        }
        // A row has no more cells in a tile than the other side's shard has rows.
        let cells = usize::try_from(max_bytes / 4).unwrap_or(usize::MAX).min(limits.cells.max(1));
        let rows = rows.min(limits.row.max(1)).min(cells);
        Ok((rows, cells))
    }

    /// Closes a user shard when a user more would overfill it or one of its tiles.
    fn cut_users(
        by_user: &Compressed,
        items: &[Range<usize>],
        rows: usize,
        cells: usize,
    ) -> Vec<Range<usize>> {
        let users = by_user.rows();
        let mut shards = Vec::new();
        let mut first = 0;
        let mut filled = vec![0usize; items.len()];
        for user in 0..users {
            let counts: Vec<usize> = split_row(by_user.row(user), items).map(|part| part.len()).collect();
            let full = filled.iter().zip(&counts).any(|(have, more)| have + more > cells);
            if user > first && (full || user - first == rows) {
                shards.push(first..user);
                first = user;
                filled.fill(0);
            }
            for (have, more) in filled.iter_mut().zip(counts) {
                *have += more;
            }
        }
        shards.push(first..users);
        shards
    }

    /// Cuts cells, given by global indices, into tiles in row-major order of the shards.
    pub fn scatter(&self, user: &[u32], item: &[u32], ratings: &[f32]) -> Vec<(usize, usize, Cells)> {
        let mut tiles = vec![Cells::default(); self.users.len() * self.items.len()];
        for ((&user, &item), &rating) in user.iter().zip(item).zip(ratings) {
            let (a, row) = locate(&self.users, user);
            let (b, column) = locate(&self.items, item);
            let tile = &mut tiles[a * self.items.len() + b];
            tile.rows.push(row);
            tile.columns.push(column);
            tile.ratings.push(rating);
        }
        let items = self.items.len();
        tiles.into_iter().enumerate().map(|(i, cells)| (i / items, i % items, cells)).collect()
    }

    /// Cuts the training cells into tiles; tiles without cells are left out.
    ///
    /// `ratings`: target of each cell in the order of `by_user`.
    pub fn tiles(&self, by_user: &Compressed, ratings: &[f32]) -> Vec<Tile> {
        let pairs: Vec<(usize, usize)> =
            (0..self.users.len()).flat_map(|a| (0..self.items.len()).map(move |b| (a, b))).collect();
        pairs
            .into_par_iter()
            .map(|(a, b)| self.tile(a, b, by_user, ratings))
            .filter(|tile| !tile.cells.ratings.is_empty())
            .collect()
    }

    fn tile(&self, a: usize, b: usize, by_user: &Compressed, ratings: &[f32]) -> Tile {
        let (users, items) = (self.users[a].clone(), self.items[b].clone());
        let mut cells = Cells::default();
        let mut user_offsets = Vec::with_capacity(users.len() + 1);
        user_offsets.push(0);
        for user in users.clone() {
            let row = by_user.row(user);
            let part = if self.items.len() == 1 { 0..row.len() } else { between(row, &items) };
            let start = by_user.offsets[user] as usize;
            cells.columns.extend(row[part.clone()].iter().map(|&item| item - items.start as u32));
            cells.ratings.extend_from_slice(&ratings[start + part.start..start + part.end]);
            cells.rows.resize(cells.columns.len(), (user - users.start) as u32);
            user_offsets.push(cells.columns.len() as u32);
        }
        let (by_item, order) = Compressed::build(items.len(), &cells.columns, &cells.rows);
        Tile {
            user_shard: a,
            item_shard: b,
            user_offsets,
            item_offsets: by_item.offsets.iter().map(|&offset| offset as u32).collect(),
            item_columns: by_item.columns,
            item_order: order.into_iter().map(|place| place as u32).collect(),
            cells,
        }
    }
}

/// The most cells of a row in one tile: an f32 sum of many more would lose the
/// small ones among them.
const MAX_ROW_CELLS: u64 = 1 << 17;

/// The most cells that a row may have in one tile on this device.
///
/// `rows`: users and items together; `cell_loops`: loop iterations of one
/// invocation for a cell of its row.
///
/// # Errors
/// [`Error::Device`] if the device can't run loops as long as these data need.
pub(super) fn longest_row(
    rows: usize,
    width: usize,
    cell_loops: u64,
    backend: &dyn Backend,
) -> Result<usize> {
    // The longest loop over rows: mask_alpha's over blocks of 64, for each column of a lane.
    let over_rows = (rows as u64 / 64 + 2) * width.div_ceil(64) as u64;
    if over_rows > backend.max_loop() {
        return Err(Error::device(
            format!("{}: a software adapter can't train {rows} users and items", backend.describe()),
            "pass --device cpu",
        ));
    }
    let cells = MAX_ROW_CELLS.min(backend.max_loop() / cell_loops.max(1));
    Ok(usize::try_from(cells).unwrap_or(usize::MAX))
}

/// The most cells that one dispatch may work through on this device; at least 1.
///
/// `cell_work`: work of a cell.
pub(super) fn most_cells(cell_work: u64, backend: &dyn Backend) -> usize {
    usize::try_from(backend.max_work() / cell_work.max(1)).unwrap_or(usize::MAX).max(1)
}

/// Cuts `0..count` into the fewest ranges of at most `most`, evenly; at least one range.
pub(super) fn even(count: usize, most: usize) -> Vec<Range<usize>> {
    let pieces = count.div_ceil(most).max(1);
    (0..pieces).map(|i| i * count / pieces..(i + 1) * count / pieces).collect()
}

/// The places in an ascending row whose columns lie in the range.
fn between(row: &[u32], columns: &Range<usize>) -> Range<usize> {
    let below = |bound: usize| row.partition_point(|&column| (column as usize) < bound);
    below(columns.start)..below(columns.end)
}

fn split_row<'a>(row: &'a [u32], items: &'a [Range<usize>]) -> impl Iterator<Item = Range<usize>> + 'a {
    items.iter().map(|range| between(row, range))
}

/// The shard that holds an index, and the index within it.
fn locate(shards: &[Range<usize>], index: u32) -> (usize, u32) {
    let shard = shards.partition_point(|range| range.end <= index as usize);
    (shard, index - shards[shard].start as u32)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A random pattern of distinct cells with one full row.
    fn pattern(users: usize, items: usize, seed: u64) -> Compressed {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut rows = Vec::new();
        let mut columns = Vec::new();
        for user in 0..users {
            for item in 0..items {
                if user == users / 2 || rng.random_bool(0.2) {
                    rows.push(user as u32);
                    columns.push(item as u32);
                }
            }
        }
        Compressed::build(users, &rows, &columns).0
    }

    fn within(bytes: u64) -> Limits {
        Limits { bytes, row: usize::MAX, cells: usize::MAX }
    }

    #[test]
    fn no_tile_has_more_cells_than_it_may() {
        for (seed, (users, items)) in [(1, 1), (40, 30), (9, 200), (200, 9)].into_iter().enumerate() {
            let by_user = pattern(users, items, seed as u64);
            let ratings = vec![1.0; by_user.len()];
            for cells in [1, 2, 7, 50, 10_000] {
                let limits = Limits { cells, ..within(1 << 20) };
                let shards = Shards::plan(&by_user, items, 4, &limits).unwrap();
                let tiles = shards.tiles(&by_user, &ratings);
                assert!(tiles.iter().all(|tile| tile.cells.ratings.len() <= cells), "{users}x{items}");
                assert_eq!(tiles.iter().map(|tile| tile.cells.ratings.len()).sum::<usize>(), ratings.len());
                if ratings.len() <= cells {
                    assert_eq!(tiles.len(), 1, "what need not be cut is not");
                }
            }
        }
    }

    #[test]
    fn tiles_hold_every_cell_once_within_the_limit() {
        for (seed, (users, items, width)) in
            [(1, 1, 1), (5, 7, 3), (40, 30, 4), (33, 100, 8), (100, 9, 2)].into_iter().enumerate()
        {
            let by_user = pattern(users, items, seed as u64);
            let ratings: Vec<f32> = (0..by_user.len()).map(|p| p as f32).collect();
            for max_bytes in [width as u64 * 8, 200, 1000, 1 << 20] {
                let shards = Shards::plan(&by_user, items, width, &within(max_bytes)).unwrap();
                for side in [&shards.users, &shards.items] {
                    for range in side {
                        assert!((range.len() * width) as u64 * 4 <= max_bytes);
                        assert!((range.len() as u64 + 1) * 4 <= max_bytes);
                    }
                }
                let mut seen = vec![0; ratings.len()];
                for tile in shards.tiles(&by_user, &ratings) {
                    let (users, items) = (&shards.users[tile.user_shard], &shards.items[tile.item_shard]);
                    let cells = &tile.cells;
                    assert!(cells.ratings.len() as u64 * 4 <= max_bytes);
                    for p in 0..cells.ratings.len() {
                        let global = cells.ratings[p] as usize;
                        let user = users.start + cells.rows[p] as usize;
                        let item = items.start + cells.columns[p] as usize;
                        assert!(by_user.range(user).contains(&global));
                        assert_eq!(by_user.columns[global] as usize, item);
                        let row = cells.rows[p] as usize;
                        assert!(
                            (tile.user_offsets[row] as usize..tile.user_offsets[row + 1] as usize)
                                .contains(&p)
                        );
                        seen[global] += 1;
                    }
                    // CSC holds the same cells, item by item.
                    let mut transposed = vec![0; cells.ratings.len()];
                    for item in 0..items.len() {
                        for q in tile.item_offsets[item] as usize..tile.item_offsets[item + 1] as usize {
                            let p = tile.item_order[q] as usize;
                            assert_eq!(cells.columns[p] as usize, item);
                            assert_eq!(cells.rows[p], tile.item_columns[q]);
                            transposed[p] += 1;
                        }
                    }
                    assert!(transposed.iter().all(|&n| n == 1));
                }
                assert!(seen.iter().all(|&n| n == 1), "{users}x{items} within {max_bytes}");
            }
        }
    }

    #[test]
    fn a_row_of_factors_above_the_limit_is_an_error() {
        let by_user = pattern(3, 3, 0);
        let error = Shards::plan(&by_user, 3, 64, &within(128)).unwrap_err();
        assert_eq!(error.exit_code(), 71);
    }

    #[test]
    fn scattered_cells_land_in_their_tile() {
        let shards = Shards { users: vec![0..2, 2..3], items: vec![0..1, 1..4] };
        let tiles = shards.scatter(&[0, 2, 1], &[3, 0, 1], &[1.0, 2.0, 3.0]);
        let cells = |rows: &[u32], columns: &[u32], ratings: &[f32]| Cells {
            rows: rows.to_vec(),
            columns: columns.to_vec(),
            ratings: ratings.to_vec(),
        };
        let expected = vec![
            (0, 0, Cells::default()),
            (0, 1, cells(&[0, 1], &[2, 0], &[1.0, 3.0])),
            (1, 0, cells(&[0], &[0], &[2.0])),
            (1, 1, Cells::default()),
        ];
        assert_eq!(tiles, expected);
    }
}
