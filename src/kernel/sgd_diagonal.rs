//! Stochastic descent over one diagonal of blocks, one cell at a time in each.

mod walk;

use std::ops::Range;

use rayon::prelude::*;

use self::walk::Walk;
use super::{
    Binding, Dispatch, Element, Kernel, Slot, WORKGROUP, dimension, gathered, lanes, params, require, simd,
};
use crate::backend::Buffer;
use crate::error::Result;

/// Elements of a row of state: the penalty λ of one visit, the accumulator G
/// of the factors and that of the bias.
pub const STATE: usize = 3;

/// Elements of the table of `blocks` × `blocks` blocks: first rows and first
/// columns, `[blocks + 1]` each, then first cells, `[blocks² + 1]`.
pub fn table_len(blocks: usize) -> usize {
    2 * (blocks + 1) + blocks * blocks + 1
}

/// `shaders/sgd_diagonal.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "sgd_diagonal",
    wgsl: include_str!("../../shaders/sgd_diagonal.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("rows", Element::U32),
        Binding::read("columns", Element::U32),
        Binding::read("ratings", Element::F32),
        Binding::read("blocks", Element::U32),
        Binding::read_write("row_factors", Element::F32),
        Binding::read_write("column_factors", Element::F32),
        Binding::read_write("row_state", Element::F32),
        Binding::read_write("column_state", Element::F32),
    ],
    constants: &[("WORKGROUP", WORKGROUP)],
    twin,
};

params! {
    /// Parameters of `sgd_diagonal`.
    pub struct Params {
        /// Block (r, (r + diagonal) mod blocks) is visited for every r.
        pub diagonal: u32,
        /// Blocks of the rows, and of the columns.
        pub blocks: u32,
        /// Columns of a factor matrix: the rank, or rank + 2 with biases.
        pub width: u32,
        /// Number of latent factors.
        pub rank: u32,
        /// Cell i of n in a block is the one at `(start + i·stride) mod n`.
        pub stride: u32,
        /// See `stride`.
        pub start: u32,
        /// η.
        pub rate: f32,
        /// 1: the rate is divided by √G; 0: it is constant.
        pub adagrad: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct SgdDiagonal {
    /// Row of each cell, block by block, `[cells]`.
    pub rows: Buffer,
    /// Column of each cell, `[cells]`.
    pub columns: Buffer,
    /// Targets, `[cells]`.
    pub ratings: Buffer,
    /// Where each block's rows, columns and cells begin, `[table_len(blocks)]`.
    pub table: Buffer,
    /// `[u, b, 1]` or u, `[rows, width]`, moved in place.
    pub row_factors: Buffer,
    /// `[v, 1, c]` or v, `[columns, width]`, moved in place.
    pub column_factors: Buffer,
    /// λ, G and the bias's G of each row, `[rows, STATE]`; G is added to.
    pub row_state: Buffer,
    /// The same of each column, `[columns, STATE]`.
    pub column_state: Buffer,
    /// Columns of a factor matrix: the rank, or rank + 2 with biases.
    pub width: usize,
    /// Number of latent factors.
    pub rank: usize,
    /// Blocks of the rows, and of the columns.
    pub blocks: usize,
    /// The diagonal to visit, below `blocks`.
    pub diagonal: usize,
    /// 1, or a prime above every block's number of cells.
    pub stride: u32,
    /// Where the visits begin.
    pub start: u32,
    /// η.
    pub rate: f32,
    /// Divide the rate by √G, one G a row of factors and one a bias.
    pub adagrad: bool,
}

impl SgdDiagonal {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let state_of = |factors: Buffer| factors.len() / self.width * STATE;
        require(
            &KERNEL,
            [self.columns, self.ratings].iter().all(|b| b.len() == self.rows.len()),
            "rows, columns and ratings differ in length",
        )?;
        require(
            &KERNEL,
            self.row_state.len() == state_of(self.row_factors)
                && self.column_state.len() == state_of(self.column_factors),
            "factors and state are not as many rows",
        )?;
        require(
            &KERNEL,
            self.width == self.rank || self.width == self.rank + 2,
            "width does not fit the rank",
        )?;
        require(
            &KERNEL,
            self.table.len() == table_len(self.blocks) && self.diagonal < self.blocks,
            "the table is of other blocks",
        )?;
        // A diagonal has its share of the cells; both rows of each are read and written.
        let work = gathered(self.rows.len().div_ceil(self.blocks), 4 * self.width + 3);
        // Two of the walk's steps must not pass 32 bits.
        require(&KERNEL, self.rows.len() < 1 << 31, "too many cells")?;
        let params = Params {
            diagonal: dimension(&KERNEL, self.diagonal)?,
            blocks: dimension(&KERNEL, self.blocks)?,
            width: dimension(&KERNEL, self.width)?,
            rank: dimension(&KERNEL, self.rank)?,
            stride: self.stride,
            start: self.start,
            rate: self.rate,
            adagrad: u32::from(self.adagrad),
        };
        let buffers = [
            self.rows,
            self.columns,
            self.ratings,
            self.table,
            self.row_factors,
            self.column_factors,
            self.row_state,
            self.column_state,
        ];
        Ok(Dispatch::new(&KERNEL, params, &buffers, self.blocks as u64)?.with_work(work))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [rows, columns, ratings, blocks, row_factors, column_factors, row_state, column_state] = slots else {
        unreachable!("the dispatch was checked")
    };
    let cells = Cells { rows: rows.u32(), columns: columns.u32(), ratings: ratings.f32() };
    sgd_diagonal(
        &bytemuck::pod_read_unaligned(params),
        cells,
        blocks.u32(),
        row_factors.f32_mut(),
        column_factors.f32_mut(),
        row_state.f32_mut(),
        column_state.f32_mut(),
    );
}

/// Cells as the twin sees them.
#[derive(Debug, Clone, Copy)]
pub struct Cells<'a> {
    /// Row of each cell, `[cells]`.
    pub rows: &'a [u32],
    /// Column of each cell, `[cells]`.
    pub columns: &'a [u32],
    /// Targets, `[cells]`.
    pub ratings: &'a [f32],
}

impl<'a> Cells<'a> {
    fn part(self, range: Range<usize>) -> Self {
        Cells {
            rows: &self.rows[range.clone()],
            columns: &self.columns[range.clone()],
            ratings: &self.ratings[range],
        }
    }

    /// Every cell's place, in the order of the visits.
    #[inline(always)]
    fn walk(self, params: &Params) -> impl Iterator<Item = usize> {
        let count = self.ratings.len();
        let step = params.stride as usize % count.max(1);
        let mut at = params.start as usize % count.max(1);
        (0..count).map(move |_| {
            let here = at;
            at += step;
            if at >= count {
                at -= count;
            }
            here
        })
    }
}

/// One side's rows of a block: what nobody else touches meanwhile.
#[derive(Debug, Default)]
struct Part<'a> {
    first: usize,
    factors: &'a mut [f32],
    state: &'a mut [f32],
}

impl Part<'_> {
    #[inline(always)]
    fn row(&mut self, index: u32, width: usize) -> (&mut [f32], &mut [f32; STATE]) {
        let row = index as usize - self.first;
        let (states, _) = self.state.as_chunks_mut::<STATE>();
        (&mut self.factors[row * width..(row + 1) * width], &mut states[row])
    }
}

/// The twin: blocks in parallel, each block's cells in order. The blocks of a
/// diagonal own contiguous rows and contiguous columns, so both matrices are
/// cut into a piece for each.
pub fn sgd_diagonal(
    params: &Params,
    cells: Cells<'_>,
    table: &[u32],
    row_factors: &mut [f32],
    column_factors: &mut [f32],
    row_state: &mut [f32],
    column_state: &mut [f32],
) {
    let (blocks, width) = (params.blocks as usize, params.width as usize);
    let (row_bounds, rest) = table.split_at(blocks + 1);
    let (column_bounds, offsets) = rest.split_at(blocks + 1);
    let rows = cut(row_bounds, width, row_factors, row_state);
    let mut columns = cut(column_bounds, width, column_factors, column_state);
    columns.rotate_left(params.diagonal as usize);
    let parts: Vec<_> = rows.into_iter().zip(columns).collect();
    parts.into_par_iter().enumerate().for_each(|(block, (mut rows, mut columns))| {
        let place = block * blocks + (block + params.diagonal as usize) % blocks;
        let cells = cells.part(offsets[place] as usize..offsets[place + 1] as usize);
        if simd::fast() {
            return simd::run(Walk { params: *params, cells, rows, columns });
        }
        for at in cells.walk(params) {
            let row = rows.row(cells.rows[at], width);
            let column = columns.row(cells.columns[at], width);
            visit(params, cells.ratings[at], row, column);
        }
    });
}

/// Cuts a side at its blocks' bounds.
fn cut<'a>(
    bounds: &[u32],
    width: usize,
    mut factors: &'a mut [f32],
    mut state: &'a mut [f32],
) -> Vec<Part<'a>> {
    let mut parts = Vec::with_capacity(bounds.len() - 1);
    for pair in bounds.windows(2) {
        let (first, rows) = (pair[0] as usize, (pair[1] - pair[0]) as usize);
        let (mine, others) = std::mem::take(&mut factors).split_at_mut(rows * width);
        let (my_state, other_state) = std::mem::take(&mut state).split_at_mut(rows * STATE);
        parts.push(Part { first, factors: mine, state: my_state });
        (factors, state) = (others, other_state);
    }
    parts
}

/// One rating's step on its row and its column, both from their old values.
fn visit(
    params: &Params,
    rating: f32,
    (u, row_state): (&mut [f32], &mut [f32; STATE]),
    (v, column_state): (&mut [f32], &mut [f32; STATE]),
) {
    let rank = params.rank as usize;
    let (u, u_extra) = u.split_at_mut(rank);
    let (v, v_extra) = v.split_at_mut(rank);
    let products = lanes::products(u, v);
    let (e, own, other) = params.step(rank, rating, products, (u_extra, row_state), (v_extra, column_state));
    lanes::step_both(u, v, e, own, other);
}

/// The error of a visit, then rate and penalty of the row, and of the column.
type Step = (f32, (f32, f32), (f32, f32));

impl Params {
    /// What a visit does but to the factors: `[uv, uu, vv]` are their products, and what follows
    /// them in their rows is either nothing or the bias and the constant column.
    #[inline(always)]
    fn step(
        &self,
        rank: usize,
        rating: f32,
        [uv, uu, vv]: [f32; 3],
        (u_extra, row_state): (&mut [f32], &mut [f32; STATE]),
        (v_extra, column_state): (&mut [f32], &mut [f32; STATE]),
    ) -> Step {
        let rate_of = |sum: f32| if self.adagrad == 0 { self.rate } else { self.rate / sum.sqrt() };
        let share = 1.0 / rank as f32;
        let biases = match (&*u_extra, &*v_extra) {
            ([b, v_unit], [u_unit, c]) => b * u_unit + v_unit * c,
            _ => 0.0,
        };
        let e = rating - (uv + biases);
        let [u_penalty, u_sum, b_sum] = row_state;
        let [v_penalty, v_sum, c_sum] = column_state;
        let (u_penalty, v_penalty) = (*u_penalty, *v_penalty);
        let step = (e, (rate_of(*u_sum), u_penalty), (rate_of(*v_sum), v_penalty));
        let g_u = e * e * vv - 2.0 * e * u_penalty * uv + u_penalty * u_penalty * uu;
        let g_v = e * e * uu - 2.0 * e * v_penalty * uv + v_penalty * v_penalty * vv;
        *u_sum += g_u.max(0.0) * share;
        *v_sum += g_v.max(0.0) * share;
        if let ([b, v_unit], [u_unit, c]) = (u_extra, v_extra) {
            let (g_b, g_c) = (e * *u_unit - u_penalty * *b, e * *v_unit - v_penalty * *c);
            *b_sum += g_b * g_b;
            *c_sum += g_c * g_c;
            *b += rate_of(*b_sum) * g_b;
            *c += rate_of(*c_sum) * g_c;
        }
        step
    }
}
