//! The items' half of an epoch where users are shared out: each process adds up its own users' cells,
//! user block by user block, and the sums of all processes' blocks make those of the items.

use std::ops::Range;

use super::chunks::Chunk;
use super::{Limits, Problem, Setup, Standard};
use crate::backend::{Backend, Buffer, Ledger};
use crate::data::Cells;
use crate::error::Result;
use crate::kernel::join_parts::JoinParts;
use crate::kernel::{Dispatch, Element, Exchange};
use crate::world::together::{any, gather};
use crate::world::{Share, World};

/// Bytes of one block's sums of a range of items, but for one item alone, at most: as much as is exchanged
/// at a time.
const RANGE_BYTES: u64 = 4 << 20;

/// And at least, but for the last range: shorter sums are mostly messages' latency.
const SHORTEST_BYTES: u64 = 1 << 20;

/// Ranges of items, where that leaves them long enough: sums of one are on their way while kernels run for
/// the next.
const RANGES: u64 = 4;

/// Consecutive items, with their cells by user blocks.
#[derive(Debug)]
pub struct ItemRange {
    /// The first.
    pub first: usize,
    /// How many.
    pub rows: usize,
    /// Their cells of each of this process's user blocks.
    pub blocks: Vec<Chunk>,
    room: Room,
}

/// By elements of an item's sum: the blocks' sums, and the sum of all.
type Room = Vec<(usize, [Buffer; 2])>;

/// Where sums of items go: a row of `stride` elements each, the first `body` of a sum to its
/// beginning and the others from `tail` on.
#[derive(Debug, Clone, Copy)]
pub struct Totals {
    /// `[items, stride]`.
    pub buffer: Buffer,
    /// Elements of a sum.
    pub columns: usize,
    /// See above.
    pub stride: usize,
    /// See above.
    pub body: usize,
    /// See above.
    pub tail: usize,
}

/// Elements of an item's sum in any exchange: of factors' width, with variances or without.
fn columns(width: usize, spreads: bool) -> Vec<usize> {
    let mut all = vec![1, width, 2 * width + 1];
    if spreads {
        all.push(3 * width + 1);
    }
    all.dedup();
    all
}

/// Items of a range, of `items`: their sums of so many blocks are no more than they may be, but for one
/// item alone.
fn most_rows(setup: &Setup<'_>, items: usize, blocks: usize, limits: &Limits) -> usize {
    let row = 4 * columns(setup.width(), setup.spreads).into_iter().max().unwrap_or(1) as u64;
    let wanted = (row * items as u64).div_ceil(RANGES).clamp(SHORTEST_BYTES, RANGE_BYTES);
    let most = wanted.min(limits.bytes / blocks.max(1) as u64) / row;
    usize::try_from(most).unwrap_or(usize::MAX).max(1)
}

/// Cuts `items` into ranges of `rows` at most, and fewer until `fits` says of each that a block's cells in
/// it are no more than they may be; one item alone may. The ranges are the same on all processes, however
/// many blocks and whatever device each has: what they sum up together is a range.
fn cut(
    items: usize,
    rows: usize,
    fits: impl Fn(&Range<usize>) -> bool,
    world: &dyn World,
) -> Result<Vec<Range<usize>>> {
    let least = gather(world, &[rows as u64])?.concat().into_iter().min();
    let mut rows = least.map_or(rows, |least| least as usize).clamp(1, items);
    loop {
        let ranges: Vec<_> = (0..items).step_by(rows).map(|first| first..items.min(first + rows)).collect();
        let narrow = rows == 1 || ranges.iter().all(&fits);
        if !any(world, !narrow)? {
            return Ok(ranges);
        }
        rows = rows.div_ceil(2);
    }
}

/// The ranges with the buffers for their sums, which ranges of one length share; still without cells.
fn with_room(
    ranges: &[Range<usize>],
    setup: &Setup<'_>,
    blocks: usize,
    backend: &mut dyn Backend,
) -> Result<Vec<ItemRange>> {
    let mut all: Vec<ItemRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        // The last one alone may be shorter.
        let room = match all.last().filter(|before| before.rows == range.len()) {
            Some(before) => before.room.clone(),
            None => room(range.len(), setup, blocks, backend)?,
        };
        let blocks = Vec::with_capacity(blocks);
        all.push(ItemRange { first: range.start, rows: range.len(), blocks, room });
    }
    Ok(all)
}

/// Buffers for the sums of so many rows.
fn room(rows: usize, setup: &Setup<'_>, blocks: usize, backend: &mut dyn Backend) -> Result<Room> {
    let each = |columns| {
        let parts = backend.alloc("parts of item sums", Element::F32, blocks * rows * columns)?;
        let sum = backend.alloc("item sums", Element::F32, rows * columns)?;
        Ok((columns, [parts, sum]))
    };
    columns(setup.width(), setup.spreads).into_iter().map(each).collect()
}

/// Puts the items' cells on the device: of `by_user`, whose rows are this process's users.
pub(super) fn upload(
    setup: &Setup<'_>,
    by_user: &Cells,
    items: usize,
    block: usize,
    standard: &Standard,
    limits: &Limits,
    backend: &mut dyn Backend,
) -> Result<Vec<ItemRange>> {
    let users = by_user.offsets().len() - 1;
    let first_users = (0..users).step_by(block);
    let mut blocks: Vec<_> = first_users
        .map(|first| {
            let cells = by_user.transposed_rows(first..users.min(first + block), items);
            let offsets = super::chunks::with_unknown(cells.offsets().to_vec());
            (offsets, cells.with_values(|rating| standard.target(rating)))
        })
        .collect();
    let most = super::chunks::most_cells(setup, limits);
    let longest = |range: &Range<usize>| {
        blocks.iter().map(|(at, _)| at[range.end] - at[range.start]).max().unwrap_or(0)
    };
    // With the row of anything unknown.
    let rows = most_rows(setup, items + 1, blocks.len(), limits);
    let ranges = cut(items + 1, rows, |range| longest(range) <= most, backend.world())?;
    let mut parts = with_room(&ranges, setup, blocks.len(), backend)?;
    for (offsets, cells) in &mut blocks {
        let chunks = super::chunks::chunks_of(setup, offsets, std::mem::take(cells), &ranges, 0, backend)?;
        parts.iter_mut().zip(chunks).for_each(|(part, chunk)| part.blocks.push(chunk));
    }
    Ok(parts)
}

/// Asks a ledger for the same, where ratings are spread evenly over the blocks, and all devices are alike.
///
/// `own`: ratings of this process.
pub(super) fn sketch(
    setup: &Setup<'_>,
    share: &Share,
    item_counts: &[u64],
    own: u64,
    limits: &Limits,
    ledger: &mut Ledger<'_>,
) -> Result<Vec<ItemRange>> {
    let blocks = share.own().len().div_ceil(share.block);
    let most_blocks = share.bounds.windows(2).map(|ends| (ends[1] - ends[0]).div_ceil(share.block)).max();
    let all = share.stats.count;
    let items = item_counts.len() + 1;
    let share = |count: u64| (u128::from(count) * u128::from(own) / u128::from(all.max(1))) as u64;
    let cells = |range: &Range<usize>| {
        let counts = item_counts.get(range.start..range.end.min(item_counts.len())).unwrap_or_default();
        counts.iter().map(|&count| share(count)).sum::<u64>() / blocks.max(1) as u64
    };
    let most = super::chunks::most_cells(setup, limits);
    let rows = most_rows(setup, items, most_blocks.unwrap_or(blocks), limits);
    let ranges = cut(items, rows, |range| cells(range) <= most, ledger.world())?;
    let mut parts = with_room(&ranges, setup, blocks, ledger)?;
    for (part, range) in parts.iter_mut().zip(&ranges) {
        for _ in 0..blocks {
            part.blocks.push(super::chunks::sketch_chunk(setup, range, cells(range), ledger)?);
        }
    }
    Ok(parts)
}

impl Problem {
    /// The items by ranges, where users are shared out.
    pub fn item_ranges(&self) -> Option<&[ItemRange]> {
        self.chunks.as_ref().and_then(|chunks| chunks.item_ranges.as_deref())
    }

    /// Records sums over the cells of each of a range of items: `each` makes the dispatch that writes
    /// those of a block to `parts` from a row on, and they go to `totals` from all processes.
    ///
    /// # Errors
    /// As the kernels' dispatches.
    pub fn record_item_sums(
        &self,
        range: &ItemRange,
        totals: &Totals,
        recording: &mut Vec<Dispatch>,
        mut each: impl FnMut(&Chunk, Buffer, usize) -> Result<Dispatch>,
    ) -> Result<()> {
        let none = || crate::Error::Internal(format!("no room for sums of {} elements", totals.columns));
        let room = range.room.iter().find(|(columns, _)| *columns == totals.columns);
        let &(columns, [parts, sum]) = room.ok_or_else(none)?;
        for (number, chunk) in range.blocks.iter().enumerate() {
            recording.push(each(chunk, parts, number * range.rows)?);
        }
        let join = |parts, blocks| {
            JoinParts {
                parts,
                totals: totals.buffer,
                blocks,
                rows: range.rows,
                columns,
                body: totals.body,
                tail: totals.tail,
                stride: totals.stride,
                first: range.first,
            }
            .dispatch()
        };
        let place = Box::new(join(sum, 1)?);
        let all = join(parts, range.blocks.len())?;
        recording.push(all.exchanging(Exchange::Sum { parts, sum, place }));
        Ok(())
    }

    /// A matrix like the items' factors as what receives sums.
    pub(super) fn item_matrix(&self, buffer: Buffer) -> Totals {
        Totals { buffer, columns: self.width, stride: self.width, body: self.width, tail: 0 }
    }
}
