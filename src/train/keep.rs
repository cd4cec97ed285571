//! A copy of the best epoch, on the device: nothing is read back for it.

use crate::backend::{Backend, Buffer};
use crate::data::Side;
use crate::error::Result;
use crate::kernel::copy::CopyValues;
use crate::kernel::{Dispatch, Element};
use crate::optim::{Optimizer, State};
use crate::problem::Problem;

/// The factors of both sides.
pub(super) fn factors(problem: &Problem) -> impl Iterator<Item = State> {
    Side::BOTH.into_iter().map(|side| {
        let name = match side {
            Side::Users => "user_factors",
            Side::Items => "item_factors",
        };
        State {
            name,
            buffers: problem.side(side).shards.iter().map(|shard| shard.factors).collect(),
            result: true,
            side: Some(side),
        }
    })
}

/// What an epoch's result is: the factors and what of the optimiser's state belongs to them.
fn result(problem: &Problem, optimizer: &dyn Optimizer) -> Vec<State> {
    factors(problem).chain(optimizer.state()).filter(|state| state.result).collect()
}

/// The result of an epoch beside the live buffers.
#[derive(Debug)]
pub(super) struct Snapshot {
    live: Vec<State>,
    /// As `live`, buffer for buffer.
    kept: Vec<State>,
    /// The optimiser's numbers that belong to it.
    numbers: Vec<f64>,
    /// Whether an epoch was kept.
    pub(super) filled: bool,
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
        let live = result(problem, optimizer);
        let mut copy = |live: &State| -> Result<State> {
            let buffers = live.buffers.iter();
            let copies = buffers.map(|b| backend.alloc("the best epoch's factors", Element::F32, b.len()));
            Ok(State { buffers: copies.collect::<Result<_>>()?, ..*live })
        };
        let kept = live.iter().map(&mut copy).collect::<Result<_>>()?;
        Ok(Self { live, kept, numbers: optimizer.numbers(), filled: false })
    }

    /// Records the copy of what the buffers hold, and notes the numbers.
    ///
    /// # Errors
    /// As [`CopyValues::dispatch`].
    pub(super) fn record_keep(
        &mut self,
        optimizer: &dyn Optimizer,
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
        (self.numbers, self.filled) = (optimizer.numbers(), true);
        record(&self.live, &self.kept, recording)
    }

    /// Records the way back, and returns the numbers that go with it.
    ///
    /// # Errors
    /// As [`CopyValues::dispatch`].
    pub(super) fn record_restore(&self, recording: &mut Vec<Dispatch>) -> Result<&[f64]> {
        record(&self.kept, &self.live, recording)?;
        Ok(&self.numbers)
    }

    /// The copies, to be saved.
    pub(super) fn kept(&self) -> (&[State], &[f64]) {
        (&self.kept, &self.numbers)
    }

    /// Takes over numbers that belong to copies that were loaded.
    pub(super) fn loaded(&mut self, numbers: Vec<f64>) {
        (self.numbers, self.filled) = (numbers, true);
    }
}

fn record(from: &[State], to: &[State], recording: &mut Vec<Dispatch>) -> Result<()> {
    let buffers = |all: &[State]| -> Vec<Buffer> { all.iter().flat_map(|n| n.buffers.clone()).collect() };
    for (values, copied) in buffers(from).into_iter().zip(buffers(to)) {
        recording.push(CopyValues { values, copied }.dispatch()?);
    }
    Ok(())
}
