//! A file that is being written beside its target, until it is renamed to it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::live::{Kind, LIVE, set_placed};
use super::room;
use super::target::{TEMPORARY, Target};
use crate::error::Result;

/// Bytes that gather before they are written.
pub(super) const BUFFER_BYTES: usize = 1 << 18;
/// Names tried for a result whose own name was taken meanwhile.
const KEPT_NAMES: usize = 1000;

/// What [`Claim::write`](super::Claim::write) writes into: buffered, and not yet under its name.
#[derive(Debug)]
pub struct Draft {
    file: BufWriter<File>,
    temporary: Temporary,
    reserved: bool,
}

impl Draft {
    /// Opens it. `alone`: the lock is held, so that a file of its name is nobody's any more.
    pub(super) fn open(target: &Target, alone: bool) -> Result<Self> {
        let (temporary, file) = Temporary::create(target, alone).map_err(|e| target.not_created(e))?;
        let draft = Self { file: BufWriter::with_capacity(BUFFER_BYTES, file), temporary, reserved: false };
        #[cfg(unix)]
        if let Some(existing) = fs::metadata(target.place()).ok().filter(fs::Metadata::is_file) {
            let kept = draft.file.get_ref().set_permissions(existing.permissions());
            kept.map_err(|e| target.not_created(e))?;
        }
        Ok(draft)
    }

    /// Sees that there is room for so many bytes in all.
    pub(super) fn reserve(&mut self, target: &Target, bytes: u64) -> Result<()> {
        self.reserved = room::reserve(self.file.get_ref(), target.folder(), bytes)
            .map_err(|source| target.io_error(source))?;
        Ok(())
    }

    /// Makes it durable, puts it in the target's place and returns its bytes.
    pub(super) fn place(self, target: &Target, replace: bool) -> Result<u64> {
        let failed = |source| target.io_error(source);
        let Self { file, temporary, reserved } = self;
        // On an error the buffer is dropped with the temporary file: nothing to rescue.
        let mut file = file.into_inner().map_err(|e| failed(e.into_error()))?;
        let bytes = file.stream_position().map_err(failed)?;
        if reserved {
            file.set_len(bytes).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
        let folder = open_folder(target.folder()).map_err(failed)?;
        temporary.place(target, replace)?;
        sync_folder(folder.as_ref()).map_err(|e| {
            let what = format!("{e}, so that the file, which is complete, may be gone after a power cut");
            failed(io::Error::new(e.kind(), what))
        })?;
        Ok(bytes)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The name of a temporary file; dropping it removes the file.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    placed: bool,
}

impl Temporary {
    fn create(target: &Target, alone: bool) -> io::Result<(Self, File)> {
        let mut names = (0..).map(|n| match (alone, n) {
            (true, _) => target.beside(TEMPORARY),
            // Without a lock: names that nobody else makes, and that no sweep takes.
            (false, n) => target.beside(&format!("{}-{n}.deltav-unlocked", std::process::id())),
        });
        loop {
            let path = names.next().unwrap_or_default();
            let created = LIVE.add(Kind::Temporary, &path, || {
                if alone {
                    remove_if_there(&path)?;
                }
                create_new(&path).map(Some)
            });
            match created {
                Ok(Some(file)) => return Ok((Self { path, placed: false }, file)),
                Ok(None) => {}
                Err(e) if e.kind() == ErrorKind::AlreadyExists && !alone => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn place(mut self, target: &Target, replace: bool) -> Result<()> {
        let (from, to) = (&self.path, target.place());
        let placed = LIVE.end(from, || {
            let placed = if replace { fs::rename(from, &to) } else { rename_new(from, &to) };
            if placed.is_ok() {
                set_placed();
            }
            match placed {
                Err(e) if e.kind() == ErrorKind::AlreadyExists && !replace => keep(from, target).map(Some),
                placed => placed.map(|()| None),
            }
        });
        self.placed = placed.is_ok();
        match placed {
            Ok(None) => Ok(()),
            Ok(Some(kept)) => Err(target.cant_create(
                "was created by somebody else meanwhile",
                format!("the result is kept as {}: rename it", kept.display()),
            )),
            Err(source) => Err(target.io_error(source)),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.placed {
            LIVE.end(&self.path, || {
                let _ = fs::remove_file(&self.path);
            });
        }
    }
}

/// Opens a file that is not there, with the permissions of any new file.
fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Renames without replacing.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let Err(refused) = TempPath::try_from_path(from)?.persist_noclobber(to) else { return Ok(()) };
    refused.path.keep().map_err(|e| e.error)?;
    if fs::symlink_metadata(to).is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    match refused.error.kind() {
        // Some file systems know no rename that refuses to replace; nothing stands there, so a plain one will do.
        ErrorKind::Unsupported | ErrorKind::InvalidInput | ErrorKind::PermissionDenied => {
            fs::rename(from, to)
        }
        _ => Err(refused.error),
    }
}

/// Gives a result whose target was created meanwhile a name that no sweep takes.
fn keep(from: &Path, target: &Target) -> io::Result<PathBuf> {
    for n in 1..=KEPT_NAMES {
        let kept = target.seen_beside(&if n == 1 { "kept".to_owned() } else { format!("kept-{n}") });
        match rename_new(from, &kept) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            renamed => return renamed.map(|()| kept),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Opens the folder for [`sync_folder`], where the system can.
fn open_folder(folder: &Path) -> io::Result<Option<File>> {
    match File::open(folder) {
        _ if !cfg!(unix) => Ok(None),
        // A folder may take files and not be read.
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Ok(None),
        opened => opened.map(Some),
    }
}

/// Makes the rename itself durable. That a file system can't sync a folder is no failure.
fn sync_folder(folder: Option<&File>) -> io::Result<()> {
    let Some(Err(e)) = folder.map(File::sync_all) else { return Ok(()) };
    match e.kind() {
        ErrorKind::InvalidInput | ErrorKind::Unsupported => Ok(()),
        #[cfg(unix)]
        _ if e.raw_os_error() == Some(rustix::io::Errno::BADF.raw_os_error()) => Ok(()),
        _ => Err(e),
    }
}
