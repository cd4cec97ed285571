//! The exact minimum along a row's direction, and the step to it.

use rayon::prelude::*;

use super::fused::{Behind, Factors, PIECE, along, step};
use super::simd::{self, Simd, WithSimd};
use super::{
    Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require, row_sums::stride,
};
use crate::aligned::Aligned;
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/row_step.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "row_step",
    wgsl: include_str!("../../shaders/row_step.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("sums", Element::F32),
        Binding::read("penalty", Element::F32),
        Binding::read("prior", Element::F32),
        Binding::read_write("factors", Element::F32),
        Binding::read_write("energy", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `row_step`.
    pub struct Params {
        /// Rows.
        pub rows: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// 1: the precision is the row's penalty; 0: the column's prior.
        pub fixed: u32,
        /// A constant column, without penalty; ≥ width: none.
        pub frozen: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct RowStep {
    /// Sums and directions, `[rows, stride(width)]`.
    pub sums: Buffer,
    /// Fixed precision of each row, `[rows]`.
    pub penalty: Buffer,
    /// Precision of each column, `[width]`.
    pub prior: Buffer,
    /// w, `[rows, width]`, moved in place.
    pub factors: Buffer,
    /// Receives the penalty of each row after the step, `[rows]`.
    pub energy: Buffer,
    /// Columns of a factor matrix.
    pub width: usize,
    /// Take the row's penalty as precision, not the column's prior.
    pub fixed: bool,
    /// A column that must not move, one of the last two: the other is the bias.
    pub frozen: Option<usize>,
}

impl RowStep {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let rows = self.penalty.len();
        require(
            &KERNEL,
            self.factors.len() == rows * self.width && self.energy.len() == rows,
            "factors or energy have other rows",
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
            fixed: u32::from(self.fixed),
            frozen: dimension(&KERNEL, self.frozen.unwrap_or(self.width))?,
        };
        let buffers = [self.sums, self.penalty, self.prior, self.factors, self.energy];
        Dispatch::new(&KERNEL, params, &buffers, rows as u64)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [sums, penalty, prior, factors, energy] = slots else { unreachable!("the dispatch was checked") };
    row_step(
        &bytemuck::pod_read_unaligned(params),
        sums.f32(),
        penalty.f32(),
        prior.f32(),
        factors.f32_mut(),
        energy.f32_mut(),
    );
}

/// The twin: pieces of rows in parallel. A constant column is one of the last two, the bias the other.
pub fn row_step(
    params: &Params,
    sums: &[f32],
    penalty: &[f32],
    prior: &[f32],
    factors: &mut [f32],
    energy: &mut [f32],
) {
    let width = params.width as usize;
    let behind = Behind::new(width, params.frozen as usize);
    let precision = behind.precision(prior);
    let rows = factors.par_chunks_mut(PIECE * width).zip(energy.par_chunks_mut(PIECE));
    rows.enumerate().for_each(|(piece, (factors, energy))| {
        let first = piece * PIECE;
        let given = Given { width, sums, penalty, prior, precision: &precision, behind, first };
        match params.fixed {
            0 => simd::run(Piece::<false> { given, factors, energy }),
            _ => simd::run(Piece::<true> { given, factors, energy }),
        }
    });
}

#[derive(Clone, Copy)]
struct Given<'a> {
    width: usize,
    sums: &'a [f32],
    penalty: &'a [f32],
    prior: &'a [f32],
    precision: &'a [f32],
    behind: Behind,
    /// The piece's first row.
    first: usize,
}

struct Piece<'a, const FIXED: bool> {
    given: Given<'a>,
    factors: &'a mut [f32],
    energy: &'a mut [f32],
}

impl<const FIXED: bool> WithSimd for Piece<'_, FIXED> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Given { width, sums, penalty, prior, precision, behind, first } = self.given;
        let (rank, lanes) = (behind.rank, precision.len());
        let [mut w, mut d] = [(); 2].map(|()| Aligned::zeros(lanes));
        let mut planes = Aligned::zeros(3 * lanes);
        for (local, (own, energy)) in self.factors.chunks_exact_mut(width).zip(self.energy).enumerate() {
            let row = first + local;
            let sums = &sums[row * stride(width)..(row + 1) * stride(width)];
            let penalty = if FIXED { penalty[row] } else { 0.0 };
            w[..rank].copy_from_slice(&own[..rank]);
            for (plane, sums) in planes.chunks_exact_mut(lanes.max(1)).zip(sums.chunks_exact(width)) {
                plane[..rank].copy_from_slice(&sums[..rank]);
            }
            let directions = &sums[3 * width..4 * width];
            d[..rank].copy_from_slice(&directions[..rank]);
            let line = Factors { w: &w, means: &[], sums: &planes, penalty, prior: precision };
            let rho = |f: usize| if FIXED { penalty } else { prior[f] };
            let column = |f| behind.column(f, sums, own, None, rho);
            let (bias, constant) = (column(behind.bias), column(behind.constant));
            let [d_bias, d_constant] =
                [behind.bias, behind.constant].map(|f| f.map_or(0.0, |f| directions[f]));
            let alpha = along::<S, FIXED>(simd, &line, &d).alpha::<FIXED, true>(
                simd,
                sums[4 * width + 1],
                penalty,
                (&bias, d_bias),
                (&constant, d_constant),
            );
            let size = step::<S, FIXED>(simd, alpha, &d, precision, &mut w);
            own[..rank].copy_from_slice(&w[..rank]);
            let b = bias.w + alpha * d_bias;
            *energy = if FIXED { penalty * (size + b * b) } else { size + bias.rho * b * b };
            if let (Some(bias), Some(constant)) = (behind.bias, behind.constant) {
                own[bias] = b;
                own[constant] += alpha * d_constant;
            }
        }
    }
}
