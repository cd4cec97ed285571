//! What ratings are read from: files, folders, standard input or bytes in memory.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::formats::{FORMATS, is_known_extension};
use crate::error::{Error, Result};

/// One input of ratings: a file, a folder of files, standard input (`-`), or bytes in memory.
///
/// Of a folder all files are read in the order of their names, but for hidden ones, those
/// whose name begins with `_` (as `_SUCCESS`), and those whose extension is that of no format.
/// Each file has a header of its own, or none.
///
/// ```
/// use deltav::data::{Input, ReadOptions, read_ratings};
///
/// let text = Input::bytes("ratings.csv", *b"user,item,rating\nAnn,Alien,5\nBen,Brazil,4\n");
/// let ratings = read_ratings([text], &ReadOptions::default())?;
/// assert_eq!(ratings.len(), 2);
/// # Ok::<(), deltav::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    path: PathBuf,
    bytes: Option<Arc<[u8]>>,
}

impl Input {
    /// Bytes as they would stand in a file, packed or not; `name` is for messages, and its
    /// extension tells as much as a file's.
    pub fn bytes(name: impl Into<PathBuf>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { path: name.into(), bytes: Some(bytes.into()) }
    }

    /// The file or folder as it was named; `-` is standard input.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of an input in memory.
    pub(super) fn in_memory(&self) -> Option<&[u8]> {
        self.bytes.as_deref()
    }

    /// Whether it is standard input.
    pub(super) fn is_stdin(&self) -> bool {
        self.bytes.is_none() && self.path == Path::new("-")
    }

    /// The files that are read: those of a folder, else the input itself.
    ///
    /// # Errors
    /// [`Error::NoInput`] if there is no such file, or no file in the folder.
    pub fn files(&self) -> Result<Vec<Input>> {
        let missing = |source| Error::NoInput { path: self.path.clone(), source };
        if self.bytes.is_some() || self.is_stdin() || !fs::metadata(&self.path).map_err(missing)?.is_dir() {
            return Ok(vec![self.clone()]);
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(missing)? {
            let path = entry.map_err(missing)?.path();
            // Follows links, as do the files that are named one by one.
            if is_of_ratings(&path) && fs::metadata(&path).map_err(missing)?.is_file() {
                files.push(path);
            }
        }
        if files.is_empty() {
            let all = FORMATS.iter().flat_map(|format| format.extensions);
            let extensions: BTreeSet<&str> = all.copied().collect();
            let extensions: Vec<&str> = extensions.into_iter().collect();
            let what = format!("is a folder without a file named .{}", extensions.join(", ."));
            return Err(missing(io::Error::new(io::ErrorKind::IsADirectory, what)));
        }
        files.sort();
        Ok(files.into_iter().map(Input::from).collect())
    }
}

/// Whether a file of a folder is read, by its name.
fn is_of_ratings(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    !name.starts_with(['.', '_']) && is_known_extension(&extension)
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        Self { path, bytes: None }
    }
}

impl From<&PathBuf> for Input {
    fn from(path: &PathBuf) -> Self {
        path.clone().into()
    }
}

impl From<&Path> for Input {
    fn from(path: &Path) -> Self {
        path.to_owned().into()
    }
}

impl From<&str> for Input {
    fn from(path: &str) -> Self {
        PathBuf::from(path).into()
    }
}

impl From<String> for Input {
    fn from(path: String) -> Self {
        PathBuf::from(path).into()
    }
}

impl From<&String> for Input {
    fn from(path: &String) -> Self {
        PathBuf::from(path).into()
    }
}

impl From<&Input> for Input {
    fn from(input: &Input) -> Self {
        input.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let files = Input::from(folder).files().unwrap();
        files.iter().map(|file| file.path().file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_folder_is_its_files_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "b.csv",
            "a.tsv",
            "part-10.csv.gz",
            "part-00002.GZ",
            "u.data",
            "C.CSV",
            "x.csv.zst", // read
            "_SUCCESS",
            "_metadata.csv",
            ".hidden.csv",
            "README",
            "notes.pdf",
            "a.safetensors",
            "csv", // not
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("deeper.csv")).unwrap();
        let expected = ["C.CSV", "a.tsv", "b.csv", "part-00002.GZ", "part-10.csv.gz", "u.data", "x.csv.zst"];
        assert_eq!(names(folder.path()), expected);
        let file = Input::from(folder.path().join("README"));
        assert_eq!(file.files().unwrap(), [file], "a file that is named is read, whatever its name");
    }

    #[test]
    fn an_empty_folder_and_a_missing_file_are_no_input() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("README"), "").unwrap();
        let error = Input::from(folder.path()).files().unwrap_err();
        assert_eq!(error.exit_code(), 66);
        assert!(error.to_string().contains("is a folder without a file named .csv, "), "{error}");
        let error = Input::from(folder.path().join("none")).files().unwrap_err();
        assert_eq!(error.exit_code(), 66);
    }

    #[test]
    fn what_is_no_path_is_not_looked_up() {
        for input in [Input::from("-"), Input::bytes("/nowhere", *b"1")] {
            assert_eq!(input.files().unwrap(), [input]);
        }
        assert!(!Input::bytes("-", *b"1").is_stdin());
    }
}
