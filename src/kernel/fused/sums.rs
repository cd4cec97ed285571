//! What a row's cells add up to: block after block of the other side's rows, and a long block's
//! segments in parallel and then in order.

use rayon::prelude::*;

use super::SEGMENT;
use super::cells::Cursor;
use super::walk::Walk;
use crate::aligned::Aligned;
use crate::kernel::simd::{self, Simd, WithSimd};

/// What a walk over cells adds up: `Σ e·x`, `Σ x²` and `Σ t` lane by lane, and scalars.
#[derive(Debug, Clone)]
pub(in crate::kernel) struct Sums {
    /// `[3, lanes]`.
    pub(in crate::kernel) lanes: Aligned<f32>,
    /// Those of one block, where they don't stay in registers: `[3, lanes]`.
    apart: Aligned<f32>,
    /// κ·Σ e of each block, added up: what `Σ e·x` is for the bias.
    pub(in crate::kernel) bias_gradient: f32,
    /// κ²·cells of each block, added up: what `Σ x²` is for the bias.
    pub(in crate::kernel) bias_curvature: f32,
    /// Σ e².
    pub(in crate::kernel) squares: f32,
    /// Σ of the other side's bias variances.
    pub(in crate::kernel) tails: f32,
    /// Σ e.
    errors: f32,
}

impl Sums {
    pub(in crate::kernel) fn new(lanes: usize) -> Self {
        let [lanes, apart] = [(); 2].map(|()| Aligned::zeros(3 * lanes));
        Self { lanes, apart, bias_gradient: 0.0, bias_curvature: 0.0, squares: 0.0, tails: 0.0, errors: 0.0 }
    }

    fn clear(&mut self) {
        self.lanes.fill(0.0);
        (self.bias_gradient, self.bias_curvature) = (0.0, 0.0);
        (self.squares, self.tails, self.errors) = (0.0, 0.0, 0.0);
    }

    /// Where to add a block's lanes up, and whether that is apart, from 0.
    #[inline(always)]
    pub(super) fn planes(&mut self, apart: bool) -> (&mut [f32], bool) {
        if apart {
            self.apart.fill(0.0);
        }
        (if apart { &mut self.apart } else { &mut self.lanes }, apart)
    }

    /// Adds the lanes that were added up apart.
    #[inline(always)]
    pub(super) fn join<S: Simd>(&mut self, simd: S) {
        let apart = simd::vectors::<S>(&self.apart);
        for (sum, &apart) in S::as_mut_simd_f32s(&mut self.lanes).0.iter_mut().zip(apart) {
            *sum = simd.add_f32s(*sum, apart);
        }
    }

    /// Adds a block's scalars.
    #[inline(always)]
    pub(super) fn add_scalars(&mut self, block: Scalars, cells: usize, unit: f32) {
        self.bias_gradient += unit * block.errors;
        self.bias_curvature += cells as f32 * unit * unit;
        self.squares += block.squares;
        self.tails += block.tails;
        self.errors += block.errors;
    }

    /// Adds a block that has its segments' sums.
    fn add_block(&mut self, segments: &[Sums], cells: usize, unit: f32) {
        let mut scalars = Scalars::default();
        self.apart.fill(0.0);
        for segment in segments {
            self.apart.iter_mut().zip(segment.lanes.iter()).for_each(|(a, b)| *a += b);
            scalars.errors += segment.errors;
            scalars.squares += segment.squares;
            scalars.tails += segment.tails;
        }
        self.lanes.iter_mut().zip(self.apart.iter()).for_each(|(a, b)| *a += b);
        self.add_scalars(scalars, cells, unit);
    }
}

/// The scalars of one block.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scalars {
    /// Σ e.
    pub(super) errors: f32,
    /// Σ e².
    pub(super) squares: f32,
    /// Σ of the other side's bias variances.
    pub(super) tails: f32,
}

/// The sums of a row's walk, see [`Walk::add`].
#[inline(always)]
pub(in crate::kernel) fn row_sums<
    S: Simd,
    const GRADIENT: bool,
    const CURVATURE: bool,
    const SPREAD: bool,
>(
    simd: S,
    walk: &Walk<'_>,
    sums: &mut Sums,
) {
    sums.clear();
    Add::<GRADIENT, CURVATURE, SPREAD>(walk, sums).with_simd(simd);
}

/// Goes on with the sums of a row's walk, with the cells of its next block.
pub(super) fn more_sums<const GRADIENT: bool, const CURVATURE: bool, const SPREAD: bool>(
    walk: &Walk<'_>,
    sums: &mut Sums,
) {
    simd::run(Add::<GRADIENT, CURVATURE, SPREAD>(walk, sums));
}

struct Add<'a, 'b, const GRADIENT: bool, const CURVATURE: bool, const SPREAD: bool>(
    &'a Walk<'a>,
    &'b mut Sums,
);

impl<const GRADIENT: bool, const CURVATURE: bool, const SPREAD: bool> WithSimd
    for Add<'_, '_, GRADIENT, CURVATURE, SPREAD>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(walk, sums) = self;
        if walk.cells.len() > SEGMENT {
            long_sums(walk, sums, &|segment, sums| {
                simd::run(Add::<GRADIENT, CURVATURE, SPREAD>(segment, sums));
            });
        } else {
            walk.add::<S, GRADIENT, CURVATURE, SPREAD>(simd, sums);
        }
    }
}

/// The sums of the other side's rows, see [`Walk::pattern`].
#[inline(always)]
pub(in crate::kernel) fn row_patterns<S: Simd>(simd: S, walk: &Walk<'_>, sums: &mut Sums) {
    sums.clear();
    Pattern(walk, sums).with_simd(simd);
}

/// Goes on with the sums of the other side's rows, with the cells of a row's next block.
pub(in crate::kernel) fn more_patterns(walk: &Walk<'_>, sums: &mut Sums) {
    simd::run(Pattern(walk, sums));
}

struct Pattern<'a, 'b>(&'a Walk<'a>, &'b mut Sums);

impl WithSimd for Pattern<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(walk, sums) = self;
        if walk.cells.len() > SEGMENT {
            long_sums(walk, sums, &|segment, sums| simd::run(Pattern(segment, sums)));
        } else {
            walk.pattern(simd, sums);
        }
    }
}

/// `Σ (x·w + bias)²` of a row.
#[inline(always)]
pub(in crate::kernel) fn row_squares<S: Simd>(simd: S, walk: &Walk<'_>) -> f32 {
    if walk.cells.len() > SEGMENT { long_squares(walk) } else { walk.squares(simd) }
}

/// [`row_squares`] as a task.
pub(super) struct Squares<'a>(pub(super) Walk<'a>);

impl WithSimd for Squares<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        row_squares(simd, &self.0)
    }
}

/// A long row's segments, each of one block, with the number of the first of the block's.
fn segments<'a>(walk: &Walk<'a>) -> Vec<(usize, Walk<'a>)> {
    let mut segments: Vec<(usize, Walk<'a>)> = Vec::new();
    let mut cursor = Cursor::new(walk.cells, walk.block);
    while let Some(block) = cursor.next_block() {
        let first = segments.len();
        let cells = block.rest();
        segments.extend(cells.chunks(SEGMENT).map(|cells| (first, Walk { cells, block: 0, ..*walk })));
    }
    segments
}

/// Adds a long row's segments up: in parallel, then in order inside a block, then the blocks in order.
fn long_sums(walk: &Walk<'_>, sums: &mut Sums, add: &(impl Fn(&Walk<'_>, &mut Sums) + Sync)) {
    let segments = segments(walk);
    let added = segments.par_iter().map(|(_, segment)| {
        let mut sums = Sums::new(walk.x.lanes);
        add(segment, &mut sums);
        sums
    });
    let mut added: &[Sums] = &added.collect::<Vec<Sums>>();
    for block in segments.chunk_by(|(a, _), (b, _)| a == b) {
        let (mine, more) = added.split_at(block.len());
        let cells = block.iter().map(|(_, segment)| segment.cells.len()).sum();
        sums.add_block(mine, cells, walk.x.unit);
        added = more;
    }
}

/// [`Walk::squares`] of a long row, added up likewise.
fn long_squares(walk: &Walk<'_>) -> f32 {
    let segments = segments(walk);
    let squares = segments.par_iter().map(|&(first, segment)| (first, simd::run(Squares(segment))));
    let squares: Vec<(usize, f32)> = squares.collect();
    let blocks = squares.chunk_by(|(a, _), (b, _)| a == b);
    blocks
        .map(|block| block.iter().fold(0.0, |sum, (_, part)| sum + part))
        .fold(0.0, |sum, block| sum + block)
}
