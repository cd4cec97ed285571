//! The curvature of a row's loss along its direction over a block of its cells: `row_curvature`
//! where rows are gathered, a part of a row's sum apart from the others.

use super::fused::{
    Columns, Gathered, Packing, RowsMut, Walk, by_cells, check, row_squares, rows_mut, unpacked,
};
use super::simd::{self, Simd, WithSimd};
use super::{Binding, Dispatch, Element, Kernel, Slot, dimension, gathered, params, require, row_sums};
use crate::aligned::Aligned;
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/row_bend.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "row_bend",
    wgsl: include_str!("../../shaders/row_bend.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("rows", Element::U32),
        Binding::read("cells", Element::U32),
        Binding::read("packed", Element::U32),
        Binding::read("sums", Element::F32),
        Binding::read_write("bends", Element::F32),
    ],
    constants: &[],
    twin,
};

params! {
    /// Parameters of `row_bend`.
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
        /// Where the chunk's first part stands.
        pub place: u32,
        /// 1: variances are packed beside the factors.
        pub spread: u32,
        /// Rows that have a workgroup each, the first by length.
        pub long: u32,
        /// 1: packed rows are f16.
        pub half: u32,
    }
}

/// The buffers of one call.
#[derive(Debug, Clone, Copy)]
pub struct RowBend {
    /// Offsets and order of the chunk's rows, `[2n + 1]`.
    pub rows: Buffer,
    /// The chunk's cells of one block, `[cells, 2]`.
    pub cells: Buffer,
    /// The other side, packed.
    pub packed: Buffer,
    /// With the rows' directions, `[rows, row_sums::stride(width)]`.
    pub sums: Buffer,
    /// Receives `Σ (x·d)²` of each row, at least `[place + n]`.
    pub parts: Buffer,
    /// The chunk's first row.
    pub first: usize,
    /// Where the chunk's first part stands.
    pub place: usize,
    /// Rows that have a workgroup each, the first by length.
    pub long: usize,
    /// How the other side is packed.
    pub packing: Packing,
    /// The columns of both sides.
    pub columns: Columns,
}

impl RowBend {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        check(&KERNEL, self.rows, self.long, self.packed, &self.packing, &self.columns)?;
        let Columns { width, rank, bias, unit } = self.columns;
        let count = self.rows.len() / 2;
        require(
            &KERNEL,
            self.sums.len() >= (self.first + count) * row_sums::stride(width),
            "the sums are too few",
        )?;
        require(&KERNEL, self.parts.len() >= self.place + count, "the parts are too few")?;
        let params = Params {
            count: dimension(&KERNEL, count)?,
            first: dimension(&KERNEL, self.first)?,
            others: dimension(&KERNEL, self.packing.rows)?,
            width: dimension(&KERNEL, width)?,
            rank: dimension(&KERNEL, rank)?,
            lanes: dimension(&KERNEL, self.packing.lanes)?,
            bias: dimension(&KERNEL, bias.unwrap_or(width))?,
            unit,
            place: dimension(&KERNEL, self.place)?,
            spread: u32::from(self.packing.spread),
            long: dimension(&KERNEL, self.long)?,
            half: u32::from(self.packing.half),
        };
        let work = gathered(self.cells.len() / 2, self.packing.lanes);
        let buffers = [self.rows, self.cells, self.packed, self.sums, self.parts];
        Ok(Dispatch::new(&KERNEL, params, &buffers, count as u64)?
            .with_work(work)
            .by_rows(self.packing.of(params.count, params.long)))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [rows, cells, packed, sums, bends] = slots else { unreachable!("the dispatch was checked") };
    let params: Params = bytemuck::pod_read_unaligned(params);
    let packed = unpacked(packed, params.others, params.lanes, params.spread, params.half);
    row_bend(&params, rows.u32(), cells.u32(), &packed, sums.f32(), bends.f32_mut());
}

/// The twin: pieces of rows in parallel.
pub fn row_bend(
    params: &Params,
    rows: &[u32],
    cells: &[u32],
    packed: &[f32],
    sums: &[f32],
    bends: &mut [f32],
) {
    let (count, first) = (params.count as usize, params.first as usize);
    let stride = row_sums::stride(params.width as usize);
    let pass = Pass {
        params,
        x: Gathered::new(packed, params.others, params.lanes, params.spread, params.unit),
        offsets: &rows[..=count],
        cells: cells.as_chunks().0,
        sums: &sums[first * stride..(first + count) * stride],
    };
    let outputs = [rows_mut(bends, 1, params.place as usize, count)];
    by_cells(pass.offsets, 0..count, outputs, &|rows, [bends]| {
        simd::run(Piece { pass: &pass, rows, bends });
    });
}

struct Pass<'a> {
    params: &'a Params,
    x: Gathered<'a>,
    offsets: &'a [u32],
    cells: &'a [[u32; 2]],
    sums: &'a [f32],
}

struct Piece<'a, 'b> {
    pass: &'a Pass<'a>,
    rows: std::ops::Range<usize>,
    bends: RowsMut<'b>,
}

impl WithSimd for Piece<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Pass { params, x, offsets, cells, sums } = *self.pass;
        let (width, rank) = (params.width as usize, params.rank as usize);
        let stride = row_sums::stride(width);
        let mut d = Aligned::zeros(x.lanes);
        for (local, row) in self.rows.enumerate() {
            let cells = &cells[offsets[row] as usize..offsets[row + 1] as usize];
            let along = &sums[row * stride + 3 * width..row * stride + 4 * width];
            d[..rank].copy_from_slice(&along[..rank]);
            let d_bias = along.get(params.bias as usize).copied().unwrap_or(0.0);
            let walk = Walk { x, cells, block: 0, w: &d, bias: params.unit * d_bias };
            self.bends.row(local)[0] = row_squares(simd, &walk);
        }
    }
}
