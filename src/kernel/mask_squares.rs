//! The curvature of the prior means along the mask's direction.

use rayon::prelude::*;

use super::{
    Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension,
    mask_direction::{BLOCK, blocks},
    params, require,
};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/mask_squares.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "mask_squares",
    wgsl: include_str!("../../shaders/mask_squares.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("sums", Element::F32),
        Binding::read("counts", Element::F32),
        Binding::read("prior", Element::F32),
        Binding::read_write("partials", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP), ("BLOCK", BLOCK)],
    twin,
};

params! {
    /// Parameters of `mask_squares`.
    pub struct Params {
        /// Rows.
        pub rows: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// The block where this call begins.
        pub first: u32,
        /// σ².
        pub noise: f32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct MaskSquares {
    /// Sums of directions over each row, `[rows, width]`.
    pub sums: Buffer,
    /// Ratings of each row, `[rows]`.
    pub counts: Buffer,
    /// Precision of each column, `[width]`.
    pub prior: Buffer,
    /// Receives a row of sums a block, `[blocks, width]`.
    pub partials: Buffer,
    /// Columns of a factor matrix.
    pub width: usize,
    /// σ².
    pub noise: f32,
    /// The block where this call begins.
    pub first: usize,
}

impl MaskSquares {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let rows = self.counts.len();
        require(&KERNEL, self.sums.len() == rows * self.width, "sums have other rows")?;
        require(
            &KERNEL,
            (self.first + blocks(rows)) * self.width <= self.partials.len(),
            "the partial sums don't fit",
        )?;
        let params = Params {
            rows: dimension(&KERNEL, rows)?,
            width: dimension(&KERNEL, self.width)?,
            first: dimension(&KERNEL, self.first)?,
            noise: self.noise,
        };
        let buffers = [self.sums, self.counts, self.prior, self.partials];
        Dispatch::new(&KERNEL, params, &buffers, blocks(rows) as u64)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [sums, counts, prior, partials] = slots else { unreachable!("the dispatch was checked") };
    mask_squares(
        &bytemuck::pod_read_unaligned(params),
        sums.f32(),
        counts.f32(),
        prior.f32(),
        partials.f32_mut(),
    );
}

/// The twin: blocks in parallel.
pub fn mask_squares(params: &Params, sums: &[f32], counts: &[f32], prior: &[f32], partials: &mut [f32]) {
    let width = params.width as usize;
    let block_rows = sums.par_chunks(BLOCK as usize * width);
    let partials = partials[params.first as usize * width..].par_chunks_mut(width);
    block_rows.zip(partials).enumerate().for_each(|(block, (sums, partials))| {
        partials.fill(0.0);
        for (i, sums) in sums.chunks(width).enumerate() {
            let n = counts[block * BLOCK as usize + i];
            if n > 0.0 {
                for (partial, s) in partials.iter_mut().zip(sums) {
                    *partial += s * s / n;
                }
            }
        }
        for (partial, prior) in partials.iter_mut().zip(prior) {
            *partial = *partial * prior / params.noise;
        }
    });
}
