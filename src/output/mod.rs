//! Output files that are either complete or not there.
//!
//! [`Output::create`] opens a temporary file in the target's folder, so that
//! everything that can be refused is refused before the work begins;
//! [`Output::commit`] puts it in the target's place in one step. A reader sees
//! the old file or the new one, never half of it, and a crash leaves the old one.

#[cfg(feature = "parquet")]
pub(crate) mod parquet;

mod claim;

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

pub use claim::Claim;

const BUFFER_BYTES: usize = 1 << 18;

/// A file that is being written and does not yet stand under its name.
///
/// Dropping it without [`commit`](Output::commit) removes what was written and
/// leaves the target as it was.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,   // as the user named it: for messages
    target: PathBuf, // symbolic links resolved: a link stays a link
    force: bool,
    file: BufWriter<NamedTempFile>,
}

impl Output {
    /// Checks that `path` can be written and opens a temporary file beside it.
    ///
    /// An existing file is replaced on commit if `force`, and keeps its permissions.
    ///
    /// # Errors
    /// [`Error::CantCreate`] if the folder is missing or not writable, if the target exists and
    /// `force` is off, or if it is a folder, a device, a pipe or a read-only file.
    pub fn create(path: impl AsRef<Path>, force: bool) -> Result<Self> {
        let path = path.as_ref();
        let existing = look_up(path)?;
        if let Some(metadata) = &existing {
            check_replaceable(path, metadata, force)?;
        }
        // A link whose target is missing can't be resolved and is itself replaced.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let file = open_temporary(path, &target, existing.as_ref())?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self { path: path.to_owned(), target, force, file })
    }

    /// Refuses to replace what the program itself reads, whatever `force` says.
    ///
    /// # Errors
    /// [`Error::CantCreate`] if the target is one of `inputs`.
    pub fn apart_from<'a>(self, inputs: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let same = |input: &Path| fs::canonicalize(input).is_ok_and(|input| input == self.target);
        if inputs.into_iter().any(same) {
            return Err(Error::CantCreate {
                path: self.path,
                what: "is an input of this very call".to_owned(),
                remedy: "pass another --out".to_owned(),
            });
        }
        Ok(self)
    }

    /// The target as the user named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The crate's error for a write that failed with `source`.
    pub fn io_error(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }

    /// Makes what was written durable, puts it in the target's place and returns its bytes.
    ///
    /// # Errors
    /// [`Error::Io`] if a write fails; nothing is replaced. [`Error::CantCreate`] if `force` is off
    /// and somebody else created the target meanwhile; the message says where the result was kept.
    pub fn commit(self) -> Result<u64> {
        let Self { path, target, force, file } = self;
        let failed = |source| Error::Io { path: path.clone(), source };
        // On an error the buffer is dropped with the temporary file: nothing to rescue.
        let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        let bytes = file.as_file().metadata().map_err(failed)?.len();
        if force {
            file.persist(&target).map_err(|e| failed(e.error))?;
        } else {
            persist_new(file, &path, &target)?;
        }
        sync_folder(&target);
        Ok(bytes)
    }
}

impl Write for Output {
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

fn cant_create(path: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Error {
    Error::CantCreate { path: path.to_owned(), what: what.into(), remedy: remedy.into() }
}

fn look_up(path: &Path) -> Result<Option<Metadata>> {
    // Elsewhere it is a stream; nobody means a file of that name.
    if path == Path::new("-") {
        return Err(cant_create(path, "is not a file name", "pass one, or ./- if you mean it"));
    }
    if path.file_name().is_none() && !path.exists() {
        return Err(cant_create(path, "is not a file name", "pass the path of a file"));
    }
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        // A link whose target is missing is itself in the way.
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(fs::symlink_metadata(path).ok()),
        Err(e) => Err(cant_create(path, e.to_string(), "pass another path")),
    }
}

fn check_replaceable(path: &Path, existing: &Metadata, force: bool) -> Result<()> {
    if existing.is_dir() {
        return Err(cant_create(path, "is a folder", "pass the path of a file"));
    }
    // Renaming over a device or a pipe would remove it.
    if !existing.is_file() && !existing.is_symlink() {
        return Err(cant_create(path, "is not a regular file", "pass the path of a file"));
    }
    if !force {
        return Err(cant_create(path, "exists", "pass --force to replace it"));
    }
    // The folder alone decides whether a rename may replace a file, so look at the file's own mark.
    if existing.is_file() && existing.permissions().readonly() {
        return Err(cant_create(path, "is read-only", "make it writable or pass another path"));
    }
    Ok(())
}

fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn open_temporary(path: &Path, target: &Path, existing: Option<&Metadata>) -> Result<NamedTempFile> {
    let folder = folder_of(target);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".deltav-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file: what the umask leaves of rw-rw-rw-, not the private mode of temporary files.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder).map_err(|e| {
        let folder = folder.display();
        match e.kind() {
            ErrorKind::NotFound => {
                cant_create(path, format!("folder {folder} does not exist"), "create it or pass another path")
            }
            kind => {
                cant_create(path, format!("can't write into folder {folder} ({kind})"), "pass another path")
            }
        }
    })?;
    #[cfg(unix)]
    if let Some(existing) = existing.filter(|e| e.is_file()) {
        let kept = file.as_file().set_permissions(existing.permissions());
        kept.map_err(|e| cant_create(path, e.to_string(), "pass another path"))?;
    }
    #[cfg(not(unix))]
    let _ = existing;
    Ok(file)
}

/// Renames without replacing; a file that appeared meanwhile costs neither it nor the result.
fn persist_new(file: NamedTempFile, path: &Path, target: &Path) -> Result<()> {
    let Err(refused) = file.persist_noclobber(target) else { return Ok(()) };
    if fs::symlink_metadata(target).is_err() {
        // Some file systems know no rename that refuses to replace; nothing stands there, so a plain one will do.
        return match refused.file.persist(target) {
            Ok(_) => Ok(()),
            Err(e) => Err(Error::Io { path: path.to_owned(), source: e.error }),
        };
    }
    let (_, kept) = refused.file.keep().map_err(|e| Error::Io { path: path.to_owned(), source: e.error })?;
    Err(cant_create(
        path,
        "was created by somebody else meanwhile",
        format!("the result is kept as {}: rename it", kept.display()),
    ))
}

/// Makes the rename itself durable where the system can.
fn sync_folder(target: &Path) {
    // The new file is complete and in place; file systems that can't sync a folder are no failure.
    if cfg!(unix)
        && let Ok(folder) = File::open(folder_of(target))
    {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The refusal's text, after checking that its exit code is 73.
    fn refusal(path: &Path, force: bool) -> String {
        let error = Output::create(path, force).unwrap_err();
        assert_eq!(error.exit_code(), 73, "{error}");
        error.to_string()
    }

    #[test]
    fn commit_puts_the_bytes_in_place_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.model");
        let mut output = Output::create(&path, false).unwrap();
        output.write_all(b"hello").unwrap();
        assert!(!path.exists(), "nothing stands there before the commit");
        assert_eq!(output.commit().unwrap(), 5);
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        assert_eq!(names(folder.path()), ["a.model"]);
    }

    #[test]
    fn dropping_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.model");
        fs::write(&path, "old").unwrap();
        let mut output = Output::create(&path, true).unwrap();
        output.write_all(&vec![7; 3 * BUFFER_BYTES]).unwrap();
        drop(output);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.model"]);
    }

    #[test]
    fn an_existing_file_needs_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.model");
        fs::write(&path, "old").unwrap();
        assert!(refusal(&path, false).ends_with("a.model: exists; pass --force to replace it"));
        let mut output = Output::create(&path, true).unwrap();
        output.write_all(b"new").unwrap();
        output.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_file_that_appears_during_the_work_is_not_replaced_and_the_result_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.model");
        let mut output = Output::create(&path, false).unwrap();
        output.write_all(b"mine").unwrap();
        fs::write(&path, "theirs").unwrap();
        let error = output.commit().unwrap_err();
        assert_eq!(error.exit_code(), 73);
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        let kept = names(folder.path()).remove(0);
        assert!(error.to_string().contains(&kept), "{error} names {kept}");
        assert_eq!(fs::read(folder.path().join(kept)).unwrap(), b"mine");
    }

    #[test]
    fn targets_that_cannot_be_files_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/such/a.model");
        assert!(refusal(&missing, false).contains("does not exist; create it"));
        assert!(refusal(folder.path(), true).contains("is a folder"));
        assert!(refusal(Path::new(""), false).contains("is not a file name"));
        assert!(refusal(Path::new("-"), false).contains("is not a file name"));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        refusal(&file.join("a.model"), true);
        refusal(&folder.path().join("x".repeat(300)), false);
    }

    #[test]
    fn a_read_only_file_is_left_alone_even_with_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.model");
        fs::write(&path, "old").unwrap();
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        assert!(refusal(&path, true).contains("is read-only"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_takes_no_files_is_refused_at_once() {
        // /proc refuses new files even to root, whom permission bits don't stop.
        let error = refusal(Path::new("/proc/a.model"), false);
        assert!(error.starts_with("/proc/a.model: "), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_refused_links_are_followed_and_permissions_kept() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        assert!(refusal(Path::new("/dev/null"), true).contains("is not a regular file"));

        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real");
        let link = folder.path().join("link");
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&real, &link).unwrap();
        let mut output = Output::create(&link, true).unwrap();
        output.write_all(b"new").unwrap();
        output.commit().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);

        let dangling = folder.path().join("dangling");
        symlink(folder.path().join("nowhere"), &dangling).unwrap();
        refusal(&dangling, false);
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_has_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (path, plain) = (folder.path().join("a.model"), folder.path().join("plain"));
        Output::create(&path, false).unwrap().commit().unwrap();
        fs::write(&plain, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&plain));
    }
}
