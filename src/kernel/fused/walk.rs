//! One row's walk over its cells on the CPU, sixteen lanes at a time.

use super::cells::Cursor;
use super::sums::{Scalars, Sums};
use super::{Packing, TAIL};
use crate::kernel::simd::{self, Simd};

/// Cells whose errors are found before their rows are added up.
const BATCH: usize = 8;

/// The rows that cells gather.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernel) struct Gathered<'a> {
    rows: &'a [f32],
    tails: &'a [[f32; TAIL]],
    pub(in crate::kernel) lanes: usize,
    stride: usize,
    pub(in crate::kernel) unit: f32,
}

impl<'a> Gathered<'a> {
    pub(in crate::kernel) fn new(packed: &'a [f32], others: u32, lanes: u32, spread: u32, unit: f32) -> Self {
        let packing =
            Packing { rows: others as usize, lanes: lanes as usize, spread: spread != 0, half: false };
        let (rows, tails) = packed.split_at(packing.rows * packing.stride());
        let tails = &tails.as_chunks::<TAIL>().0[..packing.rows];
        Self { rows, tails, lanes: packing.lanes, stride: packing.stride(), unit }
    }

    /// Rows of the other side.
    pub(super) fn rows(&self) -> usize {
        self.tails.len()
    }

    /// Elements of a row, with its variances if there are.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// Bytes of all that may be gathered.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.rows) + size_of_val(self.tails)
    }

    /// A row's means, and then its variances if there are.
    #[inline(always)]
    fn row<S: Simd>(&self, column: u32) -> &'a [S::f32s] {
        let start = column as usize * self.stride;
        simd::vectors::<S>(&self.rows[start..start + self.stride])
    }
}

/// The first `N` vectors.
#[inline(always)]
fn array<S: Simd, const N: usize>(vectors: &[S::f32s]) -> [S::f32s; N] {
    let mut few = [vectors[0]; N];
    few.copy_from_slice(&vectors[..N]);
    few
}

/// One walk over cells of a row: the row's factors `w` in lanes, and its own bias times the unit.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernel) struct Walk<'a> {
    pub(in crate::kernel) x: Gathered<'a>,
    pub(in crate::kernel) cells: &'a [[u32; 2]],
    /// Rows of the other side whose cells are added up apart; 0: all.
    pub(in crate::kernel) block: u32,
    pub(in crate::kernel) w: &'a [f32],
    pub(in crate::kernel) bias: f32,
}

/// Calls a method for as many vectors a row as there are: with the usual numbers of them known when
/// it is compiled, sums stay in registers.
macro_rules! by_vectors {
    ($count:expr, $many:expr, |$n:ident| $few:expr) => {
        match $count {
            1 => {
                const $n: usize = 1;
                $few
            }
            2 => {
                const $n: usize = 2;
                $few
            }
            4 => {
                const $n: usize = 4;
                $few
            }
            8 => {
                const $n: usize = 8;
                $few
            }
            _ => $many,
        }
    };
}

/// Adds vectors to a part of the sums.
#[inline(always)]
fn add_vectors<S: Simd, const N: usize>(simd: S, sums: &mut [f32], vectors: [S::f32s; N]) {
    let sums = &mut S::as_mut_simd_f32s(sums).0[..N];
    for i in 0..N {
        sums[i] = simd.add_f32s(sums[i], vectors[i]);
    }
}

impl Walk<'_> {
    /// Adds the cells up, a block after the other. `GRADIENT`: Σ e·x; `CURVATURE`: Σ x²; `SPREAD`: Σ t.
    #[inline(always)]
    pub(super) fn add<S: Simd, const GRADIENT: bool, const CURVATURE: bool, const SPREAD: bool>(
        &self,
        simd: S,
        sums: &mut Sums,
    ) {
        by_vectors!(
            self.x.lanes / simd::LANES,
            self.add_many::<S, GRADIENT, CURVATURE, SPREAD>(simd, sums),
            |N| self.add_few::<S, N, GRADIENT, CURVATURE, SPREAD>(simd, sums)
        );
    }

    #[inline(always)]
    fn add_few<S: Simd, const N: usize, const GRADIENT: bool, const CURVATURE: bool, const SPREAD: bool>(
        &self,
        simd: S,
        sums: &mut Sums,
    ) {
        let x = &self.x;
        let w = array::<S, N>(simd::vectors::<S>(self.w));
        let mut cursor = Cursor::new(self.cells, self.block);
        while let Some(mut block) = cursor.next_block() {
            let [mut g, mut h, mut s] = [[simd.splat_f32s(0.0); N]; 3];
            let mut scalars = Scalars::default();
            let left = block.left();
            for [column, target] in block.by_ref() {
                let row = x.row::<S>(column);
                let means = array::<S, N>(row);
                let mut product = simd.mul_f32s(means[0], w[0]);
                for i in 1..N {
                    product = simd.mul_add_f32s(means[i], w[i], product);
                }
                let tail = x.tails[column as usize];
                let e =
                    f32::from_bits(target) - simd.reduce_sum_f32s(product) - (self.bias + x.unit * tail[0]);
                scalars.errors += e;
                scalars.squares += e * e;
                if SPREAD {
                    scalars.tails += tail[1];
                }
                if GRADIENT {
                    let errors = simd.splat_f32s(e);
                    let spreads = if SPREAD { array::<S, N>(&row[N..]) } else { means };
                    for i in 0..N {
                        g[i] = simd.mul_add_f32s(errors, means[i], g[i]);
                        if CURVATURE {
                            h[i] = simd.mul_add_f32s(means[i], means[i], h[i]);
                        }
                        if SPREAD {
                            s[i] = simd.add_f32s(s[i], spreads[i]);
                        }
                    }
                }
            }
            let cells = left - block.left();
            sums.add_scalars(scalars, cells, x.unit);
            if GRADIENT {
                add_vectors(simd, &mut sums.lanes, g);
            }
            if CURVATURE {
                add_vectors(simd, &mut sums.lanes[x.lanes..], h);
            }
            if SPREAD {
                add_vectors(simd, &mut sums.lanes[2 * x.lanes..], s);
            }
        }
    }

    /// The same for any rank: a batch of errors first, then one vector of the sums after the other.
    #[inline(always)]
    fn add_many<S: Simd, const GRADIENT: bool, const CURVATURE: bool, const SPREAD: bool>(
        &self,
        simd: S,
        sums: &mut Sums,
    ) {
        let mut cursor = Cursor::new(self.cells, self.block);
        while let Some(block) = cursor.next_block() {
            let cells = block.rest();
            let (planes, apart) = sums.planes(self.block != 0);
            let scalars = self.add_block::<S, GRADIENT, CURVATURE, SPREAD>(simd, cells, planes);
            if apart {
                sums.join(simd);
            }
            sums.add_scalars(scalars, cells.len(), self.x.unit);
        }
    }

    /// Adds cells to three planes of lanes.
    #[inline(always)]
    fn add_block<S: Simd, const GRADIENT: bool, const CURVATURE: bool, const SPREAD: bool>(
        &self,
        simd: S,
        cells: &[[u32; 2]],
        planes: &mut [f32],
    ) -> Scalars {
        let x = &self.x;
        let w = simd::vectors::<S>(self.w);
        let (first, rest) = planes.split_at_mut(x.lanes);
        let (second, third) = rest.split_at_mut(x.lanes);
        let first = S::as_mut_simd_f32s(first).0;
        let second = S::as_mut_simd_f32s(second).0;
        let third = S::as_mut_simd_f32s(third).0;
        let mut scalars = Scalars::default();
        for cells in cells.chunks(BATCH) {
            let mut rows: [&[S::f32s]; BATCH] = [&[]; BATCH];
            let mut errors = [0.0f32; BATCH];
            for ((&[column, target], row), error) in cells.iter().zip(&mut rows).zip(&mut errors) {
                *row = x.row::<S>(column);
                let tail = x.tails[column as usize];
                let product = simd::dot(simd, &row[..w.len()], w);
                let e = f32::from_bits(target) - product - (self.bias + x.unit * tail[0]);
                *error = e;
                scalars.errors += e;
                scalars.squares += e * e;
                if SPREAD {
                    scalars.tails += tail[1];
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
        scalars
    }

    /// `Σ (x·w + bias)²`, as a row's curvature along a direction needs it.
    #[inline(always)]
    pub(super) fn squares<S: Simd>(&self, simd: S) -> f32 {
        let w = simd::vectors::<S>(self.w);
        by_vectors!(w.len(), self.squares_many(simd, w), |N| self.squares_few::<S, N>(simd, array::<S, N>(w)))
    }

    #[inline(always)]
    fn squares_few<S: Simd, const N: usize>(&self, simd: S, w: [S::f32s; N]) -> f32 {
        let mut squares = 0.0;
        let mut cursor = Cursor::new(self.cells, self.block);
        while let Some(block) = cursor.next_block() {
            let mut sum = 0.0;
            for [column, _] in block {
                let row = array::<S, N>(self.x.row::<S>(column));
                let mut product = simd.mul_f32s(row[0], w[0]);
                for i in 1..N {
                    product = simd.mul_add_f32s(row[i], w[i], product);
                }
                let product = simd.reduce_sum_f32s(product) + self.bias;
                sum += product * product;
            }
            squares += sum;
        }
        squares
    }

    #[inline(always)]
    fn squares_many<S: Simd>(&self, simd: S, w: &[S::f32s]) -> f32 {
        let mut squares = 0.0;
        let mut cursor = Cursor::new(self.cells, self.block);
        while let Some(block) = cursor.next_block() {
            let mut sum = 0.0;
            for &[column, _] in block.rest() {
                let product = simd::dot(simd, &self.x.row::<S>(column)[..w.len()], w) + self.bias;
                sum += product * product;
            }
            squares += sum;
        }
        squares
    }

    /// Adds the rows themselves up, into `Σ e·x`'s place.
    #[inline(always)]
    pub(super) fn pattern<S: Simd>(&self, simd: S, sums: &mut Sums) {
        by_vectors!(self.x.lanes / simd::LANES, self.pattern_many(simd, sums), |N| self
            .pattern_few::<S, N>(simd, sums));
    }

    #[inline(always)]
    fn pattern_few<S: Simd, const N: usize>(&self, simd: S, sums: &mut Sums) {
        let mut cursor = Cursor::new(self.cells, self.block);
        while let Some(block) = cursor.next_block() {
            let mut sum = [simd.splat_f32s(0.0); N];
            for &[column, _] in block.rest() {
                let row = array::<S, N>(self.x.row::<S>(column));
                for i in 0..N {
                    sum[i] = simd.add_f32s(sum[i], row[i]);
                }
            }
            add_vectors(simd, &mut sums.lanes, sum);
        }
    }

    #[inline(always)]
    fn pattern_many<S: Simd>(&self, simd: S, sums: &mut Sums) {
        let mut cursor = Cursor::new(self.cells, self.block);
        while let Some(block) = cursor.next_block() {
            let (planes, apart) = sums.planes(self.block != 0);
            let vectors = S::as_mut_simd_f32s(&mut planes[..self.x.lanes]).0;
            for cells in block.rest().chunks(BATCH) {
                let mut rows: [&[S::f32s]; BATCH] = [&[]; BATCH];
                for (row, &[column, _]) in rows.iter_mut().zip(cells) {
                    *row = self.x.row::<S>(column);
                }
                for (i, sum) in vectors.iter_mut().enumerate() {
                    for row in rows.iter().take(cells.len()) {
                        *sum = simd.add_f32s(*sum, row[i]);
                    }
                }
            }
            if apart {
                sums.join(simd);
            }
        }
    }
}
