//! What was read from files, kept for the next time in a form that needs no parsing.
//!
//! A cache is a folder. A file in it stands for one list of inputs, by a hash of all their bytes and of
//! every option that decides what they mean: its name is that hash, and it holds the hash, too. So
//! inputs that have changed, or that are read in another way or by another version, are never found.
//! What is damaged, or of another format, is read anew and replaced.

mod file;
mod key;

use std::fs;
use std::path::PathBuf;

use self::file::Entry;
use self::key::Key;
use super::duplicates::{Places, distinct};
use super::input::Input;
use super::ratings::Ratings;
use super::read::{Duplicates, ReadOptions, Triples, collect, files};
use super::sparse::Compressed;
use crate::error::{Error, Result};
use crate::output::Output;

/// A folder in which ratings are kept that were read.
///
/// ```no_run
/// # use deltav::data::{Cache, ReadOptions};
/// let cache = Cache::new("/var/cache/deltav");
/// let (ratings, notices) = cache.read_ratings(["ratings.csv"], &ReadOptions::default())?;
/// # Ok::<(), deltav::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    folder: PathBuf,
}

/// What was read, or found.
struct Read {
    triples: Triples,
    /// Where each rating stands; `None` if they were found.
    places: Option<Places>,
    /// Whether a pair occurs twice.
    repeats: bool,
}

impl Cache {
    /// A cache in this folder, which is made when something is kept in it.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// As [`read_ratings`](super::read_ratings), from the cache if the same was read before; with what
    /// the user should know of it.
    ///
    /// # Errors
    /// As [`read_ratings`](super::read_ratings). A cache that can't be read or written is only told of.
    pub fn read_ratings(
        &self,
        inputs: impl IntoIterator<Item = impl Into<Input>>,
        options: &ReadOptions,
    ) -> Result<(Ratings, Vec<String>)> {
        let (files, mut notices) = (files(inputs)?, Vec::new());
        let mut read = self.read(&files, options, &mut notices)?;
        if read.repeats && read.places.is_none() && options.duplicates == Duplicates::Error {
            // Where the two stand is known to the files alone.
            let (triples, places) = collect(files, options)?;
            read = Read { triples, places: Some(places), ..read };
        }
        let Read { triples, places, repeats } = read;
        if repeats {
            return Ok((distinct(triples, &places.unwrap_or_default(), options.duplicates)?, notices));
        }
        let Triples { users, items, user, item, value, time } = triples;
        Ok((Ratings { users, items, user, item, value, time }, notices))
    }

    /// As [`read_triples`](super::read_triples), from the cache if the same was read before; with what
    /// the user should know of it.
    ///
    /// # Errors
    /// As [`read_triples`](super::read_triples). A cache that can't be read or written is only told of.
    pub fn read_triples(
        &self,
        inputs: impl IntoIterator<Item = impl Into<Input>>,
        options: &ReadOptions,
    ) -> Result<(Triples, Vec<String>)> {
        let (files, mut notices) = (files(inputs)?, Vec::new());
        let read = self.read(&files, options, &mut notices)?;
        Ok((read.triples, notices))
    }

    fn read(&self, files: &[Input], options: &ReadOptions, notices: &mut Vec<String>) -> Result<Read> {
        let anew = |key: Option<&Key>, notices: &mut Vec<String>| {
            let (triples, places) = collect(files.iter().cloned(), options)?;
            let Triples { users, items, user, item, .. } = &triples;
            let repeats = Compressed::repeats(users.len(), items.len(), user, item);
            if let Some(key) = key {
                notices.extend(self.keep(key, files, options, Entry { triples: &triples, repeats }));
            }
            Ok(Read { triples, places: Some(places), repeats })
        };
        // What can't be read is told by whoever reads it.
        let Ok(key) = Key::of(files, options) else { return anew(None, notices) };
        let Some(key) = key else {
            notices.push("only files are kept in a cache, neither standard input nor pipes".to_owned());
            return anew(None, notices);
        };
        match file::read(&self.path(&key), &key, options.time) {
            Ok(Some((triples, repeats))) => return Ok(Read { triples, places: None, repeats }),
            Ok(None) => {}
            Err(what) => notices.push(format!("{}: {what}; it is made anew", self.path(&key).display())),
        }
        anew(Some(&key), notices)
    }

    /// Keeps what was read; a line for the user.
    fn keep(&self, key: &Key, files: &[Input], options: &ReadOptions, entry: Entry<'_>) -> Option<String> {
        // They may have changed while they were read.
        let same = Key::of(files, options).is_ok_and(|now| now.as_ref() == Some(key));
        if !same {
            return Some(
                "the ratings changed while they were read, so they are not kept in the cache".to_owned(),
            );
        }
        let shown = self.folder.display();
        let kept = fs::create_dir_all(&self.folder)
            .map_err(|source| Error::Io { path: self.folder.clone(), source })
            .and_then(|()| Output::create(self.path(key), true))
            .and_then(|output| file::write(output, key, entry));
        Some(match kept {
            Ok(bytes) => format!("what was read is kept in {shown} ({} MB)", bytes.div_ceil(1_000_000)),
            Err(error) => format!("what was read is not kept in a cache: {error}"),
        })
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(key.name())
    }
}

#[cfg(test)]
mod tests;
