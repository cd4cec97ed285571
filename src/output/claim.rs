//! A file that is written again and again.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Output;
use crate::error::Result;

/// A file for as long as a run lasts.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
}

impl Claim {
    /// Takes the file.
    ///
    /// # Errors
    /// As [`Output::create`].
    pub fn acquire(path: impl AsRef<Path>, force: bool) -> Result<Self> {
        drop(Output::create(&path, force)?);
        Ok(Self { path: path.as_ref().to_owned() })
    }

    /// The file as the user named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it anew.
    ///
    /// # Errors
    /// As [`Output::commit`].
    pub fn write(&mut self, fill: impl FnOnce(&mut Output) -> io::Result<()>) -> Result<u64> {
        let mut output = Output::create(&self.path, true)?;
        fill(&mut output).map_err(|source| output.io_error(source))?;
        output.flush().map_err(|source| output.io_error(source))?;
        output.commit()
    }
}
