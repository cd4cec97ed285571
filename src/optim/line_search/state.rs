//! What the line search keeps on the device, and the recordings over it.

use super::learn::Learn;
use crate::backend::{Backend, Buffer};
use crate::data::Side;
use crate::error::Result;
use crate::kernel::column_moments::{self, ColumnMoments};
use crate::kernel::row_curvature::RowCurvature;
use crate::kernel::row_direction::RowDirection;
use crate::kernel::row_pass::RowPass;
use crate::kernel::row_pass_learned::RowPassLearned;
use crate::kernel::row_step::RowStep;
use crate::kernel::row_sums::{self, RowSums};
use crate::kernel::sum::Sum;
use crate::kernel::sum_squares::partials;
use crate::kernel::{Dispatch, Element};
use crate::problem::{Chunk, Problem};

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
        learning: Option<&Learn>,
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
        for (i, shard) in side.shards.iter().enumerate() {
            let call = RowDirection {
                factors: shard.factors,
                means: learning.and_then(|learn| learn.means(role)).map(|means| means[i]),
                penalty: shard.penalty,
                prior: own.prior,
                sums: own.sums[i],
                variances: own.variances[i],
                energy: own.energy[i],
                width,
                fixed: learning.is_none(),
                frozen: side.frozen,
                noise: learning.map_or(0.0, Learn::noise),
            };
            recording.push(call.dispatch()?);
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
        for (i, shard) in side.shards.iter().enumerate() {
            let call = RowStep {
                sums: own.sums[i],
                penalty: shard.penalty,
                prior: own.prior,
                factors: shard.factors,
                energy: own.cost[i],
                width,
                fixed: learning.is_none(),
                frozen: side.frozen,
            };
            recording.push(call.dispatch()?);
        }
        Ok(())
    }

    fn record_fused_half(
        &self,
        problem: &Problem,
        role: Side,
        chunks: &[Chunk],
        learning: Option<&Learn>,
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
        let (own, other) = (&self.sides[role as usize], &self.sides[role.other() as usize]);
        let shard = &problem.side(role).shards[0];
        // Before anything is learned, what was 0 stays 0.
        let columns = |role| match learning {
            Some(_) => problem.columns(role),
            None => problem.start_columns(role),
        };
        let variances = learning.map(|_| other.variances[0]);
        let packed = problem.record_packed(role.other(), columns(role.other()), variances, recording)?;
        let Some(packed) = packed else { return Ok(()) };
        let columns = columns(role);
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
                Some(learn) => RowPassLearned {
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

    pub(super) fn record_moments(
        &self,
        problem: &Problem,
        role: Side,
        learn: &Learn,
        mut first: usize,
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
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
            recording.push(call.dispatch()?);
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
        debug_assert_eq!(problem.side(Side::Users).shards.len(), users.cost.len());
        for &values in items.energy.iter().chain(&users.cost) {
            recording.push(Sum { values, partials: self.statistics, first }.dispatch()?);
            first += partials(values.len());
        }
        Ok(())
    }
}

pub(super) fn side_state(problem: &Problem, role: Side, backend: &mut dyn Backend) -> Result<SideState> {
    let width = problem.width;
    let shards = &problem.side(role).shards;
    let mut alloc = |purpose: &str, columns: usize| -> Result<Vec<Buffer>> {
        shards.iter().map(|shard| backend.alloc(purpose, Element::F32, shard.rows() * columns)).collect()
    };
    Ok(SideState {
        sums: if problem.chunks(role).is_some() {
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

pub(super) fn moment_blocks(problem: &Problem, role: Side) -> usize {
    problem.side(role).shards.iter().map(|shard| column_moments::blocks(shard.rows())).sum()
}
