//! Solves the normal equations of a batch of rows.

mod panels;

use rayon::prelude::*;

use self::panels::{Scratch, Solve};
use super::normal_equations::{SIDE, stride};
use super::{
    Binding, Dispatch, Element, Kernel, MULTIPLY_ADDS, Slot, WORKGROUP, dimension, lanes, params, require,
    simd,
};
use crate::backend::Buffer;
use crate::error::Result;

/// The least precision that a solution is held with, as a part of the trace.
///
/// An f32 sum of products is off by about 1e-7 of the trace: this is ten times
/// as much, so that no pivot is noise alone. It acts where λ is below a
/// millionth of `Σ‖x‖²` only.
pub const RIDGE: f32 = 1e-6;

/// The least precision of all, for a row whose every x is 0: 2⁻¹⁰⁰, a power of
/// 2, so that such a row keeps its bits.
const TINY: f32 = f32::from_bits((127 - 100) << 23);

/// `shaders/cholesky.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "cholesky",
    wgsl: include_str!("../../shaders/cholesky.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("penalty", Element::F32),
        Binding::read("counts", Element::F32),
        Binding::read_write("systems", Element::F32),
        Binding::read_write("factors", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP), ("SIDE", SIDE)],
    twin,
};

params! {
    /// Parameters of `cholesky`.
    pub struct Params {
        /// Row of the batch's first system.
        pub first: u32,
        /// Rows of the batch.
        pub rows: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// The constant column; ≥ width: none.
        pub frozen: u32,
        /// The least precision, as a part of the trace.
        pub ridge: f32,
    }
}

/// The work of a row: a sixth of width³ multiply-adds.
pub fn row_work(width: usize) -> u64 {
    (width as u64).pow(3) / 6 / MULTIPLY_ADDS
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct Cholesky {
    /// L2 penalty λ of each row, `[all rows]`.
    pub penalty: Buffer,
    /// Ratings of each row, `[all rows]`.
    pub counts: Buffer,
    /// The systems as `normal_equations` leaves them, `[≥ rows, stride(width)]`; used up.
    pub systems: Buffer,
    /// Receives the solutions, `[all rows, width]`.
    pub factors: Buffer,
    /// Row of the first system.
    pub first: usize,
    /// Rows of the batch.
    pub rows: usize,
    /// Columns of a factor matrix.
    pub width: usize,
    /// The constant column.
    pub frozen: Option<usize>,
}

impl Cholesky {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let all = self.penalty.len();
        let same = self.counts.len() == all && self.factors.len() == all * self.width;
        require(&KERNEL, same, "penalty, counts and factors are not as many rows")?;
        require(&KERNEL, self.first + self.rows <= all, "the batch exceeds the rows")?;
        require(&KERNEL, self.systems.len() >= self.rows * stride(self.width), "the systems don't fit")?;
        let work = (self.rows as u64).saturating_mul(row_work(self.width));
        let params = Params {
            first: dimension(&KERNEL, self.first)?,
            rows: dimension(&KERNEL, self.rows)?,
            width: dimension(&KERNEL, self.width)?,
            frozen: dimension(&KERNEL, self.frozen.unwrap_or(self.width))?,
            ridge: RIDGE,
        };
        let buffers = [self.penalty, self.counts, self.systems, self.factors];
        Ok(Dispatch::new(&KERNEL, params, &buffers, self.rows as u64)?.and_work(work))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [penalty, counts, systems, factors] = slots else { unreachable!("the dispatch was checked") };
    cholesky(
        &bytemuck::pod_read_unaligned(params),
        penalty.f32(),
        counts.f32(),
        systems.f32_mut(),
        factors.f32_mut(),
    );
}

/// The twin: systems in parallel. Sixteen rows at a time, or the shader's factorisation row by row,
/// where that goes column by column: products of contiguous rows are what the compiler vectorises.
pub fn cholesky(params: &Params, penalty: &[f32], counts: &[f32], systems: &mut [f32], factors: &mut [f32]) {
    let width = params.width as usize;
    let first = params.first as usize;
    let rows = first..first + params.rows as usize;
    let weights = factors[rows.start * width..rows.end * width].par_chunks_mut(width);
    let rows = penalty[rows.clone()].par_iter().zip(&counts[rows]);
    let batch = systems.par_chunks_mut(stride(width)).zip(weights).zip(rows);
    if simd::fast() {
        batch.for_each_init(
            || Scratch::new(width),
            |scratch, ((system, w), (&lambda, &count))| {
                if count != 0.0 {
                    simd::run(Solve { params: *params, lambda, system, scratch, w });
                }
            },
        );
        return;
    }
    batch.for_each(|((system, w), (&lambda, &count))| {
        if count == 0.0 {
            return;
        }
        let trace: f32 = (0..width).map(|f| system[f * (f + 3) / 2]).sum();
        let rho = lambda.max(params.ridge * trace).max(TINY);
        let right = width * (width + 1) / 2;
        for (f, &w) in w.iter().enumerate() {
            system[f * (f + 3) / 2] += rho;
            if f != params.frozen as usize {
                system[right + f] += (rho - lambda) * w;
            }
        }
        // Row i becomes row i of L, and d_i on the diagonal; the right-hand side D⁻¹L⁻¹b.
        for i in 0..=width {
            let (above, row) = system.split_at_mut(i * (i + 1) / 2);
            for k in 0..i {
                let known = k * (k + 1) / 2;
                row[k] -= lanes::dot(&row[..k], &above[known..known + k]);
            }
            let mut d = if i < width { row[i] } else { 0.0 };
            for k in 0..i {
                let undivided = row[k];
                row[k] /= above[k * (k + 3) / 2];
                d -= undivided * row[k];
            }
            if i < width {
                row[i] = d.max(rho);
            }
        }
        let (triangle, solution) = system.split_at_mut(right);
        for k in (0..width).rev() {
            let known = k * (k + 1) / 2;
            let x = solution[k];
            for (s, l) in solution[..k].iter_mut().zip(&triangle[known..known + k]) {
                *s -= l * x;
            }
            if k != params.frozen as usize {
                w[k] = x;
            }
        }
    });
}
