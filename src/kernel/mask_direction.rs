//! The direction in which the mask's factors move.

use rayon::prelude::*;

use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// Rows that one workgroup adds up, the `BLOCK` constant of the shader.
pub const BLOCK: u32 = crate::world::BLOCK_ROWS as u32;

/// How many blocks `rows` rows give.
pub fn blocks(rows: usize) -> usize {
    rows.div_ceil(BLOCK as usize)
}

/// `shaders/mask_direction.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "mask_direction",
    wgsl: include_str!("../../shaders/mask_direction.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("mask_factors", Element::F32),
        Binding::read("counts", Element::F32),
        Binding::read("prior", Element::F32),
        Binding::read("inverse_width", Element::F32),
        Binding::read_write("sums", Element::F32),
        Binding::read_write("partials", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP), ("BLOCK", BLOCK)],
    twin,
};

params! {
    /// Parameters of `mask_direction`.
    pub struct Params {
        /// Rows.
        pub rows: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// Columns that have prior means.
        pub rank: u32,
        /// The block where this call begins.
        pub first: u32,
        /// σ².
        pub noise: f32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct MaskDirection {
    /// y, `[rows, width]`.
    pub mask_factors: Buffer,
    /// Ratings of each row, `[rows]`.
    pub counts: Buffer,
    /// Precision of each column of the side that has the means, `[width]`.
    pub prior: Buffer,
    /// 1 over the prior variance of y, `[width]`.
    pub inverse_width: Buffer,
    /// Sums of weighted residuals; receives the direction, `[rows, width]`.
    pub sums: Buffer,
    /// Receives two rows of sums a block, `[blocks, 2, width]`.
    pub partials: Buffer,
    /// Columns of a factor matrix.
    pub width: usize,
    /// Columns that have prior means.
    pub rank: usize,
    /// σ².
    pub noise: f32,
    /// The block where this call begins.
    pub first: usize,
}

impl MaskDirection {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let rows = self.counts.len();
        require(
            &KERNEL,
            [self.mask_factors, self.sums].iter().all(|b| b.len() == rows * self.width),
            "the matrices have other rows",
        )?;
        require(
            &KERNEL,
            (self.first + blocks(rows)) * 2 * self.width <= self.partials.len(),
            "the partial sums don't fit",
        )?;
        let params = Params {
            rows: dimension(&KERNEL, rows)?,
            width: dimension(&KERNEL, self.width)?,
            rank: dimension(&KERNEL, self.rank)?,
            first: dimension(&KERNEL, self.first)?,
            noise: self.noise,
        };
        let buffers =
            [self.mask_factors, self.counts, self.prior, self.inverse_width, self.sums, self.partials];
        Dispatch::new(&KERNEL, params, &buffers, blocks(rows) as u64)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [mask_factors, counts, prior, inverse_width, sums, partials] = slots else {
        unreachable!("the dispatch was checked")
    };
    mask_direction(
        &bytemuck::pod_read_unaligned(params),
        mask_factors.f32(),
        counts.f32(),
        prior.f32(),
        inverse_width.f32(),
        sums.f32_mut(),
        partials.f32_mut(),
    );
}

/// The twin: blocks in parallel.
pub fn mask_direction(
    params: &Params,
    mask_factors: &[f32],
    counts: &[f32],
    prior: &[f32],
    inverse_width: &[f32],
    sums: &mut [f32],
    partials: &mut [f32],
) {
    let width = params.width as usize;
    let block_rows = sums.par_chunks_mut(BLOCK as usize * width);
    let partials = partials[params.first as usize * 2 * width..].par_chunks_mut(2 * width);
    block_rows.zip(partials).enumerate().for_each(|(block, (sums, partials))| {
        partials.fill(0.0);
        for (i, sums) in sums.chunks_mut(width).enumerate() {
            let row = block * BLOCK as usize + i;
            let n = counts[row];
            let (sums, constant) = sums.split_at_mut((params.rank as usize).min(width));
            constant.fill(0.0);
            if n <= 0.0 {
                sums.fill(0.0);
                continue;
            }
            // In step, so that it vectorises.
            let (changes, penalties) = partials.split_at_mut(width);
            let mask_factors = &mask_factors[row * width..(row + 1) * width];
            let partials = changes.iter_mut().zip(penalties);
            let columns = prior.iter().zip(inverse_width).zip(mask_factors);
            for ((sum, ((&prior, &own), &y)), (change, penalty)) in sums.iter_mut().zip(columns).zip(partials)
            {
                let h = n * (prior / params.noise) + own;
                let d = (*sum - y * own) / h;
                *change += h * d * d;
                *penalty += own * d * d;
                *sum = d;
            }
        }
    });
}
