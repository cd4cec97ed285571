//! A copy of the best epoch's factors, on the device: nothing is read back for it.

use crate::backend::{Backend, Buffer};
use crate::data::Side;
use crate::error::Result;
use crate::kernel::copy::CopyValues;
use crate::kernel::{Dispatch, Element};
use crate::optim::Optimizer;
use crate::problem::Problem;

/// The factors and the optimiser's state, each beside its copy.
#[derive(Debug)]
pub(super) struct Snapshot {
    pairs: Vec<(Buffer, Buffer)>,
}

impl Snapshot {
    /// Allocates the copies.
    ///
    /// # Errors
    /// As [`Backend::alloc`].
    pub(super) fn new(
        problem: &Problem,
        optimizer: &dyn Optimizer,
        backend: &mut dyn Backend,
    ) -> Result<Self> {
        let sides = Side::BOTH.into_iter().flat_map(|role| &problem.side(role).shards);
        let live = sides.map(|shard| shard.factors).chain(optimizer.state());
        let pairs =
            live.map(|live| Ok((live, backend.alloc("the best epoch's factors", Element::F32, live.len())?)));
        Ok(Self { pairs: pairs.collect::<Result<_>>()? })
    }

    /// Records the copy of what the buffers hold.
    ///
    /// # Errors
    /// As [`CopyValues::dispatch`].
    pub(super) fn record_keep(&self, recording: &mut Vec<Dispatch>) -> Result<()> {
        record(self.pairs.iter().copied(), recording)
    }

    /// Records the way back.
    ///
    /// # Errors
    /// As [`CopyValues::dispatch`].
    pub(super) fn record_restore(&self, recording: &mut Vec<Dispatch>) -> Result<()> {
        record(self.pairs.iter().map(|&(live, kept)| (kept, live)), recording)
    }
}

fn record(pairs: impl Iterator<Item = (Buffer, Buffer)>, recording: &mut Vec<Dispatch>) -> Result<()> {
    for (values, copied) in pairs {
        recording.push(CopyValues { values, copied }.dispatch()?);
    }
    Ok(())
}
