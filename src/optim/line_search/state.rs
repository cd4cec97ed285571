//! What the line search keeps on the device, and the recordings over it.

use super::learn::Learn;
use crate::backend::{Backend, Buffer};
use crate::data::Side;
use crate::error::Result;
use crate::kernel::column_moments::{self, ColumnMoments};
use crate::kernel::fused::Columns;
use crate::kernel::row_bend::RowBend;
use crate::kernel::row_curvature::RowCurvature;
use crate::kernel::row_direction::RowDirection;
use crate::kernel::row_part::RowPart;
use crate::kernel::row_pass::RowPass;
use crate::kernel::row_pass_learned::RowPassLearned;
use crate::kernel::row_step::RowStep;
use crate::kernel::row_sums::{self, RowSums};
use crate::kernel::sum::Sum;
use crate::kernel::sum_squares::partials;
use crate::kernel::{Dispatch, Element};
use crate::problem::{Chunk, ItemRange, Packed, Problem, Totals};

/// What one side keeps on the device.
#[derive(Debug)]
pub(super) struct SideState {
    /// Per shard: sums of each row, `[rows, row_sums::stride(width)]`; none for fused kernels.
    pub(super) sums: Vec<Buffer>,
    /// Per shard: `[rows, width]`.
    pub(super) variances: Vec<Buffer>,
    /// Per shard: the factors before the epoch, `[rows, width]`.
    pub(super) previous: Vec<Buffer>,
    /// Per shard: loss or E(e²) of each row, `[rows]`.
    pub(super) energy: Vec<Buffer>,
    /// Per shard: penalty of each row after its step, `[rows]`.
    pub(super) cost: Vec<Buffer>,
    /// Precision of each column, noise over prior variance, `[width]`.
    pub(super) prior: Buffer,
}

/// What is learned, in an epoch with the first factors alone or with all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learning<'a> {
    pub(super) learn: &'a Learn,
    pub(super) rank: usize,
}

/// What the device holds between epochs.
#[derive(Debug)]
pub(super) struct DeviceState {
    pub(super) sides: [SideState; 2],
    /// Column moments of both sides, a block of rows each, then the sums of
    /// the items' energy and of the users' cost.
    pub(super) statistics: Buffer,
}

impl DeviceState {
    /// One half of an epoch: every row of one side, the other side fixed.
    pub(super) fn record_half(
        &self,
        problem: &Problem,
        role: Side,
        learning: Option<Learning<'_>>,
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
        let (own, other) = (&self.sides[role as usize], &self.sides[role.other() as usize]);
        let side = problem.side(role);
        let width = problem.width;
        if let Some(chunks) = problem.chunks(role) {
            return self.record_fused_half(problem, role, chunks, learning, recording);
        }
        let views = problem.views(role);
        for view in &views {
            let call = RowSums {
                offsets: view.offsets,
                columns: view.columns,
                order: view.order,
                ratings: view.ratings,
                factors: side.shards[view.shard].factors,
                others: view.others,
                variances: learning.map(|_| other.variances[view.other_shard]),
                sums: own.sums[view.shard],
                width,
                accumulate: view.accumulate,
            };
            recording.push(call.dispatch()?);
        }
        for index in 0..side.shards.len() {
            recording.push(self.direction(problem, role, index, learning)?);
        }
        for view in &views {
            let call = RowCurvature {
                offsets: view.offsets,
                columns: view.columns,
                others: view.others,
                sums: own.sums[view.shard],
                width,
                accumulate: view.accumulate,
            };
            recording.push(call.dispatch()?);
        }
        for index in 0..side.shards.len() {
            recording.push(self.step(problem, role, index, learning)?);
        }
        Ok(())
    }

    fn record_fused_half(
        &self,
        problem: &Problem,
        role: Side,
        chunks: &[Chunk],
        learning: Option<Learning<'_>>,
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
        let (own, other) = (&self.sides[role as usize], &self.sides[role.other() as usize]);
        let shard = &problem.side(role).shards[0];
        // What was 0 stays 0 until it is filled.
        let rank = learning.map_or(problem.start_rank, |learning| learning.rank);
        let columns = |role| problem.first_columns(role, rank);
        let variances = learning.map(|_| other.variances[0]);
        let packed = problem.record_packed(role.other(), columns(role.other()), variances, recording)?;
        let Some(packed) = packed else { return Ok(()) };
        let columns = columns(role);
        if let Some(ranges) = problem.item_ranges().filter(|_| role == Side::Items) {
            return self.record_shared_half(problem, ranges, &packed, columns, learning, recording);
        }
        for chunk in chunks {
            let Chunk { rows, cells, first, long, block } = *chunk;
            let call = match learning {
                None => RowPass {
                    rows,
                    cells,
                    packed: packed.buffer,
                    penalty: shard.penalty,
                    factors: shard.factors,
                    energy: own.energy[0],
                    cost: own.cost[0],
                    first,
                    long,
                    block,
                    packing: packed.packing,
                    columns,
                }
                .dispatch(),
                Some(Learning { learn, .. }) => RowPassLearned {
                    rows,
                    cells,
                    packed: packed.buffer,
                    means: learn.means(role).map(|means| means[0]),
                    prior: own.prior,
                    factors: shard.factors,
                    variances: own.variances[0],
                    energy: own.energy[0],
                    first,
                    long,
                    block,
                    packing: packed.packing,
                    columns,
                    noise: learn.noise(),
                }
                .dispatch(),
            };
            recording.push(call?);
        }
        Ok(())
    }

    /// The items' half where users are shared out: as the textbook kernels do it, but that the sums are
    /// those of all processes.
    fn record_shared_half(
        &self,
        problem: &Problem,
        ranges: &[ItemRange],
        packed: &Packed,
        columns: Columns,
        learning: Option<Learning<'_>>,
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
        let (own, width) = (&self.sides[Side::Items as usize], problem.width);
        let Packed { buffer, packing } = *packed;
        let (side, sums) = (problem.side(Side::Items), own.sums[0]);
        let shard = &side.shards[0];
        // Without variances their sums are 0, and stay.
        let planes = if learning.is_some() { 3 } else { 2 };
        let stride = row_sums::stride(width);
        let (body, tail) = (planes * width, 4 * width);
        let totals = Totals { buffer: sums, columns: body + 1, stride, body, tail };
        for range in ranges {
            problem.record_item_sums(range, &totals, recording, |chunk, parts, place| {
                RowPart {
                    rows: chunk.rows,
                    cells: chunk.cells,
                    packed: buffer,
                    factors: shard.factors,
                    parts,
                    first: chunk.first,
                    place,
                    long: chunk.long,
                    packing,
                    columns,
                }
                .dispatch()
            })?;
        }
        recording.push(self.direction(problem, Side::Items, 0, learning)?);
        let totals = Totals { columns: 1, body: 0, tail: tail + 1, ..totals };
        for range in ranges {
            problem.record_item_sums(range, &totals, recording, |chunk, parts, place| {
                RowBend {
                    rows: chunk.rows,
                    cells: chunk.cells,
                    packed: buffer,
                    sums,
                    parts,
                    first: chunk.first,
                    place,
                    long: chunk.long,
                    packing,
                    columns,
                }
                .dispatch()
            })?;
        }
        recording.push(self.step(problem, Side::Items, 0, learning)?);
        Ok(())
    }

    /// The direction of a shard's rows, from their sums.
    fn direction(
        &self,
        problem: &Problem,
        role: Side,
        index: usize,
        learning: Option<Learning<'_>>,
    ) -> Result<Dispatch> {
        let (own, side) = (&self.sides[role as usize], problem.side(role));
        let shard = &side.shards[index];
        RowDirection {
            factors: shard.factors,
            means: learning.and_then(|learning| learning.learn.means(role)).map(|means| means[index]),
            penalty: shard.penalty,
            prior: own.prior,
            sums: own.sums[index],
            variances: own.variances[index],
            energy: own.energy[index],
            width: problem.width,
            fixed: learning.is_none(),
            frozen: side.frozen,
            noise: learning.map_or(0.0, |learning| learning.learn.noise()),
        }
        .dispatch()
    }

    /// The step of a shard's rows along their direction.
    fn step(
        &self,
        problem: &Problem,
        role: Side,
        index: usize,
        learning: Option<Learning<'_>>,
    ) -> Result<Dispatch> {
        let (own, side) = (&self.sides[role as usize], problem.side(role));
        let shard = &side.shards[index];
        RowStep {
            sums: own.sums[index],
            penalty: shard.penalty,
            prior: own.prior,
            factors: shard.factors,
            energy: own.cost[index],
            width: problem.width,
            fixed: learning.is_none(),
            frozen: side.frozen,
        }
        .dispatch()
    }

    pub(super) fn record_moments(
        &self,
        problem: &Problem,
        role: Side,
        learn: &Learn,
        mut first: usize,
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
        let (places, base) = (problem.places(role), first);
        first += places.first;
        for (i, shard) in problem.side(role).shards.iter().enumerate() {
            let call = ColumnMoments {
                factors: shard.factors,
                means: learn.means(role).map(|means| means[i]),
                variances: self.sides[role as usize].variances[i],
                counts: shard.counts,
                partials: self.statistics,
                width: problem.width,
                first,
            };
            let (start, width) = (base * problem.width, problem.width);
            recording.push(places.gathered(call.dispatch()?, self.statistics, start, width));
            first += column_moments::blocks(shard.rows());
        }
        Ok(())
    }

    pub(super) fn record_sums(
        &self,
        problem: &Problem,
        mut first: usize,
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
        let [users, items] = &self.sides;
        for (role, values) in [(Side::Items, &items.energy), (Side::Users, &users.cost)] {
            let (places, start) = (problem.places(role), first);
            let mut own = first + places.first;
            for &values in values {
                let sum = Sum { values, partials: self.statistics, first: own }.dispatch()?;
                recording.push(places.gathered(sum, self.statistics, start, 1));
                own += partials(values.len());
            }
            first += places.total;
        }
        Ok(())
    }
}

pub(super) fn side_state(problem: &Problem, role: Side, backend: &mut dyn Backend) -> Result<SideState> {
    let width = problem.width;
    let shards = &problem.side(role).shards;
    let shared = role == Side::Items && problem.item_ranges().is_some();
    let mut alloc = |purpose: &str, columns: usize| -> Result<Vec<Buffer>> {
        shards.iter().map(|shard| backend.alloc(purpose, Element::F32, shard.rows() * columns)).collect()
    };
    Ok(SideState {
        sums: if problem.chunks(role).is_some() && !shared {
            Vec::new()
        } else {
            alloc("row sums", row_sums::stride(width))?
        },
        variances: alloc("variances", width)?,
        previous: alloc("previous factors", width)?,
        energy: alloc("row energy", 1)?,
        cost: alloc("row cost", 1)?,
        prior: backend.alloc("prior", Element::F32, width)?,
    })
}
