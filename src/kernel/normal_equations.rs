//! The normal equations of a batch of rows.

mod batch;

use rayon::prelude::*;

use self::batch::{Scratch, System};
use super::fused::{by_cells, rows_mut};
use super::{
    Binding, Dispatch, Element, Kernel, MULTIPLY_ADDS, Slot, WORKGROUP, dimension, gathered, params, require,
    simd,
};
use crate::backend::Buffer;
use crate::error::Result;

/// Lanes of a workgroup are a square of this side.
pub(super) const SIDE: u32 = 8;
const _: () = assert!(SIDE * SIDE == WORKGROUP);

/// Floats of shared memory that cells are staged in. Every adapter has 16 KiB.
pub const STAGE: u32 = 3840;

/// Cells that the twin adds up side by side.
const BLOCK: usize = 4;

/// `shaders/normal_equations.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "normal_equations",
    wgsl: include_str!("../../shaders/normal_equations.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("offsets", Element::U32),
        Binding::read("columns", Element::U32),
        Binding::read("order", Element::U32),
        Binding::read("ratings", Element::F32),
        Binding::read("factors", Element::F32),
        Binding::read("others", Element::F32),
        Binding::read_write("systems", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP), ("SIDE", SIDE), ("STAGE", STAGE)],
    twin,
};

params! {
    /// Parameters of `normal_equations`.
    pub struct Params {
        /// Row of the batch's first system.
        pub first: u32,
        /// Rows of the batch.
        pub rows: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// The constant column; ≥ width: none.
        pub frozen: u32,
        /// 1: read ratings through `order`.
        pub ordered: u32,
        /// 1: add to what stands in `systems`.
        pub accumulate: u32,
    }
}

/// Floats of one system: a lower triangle of `width` rows, and the right-hand side.
pub fn stride(width: usize) -> usize {
    width * (width + 3) / 2
}

/// The work of a cell: its row is fetched, and half of `x·xᵀ` added up.
pub fn cell_work(width: usize) -> u64 {
    gathered(1, width + 4) + (width * width) as u64 / 2 / MULTIPLY_ADDS
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct NormalEquations {
    /// Where each row's cells begin, `[all rows + 1]`.
    pub offsets: Buffer,
    /// Column of each cell, `[cells]`.
    pub columns: Buffer,
    /// Place of each cell's rating, `[cells]`; `None` where the cells are in its order.
    pub order: Option<Buffer>,
    /// Targets y, `[cells]`.
    pub ratings: Buffer,
    /// w, `[all rows, width]`, for the constant column.
    pub factors: Buffer,
    /// The other side's factors x, `[columns, width]`.
    pub others: Buffer,
    /// Receives the systems, `[≥ rows, stride(width)]`.
    pub systems: Buffer,
    /// Row of the first system.
    pub first: usize,
    /// Rows of the batch.
    pub rows: usize,
    /// Columns of a factor matrix.
    pub width: usize,
    /// The constant column.
    pub frozen: Option<usize>,
    /// Add to the systems rather than replace them.
    pub accumulate: bool,
}

impl NormalEquations {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let all = self.offsets.len() - 1;
        // Where the order is not asked for, its binding needs some buffer: the columns serve.
        let order = self.order.unwrap_or(self.columns);
        require(&KERNEL, self.factors.len() == all * self.width, "factors and offsets are not as many rows")?;
        require(&KERNEL, self.first + self.rows <= all, "the batch exceeds the rows")?;
        require(&KERNEL, self.systems.len() >= self.rows * stride(self.width), "the systems don't fit")?;
        require(&KERNEL, self.others.len().is_multiple_of(self.width), "others has no whole number of rows")?;
        let same = [order, self.ratings].iter().all(|b| b.len() == self.columns.len());
        require(&KERNEL, same, "columns, order and ratings differ in length")?;
        require(&KERNEL, self.width < STAGE as usize, "too wide")?;
        // Rows' cells are known to the device alone: those of an average row.
        let cells = self.columns.len() as u64 * self.rows as u64 / (all as u64).max(1);
        let work = cells.saturating_mul(cell_work(self.width));
        let params = Params {
            first: dimension(&KERNEL, self.first)?,
            rows: dimension(&KERNEL, self.rows)?,
            width: dimension(&KERNEL, self.width)?,
            frozen: dimension(&KERNEL, self.frozen.unwrap_or(self.width))?,
            ordered: u32::from(self.order.is_some()),
            accumulate: u32::from(self.accumulate),
        };
        let buffers =
            [self.offsets, self.columns, order, self.ratings, self.factors, self.others, self.systems];
        Ok(Dispatch::new(&KERNEL, params, &buffers, self.rows as u64)?.with_work(work))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [offsets, columns, order, ratings, factors, others, systems] = slots else {
        unreachable!("the dispatch was checked")
    };
    normal_equations(
        &bytemuck::pod_read_unaligned(params),
        offsets.u32(),
        columns.u32(),
        order.u32(),
        ratings.f32(),
        factors.f32(),
        others.f32(),
        systems.f32_mut(),
    );
}

/// The twin: systems in parallel, each row's cells in order, a batch or four at a time.
#[expect(clippy::too_many_arguments, reason = "one for each binding")]
pub fn normal_equations(
    params: &Params,
    offsets: &[u32],
    columns: &[u32],
    order: &[u32],
    ratings: &[f32],
    factors: &[f32],
    others: &[f32],
    systems: &mut [f32],
) {
    let width = params.width as usize;
    let frozen = (params.frozen < params.width).then_some(params.frozen as usize);
    if simd::fast() {
        let (first, rows) = (params.first as usize, params.rows as usize);
        let systems = rows_mut(systems, stride(width), 0, rows);
        by_cells(offsets, first..first + rows, [systems], &|rows, [mut systems]| {
            let mut scratch = Scratch::new(width);
            for (b, row) in rows.enumerate() {
                let cells = offsets[row] as usize..offsets[row + 1] as usize;
                simd::run(System {
                    params: *params,
                    columns: &columns[cells.clone()],
                    order: (params.ordered != 0).then(|| &order[cells.clone()]),
                    ratings: if params.ordered != 0 { ratings } else { &ratings[cells] },
                    w: &factors[row * width..(row + 1) * width],
                    others,
                    scratch: &mut scratch,
                    system: systems.row(b),
                });
            }
        });
        return;
    }
    let batch = systems.par_chunks_mut(stride(width)).take(params.rows as usize);
    let stage = || vec![0.0f32; BLOCK * (width + 1)];
    batch.enumerate().for_each_init(stage, |stage, (b, system)| {
        let row = params.first as usize + b;
        if params.accumulate == 0 {
            system.fill(0.0);
        }
        let end = offsets[row + 1] as usize;
        for start in (offsets[row] as usize..end).step_by(BLOCK) {
            // What a last block lacks counts as 0.
            stage.fill(0.0);
            for (extended, p) in stage.chunks_exact_mut(width + 1).zip(start..end.min(start + BLOCK)) {
                let place = if params.ordered != 0 { order[p] as usize } else { p };
                let other = columns[p] as usize * width;
                extended[..width].copy_from_slice(&others[other..other + width]);
                extended[width] = ratings[place];
                if let Some(f) = frozen {
                    extended[width] -= factors[row * width + f] * extended[f];
                    extended[f] = 0.0;
                }
            }
            let (x0, rest) = stage.split_at(width + 1);
            let (x1, rest) = rest.split_at(width + 1);
            let (x2, x3) = rest.split_at(width + 1);
            let mut rest = &mut system[..];
            for i in 0..=width {
                let (sums, below) = rest.split_at_mut((i + 1).min(width));
                let n = sums.len();
                let (a0, a1, a2, a3) = (x0[i], x1[i], x2[i], x3[i]);
                let columns = x0[..n].iter().zip(&x1[..n]).zip(x2[..n].iter().zip(&x3[..n]));
                for (sum, ((x0, x1), (x2, x3))) in sums.iter_mut().zip(columns) {
                    *sum += (a0 * x0 + a1 * x1) + (a2 * x2 + a3 * x3);
                }
                rest = below;
            }
        }
    });
}
