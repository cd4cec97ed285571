//! A step along the mask's direction, for its factors and for the prior means.

use rayon::prelude::*;

use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/mask_step.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "mask_step",
    wgsl: include_str!("../../shaders/mask_step.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("directions", Element::F32),
        Binding::read("alphas", Element::F32),
        Binding::read("counts", Element::F32),
        Binding::read_write("values", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `mask_step`.
    pub struct Params {
        /// Rows.
        pub rows: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// 1: scale by n^(−½).
        pub means: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct MaskStep {
    /// `[rows, width]`.
    pub directions: Buffer,
    /// A step a column, `[width]`.
    pub alphas: Buffer,
    /// Ratings of each row, `[rows]`.
    pub counts: Buffer,
    /// Moved in place, `[rows, width]`.
    pub values: Buffer,
    /// Scale by n^(−½), as the prior means do.
    pub means: bool,
}

impl MaskStep {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let rows = self.counts.len();
        let width = self.alphas.len();
        require(
            &KERNEL,
            self.values.len() == rows * width && self.directions.len() == self.values.len(),
            "the matrices have other rows",
        )?;
        let params = Params {
            rows: dimension(&KERNEL, rows)?,
            width: dimension(&KERNEL, width)?,
            means: u32::from(self.means),
        };
        let buffers = [self.directions, self.alphas, self.counts, self.values];
        Dispatch::new(&KERNEL, params, &buffers, (rows * width).div_ceil(WORKGROUP as usize) as u64)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [directions, alphas, counts, values] = slots else { unreachable!("the dispatch was checked") };
    mask_step(
        &bytemuck::pod_read_unaligned(params),
        directions.f32(),
        alphas.f32(),
        counts.f32(),
        values.f32_mut(),
    );
}

/// The twin: rows in parallel.
pub fn mask_step(params: &Params, directions: &[f32], alphas: &[f32], counts: &[f32], values: &mut [f32]) {
    let width = params.width as usize;
    values.par_chunks_mut(width).with_min_len(256).enumerate().for_each(|(row, values)| {
        let n = counts[row];
        let scale = match params.means {
            0 => 1.0,
            _ if n > 0.0 => 1.0 / n.sqrt(),
            _ => 0.0,
        };
        for (f, value) in values.iter_mut().enumerate() {
            *value += alphas[f] * scale * directions[row * width + f];
        }
    });
}
