//! Where the partial sums of rows lie, of which each process makes those of its own.

use super::Problem;
use crate::backend::Buffer;
use crate::data::Side;
use crate::kernel::{Dispatch, Exchange};
use crate::world::{BLOCK_ROWS, Share};

/// Partial sums of all processes, one's behind the other's. Each sums up at most [`BLOCK_ROWS`] rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The first of this process.
    pub first: usize,
    /// All of them.
    pub total: usize,
    /// Where those of each process begin, and last their number; empty where one trains alone.
    bounds: Vec<usize>,
}

impl Places {
    /// So many, all of them one's own.
    pub(super) fn alone(total: usize) -> Self {
        Self { first: 0, total, bounds: Vec::new() }
    }

    /// As many as each process says.
    pub(super) fn of(counts: impl IntoIterator<Item = usize>, process: usize) -> Self {
        let mut bounds = vec![0];
        for count in counts {
            bounds.push(bounds[bounds.len() - 1] + count);
        }
        Self { first: bounds[process], total: bounds[bounds.len() - 1], bounds }
    }

    /// Those of the users' rows: each process has the row of anyone unknown as well.
    pub(super) fn of_users(share: &Share) -> Self {
        let rows = share.bounds.windows(2).map(|bounds| bounds[1] - bounds[0] + 1);
        Self::of(rows.map(|rows| rows.div_ceil(BLOCK_ROWS)), share.process)
    }

    /// A dispatch behind which everyone's partial sums are in the buffer, `each` elements a place from
    /// `start` on.
    pub fn gathered(&self, dispatch: Dispatch, buffer: Buffer, start: usize, each: usize) -> Dispatch {
        if self.bounds.is_empty() {
            return dispatch;
        }
        let bounds = self.bounds.iter().map(|bound| start + bound * each).collect();
        dispatch.exchanging(Exchange::Gather { buffer, bounds })
    }
}

impl Problem {
    /// The partial sums of a side's rows.
    pub fn places(&self, role: Side) -> &Places {
        &self.places[role as usize]
    }
}
