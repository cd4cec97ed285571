//! The processes that train one model together. One that trains alone is [`Alone`].
//!
//! In this crate *rank* is the number of factors; what MPI calls a rank is a process here.

mod beats;
mod local;
#[cfg(feature = "mpi")]
pub mod mpi;
pub(crate) mod share;
pub mod sums;
pub mod threads;
pub mod together;

use std::fmt;

use crate::error::{Error, Result};

pub use beats::{Beats, Watchdog};
pub use local::Local;
pub use share::{BLOCK_ROWS, Share, blocks};

/// Bytes of one message at most: no count exceeds 32 bits, and long arrays flow from process to
/// process in pieces.
pub const PIECE: usize = 16 << 20;

/// A process among those that train together, and the ways to the others.
///
/// Bytes arrive as they were sent: all processes run the same program on machines of one byte order.
/// Every process calls the same methods in the same order; threads of one may call [`World::send`],
/// [`World::receive`] and [`World::relay`] at once, no two of them with the same sender and receiver. An error means that the others can't be
/// reached or are gone: there is nothing left to do but to end.
pub trait World: fmt::Debug + Sync {
    /// The process's number, from 0.
    fn process(&self) -> usize;

    /// Processes in all, at least 1.
    fn processes(&self) -> usize;

    /// Its place among the processes of its computer.
    fn local(&self) -> Local {
        Local::default()
    }

    /// What counts that this process gets on, for whoever ends those that don't.
    fn beats(&self) -> Beats {
        Beats::default()
    }

    /// Sends bytes to another process, in pieces of [`PIECE`] at most. May return before they arrive.
    ///
    /// # Errors
    /// [`Error::Apart`] if that process is gone.
    fn send(&self, to: usize, bytes: &[u8]) -> Result<()>;

    /// Receives as many bytes as `bytes` holds from another process, which sends as many at once.
    ///
    /// # Errors
    /// As [`World::send`].
    fn receive(&self, from: usize, bytes: &mut [u8]) -> Result<()>;

    /// Sends bytes to one process while it receives those of another, as a link of a chain does: where
    /// the two can be one thing, a network carries both at once.
    ///
    /// # Errors
    /// As [`World::send`].
    fn relay(&self, to: usize, bytes: &[u8], from: usize, next: &mut [u8]) -> Result<()> {
        self.send(to, bytes)?;
        self.receive(from, next)
    }

    /// Everyone's `bytes` become those of process `from`; all have the same length.
    ///
    /// # Errors
    /// As [`World::send`].
    fn broadcast(&self, from: usize, bytes: &mut [u8]) -> Result<()>;

    /// What each process passes, in the order of the processes.
    ///
    /// # Errors
    /// As [`World::send`].
    fn all_gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>>;

    /// Gives each process its part, `[processes]`, and returns what each has for this one.
    ///
    /// # Errors
    /// As [`World::send`].
    fn exchange(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>>;

    /// Bytes of a message whose time is worth hiding behind other work; that of a shorter one is mostly what
    /// threads take to wake each other.
    fn worth_hiding(&self) -> usize {
        256 << 10
    }

    /// Says whether this process has work to do while its messages are under way: whoever waits for them
    /// then leaves it the cores.
    fn busy(&self, _busy: bool) {}

    /// Bytes that this process has sent so far; to itself, none. What all are told is counted once for
    /// each who hears it, however it travels; lengths that are sent ahead are not counted.
    fn sent(&self) -> u64;
}

/// A process that trains alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl World for Alone {
    fn process(&self) -> usize {
        0
    }

    fn processes(&self) -> usize {
        1
    }

    fn send(&self, to: usize, _: &[u8]) -> Result<()> {
        Err(nobody(to))
    }

    fn receive(&self, from: usize, _: &mut [u8]) -> Result<()> {
        Err(nobody(from))
    }

    fn broadcast(&self, _: usize, _: &mut [u8]) -> Result<()> {
        Ok(())
    }

    fn all_gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
        Ok(vec![mine.to_vec()])
    }

    fn exchange(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        Ok(parts)
    }

    fn sent(&self) -> u64 {
        0
    }
}

fn nobody(process: usize) -> Error {
    Error::Internal(format!("there is no process {process}"))
}

/// The error of who waits for one that has ended.
fn apart(process: usize) -> Error {
    Error::apart(format!("process {process} is gone"), "see what it said, then run again")
}
