//! Relevant items by user, and where scorers rank them.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::super::Predictor;
use super::super::recommend::Candidate;
use super::{
    RANKING_METRICS, Ranked, Ranking, RankingCompute, RankingCounts, RankingMetric, RankingTop, Scorer,
};

/// Users whose values are kept before they are added up.
const BLOCK: usize = 4096;

/// The relevant items of each user, to be found again by a [`Scorer`].
///
/// A user's candidates are all items with training ratings that the user did not rate in training.
/// Those with a test rating that reaches the threshold are relevant, the others are not, rated or
/// not. An item counts once, however often it occurs; its highest rating decides.
#[derive(Debug)]
pub struct RankingTask<'a> {
    predictor: &'a Predictor<'a>,
    users: Vec<(u32, Range<usize>)>, // with their part of `relevant`
    relevant: Vec<u32>,              // item indices, ascending for each user
    counts: RankingCounts,
}

impl<'a> RankingTask<'a> {
    /// Sorts ratings `(user, item, rating)` out; indices as in [`evaluate_ranking`](super::evaluate_ranking).
    pub fn new(
        predictor: &'a Predictor<'a>,
        ratings: impl IntoIterator<Item = (Option<u32>, Option<u32>, f32)>,
        threshold: f64,
    ) -> Self {
        let model = predictor.model();
        let items = (0..model.items.len() as u32).filter(|&item| predictor.knows_item(item)).count();
        let mut counts = RankingCounts { items: items as u64, ..RankingCounts::default() };
        let (mut tested, mut wanted, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        for (user, item, rating) in ratings {
            let user = user.filter(|&user| predictor.knows_user(user));
            tested.extend(user);
            if f64::from(rating) < threshold {
                continue;
            }
            let Some(user) = user else {
                counts.unknown_users += 1;
                continue;
            };
            wanted.push(user);
            match item.filter(|&item| predictor.knows_item(item)) {
                None => counts.unknown_items += 1,
                Some(item) if model.seen_by(user).binary_search(&item).is_ok() => counts.seen += 1,
                Some(item) => pairs.push((user, item)),
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut users = Vec::new();
        let mut end = 0;
        for row in pairs.chunk_by(|a, b| a.0 == b.0) {
            users.push((row[0].0, end..end + row.len()));
            end += row.len();
        }
        let [tested, wanted] = [tested, wanted].map(|users: Vec<u32>| distinct(users));
        counts.users = users.len() as u64;
        counts.relevant = pairs.len() as u64;
        counts.users_without_relevant = tested - wanted;
        counts.users_without_candidate = wanted - counts.users;
        let relevant = pairs.into_iter().map(|(_, item)| item).collect();
        Self { predictor, users, relevant, counts }
    }

    /// What is to be ranked, and what can't be.
    pub fn counts(&self) -> RankingCounts {
        self.counts
    }

    /// Ranks every user's candidates by their scores and measures where the relevant ones are.
    /// Cutoffs are lengths of lists, each at least 1.
    pub fn measure(&self, scorer: &impl Scorer, cutoffs: &[usize]) -> Ranking {
        let mut cutoffs = cutoffs.to_vec();
        cutoffs.sort_unstable();
        cutoffs.dedup();
        // The best place, from 0, of each item in anyone's list. A minimum is the same in any order.
        let items = self.predictor.model().items.len();
        let best: Vec<AtomicU64> = (0..items).map(|_| AtomicU64::new(u64::MAX)).collect();
        let longest = cutoffs.last().copied().unwrap_or(0);

        let of_user = |scratch: &mut Scratch, (user, range): &(u32, Range<usize>)| {
            let ranked = scratch.rank(self.predictor, scorer, *user, &self.relevant[range.clone()]);
            let values = values(&ranked, &cutoffs);
            for (place, Reverse(listed)) in (0..).zip(scratch.list(longest)) {
                best[listed.item as usize].fetch_min(place, Ordering::Relaxed);
            }
            values
        };
        let mut means: Vec<Mean> = Vec::new();
        for block in self.users.chunks(BLOCK) {
            let block: Vec<_> = block.par_iter().map_init(Scratch::default, of_user).collect();
            // One after the other: sums that don't depend on threads.
            for values in block {
                means.resize(values.len(), Mean::default());
                means.iter_mut().zip(values).for_each(|(mean, value)| mean.add(value));
            }
        }

        let listed = |k: usize| best.iter().filter(|place| place.load(Ordering::Relaxed) < k as u64).count();
        let coverage = |compute: fn(u64, u64) -> f64, k| compute(listed(k) as u64, self.counts.items);
        let mut means = means.iter();
        let mut mean = || means.next().and_then(Mean::get);
        let any = self.counts.users > 0;
        let mut at = |k: usize| {
            let value = |metric: &RankingMetric| match metric.compute {
                RankingCompute::Top(_) => Some((metric.name, mean())),
                RankingCompute::Lists(compute) => Some((metric.name, any.then(|| coverage(compute, k)))),
                RankingCompute::Whole(_) => None,
            };
            RankingTop { k, values: RANKING_METRICS.iter().filter_map(value).collect() }
        };
        let top = cutoffs.iter().map(|&k| at(k)).collect();
        let whole =
            RANKING_METRICS.iter().filter(|metric| matches!(metric.compute, RankingCompute::Whole(_)));
        Ranking { top, whole: whole.map(|metric| (metric.name, mean())).collect() }
    }
}

/// A user's values: of the metrics of the first k for each k, then of those of the whole ranking.
fn values(user: &Ranked<'_>, cutoffs: &[usize]) -> Vec<Option<f64>> {
    let top = cutoffs.iter().flat_map(|&k| {
        RANKING_METRICS.iter().filter_map(move |metric| match metric.compute {
            RankingCompute::Top(compute) => Some(Some(compute(user, k))),
            _ => None,
        })
    });
    let whole = RANKING_METRICS.iter().filter_map(|metric| match metric.compute {
        RankingCompute::Whole(compute) => Some(compute(user)),
        _ => None,
    });
    top.chain(whole).collect()
}

/// A mean of the values that there are.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        self.sum += value.unwrap_or(0.0);
        self.count += u64::from(value.is_some());
    }

    fn get(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// What a thread keeps from user to user. Reversed candidates in ascending order are the best first.
#[derive(Default)]
struct Scratch {
    scores: Vec<f64>, // [n]
    candidates: Vec<Reverse<Candidate>>,
    relevant: Vec<Reverse<Candidate>>,
    ranks: Vec<u64>,
}

impl Scratch {
    /// Ranks a user's `relevant` items, which are candidates.
    fn rank(
        &mut self,
        predictor: &Predictor<'_>,
        scorer: &impl Scorer,
        user: u32,
        relevant: &[u32],
    ) -> Ranked<'_> {
        let model = predictor.model();
        self.scores.resize(model.items.len(), 0.0);
        scorer.scores(user, &mut self.scores);
        let scores = &self.scores;
        // −0 and 0 are a tie.
        let candidate = |item: u32| Reverse(Candidate { rating: scores[item as usize] + 0.0, item });
        self.relevant.clear();
        self.relevant.extend(relevant.iter().map(|&item| candidate(item)));
        self.relevant.sort_unstable();

        let relevant = &self.relevant;
        self.ranks.clear();
        self.ranks.resize(relevant.len(), 0);
        self.candidates.clear();
        let mut twice_wins = 0;
        let mut seen = model.seen_by(user).iter().copied().peekable();
        for item in 0..model.items.len() as u32 {
            if seen.next_if_eq(&item).is_some() || !predictor.knows_item(item) {
                continue;
            }
            let other = candidate(item);
            // How many relevant items rank before it.
            let at = relevant.partition_point(|relevant| *relevant < other);
            if relevant.get(at) != Some(&other) {
                let tied = |relevant: &&Reverse<Candidate>| relevant.0.rating == other.0.rating;
                let above = at - relevant[..at].iter().rev().take_while(tied).count();
                let not_below = at + relevant[at..].iter().take_while(tied).count();
                twice_wins += (above + not_below) as u64;
                if let Some(before) = self.ranks.get_mut(at) {
                    *before += 1;
                }
            }
            self.candidates.push(other);
        }
        // So far the candidates between one relevant item and the next.
        let mut rank = 0;
        for before in &mut self.ranks {
            rank += *before + 1;
            *before = rank;
        }
        Ranked { ranks: &self.ranks, candidates: self.candidates.len() as u64, twice_wins }
    }

    /// The first `k` of the ranking, best first.
    fn list(&mut self, k: usize) -> &[Reverse<Candidate>] {
        if k < self.candidates.len() {
            self.candidates.select_nth_unstable(k);
            self.candidates.truncate(k);
        }
        self.candidates.sort_unstable();
        &self.candidates
    }
}

/// How many different numbers there are.
fn distinct(mut numbers: Vec<u32>) -> u64 {
    numbers.sort_unstable();
    numbers.dedup();
    numbers.len() as u64
}
