//! Folds of a cross-validation: each rating is tested once, by a model that
//! was trained without it.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::held::Held;
use super::ids::{IdMap, Ids};
use super::ratings::Ratings;
use crate::error::{Error, Result};

/// The ChaCha stream of the folds; see [`HOLDOUT_STREAM`](super::HOLDOUT_STREAM).
pub const FOLD_STREAM: u64 = 0x666f_6c64; // "fold"

impl Ratings {
    /// Which fold tests each rating, from 0, `[N]`: at random, all folds as
    /// large as the others or one larger.
    ///
    /// # Errors
    /// [`Error::Usage`] unless there are at least two folds and a rating for each.
    pub fn folds(&self, folds: u32, seed: u64) -> Result<Vec<u32>> {
        if folds < 2 {
            return Err(Error::usage(
                format!("{folds} fold leaves nothing to train on"),
                "pass --folds 2 or more",
            ));
        }
        if self.len() < folds as usize {
            return Err(Error::usage(
                format!("{folds} folds are more than the {} ratings", self.len()),
                "pass fewer --folds or a file with more ratings",
            ));
        }
        let mut fold: Vec<u32> = (0..folds).cycle().take(self.len()).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(FOLD_STREAM);
        // Fisher and Yates: from the end, each with one at or before it.
        for last in (1..fold.len()).rev() {
            let below = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
            fold.swap(last, below as usize);
        }
        Ok(fold)
    }

    /// One fold: what trains, with ids of its own, and what tests. Nothing of
    /// the tested part, not even an id, is in the first: it is what reading a
    /// file with the other lines would give.
    ///
    /// `folds`: as [`Ratings::folds`] gave them.
    pub fn fold(&self, folds: &[u32], fold: u32) -> (Ratings, Held) {
        let mut users = Side::new(&self.users);
        let mut items = Side::new(&self.items);
        let mut train = Ratings { time: self.time.as_ref().map(|_| Vec::new()), ..Ratings::default() };
        for ((user, item, value), _) in self.iter().zip(folds).filter(|(_, of)| **of != fold) {
            train.user.push(users.index(user));
            train.item.push(items.index(item));
            train.value.push(value);
        }
        if let (Some(to), Some(from)) = (&mut train.time, &self.time) {
            to.extend(from.iter().zip(folds).filter(|(_, of)| **of != fold).map(|(time, _)| time));
        }
        let mut held = Held::default();
        for ((user, item, value), _) in self.iter().zip(folds).filter(|(_, of)| **of == fold) {
            held.user.push(users.trained(user));
            held.item.push(items.trained(item));
            held.value.push(value);
        }
        (Ratings { users: users.kept.into_ids(), items: items.kept.into_ids(), ..train }, held)
    }
}

/// The ids of one side that the training part uses, numbered anew.
struct Side<'a> {
    old: &'a Ids,
    new: Vec<Option<u32>>,
    kept: IdMap,
}

impl<'a> Side<'a> {
    fn new(old: &'a Ids) -> Self {
        Self { old, new: vec![None; old.len()], kept: IdMap::new() }
    }

    #[expect(clippy::indexing_slicing, reason = "a rating's index is one of the ids")]
    fn index(&mut self, old: u32) -> u32 {
        let Self { old: ids, new, kept } = self;
        // There are no more ids than before, so the map takes them all.
        *new[old as usize].get_or_insert_with(|| kept.get_or_insert(ids.get(old)).unwrap_or(u32::MAX))
    }

    /// The index of an id that the training part uses.
    fn trained(&self, old: u32) -> Option<u32> {
        self.new.get(old as usize).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Triples;
    use crate::data::ratings::tests::ratings;

    fn sample() -> Ratings {
        let ids: Vec<(String, String)> =
            (0..103).map(|p| (format!("u{}", p * p % 17), format!("i{p}"))).collect();
        let triples: Vec<(&str, &str, f32)> =
            ids.iter().enumerate().map(|(p, (u, i))| (&**u, &**i, (p % 7) as f32)).collect();
        ratings(&triples)
    }

    #[test]
    fn each_rating_is_tested_once_by_folds_of_one_size() {
        let whole = sample();
        for folds in [2, 5, 10, 103] {
            let fold = whole.folds(folds, 3).unwrap();
            let sizes: Vec<usize> =
                (0..folds).map(|f| fold.iter().filter(|&&fold| fold == f).count()).collect();
            let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            assert!(most - least <= 1 && sizes.iter().sum::<usize>() == 103, "{sizes:?}");
        }
        assert_eq!(whole.folds(5, 3).unwrap(), whole.folds(5, 3).unwrap());
        assert_ne!(whole.folds(5, 3).unwrap(), whole.folds(5, 4).unwrap());
        for folds in [0, 1, 104] {
            assert_eq!(whole.folds(folds, 0).unwrap_err().exit_code(), 2);
        }
    }

    #[test]
    fn a_fold_is_what_a_file_with_the_other_lines_gives() {
        let whole = sample();
        let folds = whole.folds(4, 9).unwrap();
        for f in 0..4 {
            let (train, held) = whole.fold(&folds, f);
            let triple = |p: usize| {
                let text = |ids: &Ids, index: u32| ids.text(index).into_owned();
                (text(&whole.users, whole.user[p]), text(&whole.items, whole.item[p]), whole.value[p])
            };
            let of = |test: bool| -> Vec<(String, String, f32)> {
                (0..whole.len()).filter(|&p| (folds[p] == f) == test).map(triple).collect()
            };
            let borrow = |triples: &[(String, String, f32)]| {
                ratings(&triples.iter().map(|(u, i, r)| (&**u, &**i, *r)).collect::<Vec<_>>())
            };
            assert_eq!(train, borrow(&of(false)));
            let Ratings { users, items, user, item, value, time } = borrow(&of(true));
            let test = Triples { users, items, user, item, value, time };
            let maps = (IdMap::from(train.users.clone()), IdMap::from(train.items.clone()));
            assert_eq!(held, Held::from_triples(&test, &maps.0, &maps.1));
            assert!(held.item.iter().all(Option::is_none), "each item is rated once");
        }
    }

    #[test]
    fn every_rating_is_equally_likely_in_a_fold() {
        let whole = ratings(&[("a", "v", 1.0), ("a", "w", 1.0), ("a", "x", 1.0), ("a", "y", 1.0)]);
        let mut times = [0_u32; 4];
        for seed in 0..4_000 {
            for (times, fold) in times.iter_mut().zip(whole.folds(2, seed).unwrap()) {
                *times += fold;
            }
        }
        assert!(times.iter().all(|times| times.abs_diff(2_000) < 160), "{times:?}");
    }
}
