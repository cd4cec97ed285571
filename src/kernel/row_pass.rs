//! The line search of every row of a chunk in one walk: `row_sums`,
//! `row_direction`, `row_curvature` and `row_step` with a fixed penalty, fused.

use super::fused::{
    Column, Columns, Factors, Gathered, Packing, RowsMut, Sums, Walk, by_cells, check, direction,
    row_squares, row_sums, rows_mut, step, unpacked,
};
use super::simd::{self, Simd, WithSimd};
use super::{Binding, Dispatch, Element, Kernel, Slot, dimension, gathered, params, require};
use crate::aligned::Aligned;
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/row_pass.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "row_pass",
    wgsl: include_str!("../../shaders/row_pass.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("rows", Element::U32),
        Binding::read("cells", Element::U32),
        Binding::read("packed", Element::U32),
        Binding::read("penalty", Element::F32),
        Binding::read_write("factors", Element::F32),
        Binding::read_write("energy", Element::F32),
        Binding::read_write("cost", Element::F32),
    ],
    constants: &[],
    twin,
};

params! {
    /// Parameters of `row_pass`.
    pub struct Params {
        /// Rows of the chunk.
        pub count: u32,
        /// The chunk's first row.
        pub first: u32,
        /// Rows of the other side.
        pub others: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// Columns that are factors.
        pub rank: u32,
        /// Elements of a packed row of factors.
        pub lanes: u32,
        /// The column of the row's bias; ≥ width: none.
        pub bias: u32,
        /// What the constant column holds.
        pub unit: f32,
        /// Rows that have a workgroup each, the first by length.
        pub long: u32,
        /// 1: packed rows are f16.
        pub half: u32,
        /// Rows of the other side whose cells the CPU adds up apart; 0: all.
        pub block: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct RowPass {
    /// Offsets and order of the chunk's rows, `[2n + 1]`.
    pub rows: Buffer,
    /// The chunk's cells, `[cells, 2]`.
    pub cells: Buffer,
    /// The other side, packed.
    pub packed: Buffer,
    /// Fixed precision of each row, `[rows]`.
    pub penalty: Buffer,
    /// w, `[rows, width]`, moved in place.
    pub factors: Buffer,
    /// Receives the loss of each row before the step, `[rows]`.
    pub energy: Buffer,
    /// Receives the penalty of each row after the step, `[rows]`.
    pub cost: Buffer,
    /// The chunk's first row.
    pub first: usize,
    /// Rows that have a workgroup each, the first by length.
    pub long: usize,
    /// Rows of the other side whose cells are added up apart, on a CPU, where each row's cells are
    /// sorted by them; 0: all.
    pub block: usize,
    /// How the other side is packed.
    pub packing: Packing,
    /// The columns of both sides.
    pub columns: Columns,
}

impl RowPass {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        check(&KERNEL, self.rows, self.long, self.packed, &self.packing, &self.columns)?;
        let (count, total) = (self.rows.len() / 2, self.penalty.len());
        require(
            &KERNEL,
            self.first + count <= total && self.factors.len() == total * self.columns.width,
            "factors and penalties differ",
        )?;
        require(&KERNEL, self.energy.len() == total && self.cost.len() == total, "energy or cost differ")?;
        require(&KERNEL, !self.packing.spread, "a fixed penalty has no variances")?;
        let params = Params {
            count: dimension(&KERNEL, count)?,
            first: dimension(&KERNEL, self.first)?,
            others: dimension(&KERNEL, self.packing.rows)?,
            width: dimension(&KERNEL, self.columns.width)?,
            rank: dimension(&KERNEL, self.columns.rank)?,
            lanes: dimension(&KERNEL, self.packing.lanes)?,
            bias: dimension(&KERNEL, self.columns.bias.unwrap_or(self.columns.width))?,
            unit: self.columns.unit,
            long: dimension(&KERNEL, self.long)?,
            half: u32::from(self.packing.half),
            block: dimension(&KERNEL, self.block)?,
        };
        let work = gathered(self.cells.len() / 2, 2 * self.packing.lanes);
        let buffers =
            [self.rows, self.cells, self.packed, self.penalty, self.factors, self.energy, self.cost];
        Ok(Dispatch::new(&KERNEL, params, &buffers, count as u64)?
            .with_work(work)
            .by_rows(self.packing.of(params.count, params.long)))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [rows, cells, packed, penalty, factors, energy, cost] = slots else {
        unreachable!("the dispatch was checked")
    };
    let params: Params = bytemuck::pod_read_unaligned(params);
    let packed = unpacked(packed, params.others, params.lanes, 0, params.half);
    row_pass(
        &params,
        rows.u32(),
        cells.u32(),
        &packed,
        penalty.f32(),
        factors.f32_mut(),
        energy.f32_mut(),
        cost.f32_mut(),
    );
}

/// The twin: pieces of rows in parallel.
#[expect(clippy::too_many_arguments, reason = "one for each binding")]
pub fn row_pass(
    params: &Params,
    rows: &[u32],
    cells: &[u32],
    packed: &[f32],
    penalty: &[f32],
    factors: &mut [f32],
    energy: &mut [f32],
    cost: &mut [f32],
) {
    let (count, first) = (params.count as usize, params.first as usize);
    let pass = Pass {
        params,
        x: Gathered::new(packed, params.others, params.lanes, 0, params.unit),
        offsets: &rows[..=count],
        cells: cells.as_chunks().0,
        penalty: &penalty[first..first + count],
    };
    let outputs = [
        rows_mut(factors, params.width as usize, first, count),
        rows_mut(energy, 1, first, count),
        rows_mut(cost, 1, first, count),
    ];
    by_cells(pass.offsets, 0..count, outputs, &|rows, outputs| {
        simd::run(Piece { pass: &pass, rows, outputs });
    });
}

struct Pass<'a> {
    params: &'a Params,
    x: Gathered<'a>,
    offsets: &'a [u32],
    cells: &'a [[u32; 2]],
    penalty: &'a [f32],
}

struct Piece<'a, 'b> {
    pass: &'a Pass<'a>,
    rows: std::ops::Range<usize>,
    outputs: [RowsMut<'b>; 3],
}

impl WithSimd for Piece<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Pass { params, x, offsets, cells, penalty } = *self.pass;
        let [mut factors, mut energy, mut cost] = self.outputs;
        let (rank, lanes, unit) = (params.rank as usize, x.lanes, params.unit);
        let (has_bias, none) = (params.bias < params.width, Column::default());
        let mut sums = Sums::new(lanes);
        let mut w = Aligned::zeros(lanes);
        let mut d = Aligned::zeros(lanes);
        for (local, row) in self.rows.enumerate() {
            let cells = &cells[offsets[row] as usize..offsets[row + 1] as usize];
            let own = factors.row(local);
            w[..rank].copy_from_slice(&own[..rank]);
            let b = own.get(params.bias as usize).copied().unwrap_or(0.0);
            let walk = Walk { x, cells, block: params.block, w: &w, bias: unit * b };
            row_sums::<S, true, true, false>(simd, &walk, &mut sums);
            let penalty = penalty[row];
            let line = Factors { w: &w, means: &[], sums: &sums.lanes, penalty, prior: &[] };
            let (along, before) = direction::<S, true, false>(simd, &line, 0.0, &mut d, &mut []);
            // The bias: a factor whose other side is the unit in every cell.
            let (g, s1) = (sums.bias_gradient, sums.bias_curvature);
            let bias = if has_bias { Column { w: b, g, s1, rho: penalty, ..none } } else { none };
            let (d_bias, variance) = bias.direction(0.0);
            let walk = Walk { x, cells, block: params.block, w: &d, bias: unit * d_bias };
            let squares = row_squares(simd, &walk);
            let alpha = along.alpha::<true, false>(simd, squares, penalty, (&bias, d_bias), (&none, 0.0));
            let penalties = before.energy::<true, false>(simd, penalty, (&bias, variance), &none);
            energy.row(local)[0] = sums.squares + penalties;
            let size = step::<S, true>(simd, alpha, &d, &[], &mut w);
            let own = factors.row(local);
            own[..rank].copy_from_slice(&w[..rank]);
            let b = b + alpha * d_bias;
            if has_bias {
                own[params.bias as usize] = b;
            }
            cost.row(local)[0] = penalty * (size + b * b);
        }
    }
}
