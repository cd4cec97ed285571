//! Pairs that occur more than once.

use super::input::Input;
use super::ratings::Ratings;
use super::read::{Duplicates, Triples};
use super::sparse::Compressed;
use super::text::quoted;
use crate::error::{Error, Location, Place, Result, Unit};

/// The place of each record, kept as the few where a record is neither on the line (or row, or
/// entry) after the one before it nor, as the cells of a dense row, on the same.
#[derive(Debug, Default)]
pub(super) struct Places {
    files: Vec<Input>,
    runs: Vec<Run>,
    records: u64,
}

/// From `record` on, places are in `file` and follow each other from `number` in equal steps.
#[derive(Debug, Clone, Copy)]
struct Run {
    record: u64,
    number: u64,
    file: u32,
    unit: Unit,
    /// 0 or 1, as the run's second record says.
    step: u8,
}

impl Run {
    /// The number of the record that is `index` behind the first.
    fn number(&self, index: u64) -> u64 {
        self.number + u64::from(self.step) * index
    }
}

impl Places {
    /// Adds the next record; `file` numbers the files from 0.
    pub(super) fn push(&mut self, file: usize, place: Place) {
        let (file, Place { unit, number }) = (file as u32, place);
        let last = self.runs.last_mut().filter(|last| (last.file, last.unit) == (file, unit));
        let follows = last.is_some_and(|last| {
            let index = self.records - last.record; // at least 1
            if index == 1 {
                last.step = u8::from(number != last.number);
            }
            number == last.number(index)
        });
        if !follows {
            self.runs.push(Run { record: self.records, number, file, unit, step: 1 });
        }
        self.records += 1;
    }

    /// Adds `count` records on lines that follow each other from `first` on.
    pub(super) fn extend(&mut self, file: usize, first: Place, count: u64) {
        for added in 1..=count {
            self.push(file, Place { number: first.number + added - 1, ..first });
            // Once a second record has told the step of a run, the others are like it.
            let told = |run: &Run| run.step == 1 && self.records > run.record + 1;
            if self.runs.last().is_some_and(told) {
                self.records += count - added;
                return;
            }
        }
    }

    /// Names the files.
    pub(super) fn of(self, files: Vec<Input>) -> Self {
        Self { files, ..self }
    }

    /// The file, by its place among the files, and the place in it of a record that was added.
    #[expect(clippy::indexing_slicing, reason = "the first run begins with the first record")]
    pub(super) fn get(&self, record: u64) -> (usize, Place) {
        let run = &self.runs[self.runs.partition_point(|run| run.record <= record) - 1];
        let number = run.number(record - run.record);
        (run.file as usize, Place { unit: run.unit, number })
    }

    /// The same for a message.
    #[expect(clippy::indexing_slicing, reason = "`of` names every file that was read")]
    fn location(&self, record: u64) -> Location {
        let (file, place) = self.get(record);
        Location::at(self.files[file].path(), place)
    }
}

/// Makes every pair occur once, as `rule` says. Ids and the order of what stays do not change.
///
/// # Errors
/// [`Error::Data`] that names the first repeated pair and both places, for [`Duplicates::Error`].
#[expect(clippy::indexing_slicing, reason = "`order` holds the positions of the triples")]
pub(super) fn distinct(triples: Triples, places: &Places, rule: Duplicates) -> Result<Ratings> {
    let Triples { users, items, mut user, mut item, mut value, mut time } = triples;
    if !Compressed::repeats(users.len(), items.len(), &user, &item) {
        return Ok(Ratings { users, items, user, item, value, time });
    }
    let (by_user, order) = Compressed::build(users.len(), &user, &item);
    // Runs of one pair in `order`, each in the order of the files.
    let repeats: Vec<&[u64]> = (0..by_user.rows())
        .flat_map(|row| {
            let mut rest = &order[by_user.range(row)];
            by_user.row(row).chunk_by(|a, b| a == b).filter_map(move |run| {
                let (positions, after) = rest.split_at(run.len());
                rest = after;
                (run.len() > 1).then_some(positions)
            })
        })
        .collect();

    if rule == Duplicates::Error
        && let Some(positions) = repeats.iter().min_by_key(|positions| positions[1])
    {
        let at = |position: u64| (places.get(position).0, places.location(position));
        let second = positions[1] as usize;
        let pair = [users.get(user[second]), items.get(item[second])];
        return Err(rated_twice(pair, at(positions[0]), at(positions[1])));
    }
    let mut keep = vec![true; value.len()];
    for positions in repeats {
        let all = positions.iter().map(|&position| value[position as usize]);
        // Refused above where the rule has none.
        let Some((index, rating)) = counting(all, rule) else { continue };
        let kept = positions[index];
        value[kept as usize] = rating;
        positions.iter().for_each(|&position| keep[position as usize] = position == kept);
    }
    retain(&mut user, &keep);
    retain(&mut item, &keep);
    retain(&mut value, &keep);
    if let Some(time) = &mut time {
        retain(time, &keep);
    }
    Ok(Ratings { users, items, user, item, value, time })
}

/// Which of all ratings of a pair, in the order of the files, stands for them, and the rating that
/// counts; `None` where `rule` wants no more than one and there are more, or none.
pub(crate) fn counting(
    ratings: impl ExactSizeIterator<Item = f32>,
    rule: Duplicates,
) -> Option<(usize, f32)> {
    let count = ratings.len();
    let mut ratings = ratings.enumerate();
    match rule {
        Duplicates::Error => ratings.next().filter(|_| count == 1),
        Duplicates::First => ratings.next(),
        Duplicates::Last => ratings.last(),
        Duplicates::Mean => {
            let sum: f64 = ratings.map(|(_, rating)| f64::from(rating)).sum();
            (count > 0).then(|| (0, (sum / count as f64) as f32))
        }
    }
}

/// The error for a pair, user and item, that is rated twice: where first and where again, each
/// with its file by its place among the files, since a file may be named twice.
pub(crate) fn rated_twice(
    [user, item]: [&[u8]; 2],
    (first_file, first): (usize, Location),
    (file, at): (usize, Location),
) -> Error {
    let before = match first.place {
        Some(place) if file == first_file && place.unit == Unit::Line => format!("on {place}"),
        Some(place) if file == first_file => format!("in {place}"),
        _ => format!("at {first}"),
    };
    Error::data_at(
        at,
        format!("user {} rated item {} {before} already", quoted(user), quoted(item)),
        "remove one of the two, or pass --duplicates first, last or mean",
    )
}

pub(super) fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    values.retain(|_| keep.next().is_some_and(|keep| *keep));
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::data::ratings::tests::ratings;

    fn apply(triples: &[(&str, &str, f32)], rule: Duplicates) -> Result<Ratings> {
        let mut places = Places::default();
        (0..triples.len() as u64).for_each(|record| places.push(0, Place::line(record + 2)));
        let Ratings { users, items, user, item, value, time } = ratings(triples);
        distinct(Triples { users, items, user, item, value, time }, &places.of(vec!["f.csv".into()]), rule)
    }

    const TWICE: [(&str, &str, f32); 6] = [
        ("b", "y", 1.0),
        ("a", "x", 2.0),
        ("b", "x", 3.0),
        ("a", "x", 4.0),
        ("b", "y", 3.0),
        ("a", "x", 3.0),
    ];

    #[test]
    fn the_first_repeated_line_and_its_original_are_named() {
        let error = apply(&TWICE, Duplicates::Error).unwrap_err();
        assert_eq!(error.exit_code(), 65);
        assert_eq!(
            error.to_string(),
            "f.csv:5: user \"a\" rated item \"x\" on line 3 already; \
             remove one of the two, or pass --duplicates first, last or mean"
        );
    }

    #[test]
    fn first_last_and_mean_keep_ids_and_order() {
        for (rule, kept) in [
            (Duplicates::First, vec![(0, 0, 1.0), (1, 1, 2.0), (0, 1, 3.0)]),
            (Duplicates::Last, vec![(0, 1, 3.0), (0, 0, 3.0), (1, 1, 3.0)]),
            (Duplicates::Mean, vec![(0, 0, 2.0), (1, 1, 3.0), (0, 1, 3.0)]),
        ] {
            let ratings = apply(&TWICE, rule).unwrap();
            let triples: Vec<_> =
                (0..ratings.len()).map(|p| (ratings.user[p], ratings.item[p], ratings.value[p])).collect();
            assert_eq!(triples, kept, "{rule:?}");
            assert_eq!((ratings.users.get(0), ratings.users.get(1)), (&b"b"[..], &b"a"[..]));
        }
    }

    #[test]
    fn nothing_changes_without_duplicates() {
        let once = [("b", "y", 1.0), ("a", "x", 2.0), ("b", "x", 1.0)];
        for rule in Duplicates::ALL {
            assert_eq!(apply(&once, rule).unwrap(), ratings(&once));
        }
    }

    #[test]
    fn the_mean_of_huge_ratings_is_finite() {
        let huge = [("a", "x", f32::MAX), ("a", "x", f32::MAX)];
        assert_eq!(apply(&huge, Duplicates::Mean).unwrap().value, [f32::MAX]);
    }

    #[test]
    fn places_are_found_again() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (mut places, mut naive, mut number) = (Places::default(), Vec::new(), 0);
        for record in 0..5_000_u64 {
            if record % 2_000 == 0 {
                number = 0; // and at 1,000 and 3,000 a file goes on where the last one ended
            }
            number += match record {
                // The cells of dense rows; then rows of one cell, and of two.
                3_500..4_500 => u64::from(record % 40 == 0),
                4_500..4_600 => 1,
                4_600..4_640 => record % 2,
                _ if rng.random_range(0..50) == 0 => rng.random_range(2..9),
                _ => 1,
            };
            let place = if record < 2_500 { Place::line(number) } else { Place::row(number) };
            let file = (record / 1_000) as usize;
            places.push(file, place);
            naive.push((file, place));
        }
        assert!(places.runs.len() < 200, "one entry for each gap, not for each record");
        for (record, place) in (0..).zip(naive) {
            assert_eq!(places.get(record), place);
        }
    }

    #[test]
    fn the_first_of_two_is_named_with_its_file_where_that_is_another() {
        let already = |files: &[&str], at: [Place; 2]| {
            let mut places = Places::default();
            places.push(0, at[0]);
            places.push(files.len() - 1, at[1]);
            let places = places.of(files.iter().map(|&file| file.into()).collect());
            let Ratings { users, items, user, item, value, time } =
                ratings(&[("a", "x", 1.0), ("a", "x", 2.0)]);
            let triples = Triples { users, items, user, item, value, time };
            let error = distinct(triples, &places, Duplicates::Error).unwrap_err().to_string();
            error.split("; ").next().unwrap().to_owned()
        };
        for (files, places, what) in [
            (
                &["a.csv", "b.csv"][..],
                [Place::line(3), Place::line(9)],
                "b.csv:9: user \"a\" rated item \"x\" at a.csv:3 already",
            ),
            (
                &["a.csv", "b.npz"][..],
                [Place::line(3), Place::entry(9)],
                "b.npz: entry 9: user \"a\" rated item \"x\" at a.csv:3 already",
            ),
            (
                &["p", "a"][..],
                [Place::row(3), Place::line(4)],
                "a:4: user \"a\" rated item \"x\" at p: row 3 already",
            ),
            (
                &["p"][..],
                [Place::row(3), Place::row(4)],
                "p: row 4: user \"a\" rated item \"x\" in row 3 already",
            ),
            // The same file twice is two files.
            (
                &["a", "a"][..],
                [Place::line(1), Place::line(1)],
                "a:1: user \"a\" rated item \"x\" at a:1 already",
            ),
        ] {
            assert_eq!(already(files, places), what);
        }
    }
}
