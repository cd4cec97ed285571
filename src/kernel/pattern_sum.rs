//! Sums over who rated what: the gradient product with 1 for every Δ.

use rayon::prelude::*;

use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, gathered, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/pattern_sum.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "pattern_sum",
    wgsl: include_str!("../../shaders/pattern_sum.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("offsets", Element::U32),
        Binding::read("columns", Element::U32),
        Binding::read("factors", Element::F32),
        Binding::read_write("sums", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `pattern_sum`.
    pub struct Params {
        /// Rows.
        pub rows: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// 1: add to what stands in the sums.
        pub accumulate: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct PatternSum {
    /// Where each row's cells begin, `[rows + 1]`.
    pub offsets: Buffer,
    /// Column of each cell, `[cells]`.
    pub columns: Buffer,
    /// What to add up, `[columns, width]`.
    pub factors: Buffer,
    /// Receives the sums, `[rows, width]`.
    pub sums: Buffer,
    /// Columns of a factor matrix.
    pub width: usize,
    /// Add to the sums rather than replace them.
    pub accumulate: bool,
}

impl PatternSum {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let rows = self.offsets.len() - 1;
        let count = self.sums.len();
        require(&KERNEL, self.sums.len() == rows * self.width, "sums have other rows")?;
        require(
            &KERNEL,
            self.factors.len().is_multiple_of(self.width),
            "factors has no whole number of rows",
        )?;
        let params = Params {
            rows: dimension(&KERNEL, rows)?,
            width: dimension(&KERNEL, self.width)?,
            accumulate: u32::from(self.accumulate),
        };
        let buffers = [self.offsets, self.columns, self.factors, self.sums];
        Ok(Dispatch::new(&KERNEL, params, &buffers, count.div_ceil(WORKGROUP as usize) as u64)?
            .and_work(gathered(self.columns.len(), self.width)))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [offsets, columns, factors, sums] = slots else { unreachable!("the dispatch was checked") };
    pattern_sum(
        &bytemuck::pod_read_unaligned(params),
        offsets.u32(),
        columns.u32(),
        factors.f32(),
        sums.f32_mut(),
    );
}

/// The twin: rows in parallel, each row's cells in order.
pub fn pattern_sum(params: &Params, offsets: &[u32], columns: &[u32], factors: &[f32], sums: &mut [f32]) {
    let width = params.width as usize;
    sums.par_chunks_mut(width).with_min_len(16).enumerate().for_each(|(row, sums)| {
        if params.accumulate == 0 {
            sums.fill(0.0);
        }
        for &column in &columns[offsets[row] as usize..offsets[row + 1] as usize] {
            let other = column as usize * width;
            for (sum, x) in sums.iter_mut().zip(&factors[other..other + width]) {
                *sum += x;
            }
        }
    });
}
