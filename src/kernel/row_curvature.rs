//! The curvature of a row's loss along its direction.

use rayon::prelude::*;

use super::{
    Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, gathered, lanes, params, require,
    row_sums::stride,
};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/row_curvature.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "row_curvature",
    wgsl: include_str!("../../shaders/row_curvature.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("offsets", Element::U32),
        Binding::read("columns", Element::U32),
        Binding::read("others", Element::F32),
        Binding::read_write("sums", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `row_curvature`.
    pub struct Params {
        /// Rows.
        pub rows: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// 1: add to what stands there.
        pub accumulate: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct RowCurvature {
    /// Where each row's cells begin, `[rows + 1]`.
    pub offsets: Buffer,
    /// Column of each cell, `[cells]`.
    pub columns: Buffer,
    /// The other side's factors x, `[columns, width]`.
    pub others: Buffer,
    /// Directions; receives `Σ (x·d)²`, `[rows, stride(width)]`.
    pub sums: Buffer,
    /// Columns of a factor matrix.
    pub width: usize,
    /// Add to what stands there.
    pub accumulate: bool,
}

impl RowCurvature {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let rows = self.offsets.len() - 1;
        require(&KERNEL, self.sums.len() == rows * stride(self.width), "sums have other rows")?;
        require(&KERNEL, self.others.len().is_multiple_of(self.width), "others has no whole number of rows")?;
        let params = Params {
            rows: dimension(&KERNEL, rows)?,
            width: dimension(&KERNEL, self.width)?,
            accumulate: u32::from(self.accumulate),
        };
        let buffers = [self.offsets, self.columns, self.others, self.sums];
        Ok(Dispatch::new(&KERNEL, params, &buffers, rows as u64)?
            .and_work(gathered(self.columns.len(), self.width)))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [offsets, columns, others, sums] = slots else { unreachable!("the dispatch was checked") };
    row_curvature(
        &bytemuck::pod_read_unaligned(params),
        offsets.u32(),
        columns.u32(),
        others.f32(),
        sums.f32_mut(),
    );
}

/// The twin: rows in parallel, each row's cells in order.
pub fn row_curvature(params: &Params, offsets: &[u32], columns: &[u32], others: &[f32], sums: &mut [f32]) {
    let width = params.width as usize;
    sums.par_chunks_mut(stride(width)).with_min_len(8).enumerate().for_each(|(row, sums)| {
        let d = &sums[3 * width..4 * width];
        let squares: f32 = columns[offsets[row] as usize..offsets[row + 1] as usize]
            .iter()
            .map(|&column| {
                lanes::dot(d, &others[column as usize * width..(column as usize + 1) * width]).powi(2)
            })
            .sum();
        let before = if params.accumulate != 0 { sums[4 * width + 1] } else { 0.0 };
        sums[4 * width + 1] = before + squares;
    });
}
