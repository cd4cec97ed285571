//! Ratings that are in memory already: from an iterator rather than from a file.

use std::path::Path;

use super::collect::{Collector, Gather};
use super::duplicates::distinct;
use super::formats::Record;
use super::input::Input;
use super::ratings::Ratings;
use super::read::{Duplicates, ReadOptions, read_ratings};
use crate::error::{Error, Location, Place, Result};

/// What errors call the ratings' file.
const NAME: &str = "memory";

impl Ratings {
    /// Reads ratings from one file or folder, as `deltav train` does: the format, the columns and
    /// the header are found out from it. [`read_ratings`] takes several, and options.
    ///
    /// # Errors
    /// As [`read_ratings`].
    pub fn read(input: impl Into<Input>) -> Result<Self> {
        read_ratings([input], &ReadOptions::default())
    }

    /// Ratings from `(user's id, item's id, rating)`: from a database, a queue, another table. Ids
    /// are bytes of any kind and are numbered in the order of their first use.
    ///
    /// `duplicates`: what to do where a user rates an item twice.
    ///
    /// # Errors
    /// [`Error::Data`] with the row, from 1, of a rating that is not finite, of an empty id, and of
    /// a pair that occurs again where `duplicates` is [`Duplicates::Error`]; if there is no rating; and for
    /// more than [`MAX_IDS`](super::MAX_IDS) ids of a side.
    ///
    /// ```
    /// use deltav::data::{Duplicates, Ratings};
    /// let ratings = Ratings::from_triples([("ada", "tea", 5.0), ("bob", "tea", 3.0)], Duplicates::Error)?;
    /// assert_eq!((ratings.len(), ratings.users.len(), ratings.items.len()), (2, 2, 1));
    /// # Ok::<(), deltav::Error>(())
    /// ```
    pub fn from_triples<U: AsRef<[u8]>, I: AsRef<[u8]>>(
        triples: impl IntoIterator<Item = (U, I, f32)>,
        duplicates: Duplicates,
    ) -> Result<Self> {
        let mut collector = Collector::new(false);
        let mut gather = Gather::new(&mut collector, 0, Path::new(NAME), None);
        for (number, (user, item, rating)) in (1..).zip(triples) {
            let place = Place::row(number);
            let (user, item) = (user.as_ref(), item.as_ref());
            if !rating.is_finite() || user.is_empty() || item.is_empty() {
                let finite = format!("rating {rating} is not finite");
                let what = if rating.is_finite() { "an id is empty".to_owned() } else { finite };
                return Err(Error::data_at(Location::at(NAME, place), what, "correct it, or leave it out"));
            }
            gather.push(Record { user, item, rating: Some(rating), time: None, place })?;
        }
        let (triples, places) = collector.finish(vec![Input::from(NAME)]);
        if triples.value.is_empty() {
            return Err(Error::data(Path::new(NAME), "has no rating", "pass at least one"));
        }
        distinct(triples, &places, duplicates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(triples: &[(&str, &str, f32)], duplicates: Duplicates) -> Result<Ratings> {
        Ratings::from_triples(triples.iter().copied(), duplicates)
    }

    #[test]
    fn an_iterator_gives_what_a_file_gives() {
        let triples = [("a", "x", 1.0), ("b", "y", 2.5), ("a", "y", -3.0)];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ratings.csv");
        std::fs::write(&path, "a,x,1\nb,y,2.5\na,y,-3\n").unwrap();
        let ratings = of(&triples, Duplicates::Error).unwrap();
        assert_eq!(ratings, Ratings::read(&path).unwrap());
        // Ids need not be text, nor live long.
        let numbers = (0..4u64).map(|n| (n.to_le_bytes(), vec![0, n as u8], n as f32));
        let ratings = Ratings::from_triples(numbers, Duplicates::Error).unwrap();
        assert_eq!((ratings.users.get(3), ratings.items.get(3)), (&3u64.to_le_bytes()[..], &[0, 3][..]));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_row() {
        let twice = [("a", "x", 1.0), ("b", "x", 2.0), ("a", "x", 3.0)];
        let line = |error: Error| error.to_string();
        let refused = line(of(&twice, Duplicates::Error).unwrap_err());
        assert!(refused.starts_with("memory: row 3: ") && refused.contains("row 1"), "{refused}");
        assert_eq!(of(&twice, Duplicates::Mean).unwrap().value, [2.0, 2.0]);
        for wrong in [f32::NAN, f32::INFINITY] {
            let refused = line(of(&[("a", "x", 1.0), ("a", "y", wrong)], Duplicates::Mean).unwrap_err());
            assert!(refused.starts_with("memory: row 2: rating "), "{refused}");
        }
        let refused = line(of(&[("a", "", 1.0)], Duplicates::Mean).unwrap_err());
        assert!(refused.starts_with("memory: row 1: an id is empty"), "{refused}");
        let none = of(&[], Duplicates::Error).unwrap_err();
        assert_eq!(
            (none.exit_code(), line(none)),
            (65, "memory: has no rating; pass at least one".to_owned())
        );
    }
}
