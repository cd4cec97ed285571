//! The exact minimum along a row's direction, and the step to it.

use rayon::prelude::*;

use super::{
    Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require, row_sums::stride,
};
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
    /// A column that must not move.
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

/// The twin: rows in parallel.
pub fn row_step(
    params: &Params,
    sums: &[f32],
    penalty: &[f32],
    prior: &[f32],
    factors: &mut [f32],
    energy: &mut [f32],
) {
    let width = params.width as usize;
    let precision = |row: usize, f: usize| match params.fixed {
        0 => prior[f],
        _ => penalty[row],
    };
    let rows = factors.par_chunks_mut(width).zip(energy.par_iter_mut());
    rows.with_min_len(64).enumerate().for_each(|(row, (w, energy))| {
        let sums = &sums[row * stride(width)..(row + 1) * stride(width)];
        let d = &sums[3 * width..4 * width];
        let (mut above, mut below) = (0.0, 0.0);
        for f in 0..width {
            let rest = sums[2 * width + f] + precision(row, f);
            above += (sums[width + f] + rest) * d[f] * d[f];
            below += rest * d[f] * d[f];
        }
        let curvature = sums[4 * width + 1] + below;
        let alpha = if curvature > 0.0 { above / curvature } else { 0.0 };
        *energy = 0.0;
        for f in 0..width {
            w[f] += alpha * d[f];
            if f != params.frozen as usize {
                *energy += precision(row, f) * w[f] * w[f];
            }
        }
    });
}
