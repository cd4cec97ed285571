//! Second moments of each column of a factor matrix about its prior means.

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

/// `shaders/column_moments.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "column_moments",
    wgsl: include_str!("../../shaders/column_moments.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("factors", Element::F32),
        Binding::read("means", Element::F32),
        Binding::read("variances", Element::F32),
        Binding::read("counts", Element::F32),
        Binding::read_write("partials", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP), ("BLOCK", BLOCK)],
    twin,
};

params! {
    /// Parameters of `column_moments`.
    pub struct Params {
        /// Rows.
        pub rows: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// 1: there are prior means.
        pub centered: u32,
        /// The block where this call begins.
        pub first: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct ColumnMoments {
    /// w, `[rows, width]`.
    pub factors: Buffer,
    /// Prior means m, `[rows, width]`; `None`: all 0.
    pub means: Option<Buffer>,
    /// `[rows, width]`.
    pub variances: Buffer,
    /// Ratings of each row, `[rows]`.
    pub counts: Buffer,
    /// Receives `blocks(rows)` rows of sums from block `first` on, `[blocks, width]`.
    pub partials: Buffer,
    /// Columns of a factor matrix.
    pub width: usize,
    /// The block where this call begins.
    pub first: usize,
}

impl ColumnMoments {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let rows = self.counts.len();
        let means = self.means.unwrap_or(self.factors);
        require(
            &KERNEL,
            [self.factors, means, self.variances].iter().all(|b| b.len() == rows * self.width),
            "the matrices have other rows",
        )?;
        require(
            &KERNEL,
            (self.first + blocks(rows)) * self.width <= self.partials.len(),
            "the partial sums don't fit",
        )?;
        let params = Params {
            rows: dimension(&KERNEL, rows)?,
            width: dimension(&KERNEL, self.width)?,
            centered: u32::from(self.means.is_some()),
            first: dimension(&KERNEL, self.first)?,
        };
        let buffers = [self.factors, means, self.variances, self.counts, self.partials];
        Dispatch::new(&KERNEL, params, &buffers, blocks(rows) as u64)
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [factors, means, variances, counts, partials] = slots else {
        unreachable!("the dispatch was checked")
    };
    column_moments(
        &bytemuck::pod_read_unaligned(params),
        factors.f32(),
        means.f32(),
        variances.f32(),
        counts.f32(),
        partials.f32_mut(),
    );
}

/// The twin: blocks in parallel.
pub fn column_moments(
    params: &Params,
    factors: &[f32],
    means: &[f32],
    variances: &[f32],
    counts: &[f32],
    partials: &mut [f32],
) {
    let width = params.width as usize;
    let counts = &counts[..params.rows as usize];
    let partials = partials[params.first as usize * width..].par_chunks_mut(width);
    let blocks = partials.zip(counts.par_chunks(BLOCK as usize)).with_min_len(4).enumerate();
    blocks.for_each(|(block, (sums, counts))| {
        sums.fill(0.0);
        let rated = counts.iter().enumerate().filter(|(_, n)| **n > 0.0);
        for row in rated.map(|(i, _)| block * BLOCK as usize + i) {
            let row = row * width..(row + 1) * width;
            let elements = factors[row.clone()].iter().zip(&variances[row.clone()]);
            let sums = sums.iter_mut().zip(elements);
            if params.centered != 0 {
                for ((sum, (x, t)), m) in sums.zip(&means[row]) {
                    *sum += (x - m) * (x - m) + t;
                }
            } else {
                sums.for_each(|(sum, (x, t))| *sum += x * x + t);
            }
        }
    });
}
