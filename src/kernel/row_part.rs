//! What a row's line search needs of a block of its cells, in one walk: `row_sums` where rows are
//! gathered, a part of a row's sums apart from the others.

use super::fused::{
    Columns, Gathered, Packing, RowsMut, Sums, Walk, by_cells, check, row_sums, rows_mut, unpacked,
};
use super::simd::{self, Simd, WithSimd};
use super::{Binding, Dispatch, Element, Kernel, Slot, dimension, gathered, params, require};
use crate::aligned::Aligned;
use crate::backend::Buffer;
use crate::error::Result;

/// Elements of a row of parts: `Σ e·x`, `Σ x²` and, with variances, `Σ t`, `width` each, then `Σ e²`.
pub fn stride(width: usize, spread: bool) -> usize {
    if spread { 3 * width + 1 } else { 2 * width + 1 }
}

/// `shaders/row_part.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "row_part",
    wgsl: include_str!("../../shaders/row_part.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("rows", Element::U32),
        Binding::read("cells", Element::U32),
        Binding::read("packed", Element::U32),
        Binding::read("factors", Element::F32),
        Binding::read_write("sums", Element::F32),
    ],
    constants: &[],
    twin,
};

params! {
    /// Parameters of `row_part`.
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
        /// The constant column; ≥ width: none.
        pub frozen: u32,
        /// What the constant column holds.
        pub unit: f32,
        /// Where the chunk's first row of parts stands.
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
pub struct RowPart {
    /// Offsets and order of the chunk's rows, `[2n + 1]`.
    pub rows: Buffer,
    /// The chunk's cells of one block, `[cells, 2]`.
    pub cells: Buffer,
    /// The other side, packed; with its variances where priors are learned.
    pub packed: Buffer,
    /// w, `[rows, width]`.
    pub factors: Buffer,
    /// Receives the sums, at least `[place + n, stride(width, packing.spread)]`.
    pub parts: Buffer,
    /// The chunk's first row.
    pub first: usize,
    /// Where the chunk's first row of parts stands.
    pub place: usize,
    /// Rows that have a workgroup each, the first by length.
    pub long: usize,
    /// How the other side is packed.
    pub packing: Packing,
    /// The columns of both sides: with a bias, the last two of the row's are it and the constant one.
    pub columns: Columns,
}

impl RowPart {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        check(&KERNEL, self.rows, self.long, self.packed, &self.packing, &self.columns)?;
        let Columns { width, rank, bias, unit } = self.columns;
        let (count, spread) = (self.rows.len() / 2, self.packing.spread);
        require(&KERNEL, self.factors.len() >= (self.first + count) * width, "the factors are too few")?;
        require(
            &KERNEL,
            self.parts.len() >= (self.place + count) * stride(width, spread),
            "the parts are too few",
        )?;
        require(
            &KERNEL,
            bias.is_none_or(|bias| rank + 2 <= width && bias + 2 >= width),
            "the bias is none of the last two columns",
        )?;
        let params = Params {
            count: dimension(&KERNEL, count)?,
            first: dimension(&KERNEL, self.first)?,
            others: dimension(&KERNEL, self.packing.rows)?,
            width: dimension(&KERNEL, width)?,
            rank: dimension(&KERNEL, rank)?,
            lanes: dimension(&KERNEL, self.packing.lanes)?,
            bias: dimension(&KERNEL, bias.unwrap_or(width))?,
            frozen: dimension(&KERNEL, bias.map_or(width, |bias| 2 * width - 3 - bias))?,
            unit,
            place: dimension(&KERNEL, self.place)?,
            spread: u32::from(spread),
            long: dimension(&KERNEL, self.long)?,
            half: u32::from(self.packing.half),
        };
        let planes = if spread { 2 } else { 1 };
        let work = gathered(self.cells.len() / 2, planes * self.packing.lanes);
        let buffers = [self.rows, self.cells, self.packed, self.factors, self.parts];
        Ok(Dispatch::new(&KERNEL, params, &buffers, count as u64)?
            .with_work(work)
            .by_rows(self.packing.of(params.count, params.long)))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [rows, cells, packed, factors, sums] = slots else { unreachable!("the dispatch was checked") };
    let params: Params = bytemuck::pod_read_unaligned(params);
    let packed = unpacked(packed, params.others, params.lanes, params.spread, params.half);
    row_part(&params, rows.u32(), cells.u32(), &packed, factors.f32(), sums.f32_mut());
}

/// The twin: pieces of rows in parallel.
pub fn row_part(
    params: &Params,
    rows: &[u32],
    cells: &[u32],
    packed: &[f32],
    factors: &[f32],
    sums: &mut [f32],
) {
    let (count, first, width) = (params.count as usize, params.first as usize, params.width as usize);
    let pass = Pass {
        params,
        x: Gathered::new(packed, params.others, params.lanes, params.spread, params.unit),
        offsets: &rows[..=count],
        cells: cells.as_chunks().0,
        factors: &factors[first * width..(first + count) * width],
    };
    let stride = stride(width, params.spread != 0);
    let outputs = [rows_mut(sums, stride, params.place as usize, count)];
    by_cells(pass.offsets, 0..count, outputs, &|rows, [parts]| match params.spread {
        0 => simd::run(Piece::<false> { pass: &pass, rows, parts }),
        _ => simd::run(Piece::<true> { pass: &pass, rows, parts }),
    });
}

struct Pass<'a> {
    params: &'a Params,
    x: Gathered<'a>,
    offsets: &'a [u32],
    cells: &'a [[u32; 2]],
    factors: &'a [f32],
}

struct Piece<'a, 'b, const SPREAD: bool> {
    pass: &'a Pass<'a>,
    rows: std::ops::Range<usize>,
    parts: RowsMut<'b>,
}

impl<const SPREAD: bool> WithSimd for Piece<'_, '_, SPREAD> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Pass { params, x, offsets, cells, factors } = *self.pass;
        let (width, rank, bias) = (params.width as usize, params.rank as usize, params.bias as usize);
        let mut sums = Sums::new(x.lanes);
        let mut w = Aligned::zeros(x.lanes);
        for (local, row) in self.rows.enumerate() {
            let cells = &cells[offsets[row] as usize..offsets[row + 1] as usize];
            let own = &factors[row * width..(row + 1) * width];
            w[..rank].copy_from_slice(&own[..rank]);
            let b = own.get(bias).copied().unwrap_or(0.0);
            let walk = Walk { x, cells, block: 0, w: &w, bias: params.unit * b };
            row_sums::<S, true, true, SPREAD>(simd, &walk, &mut sums);
            let part = self.parts.row(local);
            part.fill(0.0);
            for (part, lanes) in part.chunks_exact_mut(width).zip(sums.lanes.chunks_exact(x.lanes)) {
                part[..rank].copy_from_slice(&lanes[..rank]);
            }
            if bias < width {
                part[bias] = sums.bias_gradient;
                part[width + bias] = sums.bias_curvature;
                if SPREAD {
                    part[2 * width + params.frozen as usize] = sums.tails;
                }
            }
            if let Some(squares) = part.last_mut() {
                *squares = sums.squares;
            }
        }
    }
}
