//! Output files that are either complete or not there.
//!
//! [`Output::create`] opens a temporary file in the target's folder, so that
//! everything that can be refused is refused before the work begins;
//! [`Output::commit`] puts it in the target's place in one step. A reader sees
//! the old file or the new one, never half of it, and a crash leaves the old one.
//! [`Claim`] does so many times, for a file that is written again and again.
//!
//! While `NAME` is being written, two hidden files stand beside it: the temporary
//! one, `.NAME.deltav-tmp`, and `.NAME.deltav-lock`, on which the writer has a
//! lock. Who finds it locked is refused; who finds it unlocked knows that the
//! writer was killed, and removes both.

// Bytes of others flow through here: nothing may panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::todo,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod claim;
mod draft;
mod live;
mod lock;
#[cfg(feature = "parquet")]
pub(crate) mod parquet;
mod room;
mod stale;
mod target;

use std::io::{self, Write};
use std::path::Path;

pub use claim::Claim;
pub use draft::Draft;
pub use live::sweep_own;

use crate::error::{Error, Result};

/// A file that is being written and does not yet stand under its name.
///
/// Dropping it without [`commit`](Output::commit) removes what was written and
/// leaves the target as it was.
#[derive(Debug)]
pub struct Output {
    draft: Draft, // dropped before the claim
    claim: Claim,
}

impl Output {
    /// Checks that `path` can be written and opens a temporary file beside it.
    ///
    /// An existing file is replaced on commit if `force`, and keeps its permissions.
    ///
    /// # Errors
    /// As [`Claim::acquire`].
    pub fn create(path: impl AsRef<Path>, force: bool) -> Result<Self> {
        let mut claim = Claim::acquire(path, force)?;
        Ok(Self { draft: claim.draft()?, claim })
    }

    /// Refuses to replace what the program itself reads, whatever `force` says.
    ///
    /// # Errors
    /// As [`Claim::apart_from`].
    pub fn apart_from<'a>(self, inputs: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let Self { draft, claim } = self;
        Ok(Self { draft, claim: claim.apart_from(inputs)? })
    }

    /// The target as the user named it.
    pub fn path(&self) -> &Path {
        self.claim.path()
    }

    /// Sees, before anything is written, that there is room for so many bytes.
    ///
    /// The room is reserved where the file system can; what is left of it is given back on commit.
    ///
    /// # Errors
    /// [`Error::Io`] if there is not, with the bytes needed and the free ones.
    pub fn reserve(&mut self, bytes: u64) -> Result<()> {
        self.claim.reserve_in(&mut self.draft, bytes)
    }

    /// The crate's error for a write that failed with `source`.
    pub fn io_error(&self, source: io::Error) -> Error {
        self.claim.io_error(source)
    }

    /// Makes what was written durable, puts it in the target's place and returns its bytes.
    ///
    /// # Errors
    /// [`Error::Io`] if a write fails; nothing is replaced. [`Error::CantCreate`] if `force` is off
    /// and somebody else created the target meanwhile; the message says where the result was kept.
    pub fn commit(self) -> Result<u64> {
        let Self { draft, mut claim } = self;
        claim.place(draft)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.draft.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.draft.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.draft.flush()
    }
}

#[cfg(test)]
mod tests;
