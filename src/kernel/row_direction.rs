//! The direction of a row's line search: the gradient over the diagonal of the curvature.

use rayon::prelude::*;

use super::{
    Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require, row_sums::stride,
};
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
    /// A column that must not move.
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

/// The twin: rows in parallel.
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
    let rows =
        sums.par_chunks_mut(stride(width)).zip(variances.par_chunks_mut(width)).zip(energy.par_iter_mut());
    rows.with_min_len(64).enumerate().for_each(|(row, ((sums, variances), energy))| {
        let mut part = 0.0;
        for f in 0..width {
            let (s1, s2) = (sums[width + f], sums[2 * width + f]);
            let rho = if params.fixed != 0 { penalty[row] } else { prior[f] };
            let w = factors[row * width + f];
            let m = if params.centered != 0 { means[row * width + f] } else { 0.0 };
            let h = s1 + s2 + rho;
            let (mut d, mut variance) = (0.0, 0.0);
            if f != params.frozen as usize && h > 0.0 {
                d = (sums[f] - s2 * w - rho * (w - m)) / h;
                variance = params.noise / h;
                part += if params.fixed != 0 { rho * w * w } else { variance * (s1 + s2) };
            }
            part += w * w * s2;
            sums[3 * width + f] = d;
            variances[f] = variance;
        }
        *energy = sums[4 * width] + part;
    });
}
