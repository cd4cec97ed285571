//! What is read, gathered: ids numbered in the order of their first use, and ratings by number.

use std::path::Path;

use super::blocks;
use super::duplicates::Places;
use super::formats::Record;
use super::ids::{IdMap, MAX_IDS};
use super::input::Input;
use super::range::RatingRange;
use super::read::Triples;
use crate::error::{Error, Location, Place, Result};

/// The ratings of all files that were read so far.
#[derive(Default)]
pub(super) struct Collector {
    pub(super) users: IdMap,
    pub(super) items: IdMap,
    pub(super) user: Vec<u32>,
    pub(super) item: Vec<u32>,
    pub(super) value: Vec<f32>,
    /// Where timestamps are read.
    pub(super) time: Option<Vec<i64>>,
    pub(super) places: Places,
}

impl Collector {
    /// Nothing yet; `time`: whether every record has a timestamp.
    pub(super) fn new(time: bool) -> Self {
        Self { time: time.then(Vec::new), ..Self::default() }
    }

    /// The ratings, and where each stands in `files`.
    pub(super) fn finish(self, files: Vec<Input>) -> (Triples, Places) {
        let Self { users, items, user, item, value, time, places } = self;
        let (users, items) = (users.into_ids(), items.into_ids());
        (Triples { users, items, user, item, value, time }, places.of(files))
    }
}

/// Where the ratings of one file go.
pub(super) struct Gather<'a> {
    pub(super) collector: &'a mut Collector,
    /// The file, by its place among the files.
    pub(super) file: usize,
    /// Its name, for messages.
    pub(super) path: &'a Path,
    /// What every rating must lie in.
    pub(super) range: Option<RatingRange>,
    /// Bytes of text that one thread parses at a time.
    pub(super) block: usize,
}

impl<'a> Gather<'a> {
    /// The ratings of a file go to those of the others.
    pub(super) fn new(
        collector: &'a mut Collector,
        file: usize,
        path: &'a Path,
        range: Option<RatingRange>,
    ) -> Self {
        Self { collector, file, path, range, block: blocks::BLOCK }
    }

    /// Takes one.
    ///
    /// # Errors
    /// [`Error::Data`] for a rating outside of the range, and for more ids than there can be.
    pub(super) fn push(&mut self, record: Record<'_>) -> Result<()> {
        check_range(self.range, self.path, &record)?;
        let Collector { users, items, .. } = &mut *self.collector;
        let user = users.get_or_insert(record.user);
        let item = items.get_or_insert(record.item);
        let user = user.ok_or_else(|| self.full("users", record.place))?;
        let item = item.ok_or_else(|| self.full("items", record.place))?;
        let rating = record.rating.ok_or_else(without_rating)?;
        self.collector.user.push(user);
        self.collector.item.push(item);
        self.collector.value.push(rating);
        if let (Some(times), Some(time)) = (&mut self.collector.time, record.time) {
            times.push(time);
        }
        self.collector.places.push(self.file, record.place);
        Ok(())
    }

    /// The error for the record with one id too many.
    pub(super) fn full(&self, side: &str, place: Place) -> Error {
        Error::data_at(
            Location::at(self.path, place),
            format!("has more than {MAX_IDS} {side}"),
            "split the file into parts with fewer",
        )
    }
}

/// Refuses a rating outside of the range that was asked for.
pub(super) fn check_range(range: Option<RatingRange>, path: &Path, record: &Record<'_>) -> Result<()> {
    match (record.rating, range) {
        (Some(rating), Some(range)) if !range.contains(rating) => Err(Error::data_at(
            Location::at(path, record.place),
            format!("rating {rating} is outside {range}"),
            "correct it, or pass another --rating-range",
        )),
        _ => Ok(()),
    }
}

/// A bug: a rating was asked for.
pub(super) fn without_rating() -> Error {
    Error::Internal("a record without its rating".to_owned())
}
