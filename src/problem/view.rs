//! The same cells, as users and as items see them.

use super::{Cells, DeviceCells, DeviceTile, Problem, Side};
use crate::backend::{Backend, Buffer, alloc_f32, alloc_u32};
use crate::error::Result;
use crate::kernel::Element;

/// A tile of the training cells as the rows of one role see it.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The shard of the rows.
    pub shard: usize,
    /// The other side's factors.
    pub others: Buffer,
    /// The other side's shard.
    pub other_shard: usize,
    /// Where each row's cells begin, `[rows + 1]`.
    pub offsets: Buffer,
    /// The other side's row of each cell, `[cells]`.
    pub columns: Buffer,
    /// Where a cell's rating and Δ stand, `[cells]`; `None`: in the order of the cells.
    pub order: Option<Buffer>,
    /// Targets, `[cells]`.
    pub ratings: Buffer,
    /// Δ, `[cells]`.
    pub residuals: Buffer,
    /// Whether an earlier tile has rows of this shard, whose sums this one adds to.
    pub accumulate: bool,
}

impl Problem {
    /// The tiles as the rows of a role see them, in the order of their sums.
    pub fn views(&self, role: Side) -> Vec<View> {
        let mut begun = vec![false; self.side(role).shards.len()];
        let view = |tile: &DeviceTile| {
            let cells = &tile.cells;
            let (shard, other_shard, offsets, columns, order) = match role {
                Side::Users => (cells.user_shard, cells.item_shard, tile.user_offsets, cells.columns, None),
                Side::Items => {
                    let order = Some(tile.item_order);
                    (cells.item_shard, cells.user_shard, tile.item_offsets, tile.item_columns, order)
                }
            };
            View {
                shard,
                others: self.side(role.other()).shards[other_shard].factors,
                other_shard,
                offsets,
                columns,
                order,
                ratings: cells.ratings,
                residuals: cells.residuals,
                accumulate: std::mem::replace(&mut begun[shard], true),
            }
        };
        self.tiles.iter().map(view).collect()
    }
}

/// Puts a tile's cells on the device.
pub(super) fn upload(
    backend: &mut dyn Backend,
    user_shard: usize,
    item_shard: usize,
    cells: &Cells,
) -> Result<DeviceCells> {
    Ok(DeviceCells {
        user_shard,
        item_shard,
        rows: alloc_u32(backend, "rows", &cells.rows)?,
        columns: alloc_u32(backend, "columns", &cells.columns)?,
        ratings: alloc_f32(backend, "ratings", &cells.ratings)?,
        residuals: backend.alloc("residuals", Element::F32, cells.ratings.len())?,
    })
}
