//! What the fused kernels share: a row's cells are walked where they lie, the
//! other side's rows are gathered from one packed buffer, and Δ is recomputed
//! rather than stored.
//!
//! The cells of a chunk of consecutive rows, of either side:
//!
//! | buffer | elements |
//! |---|---|
//! | rows | where each row's cells begin `[n + 1]`, then the rows, longest first `[n]` |
//! | cells | the other side's index and the target's bits, `[cells, 2]` |
//! | packed | see [`pack_rows`](super::pack_rows) |
//!
//! On the CPU, rows are cut into pieces of about equal cells and long rows into
//! segments, both by their lengths alone, and a row's segments are added up in
//! order: the bits do not depend on the number of threads. Where a call has a `block`, cells
//! whose columns lie in the same `block` rows of the other side are added up apart from 0, and
//! these sums in order: so the sums of parts of the other side, found apart, can be added to
//! the same bits.

mod cells;
mod far;
mod line;
mod sums;
mod walk;

use std::borrow::Cow;
use std::ops::Range;

use half::f16;

pub(super) use far::{Found, Own, SideCells};
pub(super) use line::{Along, Before, Behind, Column, Factors, PIECE, along, direction, step};
pub(super) use sums::{Sums, more_patterns, row_patterns, row_squares, row_sums};
pub(super) use walk::{Gathered, Walk};

use super::template::Rows;
use super::{Kernel, Slot, require};
use crate::backend::Buffer;
use crate::error::Result;

/// Cells that one thread takes at a time, and the longest row that is summed up in one go.
pub(super) const SEGMENT: usize = 8192;

/// Rows that one thread takes at a time.
const ROWS: usize = 1024;

/// Columns beside the factors in a packed row: the bias and its variance.
pub const TAIL: usize = 2;

/// How the rows that a kernel gathers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// Rows of the other side.
    pub rows: usize,
    /// The rank, rounded up to what a backend loads at once.
    pub lanes: usize,
    /// Whether variances stand beside the means.
    pub spread: bool,
    /// Whether factors and variances are f16, two a word: `lanes` is then a multiple of 8.
    pub half: bool,
}

impl Packing {
    /// Words of a packed buffer: whole loads of 16 bytes.
    pub fn len(&self) -> usize {
        (self.rows * (self.stride() + TAIL)).next_multiple_of(4)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Words of a row without its tail.
    pub(super) fn stride(&self) -> usize {
        let elements = if self.spread { 2 * self.lanes } else { self.lanes };
        if self.half { elements / 2 } else { elements }
    }

    /// Rows of a call that gathers what is packed so.
    pub(super) fn of(&self, count: u32, long: u32) -> Rows {
        // Fits: it was checked.
        Rows { count, long, lanes: self.lanes as u32, spread: self.spread, half: self.half }
    }
}

/// The columns of a factor matrix, as both sides see them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Columns {
    /// All of them.
    pub width: usize,
    /// Latent factors.
    pub rank: usize,
    /// The column of the row's own bias, if there are biases.
    pub bias: Option<usize>,
    /// What the constant column holds, which multiplies the other side's bias.
    pub unit: f32,
}

/// Checks the buffers that every walk over cells has.
pub(super) fn check(
    kernel: &Kernel,
    rows: Buffer,
    long: usize,
    packed: Buffer,
    packing: &Packing,
    columns: &Columns,
) -> Result<()> {
    require(kernel, rows.len() % 2 == 1, "rows has no offsets and order")?;
    require(kernel, long <= rows.len() / 2, "more long rows than rows")?;
    let whole = if packing.half { 8 } else { 4 };
    require(
        kernel,
        packing.lanes.is_multiple_of(whole) && packing.lanes > 0,
        "packed rows are no whole loads",
    )?;
    require(kernel, packed.len() >= packing.len(), "the packed buffer is too small")?;
    let places = columns.rank <= packing.lanes && columns.rank <= columns.width;
    require(kernel, places && columns.bias.is_none_or(|b| b < columns.width), "columns contradict each other")
}

/// The packed rows as f32: a copy where they are f16, which only tests have on a CPU.
pub(super) fn unpacked<'a>(
    packed: &'a Slot<'_>,
    others: u32,
    lanes: u32,
    spread: u32,
    half: u32,
) -> Cow<'a, [f32]> {
    if half == 0 {
        return Cow::Borrowed(packed.f32());
    }
    let packing = Packing { rows: others as usize, lanes: lanes as usize, spread: spread != 0, half: true };
    let (rows, tails) = packed.u32().split_at(packing.rows * packing.stride());
    let halves = rows.iter().flat_map(|word| [*word as u16, (word >> 16) as u16]);
    let mut elements: Vec<f32> = halves.map(|bits| f16::from_bits(bits).to_f32()).collect();
    elements.extend_from_slice(bytemuck::cast_slice(tails));
    Cow::Owned(elements)
}

/// Rows of a matrix that a thread writes.
#[derive(Debug)]
pub(super) struct RowsMut<'a> {
    pub(super) elements: &'a mut [f32],
    pub(super) width: usize,
}

impl<'a> RowsMut<'a> {
    fn split(self, rows: usize) -> (Self, Self) {
        let (first, second) = self.elements.split_at_mut(rows * self.width);
        (Self { elements: first, width: self.width }, Self { elements: second, width: self.width })
    }

    pub(super) fn row(&mut self, row: usize) -> &mut [f32] {
        &mut self.elements[row * self.width..(row + 1) * self.width]
    }
}

/// The `rows` of a matrix from `first` on.
pub(super) fn rows_mut(elements: &mut [f32], width: usize, first: usize, rows: usize) -> RowsMut<'_> {
    RowsMut { elements: &mut elements[first * width..(first + rows) * width], width }
}

/// Works on pieces of rows with about equal cells, in parallel. A piece has one row, or no more
/// than [`SEGMENT`] cells; its rows of every output come with it.
pub(super) fn by_cells<const N: usize>(
    offsets: &[u32],
    rows: Range<usize>,
    outputs: [RowsMut<'_>; N],
    work: &(impl Fn(Range<usize>, [RowsMut<'_>; N]) + Sync),
) {
    let (start, end) = (offsets[rows.start] as usize, offsets[rows.end] as usize);
    if rows.len() <= 1 || (end - start <= SEGMENT && rows.len() <= ROWS) {
        return work(rows, outputs);
    }
    let half = start + (end - start) / 2;
    let middle = if end - start <= SEGMENT {
        rows.start + rows.len() / 2
    } else {
        let before = offsets[rows.start..rows.end].partition_point(|&offset| (offset as usize) < half);
        rows.start + before.clamp(1, rows.len() - 1)
    };
    let mut second = Vec::with_capacity(N);
    let first = outputs.map(|output| {
        let (a, b) = output.split(middle - rows.start);
        second.push(b);
        a
    });
    let Ok(second) = <[RowsMut<'_>; N]>::try_from(second) else { return };
    rayon::join(
        || by_cells(offsets, rows.start..middle, first, work),
        || by_cells(offsets, middle..rows.end, second, work),
    );
}
