//! The squared errors of each row: `residual` and `sum_squares` without storing Δ.

use super::fused::{
    Columns, Gathered, Packing, RowsMut, Sums, Walk, by_cells, check, row_sums, rows_mut, unpacked,
};
use super::simd::{self, Simd, WithSimd};
use super::{Binding, Dispatch, Element, Kernel, Slot, dimension, gathered, params, require};
use crate::aligned::Aligned;
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/row_loss.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "row_loss",
    wgsl: include_str!("../../shaders/row_loss.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("rows", Element::U32),
        Binding::read("cells", Element::U32),
        Binding::read("packed", Element::U32),
        Binding::read("factors", Element::F32),
        Binding::read_write("squares", Element::F32),
    ],
    constants: &[],
    twin,
};

params! {
    /// Parameters of `row_loss`.
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
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct RowLoss {
    /// Offsets and order of the chunk's rows, `[2n + 1]`.
    pub rows: Buffer,
    /// The chunk's cells, `[cells, 2]`.
    pub cells: Buffer,
    /// The other side, packed.
    pub packed: Buffer,
    /// w, `[rows, width]`.
    pub factors: Buffer,
    /// Receives Σ e² of each row, `[rows]`.
    pub squares: Buffer,
    /// The chunk's first row.
    pub first: usize,
    /// Rows that have a workgroup each, the first by length.
    pub long: usize,
    /// How the other side is packed.
    pub packing: Packing,
    /// The columns of both sides.
    pub columns: Columns,
}

impl RowLoss {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        check(&KERNEL, self.rows, self.long, self.packed, &self.packing, &self.columns)?;
        let (count, width) = (self.rows.len() / 2, self.columns.width);
        require(
            &KERNEL,
            self.factors.len() == self.squares.len() * width && self.squares.len() >= self.first + count,
            "factors and squares differ",
        )?;
        require(&KERNEL, !self.packing.spread, "no variances are asked for")?;
        let params = Params {
            count: dimension(&KERNEL, count)?,
            first: dimension(&KERNEL, self.first)?,
            others: dimension(&KERNEL, self.packing.rows)?,
            width: dimension(&KERNEL, width)?,
            rank: dimension(&KERNEL, self.columns.rank)?,
            lanes: dimension(&KERNEL, self.packing.lanes)?,
            bias: dimension(&KERNEL, self.columns.bias.unwrap_or(width))?,
            unit: self.columns.unit,
            long: dimension(&KERNEL, self.long)?,
            half: u32::from(self.packing.half),
        };
        let work = gathered(self.cells.len() / 2, self.packing.lanes);
        let buffers = [self.rows, self.cells, self.packed, self.factors, self.squares];
        Ok(Dispatch::new(&KERNEL, params, &buffers, count as u64)?
            .with_work(work)
            .by_rows(self.packing.of(params.count, params.long)))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [rows, cells, packed, factors, squares] = slots else { unreachable!("the dispatch was checked") };
    let params: Params = bytemuck::pod_read_unaligned(params);
    let packed = unpacked(packed, params.others, params.lanes, 0, params.half);
    row_loss(&params, rows.u32(), cells.u32(), &packed, factors.f32(), squares.f32_mut());
}

/// The twin: pieces of rows in parallel.
pub fn row_loss(
    params: &Params,
    rows: &[u32],
    cells: &[u32],
    packed: &[f32],
    factors: &[f32],
    squares: &mut [f32],
) {
    let (count, first, width) = (params.count as usize, params.first as usize, params.width as usize);
    let pass = Pass {
        params,
        x: Gathered::new(packed, params.others, params.lanes, 0, params.unit),
        offsets: &rows[..=count],
        cells: cells.as_chunks().0,
        factors: &factors[first * width..(first + count) * width],
    };
    let outputs = [rows_mut(squares, 1, first, count)];
    by_cells(pass.offsets, 0..count, outputs, &|rows, [squares]| {
        simd::run(Piece { pass: &pass, rows, squares });
    });
}

struct Pass<'a> {
    params: &'a Params,
    x: Gathered<'a>,
    offsets: &'a [u32],
    cells: &'a [[u32; 2]],
    factors: &'a [f32],
}

struct Piece<'a, 'b> {
    pass: &'a Pass<'a>,
    rows: std::ops::Range<usize>,
    squares: RowsMut<'b>,
}

impl WithSimd for Piece<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Pass { params, x, offsets, cells, factors } = *self.pass;
        let (width, rank) = (params.width as usize, params.rank as usize);
        let mut sums = Sums::new(x.lanes);
        let mut w = Aligned::zeros(x.lanes);
        for (local, row) in self.rows.enumerate() {
            let cells = &cells[offsets[row] as usize..offsets[row + 1] as usize];
            let own = &factors[row * width..(row + 1) * width];
            w[..rank].copy_from_slice(&own[..rank]);
            let b = own.get(params.bias as usize).copied().unwrap_or(0.0);
            let walk = Walk { x, cells, block: 0, w: &w, bias: params.unit * b };
            row_sums::<S, false, false, false>(simd, &walk, &mut sums);
            self.squares.row(local)[0] = sums.squares;
        }
    }
}
