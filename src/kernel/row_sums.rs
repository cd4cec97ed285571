//! What a row's line search needs of its cells, in one walk over them.

use rayon::prelude::*;

use super::{
    Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, gathered, lanes, params, require,
};
use crate::backend::Buffer;
use crate::error::Result;

/// The widest factor matrix, the `MAX_WIDTH` constant of the shader: the rank and two columns for biases.
pub const MAX_WIDTH: u32 = crate::config::MAX_RANK as u32 + 2;

/// Elements of a row of sums: `Σ e·x`, `Σ x²`, `Σ t` and the direction, `width` each, then `Σ e²` and `Σ (x·d)²`.
pub fn stride(width: usize) -> usize {
    4 * width + 2
}

/// Loop iterations of one lane for a cell of its row: its share of the dot
/// products, and a cell of each of its columns.
pub fn cell_loops(width: usize) -> u64 {
    let lanes = WORKGROUP as usize;
    (width + lanes * width.div_ceil(lanes)).div_ceil(lanes) as u64 + 1
}

/// `shaders/row_sums.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "row_sums",
    wgsl: include_str!("../../shaders/row_sums.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("offsets", Element::U32),
        Binding::read("columns", Element::U32),
        Binding::read("order", Element::U32),
        Binding::read("ratings", Element::F32),
        Binding::read("factors", Element::F32),
        Binding::read("others", Element::F32),
        Binding::read("variances", Element::F32),
        Binding::read_write("sums", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP), ("MAX_WIDTH", MAX_WIDTH)],
    twin,
};

params! {
    /// Parameters of `row_sums`.
    pub struct Params {
        /// Rows.
        pub rows: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// 1: read ratings through `order`.
        pub ordered: u32,
        /// 1: add to what stands in the sums.
        pub accumulate: u32,
        /// 1: there are variances.
        pub spread: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct RowSums {
    /// Where each row's cells begin, `[rows + 1]`.
    pub offsets: Buffer,
    /// Column of each cell, `[cells]`.
    pub columns: Buffer,
    /// Place of each cell's rating, `[cells]`; `None` where the cells are in their order.
    pub order: Option<Buffer>,
    /// Targets, `[cells]`.
    pub ratings: Buffer,
    /// w, `[rows, width]`.
    pub factors: Buffer,
    /// The other side's factors x, `[columns, width]`.
    pub others: Buffer,
    /// Their variances t, `[columns, width]`; `None`: all 0.
    pub variances: Option<Buffer>,
    /// Receives the sums, `[rows, stride(width)]`.
    pub sums: Buffer,
    /// Columns of a factor matrix.
    pub width: usize,
    /// Add to the sums rather than replace them.
    pub accumulate: bool,
}

impl RowSums {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let rows = self.offsets.len() - 1;
        // Where something is not asked for, its binding needs some buffer.
        let order = self.order.unwrap_or(self.columns);
        let variances = self.variances.unwrap_or(self.others);
        require(
            &KERNEL,
            self.sums.len() == rows * stride(self.width) && self.factors.len() == rows * self.width,
            "factors and sums are not as many rows",
        )?;
        require(
            &KERNEL,
            [order, self.ratings].iter().all(|b| b.len() == self.columns.len()),
            "columns, order and ratings differ in length",
        )?;
        require(
            &KERNEL,
            self.others.len().is_multiple_of(self.width) && variances.len() == self.others.len(),
            "factors and variances of the other side differ",
        )?;
        require(&KERNEL, self.width <= MAX_WIDTH as usize, "too wide")?;
        let width = if self.variances.is_some() { 2 * self.width } else { self.width };
        let work = gathered(self.columns.len(), width);
        let params = Params {
            rows: dimension(&KERNEL, rows)?,
            width: dimension(&KERNEL, self.width)?,
            ordered: u32::from(self.order.is_some()),
            accumulate: u32::from(self.accumulate),
            spread: u32::from(self.variances.is_some()),
        };
        let buffers = [
            self.offsets,
            self.columns,
            order,
            self.ratings,
            self.factors,
            self.others,
            variances,
            self.sums,
        ];
        Ok(Dispatch::new(&KERNEL, params, &buffers, rows as u64)?.and_work(work))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [offsets, columns, order, ratings, factors, others, variances, sums] = slots else {
        unreachable!("the dispatch was checked")
    };
    row_sums(
        &bytemuck::pod_read_unaligned(params),
        offsets.u32(),
        columns.u32(),
        order.u32(),
        ratings.f32(),
        factors.f32(),
        others.f32(),
        variances.f32(),
        sums.f32_mut(),
    );
}

/// The twin: rows in parallel, each row's cells in order.
#[expect(clippy::too_many_arguments, reason = "one for each binding")]
pub fn row_sums(
    params: &Params,
    offsets: &[u32],
    columns: &[u32],
    order: &[u32],
    ratings: &[f32],
    factors: &[f32],
    others: &[f32],
    variances: &[f32],
    sums: &mut [f32],
) {
    let width = params.width as usize;
    sums.par_chunks_mut(stride(width)).with_min_len(8).enumerate().for_each(|(row, sums)| {
        let w = &factors[row * width..(row + 1) * width];
        if params.accumulate == 0 {
            sums[..3 * width].fill(0.0);
            sums[4 * width] = 0.0;
        }
        let (first, rest) = sums.split_at_mut(width);
        let (second, rest) = rest.split_at_mut(width);
        let (third, rest) = rest.split_at_mut(width);
        for p in offsets[row] as usize..offsets[row + 1] as usize {
            let other = columns[p] as usize * width..(columns[p] as usize + 1) * width;
            let x = &others[other.clone()];
            let place = if params.ordered != 0 { order[p] as usize } else { p };
            let e = ratings[place] - lanes::dot(w, x);
            rest[width] += e * e;
            for ((g, h), x) in first.iter_mut().zip(second.iter_mut()).zip(x) {
                *g += e * x;
                *h += x * x;
            }
            if params.spread != 0 {
                for (s, t) in third.iter_mut().zip(&variances[other]) {
                    *s += t;
                }
            }
        }
    });
}
