//! The line search of every row of a chunk in one walk: `row_sums`,
//! `row_direction`, `row_curvature` and `row_step` with a fixed penalty, fused.

use super::fused::{
    Along, Before, Column, Columns, Factors, Found, Gathered, Own, Packing, RowsMut, SideCells, Sums,
    by_cells, check, direction, row_squares, row_sums, rows_mut, step, unpacked,
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
    let x = Gathered::new(packed, params.others, params.lanes, 0, params.unit);
    let width = params.width as usize;
    let own = Own { width, rank: params.rank as usize, bias: params.bias as usize, unit: params.unit };
    let side = SideCells { x, offsets: &rows[..=count], cells: cells.as_chunks().0, block: params.block };
    let pass = Pass { params, side, own, penalty: &penalty[first..first + count] };
    let (far, groups) = side.groups();
    for group in groups {
        let found = far.then(|| {
            side.find::<false>(&group, own, &factors[first * width..], &|row, found| {
                simd::run(Aim { pass: &pass, row, found });
            })
        });
        let (first, rows) = (first + group.start, group.len());
        let outputs = [
            rows_mut(factors, width, first, rows),
            rows_mut(energy, 1, first, rows),
            rows_mut(cost, 1, first, rows),
        ];
        by_cells(side.offsets, group.clone(), outputs, &|rows, outputs| {
            let found = found.as_ref().map(|found| &found[rows.start - group.start..]);
            simd::run(Piece { pass: &pass, rows, found, outputs });
        });
    }
}

struct Pass<'a> {
    params: &'a Params,
    side: SideCells<'a>,
    own: Own,
    penalty: &'a [f32],
}

impl Pass<'_> {
    /// The direction of a row from its sums, into `d`; and the bias, a factor whose other side is the
    /// unit in every cell.
    #[inline(always)]
    fn aim<S: Simd>(
        &self,
        simd: S,
        row: usize,
        b: f32,
        w: &[f32],
        sums: &Sums,
        d: &mut [f32],
    ) -> (Along<S>, Before<S>, Column) {
        let penalty = self.penalty[row];
        let line = Factors { w, means: &[], sums: &sums.lanes, penalty, prior: &[] };
        let (along, before) = direction::<S, true, false>(simd, &line, 0.0, d, &mut []);
        let (g, s1) = (sums.bias_gradient, sums.bias_curvature);
        let has_bias = self.params.bias < self.params.width;
        let bias = Column { w: b, g, s1, rho: penalty, ..Column::default() };
        (along, before, if has_bias { bias } else { Column::default() })
    }
}

/// Where a row whose sums are found aims.
struct Aim<'a, 'b> {
    pass: &'a Pass<'a>,
    row: usize,
    found: &'b mut Found,
}

impl WithSimd for Aim<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, row, found } = self;
        let (_, _, bias) = pass.aim(simd, row, found.b, &found.w, &found.sums, &mut found.d);
        found.d_bias = bias.direction(0.0).0;
    }
}

struct Piece<'a, 'b> {
    pass: &'a Pass<'a>,
    rows: std::ops::Range<usize>,
    /// Of each row, where it was found before.
    found: Option<&'a [Found]>,
    outputs: [RowsMut<'b>; 3],
}

impl WithSimd for Piece<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Pass { params, side, penalty, .. } = *self.pass;
        let x = side.x;
        let [mut factors, mut energy, mut cost] = self.outputs;
        let (rank, unit) = (params.rank as usize, params.unit);
        let none = Column::default();
        let mut walked = Sums::new(x.lanes);
        let [mut w, mut d] = [(); 2].map(|()| Aligned::zeros(x.lanes));
        for (local, row) in self.rows.enumerate() {
            let (own, cells) = (factors.row(local), side.row(row));
            let b = self.pass.own.load(own, &mut w);
            let found = self.found.map(|found| &found[local]);
            let sums = match found {
                Some(found) => &found.sums,
                None => {
                    row_sums::<S, true, true, false>(simd, &side.walk(cells, &w, unit * b), &mut walked);
                    &walked
                }
            };
            let penalty = penalty[row];
            let (along, before, bias) = self.pass.aim(simd, row, b, &w, sums, &mut d);
            let (d_bias, variance) = bias.direction(0.0);
            let squares = match found {
                Some(found) => found.squares,
                None => row_squares(simd, &side.walk(cells, &d, unit * d_bias)),
            };
            let alpha = along.alpha::<true, false>(simd, squares, penalty, (&bias, d_bias), (&none, 0.0));
            let penalties = before.energy::<true, false>(simd, penalty, (&bias, variance), &none);
            energy.row(local)[0] = sums.squares + penalties;
            let size = step::<S, true>(simd, alpha, &d, &[], &mut w);
            let own = factors.row(local);
            own[..rank].copy_from_slice(&w[..rank]);
            let b = b + alpha * d_bias;
            if params.bias < params.width {
                own[params.bias as usize] = b;
            }
            cost.row(local)[0] = penalty * (size + b * b);
        }
    }
}
