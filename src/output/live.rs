//! Which temporary files and locks this process has, so that an end by a
//! signal, which runs no destructor, leaves none behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// A thread that holds the list only creates, renames or unlinks a file: longer waits mean a dead disk.
const PATIENCE: Duration = Duration::from_millis(500);

/// Those of this process.
pub(super) static LIVE: Live = Live::new();

/// Removes the temporary files and locks of every output that this process is
/// writing: for a thread that is about to end the process.
///
/// Returns whether this process has put a file in its place; within a second, whatever other threads do. A file is put in its place
/// before or never: afterwards threads that create, commit or drop an output
/// wait for the end of the process.
pub fn sweep_own() -> bool {
    LIVE.sweep();
    PLACED.load(Ordering::SeqCst)
}

/// Whether a file was put in its place. Told while the list is held, so that a sweep knows.
static PLACED: AtomicBool = AtomicBool::new(false);

/// Tells that a file was put in its place: inside [`Live::end`].
pub(super) fn set_placed() {
    PLACED.store(true, Ordering::SeqCst);
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Temporary,
    Lock,
}

/// A list of files that must not outlive the process.
#[derive(Debug)]
pub(super) struct Live(Mutex<Vec<(Kind, PathBuf)>>);

impl Live {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Creates a file and lists it, or neither; no sweep comes in between.
    pub(super) fn add<T>(
        &self,
        kind: Kind,
        path: &Path,
        create: impl FnOnce() -> io::Result<Option<T>>,
    ) -> io::Result<Option<T>> {
        let mut entries = self.entries();
        let created = create()?;
        if created.is_some() {
            entries.push((kind, path.to_owned()));
        }
        Ok(created)
    }

    /// Does what ends a file's life, such as a rename, and strikes it off the list; no sweep comes in between.
    pub(super) fn end<T>(&self, path: &Path, end: impl FnOnce() -> T) -> T {
        let mut entries = self.entries();
        let ended = end();
        if let Some(at) = entries.iter().position(|(_, listed)| listed == path) {
            entries.swap_remove(at);
        }
        ended
    }

    /// Whether this process has the file.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.entries().iter().any(|(_, listed)| listed == path)
    }

    fn entries(&self) -> MutexGuard<'_, Vec<(Kind, PathBuf)>> {
        // No code under the lock leaves the list half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sweep(&self) {
        let deadline = Instant::now() + PATIENCE;
        let entries = loop {
            match self.0.try_lock() {
                Ok(entries) => break entries,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) if Instant::now() > deadline => return,
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        // While a lock is there nobody else touches the temporary file beside it.
        for kind in [Kind::Temporary, Kind::Lock] {
            for (_, path) in entries.iter().filter(|(listed, _)| *listed == kind) {
                let _ = fs::remove_file(path);
            }
        }
        // Never given back: nothing is created after the sweep.
        std::mem::forget(entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(path: &Path) -> io::Result<Option<()>> {
        fs::write(path, "").map(Some)
    }

    #[test]
    fn a_sweep_removes_what_is_listed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let live = Live::new();
        for (kind, name) in
            [(Kind::Lock, "lock"), (Kind::Temporary, "temporary"), (Kind::Temporary, "placed")]
        {
            live.add(kind, &path(name), || create(&path(name))).unwrap();
            assert!(live.has(&path(name)));
        }
        assert!(live.add(Kind::Lock, &path("refused"), || Ok(None::<()>)).unwrap().is_none());
        assert!(!live.has(&path("refused")));
        live.end(&path("placed"), || ());
        live.sweep();
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["placed"]);
    }

    #[test]
    fn a_sweep_waits_for_no_thread_that_hangs() {
        let live = Live::new();
        let held = live.entries();
        live.sweep();
        drop(held);
        live.sweep();
        // The second sweep has the list for good; a third returns all the same.
        live.sweep();
    }

    #[test]
    fn a_panic_elsewhere_stops_no_sweep() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("temporary");
        let live = Live::new();
        live.add(Kind::Temporary, &path, || create(&path)).unwrap();
        std::thread::scope(|scope| {
            let panicked = scope.spawn(|| live.end(Path::new("x"), || panic!("on purpose"))).join();
            assert!(panicked.is_err());
        });
        live.sweep();
        assert!(!path.exists());
    }
}
