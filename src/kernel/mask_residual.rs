//! How far rows lie from their prior means, weighted for the mask's gradient.

use rayon::prelude::*;

use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/mask_residual.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "mask_residual",
    wgsl: include_str!("../../shaders/mask_residual.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("factors", Element::F32),
        Binding::read("means", Element::F32),
        Binding::read("counts", Element::F32),
        Binding::read("prior", Element::F32),
        Binding::read_write("residuals", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `mask_residual`.
    pub struct Params {
        /// Rows.
        pub rows: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// Columns that have prior means.
        pub rank: u32,
        /// σ².
        pub noise: f32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct MaskResidual {
    /// w, `[rows, width]`.
    pub factors: Buffer,
    /// Prior means m, `[rows, width]`.
    pub means: Buffer,
    /// Ratings of each row, `[rows]`.
    pub counts: Buffer,
    /// Precision of each column, noise over prior variance, `[width]`.
    pub prior: Buffer,
    /// Receives the weighted residuals, `[rows, width]`.
    pub residuals: Buffer,
    /// Columns of a factor matrix.
    pub width: usize,
    /// Columns that have prior means.
    pub rank: usize,
    /// σ².
    pub noise: f32,
}

impl MaskResidual {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let rows = self.counts.len();
        require(
            &KERNEL,
            [self.factors, self.means, self.residuals].iter().all(|b| b.len() == rows * self.width),
            "the matrices have other rows",
        )?;
        let params = Params {
            rows: dimension(&KERNEL, rows)?,
            width: dimension(&KERNEL, self.width)?,
            rank: dimension(&KERNEL, self.rank)?,
            noise: self.noise,
        };
        let buffers = [self.factors, self.means, self.counts, self.prior, self.residuals];
        Dispatch::new(&KERNEL, params, &buffers, (rows * self.width).div_ceil(WORKGROUP as usize) as u64)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [factors, means, counts, prior, residuals] = slots else { unreachable!("the dispatch was checked") };
    mask_residual(
        &bytemuck::pod_read_unaligned(params),
        factors.f32(),
        means.f32(),
        counts.f32(),
        prior.f32(),
        residuals.f32_mut(),
    );
}

/// The twin: rows in parallel.
pub fn mask_residual(
    params: &Params,
    factors: &[f32],
    means: &[f32],
    counts: &[f32],
    prior: &[f32],
    residuals: &mut [f32],
) {
    let width = params.width as usize;
    residuals.par_chunks_mut(width).with_min_len(256).enumerate().for_each(|(row, residuals)| {
        let n = counts[row];
        if n <= 0.0 {
            return residuals.fill(0.0);
        }
        let (residuals, constant) = residuals.split_at_mut((params.rank as usize).min(width));
        constant.fill(0.0);
        let row = row * width..(row + 1) * width;
        let elements = factors[row.clone()].iter().zip(&means[row]).zip(prior);
        for (residual, ((w, m), prior)) in residuals.iter_mut().zip(elements) {
            *residual = (w - m) * prior / (params.noise * n.sqrt());
        }
    });
}
