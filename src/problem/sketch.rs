//! A problem's buffers by its shape alone: what [`Problem::new`] would ask a device for.

use super::chunks::{self, Chunks};
use super::factors_name;
use super::loss::{LossPlan, Squares, padded, piece_cells};
use super::tiles::{longest_row, most_cells};
use super::{DeviceCells, DeviceTile, Limits, Problem, Setup, Shard, Shards, SideBuffers, Standard};
use crate::backend::{Backend, Buffer, Ledger};
use crate::data::{Known, Side};
use crate::error::Result;
use crate::kernel::Element;
use crate::world::blocks;

impl Problem {
    /// Asks a ledger for what [`Problem::new`] would ask its device for; the problem can be
    /// recorded, and nothing else. Of `setup`, the ratings are not looked at.
    ///
    /// Where data must be cut into several tiles, which ones have cells is not known: all are
    /// counted, with about as many cells each.
    ///
    /// `known`: ratings of each user and item; `held`: ratings to validate and to test with.
    ///
    /// # Errors
    /// As [`Problem::new`].
    pub fn sketch(setup: &Setup<'_>, known: &Known, held: [u64; 2], ledger: &mut Ledger<'_>) -> Result<Self> {
        let Setup { kind, rank, start_rank, .. } = *setup;
        let width = setup.width();
        let ratings: u64 = known.user_counts.iter().sum();
        let sizes = [known.user_counts.len() + 1, known.item_counts.len() + 1];
        let max_row = longest_row(sizes[0] + sizes[1] - 2, width, (setup.cell_loops)(width), ledger)?;
        let limits = Limits {
            bytes: ledger.max_buffer_bytes(),
            row: max_row,
            cells: most_cells((setup.cell_work)(width), ledger),
        };
        let longest = setup.longest(known);
        let fused = chunks::fused(setup, width, sizes, longest, &limits, ledger)?;
        let widest = (setup.row_elements)(width).max(width);
        let shards =
            if fused { Shards::whole(sizes) } else { Shards::estimate(ratings, sizes, widest, &limits)? };
        if shards.users.len() * shards.items.len() > 1 {
            ledger.estimates();
        }
        let sides = [
            (Side::Users, &shards.users, &known.user_counts, rank + 1, rank),
            (Side::Items, &shards.items, &known.item_counts, rank, rank + 1),
        ];
        let [users, items] = sides.map(|(role, ranges, counts, frozen, bias)| {
            let mut shards = Vec::new();
            for range in ranges {
                let mut alloc = |purpose, columns| ledger.alloc(purpose, Element::F32, range.len() * columns);
                shards.push(Shard {
                    factors: alloc(factors_name(role), width)?,
                    penalty: alloc("penalties", 1)?,
                    counts: alloc("counts", 1)?,
                });
            }
            let rated = setup.rated(role, counts);
            let has_bias = kind.has_bias();
            Ok(SideBuffers {
                shards,
                frozen: has_bias.then_some(frozen),
                bias: has_bias.then_some(bias),
                rated,
            })
        });
        let (users, items) = (users?, items?);
        let chunks = fused.then(|| Chunks::sketch(setup, known, &limits, ledger)).transpose()?;
        let mut tiles = Vec::new();
        if !fused {
            for (user_shard, item_shard, cells) in shards.spread(ratings) {
                let (rows, columns) = (shards.users[user_shard].len(), shards.items[item_shard].len());
                tiles.push(tile(ledger, user_shard, item_shard, cells, [rows, columns])?);
            }
        }
        let train = match &chunks {
            Some(chunks) => Squares::Rows(chunks.squares),
            None => Squares::Cells(tiles.iter().map(|tile| tile.cells).collect()),
        };
        let most = usize::try_from(limits.bytes / 4).unwrap_or(usize::MAX);
        let most = piece_cells(most.min(most_cells(crate::kernel::cell_work(width), ledger)));
        let block = setup.share.map_or_else(|| blocks(known.user_counts.len(), ratings), |share| share.block);
        let ratings = setup.share.map_or(ratings, |share| share.stats.count);
        let whole = shards.users.len() * shards.items.len() == 1;
        let mut parts = Vec::new();
        for count in held {
            let mut pieces = Vec::new();
            let count = match count {
                0 => 0,
                _ if whole => padded(count as usize, known.user_counts.len(), block) as u64,
                count => count,
            };
            for (user_shard, item_shard, cells) in shards.spread(count) {
                for first in (0..cells).step_by(most) {
                    pieces.push(device_cells(ledger, user_shard, item_shard, most.min(cells - first))?);
                }
            }
            parts.push(pieces);
        }
        let losses = LossPlan::sketch(train, parts, setup.share, ledger)?;
        let places = setup.places([&users, &items]);
        Ok(Self {
            width,
            rank,
            start_rank,
            ratings,
            curvature: 1.0,
            standard: Standard { mean: 0.0, scale: 1.0 },
            seed: setup.seed,
            block,
            first_user: 0,
            places,
            bias_unit: 1.0,
            shards,
            users,
            items,
            tiles,
            chunks,
            losses,
        })
    }

    /// The cells of each tile, of a sketch or of a problem that has tiles, with its shards.
    pub(crate) fn tile_cells(&self) -> Vec<(usize, usize, usize)> {
        let cells = self.tiles.iter().map(|tile| &tile.cells);
        cells.map(|cells| (cells.user_shard, cells.item_shard, cells.ratings.len())).collect()
    }
}

impl Shards {
    /// As [`Shards::plan`], where the pattern of the cells is not known.
    fn estimate(ratings: u64, sizes: [usize; 2], width: usize, limits: &Limits) -> Result<Self> {
        let (rows, cells) = Self::most(width, limits)?;
        let items = super::tiles::even(sizes[1], rows);
        let most = (cells as u64).saturating_mul(items.len() as u64);
        let pieces = usize::try_from(ratings.div_ceil(most)).unwrap_or(usize::MAX);
        let users = super::tiles::even(sizes[0], rows.min(sizes[0].div_ceil(pieces.max(1))).max(1));
        Ok(Self { users, items })
    }

    /// So many cells over all tiles, as evenly as can be: each with its shards, without those that have none.
    fn spread(&self, cells: u64) -> Vec<(usize, usize, usize)> {
        let (users, items) = (self.users.len(), self.items.len());
        let tiles = (users * items) as u128;
        let bound = |tile: u128| (u128::from(cells) * tile / tiles) as usize;
        let all = (0..users).flat_map(|user| (0..items).map(move |item| (user, item)));
        let all =
            all.enumerate().map(|(i, (user, item))| (user, item, bound(i as u128 + 1) - bound(i as u128)));
        all.filter(|&(.., cells)| cells > 0).collect()
    }
}

fn device_cells(
    ledger: &mut Ledger<'_>,
    user_shard: usize,
    item_shard: usize,
    len: usize,
) -> Result<DeviceCells> {
    let mut alloc = |purpose, element| ledger.alloc(purpose, element, len);
    Ok(DeviceCells {
        user_shard,
        item_shard,
        rows: alloc("rows", Element::U32)?,
        columns: alloc("columns", Element::U32)?,
        ratings: alloc("ratings", Element::F32)?,
        residuals: alloc("residuals", Element::F32)?,
    })
}

fn tile(
    ledger: &mut Ledger<'_>,
    user_shard: usize,
    item_shard: usize,
    len: usize,
    [users, items]: [usize; 2],
) -> Result<DeviceTile> {
    let cells = device_cells(ledger, user_shard, item_shard, len)?;
    let mut alloc = |purpose, len| -> Result<Buffer> { ledger.alloc(purpose, Element::U32, len) };
    Ok(DeviceTile {
        cells,
        user_offsets: alloc("user offsets", users + 1)?,
        item_offsets: alloc("item offsets", items + 1)?,
        item_columns: alloc("users by item", len)?,
        item_order: alloc("order by item", len)?,
    })
}
