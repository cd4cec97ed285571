//! Where an output is to stand, what stands there now, and the names beside it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The end of a temporary file's name; the lock beside it tells whether somebody writes it.
pub(super) const TEMPORARY: &str = "deltav-tmp";
/// The end of a lock's name.
pub(super) const LOCK: &str = "deltav-lock";
/// Longer names are shortened in the names beside them: file systems take 255 bytes, some 143.
const LONGEST: usize = 100;

/// A file's place with links resolved, so that all paths to one file have one lock.
#[derive(Debug, Clone)]
pub(super) struct Target {
    path: PathBuf, // as the user named it: for messages
    folder: PathBuf,
    name: OsString,
}

impl Target {
    /// Resolves a path that [`Target::check`] has let pass.
    pub(super) fn resolve(path: &Path) -> Self {
        // A link whose target is missing can't be resolved and is itself replaced.
        let real = fs::canonicalize(path).unwrap_or_else(|_| {
            let folder = folder_of(path);
            let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
            folder.join(path.file_name().unwrap_or_default())
        });
        let name = real.file_name().unwrap_or_default().to_owned();
        Self { path: path.to_owned(), folder: folder_of(&real).to_owned(), name }
    }

    /// The path as the user named it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the file is to stand.
    pub(super) fn place(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// The path of a hidden file beside it, whose name ends in `.end`.
    pub(super) fn beside(&self, end: &str) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(short(&self.name));
        self.folder.join(ended(&name, end))
    }

    /// The path of a file beside it that everybody sees, whose name ends in `.end`.
    pub(super) fn seen_beside(&self, end: &str) -> PathBuf {
        // It stands in the folder that the user named: what could have been a link was not there.
        folder_of(&self.path).join(ended(&short(&self.name), end))
    }

    /// What stands at `path`, if it may be replaced.
    ///
    /// # Errors
    /// [`Error::CantCreate`] if it is there and `force` is off, or if it can't be replaced at all.
    pub(super) fn check(path: &Path, force: bool) -> Result<()> {
        match look_up(path)? {
            Some(existing) => check_replaceable(path, &existing, force),
            None => Ok(()),
        }
    }

    /// The crate's error for a write that failed with `source`.
    pub(super) fn io_error(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }

    /// [`Error::CantCreate`] from its two halves.
    pub(super) fn cant_create(&self, what: impl Into<String>, remedy: impl Into<String>) -> Error {
        cant_create(&self.path, what, remedy)
    }

    /// The crate's error for a file that can't be created in the folder.
    pub(super) fn not_created(&self, source: io::Error) -> Error {
        let folder = folder_of(&self.path);
        let shown = folder.display();
        match source.kind() {
            ErrorKind::NotFound if !folder.exists() => {
                let what = format!("folder {shown} does not exist");
                self.cant_create(what, "create it or pass another path")
            }
            ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::NotADirectory => {
                let what = format!("can't write into folder {shown} ({})", source.kind());
                self.cant_create(what, "pass another path")
            }
            ErrorKind::InvalidFilename | ErrorKind::InvalidInput | ErrorKind::IsADirectory => {
                self.cant_create(source.to_string(), "pass another path")
            }
            // A full disk, a broken one, no more open files.
            _ => self.io_error(source),
        }
    }
}

/// A path's folder; that of a bare name is `.`.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn ended(name: &OsStr, end: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(".");
    name.push(end);
    name
}

/// The name, or the start of a long one with a hash of the whole.
fn short(name: &OsStr) -> OsString {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let hash = Sha256::digest(name.as_encoded_bytes());
    let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let text = name.to_string_lossy();
    let room = LONGEST - 1 - hash.len();
    let start: String =
        text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= room).map(|(_, c)| c).collect();
    format!("{start}-{hash}").into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_shortened_and_stay_apart() {
        let beside = |name: &str| {
            let target = Target { path: name.into(), folder: "/".into(), name: name.into() };
            target.beside(LOCK).file_name().unwrap().to_owned()
        };
        assert_eq!(beside("a.model"), ".a.model.deltav-lock");
        assert_eq!(beside(&"x".repeat(100)).len(), 100 + 13);
        for long in ["x".repeat(101), "x".repeat(255), "ä".repeat(127)] {
            let name = beside(&long);
            assert!(name.len() <= 100 + 13, "{name:?}");
            assert_ne!(name, beside(&long.replacen(['x', 'ä'], "y", 1)));
            let mut other = long.clone();
            other.pop();
            assert_ne!(name, beside(&(other + "z")), "what is cut off counts");
        }
    }

    #[test]
    fn names_end_as_a_sweep_expects() {
        let target = Target { path: "a.b".into(), folder: "/".into(), name: "a.b".into() };
        let path = target.beside(TEMPORARY);
        assert_eq!(path.extension(), Some(OsStr::new(TEMPORARY)));
        assert_eq!(path.file_stem(), Some(OsStr::new(".a.b")));
    }
}
