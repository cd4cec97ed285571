//! A lock is a file beside the output, locked while it is written. The system
//! releases it when a process ends, however it ends; so what nobody holds is stale.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::live::{Kind, LIVE};

/// How often a lock whose file was removed by the one who held it is tried again.
const TRIES: usize = 100;

/// A lock that is held. Dropping it removes its file, then releases it.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

/// What came of a try.
#[derive(Debug)]
pub(super) enum Taken {
    /// The lock.
    Lock(Lock),
    /// Somebody else holds it, perhaps only for a moment.
    Busy,
    /// The file system knows no locks.
    Unsupported,
}

impl Lock {
    /// Takes the lock whose file is `path`, without waiting.
    pub(super) fn take(path: &Path) -> io::Result<Taken> {
        for _ in 0..TRIES {
            let mut refused = Taken::Busy;
            let file = LIVE.add(Kind::Lock, path, || {
                let (file, is_new) = open(path)?;
                let error = match file.try_lock() {
                    // Whoever held it may have removed the file between our opening and locking it.
                    Ok(()) => match is_at(&file, path) {
                        Ok(ours) => return Ok(ours.then_some(file)),
                        Err(e) => e,
                    },
                    Err(TryLockError::WouldBlock) => return Err(ErrorKind::WouldBlock.into()),
                    Err(TryLockError::Error(e)) => e,
                };
                if is_new {
                    let _ = fs::remove_file(path);
                }
                if is_unsupported(&error) {
                    refused = Taken::Unsupported;
                    return Err(ErrorKind::WouldBlock.into());
                }
                Err(error)
            });
            match file {
                Ok(Some(file)) => return Ok(Taken::Lock(Self { file, path: path.to_owned() })),
                Ok(None) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(refused),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Taken::Busy)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        LIVE.end(&self.path, || {
            // Should somebody have removed ours, it may be another's by now.
            if is_at(&self.file, &self.path).unwrap_or(false) {
                let _ = fs::remove_file(&self.path);
            }
        });
    }
}

/// Opens the file, and says whether it is a new one.
fn open(path: &Path) -> io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    }
    match options.clone().create_new(true).open(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        created => return created.map(|file| (file, true)),
    }
    let file = match options.open(path) {
        // Another user's, who may be gone: it can be locked without being written.
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            options.write(false).open(path).map_err(|_| e)?
        }
        // Gone in between: the next try creates it.
        Err(e) if e.kind() == ErrorKind::NotFound => return Err(ErrorKind::Interrupted.into()),
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("{} is no lock", path.display())));
    }
    Ok((file, false))
}

fn is_unsupported(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::NOLCK.raw_os_error()) {
        return true;
    }
    error.kind() == ErrorKind::Unsupported
}

/// Whether the open file is the one that stands at `path`.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let ours = file.metadata()?;
        Ok((ours.dev(), ours.ino()) == (found.dev(), found.ino()))
    }
    #[cfg(not(unix))]
    {
        // There, a file that is open stays where it is.
        let _ = (file, found);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_lock(path: &Path) -> Option<Lock> {
        match Lock::take(path).unwrap() {
            Taken::Lock(lock) => Some(lock),
            Taken::Busy => None,
            Taken::Unsupported => panic!("the tests' file system has locks"),
        }
    }

    #[test]
    fn one_holds_it_and_the_file_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = is_lock(&path).unwrap();
        assert!(is_lock(&path).is_none());
        drop(lock);
        assert!(!path.exists());
        // A file that nobody holds is as good as none.
        fs::write(&path, "").unwrap();
        drop(is_lock(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_lock_that_lost_its_file_removes_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = is_lock(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let second = is_lock(&path).unwrap();
        drop(first);
        assert!(path.exists() && is_lock(&path).is_none());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn of_many_threads_one_at_a_time_holds_it() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while taken.load(Ordering::SeqCst) < 400 {
                        if let Some(lock) = is_lock(&path) {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            taken.fetch_add(1, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).unwrap();
        assert!(Lock::take(&link).is_err());
        assert!(Lock::take(folder.path()).is_err());
        assert!(!folder.path().join("elsewhere").exists());
    }
}
