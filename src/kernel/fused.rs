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
//! order: the bits do not depend on the number of threads.

use std::ops::Range;

use rayon::prelude::*;

use super::simd::{self, Simd, WithSimd};
use super::{Kernel, require};
use crate::backend::Buffer;
use crate::error::Result;

/// Cells that one thread takes at a time, and the longest row that is summed up in one go.
pub(super) const SEGMENT: usize = 8192;

/// Rows that one thread takes at a time.
const ROWS: usize = 1024;

/// Cells whose errors are found before their rows are added up.
const BATCH: usize = 8;

/// The most lanes of a row, the `MAX_LANES` constant of the shaders.
pub(super) const MAX_LANES: u32 = crate::config::MAX_RANK as u32;

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
}

impl Packing {
    /// Elements of a packed buffer.
    pub fn len(&self) -> usize {
        self.rows * (self.stride() + TAIL)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Elements of a row without its tail.
    pub(super) fn stride(&self) -> usize {
        if self.spread { 2 * self.lanes } else { self.lanes }
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
    packed: Buffer,
    packing: &Packing,
    columns: &Columns,
) -> Result<()> {
    require(kernel, rows.len() % 2 == 1, "rows has no offsets and order")?;
    require(kernel, packed.len() >= packing.len(), "the packed buffer is too small")?;
    let places = columns.rank <= packing.lanes && columns.rank <= columns.width;
    require(kernel, places && columns.bias.is_none_or(|b| b < columns.width), "columns contradict each other")
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

/// The rows that cells gather.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gathered<'a> {
    rows: &'a [f32],
    tails: &'a [[f32; TAIL]],
    pub(super) lanes: usize,
    stride: usize,
    pub(super) unit: f32,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(packed: &'a [f32], others: u32, lanes: u32, spread: u32, unit: f32) -> Self {
        let packing = Packing { rows: others as usize, lanes: lanes as usize, spread: spread != 0 };
        let (rows, tails) = packed.split_at(packing.rows * packing.stride());
        let tails = &tails.as_chunks::<TAIL>().0[..packing.rows];
        Self { rows, tails, lanes: packing.lanes, stride: packing.stride(), unit }
    }

    /// A row's means, and then its variances if there are.
    #[inline(always)]
    fn row<S: Simd>(&self, column: u32) -> &'a [S::f32s] {
        let start = column as usize * self.stride;
        simd::vectors::<S>(&self.rows[start..start + self.stride])
    }
}

/// What a walk over cells adds up: `Σ e·x`, `Σ x²` and `Σ t` lane by lane, and scalars.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sums {
    /// `[3, lanes]`.
    pub(super) lanes: Vec<f32>,
    /// Σ e.
    pub(super) errors: f32,
    /// Σ e².
    pub(super) squares: f32,
    /// Σ of the other side's bias variances.
    pub(super) tails: f32,
}

impl Sums {
    pub(super) fn new(lanes: usize) -> Self {
        Self { lanes: vec![0.0; 3 * lanes], errors: 0.0, squares: 0.0, tails: 0.0 }
    }

    pub(super) fn clear(&mut self) {
        self.lanes.fill(0.0);
        (self.errors, self.squares, self.tails) = (0.0, 0.0, 0.0);
    }

    fn add(&mut self, other: &Self) {
        self.lanes.iter_mut().zip(&other.lanes).for_each(|(a, b)| *a += b);
        self.errors += other.errors;
        self.squares += other.squares;
        self.tails += other.tails;
    }
}

/// One walk over cells of a row: the row's factors `w` in lanes, and its own bias times the unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) x: Gathered<'a>,
    pub(super) cells: &'a [[u32; 2]],
    pub(super) w: &'a [f32],
    pub(super) bias: f32,
}

impl Walk<'_> {
    /// Adds the cells up. `GRADIENT`: Σ e·x; `CURVATURE`: Σ x²; `SPREAD`: Σ t.
    #[inline(always)]
    pub(super) fn add<S: Simd, const GRADIENT: bool, const CURVATURE: bool, const SPREAD: bool>(
        &self,
        simd: S,
        sums: &mut Sums,
    ) {
        let x = &self.x;
        let w = simd::vectors::<S>(self.w);
        let (first, rest) = sums.lanes.split_at_mut(x.lanes);
        let (second, third) = rest.split_at_mut(x.lanes);
        let first = S::as_mut_simd_f32s(first).0;
        let second = S::as_mut_simd_f32s(second).0;
        let third = S::as_mut_simd_f32s(third).0;
        for cells in self.cells.chunks(BATCH) {
            let mut rows: [&[S::f32s]; BATCH] = [&[]; BATCH];
            let mut errors = [0.0f32; BATCH];
            for ((&[column, target], row), error) in cells.iter().zip(&mut rows).zip(&mut errors) {
                *row = x.row::<S>(column);
                let tail = x.tails[column as usize];
                let product = simd::dot(simd, &row[..w.len()], w);
                let e = f32::from_bits(target) - product - (self.bias + x.unit * tail[0]);
                *error = e;
                sums.errors += e;
                sums.squares += e * e;
                if SPREAD {
                    sums.tails += tail[1];
                }
            }
            if !GRADIENT {
                continue;
            }
            for block in 0..w.len() {
                let (mut g, mut h, mut s) = (first[block], second[block], third[block]);
                for (row, &e) in rows.iter().zip(&errors).take(cells.len()) {
                    g = simd.mul_add_f32s(simd.splat_f32s(e), row[block], g);
                    if CURVATURE {
                        h = simd.mul_add_f32s(row[block], row[block], h);
                    }
                    if SPREAD {
                        s = simd.add_f32s(s, row[w.len() + block]);
                    }
                }
                first[block] = g;
                if CURVATURE {
                    second[block] = h;
                }
                if SPREAD {
                    third[block] = s;
                }
            }
        }
    }

    /// `Σ (x·w + bias)²`, as a row's curvature along a direction needs it.
    #[inline(always)]
    pub(super) fn squares<S: Simd>(&self, simd: S) -> f32 {
        let w = simd::vectors::<S>(self.w);
        let mut sum = 0.0;
        for &[column, _] in self.cells {
            let product = simd::dot(simd, &self.x.row::<S>(column)[..w.len()], w) + self.bias;
            sum += product * product;
        }
        sum
    }

    /// Adds the rows themselves up, into `Σ e·x`'s place.
    #[inline(always)]
    pub(super) fn pattern<S: Simd>(&self, simd: S, sums: &mut Sums) {
        let blocks = S::as_mut_simd_f32s(&mut sums.lanes[..self.x.lanes]).0;
        for cells in self.cells.chunks(BATCH) {
            let mut rows: [&[S::f32s]; BATCH] = [&[]; BATCH];
            for (&[column, _], row) in cells.iter().zip(&mut rows) {
                *row = self.x.row::<S>(column);
            }
            for (block, sum) in blocks.iter_mut().enumerate() {
                for row in &rows[..cells.len()] {
                    *sum = simd.add_f32s(*sum, row[block]);
                }
            }
        }
    }

    /// The segments of a long row.
    pub(super) fn segments(&self) -> impl IndexedParallelIterator<Item = Self> {
        self.cells.par_chunks(SEGMENT).map(|cells| Self { cells, ..*self })
    }
}

/// The sums of a long row, its segments in parallel and then added up in order.
pub(super) fn long_sums(walk: &Walk<'_>, add: impl Fn(&Walk<'_>, &mut Sums) + Sync) -> Sums {
    let parts: Vec<Sums> = walk
        .segments()
        .map(|part| {
            let mut sums = Sums::new(walk.x.lanes);
            add(&part, &mut sums);
            sums
        })
        .collect();
    let mut all = Sums::new(walk.x.lanes);
    parts.iter().for_each(|part| all.add(part));
    all
}

/// `Σ (x·w + bias)²` of a long row.
pub(super) fn long_squares(walk: &Walk<'_>) -> f32 {
    let parts: Vec<f32> = walk.segments().map(|part| simd::run(Squares(part))).collect();
    parts.iter().sum()
}

struct Squares<'a>(Walk<'a>);

impl WithSimd for Squares<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        self.0.squares(simd)
    }
}
