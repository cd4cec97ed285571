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

/// Bytes of one block's sums of a range of items, but for one item alone: as much as is exchanged at a time.
const RANGE_BYTES: usize = 4 << 20;

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

/// Cuts `items` so that no range's sums, nor a block's cells in it, are more than they may be; one item
/// alone may.
fn cut(
    items: usize,
    width: usize,
    spreads: bool,
    blocks: usize,
    limits: &Limits,
    most_cells: u64,
    cells: impl Fn(&Range<usize>) -> u64,
) -> Vec<Range<usize>> {
    let row = 4 * columns(width, spreads).into_iter().max().unwrap_or(1);
    let most = (limits.bytes / blocks.max(1) as u64).min(RANGE_BYTES as u64) / row as u64;
    let mut rows = usize::try_from(most).unwrap_or(usize::MAX).clamp(1, items);
    loop {
        let ranges: Vec<_> = (0..items).step_by(rows).map(|first| first..items.min(first + rows)).collect();
        if rows == 1 || ranges.iter().all(|range| cells(range) <= most_cells) {
            return ranges;
        }
        rows = rows.div_ceil(2);
    }
}

/// Buffers for ranges of so many rows; ranges of one length share them.
fn room(
    ranges: &[Range<usize>],
    width: usize,
    spreads: bool,
    blocks: usize,
    backend: &mut dyn Backend,
) -> Result<Vec<(usize, Room)>> {
    let mut lengths: Vec<usize> = ranges.iter().map(Range::len).collect();
    lengths.dedup();
    let mut all = Vec::new();
    for rows in lengths {
        let mut rooms = Vec::new();
        for columns in columns(width, spreads) {
            let parts = backend.alloc("parts of item sums", Element::F32, blocks * rows * columns)?;
            let sum = backend.alloc("item sums", Element::F32, rows * columns)?;
            rooms.push((columns, [parts, sum]));
        }
        all.push((rows, rooms));
    }
    Ok(all)
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
    let width = setup.width();
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
    let ranges = cut(items + 1, width, setup.spreads, blocks.len(), limits, most, longest);
    let rooms = room(&ranges, width, setup.spreads, blocks.len(), backend)?;
    let mut parts: Vec<ItemRange> = Vec::with_capacity(ranges.len());
    for range in &ranges {
        let room = rooms.iter().find(|(rows, _)| *rows == range.len()).map(|(_, room)| room.clone());
        parts.push(ItemRange {
            first: range.start,
            rows: range.len(),
            blocks: Vec::with_capacity(blocks.len()),
            room: room.unwrap_or_default(),
        });
    }
    for (offsets, cells) in &mut blocks {
        let chunks = super::chunks::chunks_of(setup, offsets, std::mem::take(cells), &ranges, 0, backend)?;
        parts.iter_mut().zip(chunks).for_each(|(part, chunk)| part.blocks.push(chunk));
    }
    Ok(parts)
}

/// Asks a ledger for the same, where ratings are spread evenly over the blocks.
pub(super) fn sketch(
    setup: &Setup<'_>,
    item_counts: &[u64],
    [own, all]: [u64; 2],
    blocks: usize,
    limits: &Limits,
    ledger: &mut Ledger<'_>,
) -> Result<Vec<ItemRange>> {
    let items = item_counts.len() + 1;
    let share = |count: u64| (u128::from(count) * u128::from(own) / u128::from(all.max(1))) as u64;
    let cells = |range: &Range<usize>| {
        let counts = item_counts.get(range.start..range.end.min(item_counts.len())).unwrap_or_default();
        counts.iter().map(|&count| share(count)).sum::<u64>() / blocks.max(1) as u64
    };
    let most = super::chunks::most_cells(setup, limits);
    let ranges = cut(items, setup.width(), setup.spreads, blocks, limits, most, cells);
    let rooms = room(&ranges, setup.width(), setup.spreads, blocks, ledger)?;
    let mut parts = Vec::new();
    for range in ranges {
        let mut chunks = Vec::new();
        for _ in 0..blocks {
            let rows = ledger.alloc("rows", Element::U32, 2 * range.len() + 1)?;
            let cells = ledger.alloc("cells", Element::U32, 2 * cells(&range).max(1) as usize)?;
            chunks.push(Chunk { first: range.start, rows, cells, long: 0, block: 0 });
        }
        let room = rooms.iter().find(|(rows, _)| *rows == range.len()).map(|(_, room)| room.clone());
        parts.push(ItemRange {
            first: range.start,
            rows: range.len(),
            blocks: chunks,
            room: room.unwrap_or_default(),
        });
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
