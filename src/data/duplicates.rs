//! Pairs that occur more than once.

use std::path::Path;

use super::ratings::Ratings;
use super::read::{Duplicates, Triples};
use super::sparse::Compressed;
use super::text::quoted;
use crate::error::{Error, Result};

/// The line of each record, kept as the few places where a record is not on
/// the line after the one before it.
#[derive(Debug, Default)]
pub(super) struct Lines {
    breaks: Vec<(u64, u64)>, // (record, its line)
    records: u64,
}

impl Lines {
    /// Adds the next record.
    pub(super) fn push(&mut self, line: u64) {
        let expected = self.breaks.last().map(|(record, first)| first + (self.records - record));
        if expected != Some(line) {
            self.breaks.push((self.records, line));
        }
        self.records += 1;
    }

    /// The line of a record that was added.
    fn get(&self, record: u64) -> u64 {
        let after = self.breaks.partition_point(|(first, _)| *first <= record);
        let (first, line) = self.breaks[after - 1];
        line + (record - first)
    }
}

/// Makes every pair occur once, as `rule` says. Ids and the order of what stays do not change.
///
/// # Errors
/// [`Error::Data`] that names the first repeated pair and both lines, for [`Duplicates::Error`].
pub(super) fn distinct(path: &Path, triples: Triples, lines: &Lines, rule: Duplicates) -> Result<Ratings> {
    let Triples { users, items, mut user, mut item, mut value, mut time } = triples;
    let (by_user, order) = Compressed::build(users.len(), &user, &item);
    // Runs of one pair in `order`, each in the order of the file.
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
        let [first, second] = [positions[0], positions[1]];
        return Err(Error::data_line(
            path,
            lines.get(second),
            format!(
                "user {} rated item {} on line {} already",
                quoted(users.get(user[second as usize])),
                quoted(items.get(item[second as usize])),
                lines.get(first)
            ),
            "remove one of the two, or pass --duplicates first, last or mean",
        ));
    }
    if !repeats.is_empty() {
        let mut keep = vec![true; value.len()];
        for positions in repeats {
            let kept = positions[if rule == Duplicates::Last { positions.len() - 1 } else { 0 }];
            if rule == Duplicates::Mean {
                let sum: f64 = positions.iter().map(|&position| f64::from(value[position as usize])).sum();
                value[kept as usize] = (sum / positions.len() as f64) as f32;
            }
            positions.iter().for_each(|&position| keep[position as usize] = position == kept);
        }
        retain(&mut user, &keep);
        retain(&mut item, &keep);
        retain(&mut value, &keep);
        if let Some(time) = &mut time {
            retain(time, &keep);
        }
    }
    Ok(Ratings { users, items, user, item, value, time })
}

fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
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
        let mut lines = Lines::default();
        (0..triples.len() as u64).for_each(|record| lines.push(record + 2));
        let Ratings { users, items, user, item, value, time } = ratings(triples);
        distinct(Path::new("f.csv"), Triples { users, items, user, item, value, time }, &lines, rule)
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
    fn lines_are_found_again() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (mut lines, mut naive, mut line) = (Lines::default(), Vec::new(), 0);
        for _ in 0..5_000 {
            line += if rng.random_range(0..50) == 0 { rng.random_range(2..9) } else { 1 };
            lines.push(line);
            naive.push(line);
        }
        assert!(lines.breaks.len() < 200, "one entry for each gap, not for each record");
        for (record, line) in (0..).zip(naive) {
            assert_eq!(lines.get(record), line);
        }
    }
}
