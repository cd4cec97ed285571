//! The right to write a file, which one process at a time has.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::draft::Draft;
use super::live::LIVE;
use super::lock::{Lock, Taken};
use super::stale;
use super::target::{LOCK, Target};
use crate::error::{Error, Result};

/// Whoever sweeps a folder holds each stale lock in it for a moment: not yet a reason to refuse.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// The right to write a file, as often as needed: each time it is replaced whole or not at all.
///
/// While it is held, another process that claims the same file, by whatever path,
/// is refused; the system ends it with the process at the latest.
#[derive(Debug)]
pub struct Claim {
    reserved: Option<Draft>, // dropped before the lock
    target: Target,
    replace: bool,
    lock: Option<Lock>, // none where the file system knows no locks
}

impl Claim {
    /// Checks that `path` can be written, and keeps others from writing it.
    ///
    /// Also removes what killed runs left in its folder.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process writes it. [`Error::CantCreate`] if the folder is missing or
    /// not writable, if the file exists and `force` is off, if it is a folder, a device, a pipe or a
    /// read-only file, or if this process writes it already. [`Error::Io`] if the disk is full or fails.
    pub fn acquire(path: impl AsRef<Path>, force: bool) -> Result<Self> {
        let path = path.as_ref();
        Target::check(path, force)?;
        let target = Target::resolve(path);
        let lock = lock(&target)?;
        // Whoever held the lock until now may have created it.
        Target::check(path, force)?;
        stale::sweep(target.folder());
        Ok(Self { reserved: None, target, replace: force, lock })
    }

    /// Refuses to replace what the program itself reads, whatever `force` says.
    ///
    /// # Errors
    /// [`Error::CantCreate`] if the file is one of `inputs`.
    pub fn apart_from<'a>(self, inputs: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let place = self.target.place();
        let same = |input: &Path| fs::canonicalize(input).is_ok_and(|input| input == place);
        if inputs.into_iter().any(same) {
            return Err(self.target.cant_create("is an input of this very call", "pass another --out"));
        }
        Ok(self)
    }

    /// The file as the user named it.
    pub fn path(&self) -> &Path {
        self.target.path()
    }

    /// Sees that there is room for the next [`write`](Claim::write) of so many bytes.
    ///
    /// The room is reserved where the file system can; what is left of it is given back after the write.
    ///
    /// # Errors
    /// [`Error::Io`] if there is not, with the bytes needed and the free ones;
    /// [`Error::CantCreate`] if the folder takes no file any more.
    pub fn reserve(&mut self, bytes: u64) -> Result<()> {
        let mut draft = self.draft()?;
        draft.reserve(&self.target, bytes)?;
        self.reserved = Some(draft);
        Ok(())
    }

    /// Writes what `body` writes: durable and in the file's place before this returns its bytes,
    /// or, after an error, not at all.
    ///
    /// # Errors
    /// [`Error::Io`] if `body` or the disk fails; the file is as it was. [`Error::CantCreate`] if
    /// `force` is off and somebody created the file before the first write; the message says
    /// where the result was kept.
    pub fn write(&mut self, body: impl FnOnce(&mut Draft) -> io::Result<()>) -> Result<u64> {
        let mut draft = self.draft()?;
        body(&mut draft).map_err(|source| self.io_error(source))?;
        self.place(draft)
    }

    /// The crate's error for a write that failed with `source`.
    pub fn io_error(&self, source: io::Error) -> Error {
        self.target.io_error(source)
    }

    /// What the next write goes to.
    pub(super) fn draft(&mut self) -> Result<Draft> {
        match self.reserved.take() {
            Some(draft) => Ok(draft),
            None => Draft::open(&self.target, self.lock.is_some()),
        }
    }

    /// Sees that there is room for so many bytes in a draft that is still empty.
    pub(super) fn reserve_in(&self, draft: &mut Draft, bytes: u64) -> Result<()> {
        draft.reserve(&self.target, bytes)
    }

    /// Puts a draft in the file's place.
    pub(super) fn place(&mut self, draft: Draft) -> Result<u64> {
        let bytes = draft.place(&self.target, self.replace)?;
        // What stands there now is ours.
        self.replace = true;
        Ok(bytes)
    }
}

fn lock(target: &Target) -> Result<Option<Lock>> {
    let path = target.beside(LOCK);
    for attempt in 0..TRIES {
        if attempt > 0 {
            thread::sleep(PAUSE);
        }
        match Lock::take(&path).map_err(|e| target.not_created(e))? {
            Taken::Lock(lock) => return Ok(Some(lock)),
            Taken::Unsupported => return Ok(None),
            Taken::Busy => {}
        }
    }
    if LIVE.has(&path) {
        return Err(target.cant_create("is another output of this very call", "pass another path"));
    }
    Err(Error::InUse { path: target.path().to_owned() })
}
