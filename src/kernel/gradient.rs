//! The gradient product: `ΔV` over CSR, `ΔᵀU` over CSC.

use rayon::prelude::*;

use super::{Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, gathered, params, require};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/gradient.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "gradient",
    wgsl: include_str!("../../shaders/gradient.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("offsets", Element::U32),
        Binding::read("columns", Element::U32),
        Binding::read("order", Element::U32),
        Binding::read("residuals", Element::F32),
        Binding::read("factors", Element::F32),
        Binding::read_write("gradient", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `gradient`.
    pub struct Params {
        /// Rows of the result.
        pub rows: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// 1: read Δ through `order`.
        pub ordered: u32,
        /// 1: add to what stands in the result.
        pub accumulate: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct Gradient {
    /// Where each row's cells begin, `[rows + 1]`.
    pub offsets: Buffer,
    /// Column of each cell, `[cells]`.
    pub columns: Buffer,
    /// Place of each cell's Δ, `[cells]`; `None` where the cells are in the order of Δ.
    pub order: Option<Buffer>,
    /// Δ, `[cells]`.
    pub residuals: Buffer,
    /// The other side's factors, `[columns, width]`.
    pub factors: Buffer,
    /// Receives the product, `[rows, width]`, in rating × factor units.
    pub gradient: Buffer,
    /// Columns of a factor matrix.
    pub width: usize,
    /// Add to `gradient` rather than replace it.
    pub accumulate: bool,
}

impl Gradient {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let elements = self.gradient.len();
        let rows = self.offsets.len() - 1;
        require(&KERNEL, elements == rows * self.width, "the result is not [rows, width]")?;
        require(
            &KERNEL,
            self.factors.len().is_multiple_of(self.width),
            "factors has no whole number of rows",
        )?;
        // Where the order is not asked for, its binding needs some buffer: the columns serve.
        let order = self.order.unwrap_or(self.columns);
        let same = [order, self.residuals].iter().all(|b| b.len() == self.columns.len());
        require(&KERNEL, same, "columns, order and residuals differ in length")?;
        let params = Params {
            rows: dimension(&KERNEL, rows)?,
            width: dimension(&KERNEL, self.width)?,
            ordered: u32::from(self.order.is_some()),
            accumulate: u32::from(self.accumulate),
        };
        let buffers = [self.offsets, self.columns, order, self.residuals, self.factors, self.gradient];
        Ok(Dispatch::new(&KERNEL, params, &buffers, elements.div_ceil(WORKGROUP as usize) as u64)?
            .and_work(gathered(self.columns.len(), self.width)))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [offsets, columns, order, residuals, factors, gradient] = slots else {
        unreachable!("the dispatch was checked")
    };
    self::gradient(
        &bytemuck::pod_read_unaligned(params),
        offsets.u32(),
        columns.u32(),
        order.u32(),
        residuals.f32(),
        factors.f32(),
        gradient.f32_mut(),
    );
}

/// The twin: rows in parallel, each row's cells in order.
pub fn gradient(
    params: &Params,
    offsets: &[u32],
    columns: &[u32],
    order: &[u32],
    residuals: &[f32],
    factors: &[f32],
    gradient: &mut [f32],
) {
    let width = params.width as usize;
    gradient.par_chunks_mut(width).with_min_len(16).enumerate().for_each(|(row, sums)| {
        if params.accumulate == 0 {
            sums.fill(0.0);
        }
        for p in offsets[row] as usize..offsets[row + 1] as usize {
            let place = if params.ordered != 0 { order[p] as usize } else { p };
            let delta = residuals[place];
            let other = columns[p] as usize * width;
            for (sum, x) in sums.iter_mut().zip(&factors[other..other + width]) {
                *sum += delta * x;
            }
        }
    });
}
