//! The best items of many users at once: candidates by f32 scores on a device,
//! the decision in f64 on the host.
//!
//! The `best_items` kernel keeps a few more candidates a user than were asked
//! for. The host rates these as [`Predictor::predict`] does, in f64, and takes
//! a list only if rounding can't have kept a better item out of the candidates
//! ([`Bound`]); any other user is answered by a scan in f64. So the lists are
//! those of [`Predictor::recommend_index`], bit for bit, on every device.

mod bound;
mod device_items;

use rayon::prelude::*;

use self::bound::Bound;
use self::device_items::DeviceItems;
use super::recommend::Candidate;
use super::{Predictor, Recommendation, Side};
use crate::backend::Backend;
use crate::error::Result;

/// Places of a candidate list at most; for longer ones a scan is as good.
const MAX_KEEP: usize = 1024;

/// Users from which on it pays to bring the items to a device.
const MANY: usize = 8;

/// Users of a block that are scanned, and places of their lists, both at most.
const SCANNED: (usize, usize) = (512, 1 << 22);

/// What a list may hold, and how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopN {
    /// Items of a list: exactly as many, or all there are. Default: 10.
    pub n: usize,
    /// Whether items that the user rated in the training part may be listed. Default: no.
    pub include_seen: bool,
    /// Only these items, by index, in any order; `None`, the default: all.
    pub candidates: Option<Vec<u32>>,
    /// None of these items, by index, in any order. Default: empty.
    pub exclude: Vec<u32>,
}

impl Default for TopN {
    fn default() -> Self {
        Self { n: 10, include_seen: false, candidates: None, exclude: Vec::new() }
    }
}

/// A user's list of [`Predictor::top_n`].
#[derive(Debug, Clone, PartialEq)]
pub struct TopList {
    /// The user's index.
    pub user: u32,
    /// The best items, best first.
    pub items: Vec<Recommendation>,
}

/// What [`Predictor::top_n`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopNCounts {
    /// Lists.
    pub users: u64,
    /// Lists that came from a scan in f64: few users, many items a list, or scores so close that
    /// f32 can't tell them apart.
    pub scanned: u64,
}

impl Predictor<'_> {
    /// The best items of each of these users, as [`recommend_index`](Self::recommend_index) has
    /// them: the same items and scores, whatever the device.
    ///
    /// Calls `each` with the lists of a block of users at a time, in the order of `users`; an
    /// unknown user's list is empty. Memory: a copy of the items' factors on the device, and a
    /// block of at most some thousand users.
    ///
    /// # Errors
    /// Those of the device, and whatever `each` returns.
    pub fn top_n(
        &self,
        users: &[u32],
        query: &TopN,
        backend: &mut dyn Backend,
        mut each: impl FnMut(&[TopList]) -> Result<()>,
    ) -> Result<TopNCounts> {
        let items = self.listable(Side::Items, query);
        let first = backend.allocated();
        let done = self.in_blocks(users, query, &items, backend, &mut each);
        backend.release(first);
        done
    }

    fn in_blocks(
        &self,
        users: &[u32],
        query: &TopN,
        items: &[u32],
        backend: &mut dyn Backend,
        each: &mut impl FnMut(&[TopList]) -> Result<()>,
    ) -> Result<TopNCounts> {
        // Some more than asked for, so that rounding seldom matters.
        let keep = query.n.saturating_add(16 + query.n / 8);
        // A scale of 0 makes all ratings equal: nothing to choose by.
        let pays = users.len() >= MANY && keep <= MAX_KEEP && query.n > 0 && self.model.scale > 0.0;
        let scorer = if pays { DeviceItems::new(self, users, items, keep, query, backend)? } else { None };
        let mut counts = TopNCounts::default();
        let mut rest = users;
        let Some(mut scorer) = scorer else {
            for block in rest.chunks(lists_at_once(query.n, items.len())) {
                each(&self.scan(block, query, items))?;
            }
            let users = users.len() as u64;
            return Ok(TopNCounts { users, scanned: users });
        };
        let bound = Bound::new(self.model, items);
        while !rest.is_empty() {
            let (block, behind) = rest.split_at(scorer.fitting(self, rest));
            rest = behind;
            if block.is_empty() {
                // One user has seen more than a buffer holds.
                let (one, behind) = rest.split_at(1);
                rest = behind;
                each(&self.scan(one, query, items))?;
                counts = TopNCounts { users: counts.users + 1, scanned: counts.scanned + 1 };
                continue;
            }
            scorer.run(self, block, backend)?;
            let lists: Vec<(TopList, bool)> = block
                .par_iter()
                .enumerate()
                .map(|(i, &user)| {
                    let decided = self.decide(user, query.n, &scorer.list(i), items, &bound);
                    let scanned = decided.is_none();
                    let scan = || self.scan_one(user, query, items);
                    (TopList { user, items: decided.unwrap_or_else(scan) }, scanned)
                })
                .collect();
            counts.users += lists.len() as u64;
            counts.scanned += lists.iter().filter(|(_, scanned)| *scanned).count() as u64;
            each(&lists.into_iter().map(|(list, _)| list).collect::<Vec<_>>())?;
        }
        Ok(counts)
    }

    /// The rows of a side that lists may hold, ascending: those with training ratings, as the
    /// query has them.
    pub(super) fn listable(&self, side: Side, query: &TopN) -> Vec<u32> {
        let (rows, knows): (usize, &dyn Fn(u32) -> bool) = match side {
            Side::Users => (self.model.users.len(), &|user| self.knows_user(user)),
            Side::Items => (self.model.items.len(), &|item| self.knows_item(item)),
        };
        let mut wanted = vec![query.candidates.is_none(); rows];
        let mut mark = |indices: &[u32], mark: bool| {
            for &index in indices {
                if let Some(wanted) = wanted.get_mut(index as usize) {
                    *wanted = mark;
                }
            }
        };
        mark(query.candidates.as_deref().unwrap_or_default(), true);
        mark(&query.exclude, false);
        let wanted = (0..).zip(wanted).filter(|&(index, wanted)| wanted && knows(index));
        wanted.map(|(index, _)| index).collect()
    }

    fn scan(&self, users: &[u32], query: &TopN, items: &[u32]) -> Vec<TopList> {
        let list = |&user: &u32| TopList { user, items: self.scan_one(user, query, items) };
        users.par_iter().map(list).collect()
    }

    fn scan_one(&self, user: u32, query: &TopN, items: &[u32]) -> Vec<Recommendation> {
        self.recommend_among(user, query.n, query.include_seen, items.iter().copied())
    }

    /// The `n` best of the device's candidates, or `None` if an item that is none of them may be better.
    fn decide(
        &self,
        user: u32,
        n: usize,
        list: &device_items::List<'_>,
        items: &[u32],
        bound: &Bound<'_>,
    ) -> Option<Vec<Recommendation>> {
        if !self.knows_user(user) {
            return Some(Vec::new());
        }
        let row = user as usize;
        let ceiling = bound.ceiling(row, list.last_score)?;
        let rate = |&position: &u32| {
            let item = items[position as usize];
            Candidate { rating: self.unclipped(row, item as usize), item }
        };
        let mut best: Vec<Candidate> = list.positions.iter().map(rate).collect();
        best.sort_unstable_by(|a, b| b.cmp(a));
        // A list that is not full has every item.
        if list.full && best.get(n.checked_sub(1)?)?.rating <= ceiling {
            return None;
        }
        best.truncate(n);
        Some(best.into_iter().map(|candidate| self.recommendation(candidate)).collect())
    }
}

/// Lists of `n` of these rows that are made side by side: fewer where they are long.
pub(crate) fn lists_at_once(n: usize, rows: usize) -> usize {
    let (lists, places) = SCANNED;
    (places / n.min(rows).max(1)).clamp(16, lists)
}

#[cfg(test)]
mod tests;
