//! What ratings are read from: files, folders, standard input or bytes in memory.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::formats::{FORMATS, is_known_extension};
use super::meter::Meter;
use crate::error::{Error, Result};

/// One input of ratings: a file, a folder of files, standard input (`-`), or bytes in memory.
///
/// Of a folder all files are read in the order of their names, but for hidden ones, those
/// whose name begins with `_` (as `_SUCCESS`), and those whose extension is that of no format;
/// folders in it are not entered. [`Input::left_out`] lists what is not read.
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
    meter: Option<Meter>,
    /// Whether it was found in a folder, rather than named.
    in_folder: bool,
}

impl Input {
    /// Bytes as they would stand in a file, packed or not; `name` is for messages, and its
    /// extension tells as much as a file's.
    pub fn bytes(name: impl Into<PathBuf>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { path: name.into(), bytes: Some(bytes.into()), meter: None, in_folder: false }
    }

    /// The same, with its bytes counted as they are read.
    #[must_use]
    pub fn metered(self, meter: &Meter) -> Self {
        Self { meter: Some(meter.clone()), ..self }
    }

    /// The same, with nobody to count its bytes.
    pub(super) fn unmetered(&self) -> Self {
        Self { meter: None, ..self.clone() }
    }

    /// What counts its bytes.
    pub(super) fn meter(&self) -> Option<&Meter> {
        self.meter.as_ref()
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
        let Some(Folder { files, .. }) = self.folder()? else {
            return Ok(vec![self.clone()]);
        };
        if files.is_empty() {
            let all = FORMATS.iter().flat_map(|format| format.extensions);
            let extensions: BTreeSet<&str> = all.copied().collect();
            let extensions: Vec<&str> = extensions.into_iter().collect();
            let what = format!("is a folder without a file named .{}", extensions.join(", ."));
            return Err(self.missing(io::Error::new(io::ErrorKind::IsADirectory, what)));
        }
        let file = |path| Self { meter: self.meter.clone(), in_folder: true, ..Input::from(path) };
        Ok(files.into_iter().map(file).collect())
    }

    /// The files and folders in a folder that are not read, by their names: those with the extension
    /// of no format, or with none, and folders. Those that begin with `.` or `_` are not meant to be
    /// read and not among them. Empty for what is no folder.
    ///
    /// # Errors
    /// [`Error::NoInput`] if there is no such file.
    pub fn left_out(&self) -> Result<Vec<PathBuf>> {
        Ok(self.folder()?.map_or(Vec::new(), |folder| folder.left_out))
    }

    /// What a folder holds; `None` for what is none.
    fn folder(&self) -> Result<Option<Folder>> {
        let missing = |source| self.missing(source);
        if self.bytes.is_some() || self.is_stdin() || !fs::metadata(&self.path).map_err(missing)?.is_dir() {
            return Ok(None);
        }
        let mut folder = Folder::default();
        for entry in fs::read_dir(&self.path).map_err(missing)? {
            let path = entry.map_err(missing)?.path();
            if path.file_name().unwrap_or_default().to_string_lossy().starts_with(['.', '_']) {
                continue;
            }
            let extension = path.extension().unwrap_or_default().to_string_lossy();
            // Follows links, as do the files that are named one by one.
            let read = is_known_extension(&extension) && fs::metadata(&path).map_err(missing)?.is_file();
            if read { folder.files.push(path) } else { folder.left_out.push(path) }
        }
        folder.files.sort();
        folder.left_out.sort();
        Ok(Some(folder))
    }

    /// An error in this file, which may be none that was meant.
    pub(super) fn meant(&self, error: Error) -> Error {
        match error {
            Error::Data { at, what, remedy } if self.in_folder => {
                let remedy = format!("{remedy}; if it holds no ratings, name the folder's files that do");
                Error::Data { at, what, remedy }
            }
            error => error,
        }
    }

    fn missing(&self, source: io::Error) -> Error {
        Error::NoInput { path: self.path.clone(), source }
    }
}

/// All inputs in one name, for a message.
pub(crate) fn named(inputs: &[impl AsRef<Path>]) -> PathBuf {
    match inputs {
        [] => PathBuf::new(),
        [only] => only.as_ref().to_owned(),
        [first, more @ ..] => {
            let s = if more.len() == 1 { "" } else { "s" };
            format!("{} and {} other input{s}", first.as_ref().display(), more.len()).into()
        }
    }
}

/// What a folder holds, but for what begins with `.` or `_`; each sorted.
#[derive(Default)]
struct Folder {
    files: Vec<PathBuf>,
    left_out: Vec<PathBuf>,
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        Self { path, bytes: None, meter: None, in_folder: false }
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

    fn names<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Vec<String> {
        paths.into_iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
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
            "x.csv.zst",
            "y.parquet", // read, or refused by a build without it
            "_SUCCESS",
            "_metadata.csv",
            ".hidden.csv",
            "README",
            "notes.pdf",
            "part-00000",
            "a.safetensors",
            "csv", // not
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("deeper.csv")).unwrap();
        let input = Input::from(folder.path());
        assert_eq!(
            names(input.files().unwrap().iter().map(Input::path)),
            [
                "C.CSV",
                "a.tsv",
                "b.csv",
                "part-00002.GZ",
                "part-10.csv.gz",
                "u.data",
                "x.csv.zst",
                "y.parquet"
            ]
        );
        assert_eq!(
            names(input.left_out().unwrap().iter().map(PathBuf::as_path)),
            ["README", "a.safetensors", "csv", "deeper.csv", "notes.pdf", "part-00000"]
        );
        let file = Input::from(folder.path().join("README"));
        assert!(file.left_out().unwrap().is_empty());
        assert_eq!(file.files().unwrap(), [file], "a file that is named is read, whatever its name");
    }

    #[test]
    fn a_file_of_a_folder_that_is_wrong_may_be_none_that_was_meant() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("LICENSE.txt"), "Anyone may.\n").unwrap();
        let wrong = |input: Input| {
            crate::data::read_ratings([input], &crate::data::ReadOptions::default()).unwrap_err().to_string()
        };
        let told = wrong(Input::from(folder.path()));
        assert!(told.ends_with("; if it holds no ratings, name the folder's files that do"), "{told}");
        let told = wrong(Input::from(folder.path().join("LICENSE.txt")));
        assert!(told.ends_with("pass --columns or --separator"), "{told}");
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
            assert!(input.left_out().unwrap().is_empty());
            assert_eq!(input.files().unwrap(), [input]);
        }
        assert!(!Input::bytes("-", *b"1").is_stdin());
    }

    #[test]
    fn several_inputs_have_one_name() {
        let inputs = ["a", "b", "c"].map(PathBuf::from);
        assert_eq!(named(&inputs[..1]), Path::new("a"));
        assert_eq!(named(&inputs[..2]), Path::new("a and 1 other input"));
        assert_eq!(named(&inputs), Path::new("a and 2 other inputs"));
    }
}
