//! What was read from files, kept for the next time in a form that needs no parsing.
//!
//! A cache is a folder. A file in it stands for one list of inputs, by a hash of all their bytes and of
//! every option that decides what they mean; its name and its first bytes are that hash. So an input
//! that has changed, is read in another way, or by another version is never found there. What is
//! damaged, or of another format, is read anew and replaced.

mod file;
mod key;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use self::file::{Entry, Found};
use self::key::Key;
use super::duplicates::{Places, distinct};
use super::input::Input;
use super::ratings::Ratings;
use super::read::{Duplicates, ReadOptions, Triples, collect, files};
use super::sparse::Compressed;
use crate::error::Result;

/// A folder in which ratings are kept that were read.
///
/// ```no_run
/// # use deltav::data::{Cache, Input, ReadOptions};
/// let cache = Cache::new("/var/cache/deltav");
/// let (ratings, notices) = cache.read_ratings([Input::from("ratings.csv")], &ReadOptions::default())?;
/// # Ok::<(), deltav::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
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
    /// As [`read_ratings`](super::read_ratings). A cache that can't be read or written is none.
    pub fn read_ratings(
        &self,
        inputs: impl IntoIterator<Item = impl Into<Input>>,
        options: &ReadOptions,
    ) -> Result<(Ratings, Vec<String>)> {
        let Read { triples, places, repeats, notices } = self.read(files(inputs)?, options)?;
        let ratings = match places {
            // Another place than the first of a pair's can't be told without reading the file.
            None if repeats && options.duplicates == Duplicates::Error => {
                let (triples, places) = collect(places_of(inputs_again(&notices), options)?, options)?;
                distinct(triples, &places, options.duplicates)?
            }
            places if repeats => distinct(triples, &places.unwrap_or_default(), options.duplicates)?,
            _ => {
                let Triples { users, items, user, item, value, time } = triples;
                Ratings { users, items, user, item, value, time }
            }
        };
        Ok((ratings, notices))
    }
}
