//! One row's walk over its cells on the CPU, sixteen lanes at a time.

use rayon::prelude::*;

use super::{Packing, SEGMENT, TAIL};
use crate::kernel::simd::{self, Simd, WithSimd};

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

    /// A row's means, and then its variances if there are.
    #[inline(always)]
    fn row<S: Simd>(&self, column: u32) -> &'a [S::f32s] {
        let start = column as usize * self.stride;
        simd::vectors::<S>(&self.rows[start..start + self.stride])
    }
}

/// What a walk over cells adds up: `Σ e·x`, `Σ x²` and `Σ t` lane by lane, and scalars.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::kernel) struct Sums {
    /// `[3, lanes]`.
    pub(in crate::kernel) lanes: Vec<f32>,
    /// Σ e.
    pub(in crate::kernel) errors: f32,
    /// Σ e².
    pub(in crate::kernel) squares: f32,
    /// Σ of the other side's bias variances.
    pub(in crate::kernel) tails: f32,
}

impl Sums {
    pub(in crate::kernel) fn new(lanes: usize) -> Self {
        Self { lanes: vec![0.0; 3 * lanes], errors: 0.0, squares: 0.0, tails: 0.0 }
    }

    pub(in crate::kernel) fn clear(&mut self) {
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

impl Walk<'_> {
    /// Adds the cells up. `GRADIENT`: Σ e·x; `CURVATURE`: Σ x²; `SPREAD`: Σ t.
    #[inline(always)]
    pub(in crate::kernel) fn add<S: Simd, const GRADIENT: bool, const CURVATURE: bool, const SPREAD: bool>(
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
        let [mut g, mut h, mut s] = [[simd.splat_f32s(0.0); N]; 3];
        for &[column, target] in self.cells {
            let row = x.row::<S>(column);
            let means = array::<S, N>(row);
            let mut product = simd.mul_f32s(means[0], w[0]);
            for i in 1..N {
                product = simd.mul_add_f32s(means[i], w[i], product);
            }
            let tail = x.tails[column as usize];
            let e = f32::from_bits(target) - simd.reduce_sum_f32s(product) - (self.bias + x.unit * tail[0]);
            sums.errors += e;
            sums.squares += e * e;
            if SPREAD {
                sums.tails += tail[1];
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
        for (part, values) in sums.lanes.chunks_mut(x.lanes).zip([g, h, s]) {
            for (sum, value) in S::as_mut_simd_f32s(part).0.iter_mut().zip(values) {
                *sum = simd.add_f32s(*sum, value);
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
    pub(in crate::kernel) fn squares<S: Simd>(&self, simd: S) -> f32 {
        let w = simd::vectors::<S>(self.w);
        by_vectors!(w.len(), self.squares_many(simd, w), |N| self.squares_few::<S, N>(simd, array::<S, N>(w)))
    }

    #[inline(always)]
    fn squares_few<S: Simd, const N: usize>(&self, simd: S, w: [S::f32s; N]) -> f32 {
        let mut sum = 0.0;
        for &[column, _] in self.cells {
            let row = array::<S, N>(self.x.row::<S>(column));
            let mut product = simd.mul_f32s(row[0], w[0]);
            for i in 1..N {
                product = simd.mul_add_f32s(row[i], w[i], product);
            }
            let product = simd.reduce_sum_f32s(product) + self.bias;
            sum += product * product;
        }
        sum
    }

    #[inline(always)]
    fn squares_many<S: Simd>(&self, simd: S, w: &[S::f32s]) -> f32 {
        let mut sum = 0.0;
        for &[column, _] in self.cells {
            let product = simd::dot(simd, &self.x.row::<S>(column)[..w.len()], w) + self.bias;
            sum += product * product;
        }
        sum
    }

    /// Adds the rows themselves up, into `Σ e·x`'s place.
    #[inline(always)]
    pub(in crate::kernel) fn pattern<S: Simd>(&self, simd: S, sums: &mut Sums) {
        let blocks = S::as_mut_simd_f32s(&mut sums.lanes[..self.x.lanes]).0;
        by_vectors!(
            blocks.len(),
            for &[column, _] in self.cells {
                for (sum, &x) in blocks.iter_mut().zip(self.x.row::<S>(column)) {
                    *sum = simd.add_f32s(*sum, x);
                }
            },
            |N| {
                let mut sums = array::<S, N>(blocks);
                for &[column, _] in self.cells {
                    let row = array::<S, N>(self.x.row::<S>(column));
                    for i in 0..N {
                        sums[i] = simd.add_f32s(sums[i], row[i]);
                    }
                }
                blocks.copy_from_slice(&sums);
            }
        );
    }

    /// The segments of a long row.
    pub(in crate::kernel) fn segments(&self) -> impl IndexedParallelIterator<Item = Self> {
        self.cells.par_chunks(SEGMENT).map(|cells| Self { cells, ..*self })
    }
}

/// The sums of a row's walk, see [`Walk::add`]. The segments of a long row are added up in parallel,
/// and then in order.
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
    if walk.cells.len() > SEGMENT {
        *sums = long_sums(walk, |part, sums| simd::run(Add::<GRADIENT, CURVATURE, SPREAD>(part, sums)));
    } else {
        sums.clear();
        walk.add::<S, GRADIENT, CURVATURE, SPREAD>(simd, sums);
    }
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
        self.0.add::<S, GRADIENT, CURVATURE, SPREAD>(simd, self.1);
    }
}

/// The sums of a long row, its segments in parallel and then added up in order.
pub(in crate::kernel) fn long_sums(walk: &Walk<'_>, add: impl Fn(&Walk<'_>, &mut Sums) + Sync) -> Sums {
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
pub(in crate::kernel) fn long_squares(walk: &Walk<'_>) -> f32 {
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
