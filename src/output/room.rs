//! Room on the disk, asked for before the work.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Sees that a file, which is empty, can grow to so many bytes. Returns whether it has them now, as zeros.
///
/// # Errors
/// [`ErrorKind::StorageFull`], [`ErrorKind::QuotaExceeded`] or [`ErrorKind::FileTooLarge`] if it
/// can't, in words that have the bytes needed and the free ones; others if the disk fails.
pub(super) fn reserve(file: &File, folder: &Path, bytes: u64) -> io::Result<bool> {
    match allocate(file, bytes) {
        Ok(()) => return Ok(true),
        Err(e) => match e.kind() {
            ErrorKind::StorageFull => return Err(full(folder, bytes)),
            ErrorKind::QuotaExceeded => {
                return Err(io::Error::new(e.kind(), format!("{bytes} bytes needed: {e}")));
            }
            ErrorKind::FileTooLarge => {
                let what = format!("{bytes} bytes needed: {e}: `ulimit -f` has the limit");
                return Err(io::Error::new(e.kind(), what));
            }
            // What file systems say that can't reserve: see what is free instead.
            ErrorKind::Unsupported | ErrorKind::InvalidInput | ErrorKind::PermissionDenied => {}
            _ => return Err(e),
        },
    }
    if free(folder).is_some_and(|free| free < bytes) { Err(full(folder, bytes)) } else { Ok(false) }
}

fn full(folder: &Path, needed: u64) -> io::Error {
    let free = free(folder).map_or(String::new(), |free| format!(", {free} free"));
    io::Error::new(ErrorKind::StorageFull, format!("no room on the disk: {needed} bytes needed{free}"))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    if bytes == 0 {
        return Ok(());
    }
    // Not KEEP_SIZE: a limit on the size of files shall strike now, too.
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, bytes) {
            Err(e) if e == rustix::io::Errno::INTR => {}
            done => return Ok(done?),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn allocate(_: &File, _: u64) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Bytes that are free for us, if the system says.
#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_disk_holds_is_refused_with_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("a")).unwrap();
        let error = reserve(&file, folder.path(), 1 << 50).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::FileTooLarge), "{error}");
        assert!(error.to_string().contains("1125899906842624 bytes needed"), "{error}");
        assert!(reserve(&file, folder.path(), u64::MAX).is_err());
        assert_eq!(file.metadata().unwrap().len(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_reserved_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("a")).unwrap();
        let reserved = reserve(&file, folder.path(), 1 << 20).unwrap();
        assert_eq!(file.metadata().unwrap().len(), if reserved { 1 << 20 } else { 0 });
        assert!(reserve(&file, folder.path(), 0).is_ok());
        let free = free(folder.path()).unwrap();
        assert!(full(folder.path(), 1 << 60).to_string().contains("bytes needed, "), "{free}");
    }
}
