//! The masked residual `Δ = (Y − U·Vᵀ) ⊗ R` on the observed cells.

mod piece;

use rayon::prelude::*;

use self::piece::Piece;
use super::{
    Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, gathered, lanes, params, require, simd,
};
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/residual.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "residual",
    wgsl: include_str!("../../shaders/residual.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("rows", Element::U32),
        Binding::read("columns", Element::U32),
        Binding::read("ratings", Element::F32),
        Binding::read("row_factors", Element::F32),
        Binding::read("column_factors", Element::F32),
        Binding::read_write("residuals", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `residual`.
    pub struct Params {
        /// Cells.
        pub count: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// Least prediction.
        pub low: f32,
        /// Greatest prediction.
        pub high: f32,
    }
}

/// Cells that one thread takes at a time.
const PIECE: usize = 1024;

/// The bounds of a prediction that is not clipped.
pub const UNCLIPPED: (f32, f32) = (f32::MIN, f32::MAX);

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct Residual {
    /// Row of each cell, `[cells]`.
    pub rows: Buffer,
    /// Column of each cell, `[cells]`.
    pub columns: Buffer,
    /// Y on the cells, `[cells]`.
    pub ratings: Buffer,
    /// U, `[rows, width]`.
    pub row_factors: Buffer,
    /// V, `[columns, width]`.
    pub column_factors: Buffer,
    /// Receives Δ, `[cells]`, in the unit of the ratings.
    pub residuals: Buffer,
    /// Columns of a factor matrix.
    pub width: usize,
    /// Least and greatest prediction.
    pub bounds: (f32, f32),
}

impl Residual {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let cells = self.ratings.len();
        let same = [self.rows, self.columns, self.residuals].iter().all(|b| b.len() == cells);
        require(&KERNEL, same, "rows, columns, ratings and residuals differ in length")?;
        let whole = [self.row_factors, self.column_factors].iter().all(|b| b.len() % self.width == 0);
        require(&KERNEL, whole, "a factor matrix has no whole number of rows")?;
        let params = Params {
            count: dimension(&KERNEL, cells)?,
            width: dimension(&KERNEL, self.width)?,
            low: self.bounds.0,
            high: self.bounds.1,
        };
        let buffers =
            [self.rows, self.columns, self.ratings, self.row_factors, self.column_factors, self.residuals];
        Ok(Dispatch::new(&KERNEL, params, &buffers, cells.div_ceil(WORKGROUP as usize) as u64)?
            .and_work(gathered(cells, 2 * self.width)))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [rows, columns, ratings, row_factors, column_factors, residuals] = slots else {
        unreachable!("the dispatch was checked")
    };
    residual(
        &bytemuck::pod_read_unaligned(params),
        rows.u32(),
        columns.u32(),
        ratings.f32(),
        row_factors.f32(),
        column_factors.f32(),
        residuals.f32_mut(),
    );
}

/// The twin: `residuals[p] = ratings[p] − clamp(u·v)`, cells in parallel.
pub fn residual(
    params: &Params,
    rows: &[u32],
    columns: &[u32],
    ratings: &[f32],
    row_factors: &[f32],
    column_factors: &[f32],
    residuals: &mut [f32],
) {
    if simd::fast() {
        residuals.par_chunks_mut(PIECE).enumerate().for_each(|(piece, residuals)| {
            let cells = piece * PIECE..piece * PIECE + residuals.len();
            simd::run(Piece {
                params: *params,
                rows: &rows[cells.clone()],
                columns: &columns[cells.clone()],
                ratings: &ratings[cells],
                row_factors,
                column_factors,
                residuals,
            });
        });
        return;
    }
    let width = params.width as usize;
    residuals.par_iter_mut().with_min_len(PIECE).enumerate().for_each(|(p, residual)| {
        let u = rows[p] as usize * width;
        let v = columns[p] as usize * width;
        let dot = lanes::dot(&row_factors[u..u + width], &column_factors[v..v + width]);
        *residual = ratings[p] - params.bounded(dot);
    });
}

impl Params {
    /// A prediction, clipped. Not by max and min, which would turn NaN into a bound.
    #[inline(always)]
    fn bounded(&self, dot: f32) -> f32 {
        if dot < self.low {
            self.low
        } else if dot > self.high {
            self.high
        } else {
            dot
        }
    }
}
