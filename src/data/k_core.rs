//! The users and items with enough ratings.

use std::path::Path;

use super::cells::Layout;
use super::ids::{IdMap, Ids};
use super::ratings::Ratings;
use super::sparse::Compressed;
use crate::error::Error;

impl Ratings {
    /// Leaves out users with fewer than `user` ratings and items with fewer than `item`, and
    /// again those that this leaves with fewer, until all that are left have enough: the
    /// (`user`, `item`)-core of the bipartite graph (Seidman, *Network structure and minimum
    /// degree*, 1983). There may be none.
    ///
    /// What is left is as if the other ratings had never been read: ratings keep their order,
    /// and ids are numbered anew in the order of their first use.
    #[must_use]
    pub fn k_core(&self, user: u64, item: u64) -> Ratings {
        let Layout { by_user, by_item, .. } = Layout::of(self);
        let by_user = Compressed::pattern(&by_user, self.items.len());
        let by_item = Compressed::pattern(&by_item, self.users.len());
        let mut users = Side { counts: self.user_counts(), least: user, out: vec![false; self.users.len()] };
        let mut items = Side { counts: self.item_counts(), least: item, out: vec![false; self.items.len()] };
        // Whoever falls below is taken out once, and lowers the counts of those opposite once:
        // as many steps as there are ratings.
        let (mut lost_users, mut lost_items) = (users.below(), items.below());
        while !lost_users.is_empty() || !lost_items.is_empty() {
            lost_items.extend(items.lower(&by_user, &lost_users));
            lost_users = users.lower(&by_item, &lost_items);
            lost_items.clear();
        }
        let kept: Vec<bool> =
            self.iter().map(|(user, item, _)| !users.is_out(user) && !items.is_out(item)).collect();
        let (users, user) = renumbered(&self.users, those(&self.user, &kept));
        let (items, item) = renumbered(&self.items, those(&self.item, &kept));
        let value = those(&self.value, &kept).collect();
        let time = self.time.as_ref().map(|time| those(time, &kept).collect());
        Ratings { users, items, user, item, value, time }
    }
}

/// The error where none are left.
pub(crate) fn none_left(path: &Path, user: u64, item: u64) -> Error {
    Error::data(
        path,
        format!("no users with {user} ratings of items with {item} are left"),
        "pass a lower --min-ratings",
    )
}

/// The values that are kept.
fn those<'a, T: Copy>(values: &'a [T], kept: &'a [bool]) -> impl Iterator<Item = T> + 'a {
    values.iter().zip(kept).filter(|(_, kept)| **kept).map(|(value, _)| *value)
}

/// The users or the items while some are taken out.
struct Side {
    counts: Vec<u64>, // ratings that are left
    least: u64,
    out: Vec<bool>,
}

impl Side {
    /// Takes out those that have too few from the start.
    fn below(&mut self) -> Vec<u32> {
        let Self { counts, least, out } = self;
        let below = (0..).zip(counts).zip(out).filter(|((_, count), _)| **count < *least);
        below
            .map(|((index, _), out)| {
                *out = true;
                index
            })
            .collect()
    }

    fn is_out(&self, index: u32) -> bool {
        self.out.get(index as usize).copied().unwrap_or(true)
    }

    /// Takes out those that have too few without the ratings that they share with `lost`.
    #[expect(clippy::indexing_slicing, reason = "both layouts are of the same ids")]
    fn lower(&mut self, by_lost: &Compressed, lost: &[u32]) -> Vec<u32> {
        let mut below = Vec::new();
        for &gone in lost {
            for &index in by_lost.row(gone as usize) {
                let at = index as usize;
                self.counts[at] -= 1;
                if self.counts[at] < self.least && !self.out[at] {
                    self.out[at] = true;
                    below.push(index);
                }
            }
        }
        below
    }
}

/// The ids that are used, in the order of their first use, and the indices among them.
#[expect(clippy::indexing_slicing, reason = "what is used is the index of an id")]
pub(super) fn renumbered(ids: &Ids, used: impl Iterator<Item = u32>) -> (Ids, Vec<u32>) {
    let mut index = vec![u32::MAX; ids.len()];
    let mut map = IdMap::new();
    let used = used
        .map(|old| {
            let new = &mut index[old as usize];
            if *new == u32::MAX {
                *new = map.len() as u32;
                // No more than before, so there is room; ids are distinct.
                let _ = map.get_or_insert(ids.get(old));
            }
            *new
        })
        .collect();
    (map.into_ids(), used)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::data::ratings::tests::ratings;

    type Triple = (String, String, f32);

    fn made(triples: &[Triple]) -> Ratings {
        let borrowed: Vec<_> = triples.iter().map(|(u, i, r)| (u.as_str(), i.as_str(), *r)).collect();
        ratings(&borrowed)
    }

    /// By the definition: passes over all ratings until none has too few beside it.
    fn naive(mut triples: Vec<Triple>, user: usize, item: usize) -> Vec<Triple> {
        loop {
            let before = triples.clone();
            let of = |u: &str| before.iter().filter(|t| t.0 == u).count();
            let on = |i: &str| before.iter().filter(|t| t.1 == i).count();
            triples.retain(|(u, i, _)| of(u) >= user && on(i) >= item);
            if triples.len() == before.len() {
                return triples;
            }
        }
    }

    #[test]
    fn agrees_with_the_definition_on_random_ratings() {
        let mut sizes = Vec::new();
        for seed in 0..150 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut triples: Vec<Triple> = Vec::new();
            for _ in 0..rng.random_range(1..120) {
                let (u, i) =
                    (format!("u{}", rng.random_range(0..20)), format!("i{}", rng.random_range(0..15)));
                if !triples.iter().any(|t| t.0 == u && t.1 == i) {
                    triples.push((u, i, rng.random_range(1.0..5.0)));
                }
            }
            let (user, item) = (rng.random_range(0..6), rng.random_range(0..6));
            let found = made(&triples).k_core(user, item);
            let expected = naive(triples, user as usize, item as usize);
            assert_eq!(found, made(&expected), "seed {seed}: at least {user}, {item}");
            sizes.push(expected.len());
        }
        assert!(sizes.iter().filter(|&&size| size == 0).count() < 100 && sizes.iter().any(|&size| size > 60));
    }

    #[test]
    fn one_that_goes_takes_others_along() {
        // A chain: each step leaves the next one with too few.
        let chain = [("a", "x", 1.0), ("b", "x", 2.0), ("b", "y", 3.0), ("c", "y", 4.0), ("c", "z", 5.0)];
        assert!(ratings(&chain).k_core(2, 2).is_empty());
        let block = [("p", "m", 1.0), ("a", "x", 1.0), ("p", "n", 2.0), ("q", "n", 3.0), ("q", "m", 4.0)];
        let kept = ratings(&block).k_core(2, 2);
        assert_eq!(kept, ratings(&[block[0], block[2], block[3], block[4]]));
    }

    #[test]
    fn times_go_with_their_ratings() {
        let timed = Ratings {
            time: Some(vec![7, 8, 9]),
            ..ratings(&[("a", "x", 1.0), ("b", "x", 2.0), ("a", "y", 3.0)])
        };
        let kept = timed.k_core(2, 1);
        assert_eq!((kept.time, kept.value), (Some(vec![7, 9]), vec![1.0, 3.0]));
    }
}
