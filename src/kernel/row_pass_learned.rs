//! The line search of every row of a chunk in one walk, with learned priors:
//! `row_sums`, `row_direction`, `row_curvature` and `row_step`, fused.

use super::fused::{
    Along, Before, Column, Columns, Factors, Found, Gathered, Own, Packing, RowsMut, SideCells, Sums,
    by_cells, check, direction, row_squares, row_sums, rows_mut, step, unpacked,
};
use super::simd::{self, Simd, WithSimd};
use super::{Binding, Dispatch, Element, Kernel, Slot, dimension, gathered, params, require};
use crate::aligned::Aligned;
use crate::backend::Buffer;
use crate::error::Result;

/// `shaders/row_pass_learned.wgsl` and its twin.
pub static KERNEL: Kernel = Kernel {
    name: "row_pass_learned",
    wgsl: include_str!("../../shaders/row_pass_learned.wgsl"),
    params: Params::FIELDS,
    bindings: &[
        Binding::read("rows", Element::U32),
        Binding::read("cells", Element::U32),
        Binding::read("packed", Element::U32),
        Binding::read("means", Element::F32),
        Binding::read("prior", Element::F32),
        Binding::read_write("factors", Element::F32),
        Binding::read_write("variances", Element::F32),
        Binding::read_write("energy", Element::F32),
    ],
    constants: &[],
    twin,
};

params! {
    /// Parameters of `row_pass_learned`.
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
        /// 1: there are prior means.
        pub centered: u32,
        /// σ².
        pub noise: f32,
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
pub struct RowPassLearned {
    /// Offsets and order of the chunk's rows, `[2n + 1]`.
    pub rows: Buffer,
    /// The chunk's cells, `[cells, 2]`.
    pub cells: Buffer,
    /// The other side, packed with its variances.
    pub packed: Buffer,
    /// Prior means m, `[rows, width]`; `None`: all 0.
    pub means: Option<Buffer>,
    /// Precision of each column, noise over prior variance, `[width]`.
    pub prior: Buffer,
    /// w, `[rows, width]`, moved in place.
    pub factors: Buffer,
    /// Receives the variances, `[rows, width]`.
    pub variances: Buffer,
    /// Receives E(e²) of each row before the step, `[rows]`.
    pub energy: Buffer,
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
    /// σ².
    pub noise: f32,
}

impl RowPassLearned {
    /// Records the call.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if the shapes don't agree.
    pub fn dispatch(&self) -> Result<Dispatch> {
        check(&KERNEL, self.rows, self.long, self.packed, &self.packing, &self.columns)?;
        let (count, total, width) = (self.rows.len() / 2, self.energy.len(), self.columns.width);
        // Without means their binding needs some buffer.
        let means = self.means.unwrap_or(self.prior);
        require(
            &KERNEL,
            self.first + count <= total && self.factors.len() == total * width,
            "factors and energy differ",
        )?;
        require(
            &KERNEL,
            self.variances.len() == self.factors.len()
                && self.means.is_none_or(|means| means.len() == self.factors.len()),
            "variances or means differ",
        )?;
        require(&KERNEL, self.prior.len() == width, "the prior has another width")?;
        require(&KERNEL, self.packing.spread, "the other side has no variances")?;
        let params = Params {
            count: dimension(&KERNEL, count)?,
            first: dimension(&KERNEL, self.first)?,
            others: dimension(&KERNEL, self.packing.rows)?,
            width: dimension(&KERNEL, width)?,
            rank: dimension(&KERNEL, self.columns.rank)?,
            lanes: dimension(&KERNEL, self.packing.lanes)?,
            bias: dimension(&KERNEL, self.columns.bias.unwrap_or(width))?,
            unit: self.columns.unit,
            centered: u32::from(self.means.is_some()),
            noise: self.noise,
            long: dimension(&KERNEL, self.long)?,
            half: u32::from(self.packing.half),
            block: dimension(&KERNEL, self.block)?,
        };
        let work = gathered(self.cells.len() / 2, 3 * self.packing.lanes);
        let buffers = [
            self.rows,
            self.cells,
            self.packed,
            means,
            self.prior,
            self.factors,
            self.variances,
            self.energy,
        ];
        Ok(Dispatch::new(&KERNEL, params, &buffers, count as u64)?
            .with_work(work)
            .by_rows(self.packing.of(params.count, params.long)))
    }
}

fn twin(params: &[u8], slots: &mut [Slot<'_>]) {
    let [rows, cells, packed, means, prior, factors, variances, energy] = slots else {
        unreachable!("the dispatch was checked")
    };
    let params: Params = bytemuck::pod_read_unaligned(params);
    let packed = unpacked(packed, params.others, params.lanes, 1, params.half);
    row_pass_learned(
        &params,
        rows.u32(),
        cells.u32(),
        &packed,
        means.f32(),
        prior.f32(),
        factors.f32_mut(),
        variances.f32_mut(),
        energy.f32_mut(),
    );
}

/// The twin: pieces of rows in parallel.
#[expect(clippy::too_many_arguments, reason = "one for each binding")]
pub fn row_pass_learned(
    params: &Params,
    rows: &[u32],
    cells: &[u32],
    packed: &[f32],
    means: &[f32],
    prior: &[f32],
    factors: &mut [f32],
    variances: &mut [f32],
    energy: &mut [f32],
) {
    let (count, first) = (params.count as usize, params.first as usize);
    let (width, rank) = (params.width as usize, params.rank as usize);
    // Lanes beyond the rank stay 0: their curvature is this.
    let mut precision = vec![1.0; params.lanes as usize];
    precision[..rank].copy_from_slice(&prior[..rank]);
    let x = Gathered::new(packed, params.others, params.lanes, 1, params.unit);
    let own = Own { width, rank, bias: params.bias as usize, unit: params.unit };
    let side = SideCells { x, offsets: &rows[..=count], cells: cells.as_chunks().0, block: params.block };
    let pass = Pass {
        params,
        side,
        own,
        means: if params.centered != 0 { &means[first * width..(first + count) * width] } else { &[] },
        precision: &precision,
        bias_precision: prior.get(params.bias as usize).copied().unwrap_or(1.0),
    };
    let (far, groups) = side.groups();
    for group in groups {
        let found = far.then(|| {
            side.find::<true>(&group, own, &factors[first * width..], &|row, found| {
                simd::run(Aim { pass: &pass, row, found });
            })
        });
        let (first, rows) = (first + group.start, group.len());
        let outputs = [
            rows_mut(factors, width, first, rows),
            rows_mut(variances, width, first, rows),
            rows_mut(energy, 1, first, rows),
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
    means: &'a [f32],
    precision: &'a [f32],
    bias_precision: f32,
}

/// Lanes that a row's direction is found in.
struct Lanes {
    /// Prior means.
    m: Aligned<f32>,
    /// Variances.
    spread: Aligned<f32>,
}

impl Lanes {
    fn new(lanes: usize) -> Self {
        let [m, spread] = [(); 2].map(|()| Aligned::zeros(lanes));
        Self { m, spread }
    }
}

impl Pass<'_> {
    /// The direction of a row from its sums, into `d`, and its variances; and the bias, a factor whose
    /// other side is the unit in every cell.
    #[inline(always)]
    fn aim<S: Simd>(
        &self,
        simd: S,
        (row, b, w): (usize, f32, &[f32]),
        sums: &Sums,
        d: &mut [f32],
        Lanes { m, spread }: &mut Lanes,
    ) -> (Along<S>, Before<S>, Column) {
        let Params { width, rank, bias, noise, .. } = *self.params;
        let (width, rank, bias) = (width as usize, rank as usize, bias as usize);
        let center = self.means.get(row * width..(row + 1) * width);
        if let Some(center) = center {
            m[..rank].copy_from_slice(&center[..rank]);
        }
        let line = Factors { w, means: m, sums: &sums.lanes, penalty: 0.0, prior: self.precision };
        let (along, before) = direction::<S, false, true>(simd, &line, noise, d, spread);
        let mut own = Column::default();
        if bias < width {
            let mean = center.map_or(0.0, |center| center[bias]);
            let (g, s1) = (sums.bias_gradient, sums.bias_curvature);
            own = Column { w: b, mean, g, s1, s2: 0.0, rho: self.bias_precision };
        }
        (along, before, own)
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
        let mut lanes = Lanes::new(pass.side.x.lanes);
        let line = (row, found.b, &*found.w);
        let (_, _, bias) = pass.aim(simd, line, &found.sums, &mut found.d, &mut lanes);
        found.d_bias = bias.direction(pass.params.noise).0;
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
        let Pass { params, side, precision, .. } = *self.pass;
        let x = side.x;
        let [mut factors, mut variances, mut energy] = self.outputs;
        let (width, rank) = (params.width as usize, params.rank as usize);
        let (unit, column, noise) = (params.unit, params.bias as usize, params.noise);
        let (mut walked, mut lanes) = (Sums::new(x.lanes), Lanes::new(x.lanes));
        let [mut w, mut d] = [(); 2].map(|()| Aligned::zeros(x.lanes));
        for (local, row) in self.rows.enumerate() {
            let (own, cells) = (factors.row(local), side.row(row));
            let b = self.pass.own.load(own, &mut w);
            let found = self.found.map(|found| &found[local]);
            let sums = match found {
                Some(found) => &found.sums,
                None => {
                    row_sums::<S, true, true, true>(simd, &side.walk(cells, &w, unit * b), &mut walked);
                    &walked
                }
            };
            let (along, before, own) = self.pass.aim(simd, (row, b, &w), sums, &mut d, &mut lanes);
            let (d_bias, variance) = own.direction(noise);
            let constant = Column { w: unit, s2: sums.tails, ..Column::default() };
            let squares = match found {
                Some(found) => found.squares,
                None => row_squares(simd, &side.walk(cells, &d, unit * d_bias)),
            };
            let alpha = along.alpha::<false, true>(simd, squares, 0.0, (&own, d_bias), (&constant, 0.0));
            let spreads = before.energy::<false, true>(simd, 0.0, (&own, variance), &constant);
            energy.row(local)[0] = sums.squares + spreads;
            step::<S, false>(simd, alpha, &d, precision, &mut w);
            let (own, spreads) = (factors.row(local), variances.row(local));
            own[..rank].copy_from_slice(&w[..rank]);
            spreads.fill(0.0);
            spreads[..rank].copy_from_slice(&lanes.spread[..rank]);
            if column < width {
                own[column] = b + alpha * d_bias;
                spreads[column] = variance;
            }
        }
    }
}
