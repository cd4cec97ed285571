//! The training cells as the fused kernels walk them: chunks of consecutive
//! rows of either side, each row's cells in the order of their columns.

use std::ops::Range;

use super::{Limits, Setup};
use crate::backend::{Backend, Buffer, alloc_u32};
use crate::config::Kernels;
use crate::data::{Compressed, Side};
use crate::error::{Error, Result};
use crate::kernel::Element;
use crate::kernel::fused::{Packing, cell_loops};

/// Consecutive rows of a side with their cells.
#[derive(Debug, Clone, Copy)]
pub struct Chunk {
    /// Its first row.
    pub first: usize,
    /// Where its rows' cells begin, and its rows, longest first: `[2·rows + 1]`.
    pub rows: Buffer,
    /// The other side's row and the target's bits of each cell, `[cells, 2]`.
    pub cells: Buffer,
}

/// Both sides' chunks, and the buffers that rows are packed into.
#[derive(Debug)]
pub(super) struct Chunks {
    pub(super) sides: [Vec<Chunk>; 2],
    /// Per side: its rows as the other side gathers them.
    pub(super) packed: [Buffer; 2],
    /// Σ e² of each user.
    pub(super) squares: Buffer,
    pub(super) lanes: usize,
}

/// Whether the fused kernels train, and why not if they were asked for.
///
/// `rows`: users and items, with the unknown ones; `longest`: the cells of the longest row.
pub(super) fn fused(
    setup: &Setup<'_>,
    width: usize,
    rows: [usize; 2],
    longest: u64,
    limits: &Limits,
    backend: &dyn Backend,
) -> Result<bool> {
    let packing = |rows| Packing { rows, lanes: lanes(setup.rank, backend), spread: setup.spreads };
    let most = rows.iter().map(|&rows| packing(rows).len().max(rows * width)).max().unwrap_or(0);
    let longest_row = backend.max_loop() / cell_loops(width);
    let why = if setup.kernels == Kernels::Textbook {
        return Ok(false);
    } else if !setup.fuses {
        Some("this optimizer has none".to_owned())
    } else if most as u64 * 4 > limits.bytes {
        Some(format!("{} bytes of factors exceed a buffer of {}", most as u64 * 4, limits.bytes))
    } else if longest > longest_row {
        Some(format!("a user or an item has {longest} ratings, and this device takes {longest_row} in a row"))
    } else if setup.kernels == Kernels::Auto && !backend.fuses() {
        Some(String::new())
    } else {
        None
    };
    match why {
        Some(why) if setup.kernels == Kernels::Fused => Err(Error::usage(
            format!("no fused kernels: {why}"),
            "leave --kernels out, or pass --kernels textbook",
        )),
        why => Ok(why.is_none()),
    }
}

/// The rank, rounded up to what the backend loads at once.
fn lanes(rank: usize, backend: &dyn Backend) -> usize {
    rank.next_multiple_of(backend.lanes())
}

impl Chunks {
    /// Puts the cells on the device.
    ///
    /// `by_user`: their pattern with the unknown user's row; `ratings`: their targets, in its order.
    pub(super) fn new(
        setup: &Setup<'_>,
        by_user: &Compressed,
        items: usize,
        ratings: &[f32],
        limits: &Limits,
        backend: &mut dyn Backend,
    ) -> Result<Self> {
        let users = by_user.rows();
        let mut row_of = vec![0u32; by_user.len()];
        for user in 0..users {
            row_of[by_user.range(user)].fill(user as u32);
        }
        let (by_item, order) = Compressed::build(items, &by_user.columns, &row_of);
        drop(row_of);
        let of_users = |p: usize| ratings[p];
        let of_items = |q: usize| ratings[order[q] as usize];
        let sides =
            [upload(by_user, &of_users, limits, backend)?, upload(&by_item, &of_items, limits, backend)?];
        let lanes = lanes(setup.rank, backend);
        let mut pack = |rows| {
            let packing = Packing { rows, lanes, spread: setup.spreads };
            backend.alloc("packed factors", Element::F32, packing.len())
        };
        let packed = [pack(users)?, pack(items)?];
        Ok(Self { sides, packed, squares: backend.alloc("row losses", Element::F32, users)?, lanes })
    }

    /// How a side's rows are packed.
    pub(super) fn packing(&self, role: Side, spread: bool) -> Packing {
        let rows = self.sides[role as usize].iter().map(|chunk| chunk.rows.len() / 2).sum();
        Packing { rows, lanes: self.lanes, spread }
    }
}

/// Cuts rows so that no chunk has more cells than it may, but for one row alone.
fn cut(offsets: &[u64], most: u64) -> Vec<Range<usize>> {
    let rows = offsets.len() - 1;
    let mut pieces = Vec::new();
    let mut first = 0;
    for row in 0..rows {
        if offsets[row + 1] - offsets[first] > most && row > first {
            pieces.push(first..row);
            first = row;
        }
    }
    pieces.push(first..rows);
    pieces
}

fn upload(
    pattern: &Compressed,
    target: &dyn Fn(usize) -> f32,
    limits: &Limits,
    backend: &mut dyn Backend,
) -> Result<Vec<Chunk>> {
    let most = (limits.bytes / 8).min(limits.cells as u64).max(1);
    let mut chunks = Vec::new();
    for range in cut(&pattern.offsets, most) {
        let start = pattern.offsets[range.start];
        let end = pattern.offsets[range.end];
        let mut rows: Vec<u32> =
            pattern.offsets[range.start..=range.end].iter().map(|&offset| (offset - start) as u32).collect();
        let mut order: Vec<u32> = (0..range.len() as u32).collect();
        order.sort_by_key(|&row| std::cmp::Reverse(rows[row as usize + 1] - rows[row as usize]));
        rows.extend(order);
        let mut cells = Vec::with_capacity(2 * (end - start) as usize);
        for p in start as usize..end as usize {
            cells.extend([pattern.columns[p], target(p).to_bits()]);
        }
        if cells.is_empty() {
            cells.extend([0, 0]); // no buffer is empty; no row has it
        }
        chunks.push(Chunk {
            first: range.start,
            rows: alloc_u32(backend, "rows", &rows)?,
            cells: alloc_u32(backend, "cells", &cells)?,
        });
    }
    Ok(chunks)
}
