//! Rows that gather from beyond the caches: they go through the other side block by block, all at once,
//! so that a block comes from memory once a group of rows rather than once a row.
//!
//! The sums are those of rows that are walked one after the other, to the bit: these, too, add up block
//! after block.

use std::ops::Range;
#[cfg(test)]
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::cells::{Block, Cursor};
use super::sums::{Squares, Sums, more_sums};
use super::walk::{Gathered, Walk};
use crate::aligned::Aligned;
use crate::kernel::simd;

/// Gathered bytes of the other side beyond which blocks pay: more than a last cache, see `benches/layouts.rs`.
const FAR: usize = 24 << 20;

/// Elements of a gathered row from which on they do: not with fewer, which come fast enough.
const WIDE: usize = 128;

/// Cells that a row has in a block, on average, from which on they do: going to a row and back has a price.
const MANY: usize = 64;

/// Bytes that a group's rows keep between blocks.
const GROUP: usize = 4 << 20;

/// Rows that are worth a thread of their own in one block.
const MIN_ROWS: usize = 8;

/// A side's cells, of rows that are near or far from what they gather.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernel) struct SideCells<'a> {
    pub(in crate::kernel) x: Gathered<'a>,
    /// Where each row's cells begin, and last their number.
    pub(in crate::kernel) offsets: &'a [u32],
    pub(in crate::kernel) cells: &'a [[u32; 2]],
    /// Rows of the other side whose cells are added up apart; 0: all.
    pub(in crate::kernel) block: u32,
}

impl<'a> SideCells<'a> {
    /// The cells of a row.
    #[inline(always)]
    pub(in crate::kernel) fn row(&self, row: usize) -> &'a [[u32; 2]] {
        &self.cells[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// A walk over cells of one row.
    #[inline(always)]
    pub(in crate::kernel) fn walk<'w>(&'w self, cells: &'w [[u32; 2]], w: &'w [f32], bias: f32) -> Walk<'w> {
        Walk { x: self.x, cells, block: self.block, w, bias }
    }

    /// Whether groups of rows go through blocks together, and the groups; else all rows are one, to be
    /// walked one by one.
    pub(in crate::kernel) fn groups(&self) -> (bool, impl Iterator<Item = Range<usize>> + use<>) {
        let (rows, far) = (self.offsets.len() - 1, self.block > 0 && self.pays());
        let each = if far { self.group() } else { rows.max(1) };
        (far, (0..rows).step_by(each).map(move |first| first..rows.min(first + each)))
    }

    /// Rows of a group.
    fn group(&self) -> usize {
        #[cfg(test)]
        if ALL.load(Ordering::Relaxed) {
            return 3;
        }
        (GROUP / (size_of::<f32>() * 8 * self.x.lanes)).max(1)
    }

    fn pays(&self) -> bool {
        #[cfg(test)]
        if ALL.load(Ordering::Relaxed) {
            return true;
        }
        let parts = (self.offsets.len() - 1) * self.x.rows().div_ceil(self.block as usize);
        self.x.bytes() > FAR && self.x.stride() >= WIDE && self.cells.len() >= MANY * parts
    }

    /// Works on the cells that each row of a group has in a block, block after block.
    pub(in crate::kernel) fn in_blocks<T: Send>(
        &self,
        group: Range<usize>,
        states: &mut [T],
        work: &(impl Fn(&mut T, &'a [[u32; 2]]) + Sync),
    ) {
        let mut left: Vec<&'a [[u32; 2]]> = group.map(|row| self.row(row)).collect();
        let others = u32::try_from(self.x.rows()).unwrap_or(u32::MAX);
        for end in (1..=others.div_ceil(self.block)).map(|next| next.saturating_mul(self.block)) {
            let each = states.par_iter_mut().zip(&mut left).with_min_len(MIN_ROWS);
            each.for_each(|(state, left)| {
                if left.first().is_some_and(|&[column, _]| column < end) {
                    let mut cursor = Cursor::new(left, self.block);
                    let mine = cursor.next_block().map(Block::rest).unwrap_or_default();
                    *left = &left[mine.len()..];
                    work(state, mine);
                }
            });
        }
    }

    /// What a group's rows find: their sums, where each aims by them, and Σ (x·d)² on the way there.
    ///
    /// `factors`: `[rows, width]`; `aim`: finds the direction of a row from its sums.
    pub(in crate::kernel) fn find<const SPREAD: bool>(
        &self,
        group: &Range<usize>,
        own: Own,
        factors: &[f32],
        aim: &(impl Fn(usize, &mut Found) + Sync),
    ) -> Vec<Found> {
        let begin = |row: usize| {
            let mut found = Found::new(self.x.lanes);
            found.b = own.load(&factors[row * own.width..][..own.width], &mut found.w);
            found
        };
        let mut all: Vec<Found> = group.clone().into_par_iter().with_min_len(MIN_ROWS).map(begin).collect();
        self.in_blocks(group.clone(), &mut all, &|found, cells| {
            more_sums::<true, true, SPREAD>(&self.walk(cells, &found.w, own.unit * found.b), &mut found.sums);
        });
        let rows = group.clone().into_par_iter().zip(&mut all).with_min_len(MIN_ROWS);
        rows.for_each(|(row, found)| aim(row, found));
        self.in_blocks(group.clone(), &mut all, &|found, cells| {
            found.squares += simd::run(Squares(self.walk(cells, &found.d, own.unit * found.d_bias)));
        });
        all
    }
}

/// Where a row of factors has what a pass needs.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernel) struct Own {
    pub(in crate::kernel) width: usize,
    pub(in crate::kernel) rank: usize,
    /// The column of the bias, if it is one.
    pub(in crate::kernel) bias: usize,
    pub(in crate::kernel) unit: f32,
}

impl Own {
    /// Puts a row's factors in lanes; gives its bias.
    #[inline(always)]
    pub(in crate::kernel) fn load(&self, own: &[f32], w: &mut [f32]) -> f32 {
        w[..self.rank].copy_from_slice(&own[..self.rank]);
        own.get(self.bias).copied().unwrap_or(0.0)
    }
}

/// What a row keeps from block to block.
#[derive(Debug)]
pub(in crate::kernel) struct Found {
    /// Its factors and its bias.
    pub(in crate::kernel) w: Aligned<f32>,
    pub(in crate::kernel) b: f32,
    pub(in crate::kernel) sums: Sums,
    /// The direction of its factors and of its bias.
    pub(in crate::kernel) d: Aligned<f32>,
    pub(in crate::kernel) d_bias: f32,
    /// Σ (x·d)².
    pub(in crate::kernel) squares: f32,
}

impl Found {
    fn new(lanes: usize) -> Self {
        let [w, d] = [(); 2].map(|()| Aligned::zeros(lanes));
        Self { w, b: 0.0, sums: Sums::new(lanes), d, d_bias: 0.0, squares: 0.0 }
    }
}

#[cfg(test)]
mod tests;

/// Whether every row is far.
#[cfg(test)]
static ALL: AtomicBool = AtomicBool::new(false);

/// What a task gives where every row is far.
#[cfg(test)]
pub(in crate::kernel) fn where_all_is_far<T>(task: impl FnOnce() -> T) -> T {
    // Other tests may run meanwhile: their bits do not depend on it.
    ALL.store(true, Ordering::Relaxed);
    let result = task();
    ALL.store(false, Ordering::Relaxed);
    result
}
