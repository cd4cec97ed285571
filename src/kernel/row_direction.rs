//! The direction of a row's line search: the gradient over the diagonal of the curvature.

use rayon::prelude::*;

use super::fused::{Behind, Factors, PIECE, direction};
use super::simd::{self, Simd, WithSimd};
use super::{
    Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require, row_sums::stride,
};
use crate::aligned::Aligned;
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/row_direction.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "row_direction",
    wgsl: include_str!("../../shaders/row_direction.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("factors", Element::F32),
        Binding::read("means", Element::F32),
        Binding::read("penalty", Element::F32),
        Binding::read("prior", Element::F32),
        Binding::read_write("sums", Element::F32),
        Binding::read_write("variances", Element::F32),
        Binding::read_write("energy", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `row_direction`.
    pub struct Params {
        /// Rows.
        pub rows: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// A column that must not move; ≥ width: none.
        pub frozen: u32,
        /// 1: the precision is the row's penalty; 0: the column's prior.
        pub fixed: u32,
        /// 1: there are prior means.
        pub centered: u32,
        /// σ²; 0: no variances.
        pub noise: f32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct RowDirection {
    /// w, `[rows, width]`.
    pub factors: Buffer,
    /// Prior means m, `[rows, width]`; `None`: all 0.
    pub means: Option<Buffer>,
    /// Fixed precision of each row, `[rows]`.
    pub penalty: Buffer,
    /// Precision of each column, noise over prior variance, `[width]`.
    pub prior: Buffer,
    /// Sums of each row; receives the direction, `[rows, stride(width)]`.
    pub sums: Buffer,
    /// Receives the variances, `[rows, width]`.
    pub variances: Buffer,
    /// Receives the loss of each row (fixed penalty) or its E(e²), `[rows]`.
    pub energy: Buffer,
    /// Columns of a factor matrix.
    pub width: usize,
    /// Take the row's penalty as precision, not the column's prior.
    pub fixed: bool,
    /// A column that must not move, one of the last two: the other is the bias.
    pub frozen: Option<usize>,
    /// σ²; 0: no variances.
    pub noise: f32,
}

impl RowDirection {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let rows = self.penalty.len();
        let means = self.means.unwrap_or(self.factors);
        require(
            &KERNEL,
            self.factors.len() == rows * self.width && self.variances.len() == self.factors.len(),
            "factors and variances differ",
        )?;
        require(
            &KERNEL,
            means.len() == self.factors.len() && self.energy.len() == rows,
            "means or energy have other rows",
        )?;
        require(
            &KERNEL,
            self.sums.len() == rows * stride(self.width) && self.prior.len() == self.width,
            "sums or prior have another width",
        )?;
        require(
            &KERNEL,
            self.frozen.is_none_or(|f| f < self.width && f + 2 >= self.width && self.width > 1),
            "the constant column is none of the last two",
        )?;
        let params = Params {
            rows: dimension(&KERNEL, rows)?,
            width: dimension(&KERNEL, self.width)?,
            frozen: dimension(&KERNEL, self.frozen.unwrap_or(self.width))?,
            fixed: u32::from(self.fixed),
            centered: u32::from(self.means.is_some()),
            noise: self.noise,
        };
        let buffers = [self.factors, means, self.penalty, self.prior, self.sums, self.variances, self.energy];
        Dispatch::new(&KERNEL, params, &buffers, rows as u64)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [factors, means, penalty, prior, sums, variances, energy] = slots else {
        unreachable!("the dispatch was checked")
    };
    row_direction(
        &bytemuck::pod_read_unaligned(params),
        factors.f32(),
        means.f32(),
        penalty.f32(),
        prior.f32(),
        sums.f32_mut(),
        variances.f32_mut(),
        energy.f32_mut(),
    );
}

/// The twin: pieces of rows in parallel. A constant column is one of the last two, the bias the other.
#[expect(clippy::too_many_arguments, reason = "one for each binding")]
pub fn row_direction(
    params: &Params,
    factors: &[f32],
    means: &[f32],
    penalty: &[f32],
    prior: &[f32],
    sums: &mut [f32],
    variances: &mut [f32],
    energy: &mut [f32],
) {
    let width = params.width as usize;
    let behind = Behind::new(width, params.frozen as usize);
    let precision = behind.precision(prior);
    let rows = sums
        .par_chunks_mut(PIECE * stride(width))
        .zip(variances.par_chunks_mut(PIECE * width))
        .zip(energy.par_chunks_mut(PIECE));
    rows.enumerate().for_each(|(piece, ((sums, variances), energy))| {
        let first = piece * PIECE;
        let given = Given { params, factors, means, penalty, prior, precision: &precision, behind, first };
        let results = Results { sums, variances, energy };
        match params.fixed {
            0 => simd::run(Piece::<false> { given, results }),
            _ => simd::run(Piece::<true> { given, results }),
        }
    });
}

#[derive(Clone, Copy)]
struct Given<'a> {
    params: &'a Params,
    factors: &'a [f32],
    means: &'a [f32],
    penalty: &'a [f32],
    prior: &'a [f32],
    precision: &'a [f32],
    behind: Behind,
    /// The piece's first row.
    first: usize,
}

struct Results<'a> {
    sums: &'a mut [f32],
    variances: &'a mut [f32],
    energy: &'a mut [f32],
}

struct Piece<'a, const FIXED: bool> {
    given: Given<'a>,
    results: Results<'a>,
}

impl<const FIXED: bool> WithSimd for Piece<'_, FIXED> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Given { params, factors, means, penalty, prior, precision, behind, first } = self.given;
        let Results { sums, variances, energy } = self.results;
        let (width, rank, lanes) = (params.width as usize, behind.rank, precision.len());
        let [mut w, mut m, mut d, mut spread] = [(); 4].map(|()| Aligned::zeros(lanes));
        let mut planes = Aligned::zeros(3 * lanes);
        let rows = sums.chunks_exact_mut(stride(width)).zip(variances.chunks_exact_mut(width)).zip(energy);
        for (local, ((sums, variances), energy)) in rows.enumerate() {
            let row = first + local;
            let own = &factors[row * width..(row + 1) * width];
            let center = (params.centered != 0).then(|| &means[row * width..(row + 1) * width]);
            let penalty = if FIXED { penalty[row] } else { 0.0 };
            w[..rank].copy_from_slice(&own[..rank]);
            if let Some(center) = center {
                m[..rank].copy_from_slice(&center[..rank]);
            }
            for (plane, sums) in planes.chunks_exact_mut(lanes.max(1)).zip(sums.chunks_exact(width)) {
                plane[..rank].copy_from_slice(&sums[..rank]);
            }
            let line = Factors { w: &w, means: &m, sums: &planes, penalty, prior: precision };
            let (_, before) = direction::<S, FIXED, true>(simd, &line, params.noise, &mut d, &mut spread);
            let rho = |f: usize| if FIXED { penalty } else { prior[f] };
            let column = |f| behind.column(f, sums, own, center, rho);
            let (bias, constant) = (column(behind.bias), column(behind.constant));
            let (d_bias, variance) = bias.direction(params.noise);
            *energy =
                sums[4 * width] + before.energy::<FIXED, true>(simd, penalty, (&bias, variance), &constant);
            let directions = &mut sums[3 * width..4 * width];
            for (to, from, value) in [(directions, &d, d_bias), (variances, &spread, variance)] {
                to.fill(0.0);
                to[..rank].copy_from_slice(&from[..rank]);
                if let Some(bias) = behind.bias {
                    to[bias] = value;
                }
            }
        }
    }
}
