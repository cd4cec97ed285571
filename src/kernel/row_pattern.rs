//! Sums over who rated what, from packed rows: `pattern_sum` as the fused kernels gather.

use super::fused::{
    Columns, Gathered, Packing, RowsMut, SideCells, Sums, by_cells, check, more_patterns, row_patterns,
    rows_mut, unpacked,
};
use super::simd::{self, Simd, WithSimd};
use super::{Binding, Dispatch, Element, Kernel, Slot, dimension, gathered, params, require};
use crate::aligned::Aligned;
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/row_pattern.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "row_pattern",
    wgsl: include_str!("../../shaders/row_pattern.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("rows", Element::U32),
        Binding::read("cells", Element::U32),
        Binding::read("packed", Element::U32),
        Binding::read_write("sums", Element::F32),
    ],
    constants: &[],
    twin,
};

params! {
    /// Parameters of `row_pattern`.
    pub struct Params {
        /// Rows of the chunk.
        pub count: u32,
        /// Where the chunk's first row of sums stands.
        pub first: u32,
        /// Rows of the other side.
        pub others: u32,
        /// Columns of a factor matrix.
        pub width: u32,
        /// Columns that are factors.
        pub rank: u32,
        /// Elements of a packed row of factors.
        pub lanes: u32,
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
pub struct RowPattern {
    /// Offsets and order of the chunk's rows, `[2n + 1]`.
    pub rows: Buffer,
    /// The chunk's cells, `[cells, 2]`.
    pub cells: Buffer,
    /// The other side, packed.
    pub packed: Buffer,
    /// Receives the sums, at least `[first + n, width]`; 0 in the columns that are no factors.
    pub sums: Buffer,
    /// Where the chunk's first row of sums stands: its first row, or where its part of the sums begins.
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

impl RowPattern {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        check(&KERNEL, self.rows, self.long, self.packed, &self.packing, &self.columns)?;
        let (count, width) = (self.rows.len() / 2, self.columns.width);
        require(&KERNEL, self.sums.len() >= (self.first + count) * width, "the sums are too few")?;
        require(&KERNEL, !self.packing.spread, "no variances are asked for")?;
        let params = Params {
            count: dimension(&KERNEL, count)?,
            first: dimension(&KERNEL, self.first)?,
            others: dimension(&KERNEL, self.packing.rows)?,
            width: dimension(&KERNEL, width)?,
            rank: dimension(&KERNEL, self.columns.rank)?,
            lanes: dimension(&KERNEL, self.packing.lanes)?,
            long: dimension(&KERNEL, self.long)?,
            half: u32::from(self.packing.half),
            block: dimension(&KERNEL, self.block)?,
        };
        let work = gathered(self.cells.len() / 2, self.packing.lanes);
        let buffers = [self.rows, self.cells, self.packed, self.sums];
        Ok(Dispatch::new(&KERNEL, params, &buffers, count as u64)?
            .with_work(work)
            .by_rows(self.packing.of(params.count, params.long)))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [rows, cells, packed, sums] = slots else { unreachable!("the dispatch was checked") };
    let params: Params = bytemuck::pod_read_unaligned(params);
    let packed = unpacked(packed, params.others, params.lanes, 0, params.half);
    row_pattern(&params, rows.u32(), cells.u32(), &packed, sums.f32_mut());
}

/// The twin: pieces of rows in parallel.
pub fn row_pattern(params: &Params, rows: &[u32], cells: &[u32], packed: &[f32], sums: &mut [f32]) {
    let (count, first, width) = (params.count as usize, params.first as usize, params.width as usize);
    let x = Gathered::new(packed, params.others, params.lanes, 0, 0.0);
    let side = SideCells { x, offsets: &rows[..=count], cells: cells.as_chunks().0, block: params.block };
    let (far, groups) = side.groups();
    let none = Aligned::zeros(x.lanes);
    for group in groups {
        let mut outputs = rows_mut(sums, width, first + group.start, group.len());
        if !far {
            by_cells(side.offsets, group, [outputs], &|rows, [sums]| {
                simd::run(Piece { params, side, rows, sums });
            });
            continue;
        }
        let mut found: Vec<Sums> = group.clone().map(|_| Sums::new(x.lanes)).collect();
        side.in_blocks(group, &mut found, &|sums, cells| more_patterns(&side.walk(cells, &none, 0.0), sums));
        for (local, found) in found.iter().enumerate() {
            put(outputs.row(local), found, params.rank as usize);
        }
    }
}

/// A row's sums, 0 in the columns that are no factors.
fn put(result: &mut [f32], sums: &Sums, rank: usize) {
    result[..rank].copy_from_slice(&sums.lanes[..rank]);
    result[rank..].fill(0.0);
}

struct Piece<'a, 'b> {
    params: &'a Params,
    side: SideCells<'a>,
    rows: std::ops::Range<usize>,
    sums: RowsMut<'b>,
}

impl WithSimd for Piece<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let x = self.side.x;
        let (rank, none) = (self.params.rank as usize, Aligned::zeros(x.lanes));
        let mut sums = Sums::new(x.lanes);
        for (local, row) in self.rows.enumerate() {
            row_patterns(simd, &self.side.walk(self.side.row(row), &none, 0.0), &mut sums);
            put(self.sums.row(local), &sums, rank);
        }
    }
}
