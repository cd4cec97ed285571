//! Exact alternating least squares: with the other side fixed, every row moves
//! to its minimum at once. The yardstick at small rank; there is no rate.
//!
//! An epoch: users, then items with the new users (Gauss-Seidel):
//!
//! `w ← (Σ x xᵀ + λ_w I)⁻¹ Σ y·x`
//!
//! over the row's cells, x the other side's rows and λ_w the row's penalty. A
//! constant column is no unknown: what it adds to a prediction is taken from y.
//! No epoch raises the objective. A row without ratings stays as it is. A row
//! that its ratings leave open (λ = 0 and fewer of them than columns) stays as
//! near to where it was as they allow: see [`cholesky::RIDGE`](crate::kernel::cholesky::RIDGE).
//!
//! There are no hyperparameters: `--reg` and `--reg-scaling` say all.
//!
//! A row costs `n·k²/2 + k³/6` multiply-adds for n ratings at rank k, and
//! `k²/2` floats of scratch: so the rank is at most 128, and the rows are solved
//! in batches of at most 64 MiB, or 16 on a processor.
//!
//! Source: Zhou, Wilkinson, Schreiber & Pan, "Large-scale parallel collaborative
//! filtering for the Netflix Prize" (2008), section 3.1.

use super::{Objective, Optimizer, OptimizerSpec, Options};
use crate::backend::{Backend, Buffer};
use crate::data::Side;
use crate::error::{Error, Result};
use crate::kernel::cholesky::{self, Cholesky};
use crate::kernel::normal_equations::{self, NormalEquations, stride};
use crate::kernel::{Dispatch, Element, cell_work};
use crate::problem::{Problem, Shard};

/// The registry's entry.
pub(super) static SPEC: OptimizerSpec = OptimizerSpec {
    name: "als",
    summary: "exact alternating least squares: few epochs, each dear; at most rank 128",
    formula: "w ← (Σ x xᵀ + λI)⁻¹ Σ y·x, users then items",
    source: "Zhou, Wilkinson, Schreiber & Pan 2008",
    epochs: 15,
    learns: false,
    fuses: false,
    max_rank: 128,
    row_elements: |width| width,
    cell_loops,
    cell_work: |width| normal_equations::cell_work(width).max(cell_work(width)),
    hyperparameters: &[],
    build,
};

/// The most that the systems of a batch take.
const SCRATCH_BYTES: u64 = 64 << 20;

/// The same on a processor, whose caches they stay in between two kernels.
const CACHED_BYTES: u64 = 16 << 20;

#[derive(Debug, Default)]
struct Als {
    /// The systems of one batch, `[rows of a batch, stride(width)]`.
    systems: Option<Buffer>,
}

/// Loop iterations of one lane for a cell of its row: its share of `x·xᵀ`, with room.
fn cell_loops(width: usize) -> u64 {
    (width * width).div_ceil(crate::kernel::WORKGROUP as usize) as u64 + 4
}

fn build(_: &Options<'_>) -> Result<Box<dyn Optimizer>> {
    Ok(Box::new(Als::default()))
}

impl Optimizer for Als {
    fn prepare(&mut self, problem: &Problem, _: &Objective<'_>, backend: &mut dyn Backend) -> Result<()> {
        let most = Side::BOTH.into_iter().flat_map(|role| &problem.side(role).shards).map(Shard::rows).max();
        // Only a processor may be busy for as long as it likes.
        let cached = if backend.max_work() == u64::MAX { CACHED_BYTES } else { SCRATCH_BYTES };
        let rows = rows_a_batch(problem.width, problem.rank, backend.max_buffer_bytes().min(cached))?;
        let solved = backend.max_work() / cholesky::row_work(problem.width).max(1);
        let rows = rows.min(most.unwrap_or(1)).min(usize::try_from(solved).unwrap_or(usize::MAX)).max(1);
        let systems = backend.alloc("normal equations", Element::F32, rows * stride(problem.width))?;
        self.systems = Some(systems);
        Ok(())
    }

    fn uses_residuals(&self) -> bool {
        false
    }

    fn record(&mut self, _: u32, problem: &Problem, recording: &mut Vec<Dispatch>) -> Result<()> {
        let Some(systems) = self.systems else { return Ok(()) };
        for role in Side::BOTH {
            record_half(problem, role, systems, recording)?;
        }
        Ok(())
    }

    fn can_diverge(&self) -> bool {
        false
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn remedy(&self) -> String {
        "pass a larger --reg, and please report it: als should not diverge".to_owned()
    }
}

/// Every row of one side, batch after batch, the other side fixed.
fn record_half(problem: &Problem, role: Side, systems: Buffer, recording: &mut Vec<Dispatch>) -> Result<()> {
    let side = problem.side(role);
    let width = problem.width;
    let views = problem.views(role);
    let batch = systems.len() / stride(width);
    for (i, shard) in side.shards.iter().enumerate() {
        for first in (0..shard.rows()).step_by(batch) {
            let rows = batch.min(shard.rows() - first);
            for view in views.iter().filter(|view| view.shard == i) {
                let call = NormalEquations {
                    offsets: view.offsets,
                    columns: view.columns,
                    order: view.order,
                    ratings: view.ratings,
                    factors: shard.factors,
                    others: view.others,
                    systems,
                    first,
                    rows,
                    width,
                    frozen: side.frozen,
                    accumulate: view.accumulate,
                };
                recording.push(call.dispatch()?);
            }
            let call = Cholesky {
                penalty: shard.penalty,
                counts: shard.counts,
                systems,
                factors: shard.factors,
                first,
                rows,
                width,
                frozen: side.frozen,
            };
            recording.push(call.dispatch()?);
        }
    }
    Ok(())
}

/// How many systems fit the scratch.
///
/// # Errors
/// [`Error::Usage`] with the largest rank that would do, if not even one does.
fn rows_a_batch(width: usize, rank: usize, max_buffer_bytes: u64) -> Result<usize> {
    let floats = usize::try_from(max_buffer_bytes.min(SCRATCH_BYTES) / 4).unwrap_or(usize::MAX);
    let rows = floats / stride(width);
    if rows > 0 {
        return Ok(rows);
    }
    let extra = width - rank;
    let most = (1..rank).rev().find(|rank| stride(rank + extra) <= floats);
    Err(Error::usage(
        format!("rank {rank} is too large for als on this device: a buffer holds {max_buffer_bytes} bytes"),
        match most {
            Some(most) => format!("pass --rank {most} or less, or another --optimizer"),
            None => "pass another --optimizer".to_owned(),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_fit_the_scratch_and_the_buffer() {
        for width in [1, 3, 34, 130] {
            let bytes = 4 * stride(width) as u64;
            assert_eq!(rows_a_batch(width, width, u64::MAX).unwrap() as u64, SCRATCH_BYTES / bytes);
            assert_eq!(rows_a_batch(width, width, bytes).unwrap(), 1);
            assert_eq!(rows_a_batch(width, width, 3 * bytes - 4).unwrap(), 2);
        }
    }

    #[test]
    fn too_large_a_rank_names_the_largest() {
        // With biases, rank 8 takes 10·13/2 floats.
        let bytes = 4 * 65;
        assert!(rows_a_batch(10, 8, bytes).is_ok());
        let error = rows_a_batch(14, 12, bytes).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--rank 8 or less"), "{error}");
        let error = rows_a_batch(3, 1, 4).unwrap_err().to_string();
        assert!(error.contains("another --optimizer"), "{error}");
    }
}
