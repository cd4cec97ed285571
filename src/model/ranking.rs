//! How well a model orders what a user has not rated yet.

mod scorer;
mod task;

use serde::Serialize;

use super::Predictor;
use crate::error::{Error, Result};

pub use scorer::{Popularity, Scorer};
pub use task::RankingTask;

/// A measure of rankings: one by one and averaged over the users, or of all their lists at once.
#[derive(Debug)]
pub struct RankingMetric {
    /// The name in tables and in JSON.
    pub name: &'static str,
    /// What it is, in a few words.
    pub summary: &'static str,
    /// The formula. Of a user: R relevant candidates at the ranks r_1 < … < r_R, 1 the best;
    /// h the number of them that are at most k.
    pub formula: &'static str,
    /// Computes it.
    pub compute: RankingCompute,
}

/// What a metric is computed from.
#[derive(Debug, Clone, Copy)]
pub enum RankingCompute {
    /// The first k ≥ 1 of a user's ranking; the mean over the users.
    Top(fn(user: &Ranked<'_>, k: usize) -> f64),
    /// A user's whole ranking; the mean over the users that have one.
    Whole(fn(user: &Ranked<'_>) -> Option<f64>),
    /// The first k of all users' rankings: the number of items in any of them, and of items that
    /// could be.
    Lists(fn(listed: u64, items: u64) -> f64),
}

/// Where a user's relevant items stand among the candidates.
#[derive(Debug, Clone, Copy)]
pub struct Ranked<'a> {
    /// Ranks of the R ≥ 1 relevant candidates, from 1, ascending. Of equal scores the lower item
    /// index ranks first, as in a recommendation.
    pub ranks: &'a [u64],
    /// Number of candidates, the relevant ones among them.
    pub candidates: u64,
    /// Twice the number of pairs of a relevant and another candidate in which the relevant one has
    /// the greater score, a tie counting ½.
    pub twice_wins: u64,
}

impl Ranked<'_> {
    fn hits(&self, k: usize) -> usize {
        self.ranks.partition_point(|&rank| rank <= k as u64)
    }

    /// min(k, R): how many relevant items a list of k can have.
    fn most(&self, k: usize) -> usize {
        self.ranks.len().min(k)
    }
}

/// Every ranking metric, each from 0 to 1, the more the better. A new one is one entry here.
pub const RANKING_METRICS: &[RankingMetric] = &[
    RankingMetric {
        name: "precision",
        summary: "share of the list that is relevant",
        formula: "h / k",
        compute: RankingCompute::Top(|user, k| user.hits(k) as f64 / k as f64),
    },
    RankingMetric {
        name: "recall",
        summary: "share of what is relevant that is in the list",
        formula: "h / R",
        compute: RankingCompute::Top(|user, k| user.hits(k) as f64 / user.ranks.len() as f64),
    },
    RankingMetric {
        name: "ndcg",
        summary: "gain of the list, discounted by rank, of that of the best list",
        formula: "Σ_{j≤h} 1/log₂(1 + r_j) / Σ_{j≤min(k, R)} 1/log₂(1 + j)",
        compute: RankingCompute::Top(|user, k| {
            let gain = |rank: u64| 1.0 / (rank as f64 + 1.0).log2();
            let found: f64 = user.ranks[..user.hits(k)].iter().map(|&rank| gain(rank)).sum();
            found / (1..=user.most(k) as u64).map(gain).sum::<f64>()
        }),
    },
    RankingMetric {
        name: "map",
        summary: "precision at the rank of each relevant item of the list, averaged",
        formula: "Σ_{j≤h} (j / r_j) / min(k, R)",
        compute: RankingCompute::Top(|user, k| {
            let ranks = &user.ranks[..user.hits(k)];
            let sum: f64 = (1_u64..).zip(ranks).map(|(j, &rank)| j as f64 / rank as f64).sum();
            sum / user.most(k) as f64
        }),
    },
    RankingMetric {
        name: "hit_rate",
        summary: "share of users with anything relevant in the list",
        formula: "1 if h > 0, else 0",
        compute: RankingCompute::Top(|user, k| if user.hits(k) > 0 { 1.0 } else { 0.0 }),
    },
    RankingMetric {
        name: "coverage",
        summary: "share of all items that are in anyone's list",
        formula: "items in any user's list / items with training ratings",
        compute: RankingCompute::Lists(|listed, items| listed as f64 / items as f64),
    },
    RankingMetric {
        name: "mrr",
        summary: "reciprocal rank of the first relevant item, however far down",
        formula: "1 / r_1",
        compute: RankingCompute::Whole(|user| user.ranks.first().map(|&rank| 1.0 / rank as f64)),
    },
    RankingMetric {
        name: "auc",
        summary: "share of pairs, a relevant and another item, in the right order; a tie is half right",
        formula: "Σ_{relevant i, other j} ([s_i > s_j] + ½[s_i = s_j]) / (R·(candidates − R))",
        compute: RankingCompute::Whole(|user| {
            let relevant = user.ranks.len() as u64;
            let pairs = relevant * (user.candidates - relevant);
            (pairs > 0).then(|| user.twice_wins as f64 / (2.0 * pairs as f64))
        }),
    },
];

/// What to rank for.
#[derive(Debug, Clone, PartialEq)]
pub struct RankingOptions {
    /// The lengths k of lists.
    pub cutoffs: Vec<usize>,
    /// A test rating from here on makes an item relevant; `None`: from the mean training rating on.
    pub relevant: Option<f32>,
}

impl Default for RankingOptions {
    fn default() -> Self {
        Self { cutoffs: vec![10], relevant: None }
    }
}

/// What was ranked, and what could not be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RankingCounts {
    /// Users measured: those with training ratings and a relevant candidate.
    pub users: u64,
    /// Items with training ratings. A user's candidates are those that it did not rate.
    pub items: u64,
    /// Relevant candidates of all users together.
    pub relevant: u64,
    /// Users with training ratings and test ratings, none of which is high enough.
    pub users_without_relevant: u64,
    /// Users with training ratings and relevant items, none of which is a candidate.
    pub users_without_candidate: u64,
    /// Test ratings that are high enough, of users without training ratings.
    pub unknown_users: u64,
    /// Such test ratings of known users, of items without training ratings.
    pub unknown_items: u64,
    /// Such test ratings of pairs that were rated in training.
    pub seen: u64,
}

/// How well one scorer ranks. No number where there is no user to measure it on.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// What depends on k, for each k, ascending.
    pub top: Vec<RankingTop>,
    /// What does not, by metric in the order of [`RANKING_METRICS`].
    pub whole: Vec<(&'static str, Option<f64>)>,
}

/// How good the first k of the rankings are.
#[derive(Debug, Clone, PartialEq)]
pub struct RankingTop {
    /// Length of the lists.
    pub k: usize,
    /// By metric in the order of [`RANKING_METRICS`].
    pub values: Vec<(&'static str, Option<f64>)>,
}

impl Ranking {
    /// A metric that depends on k.
    pub fn at(&self, metric: &str, k: usize) -> Option<f64> {
        let top = self.top.iter().find(|top| top.k == k)?;
        top.values.iter().find(|(name, _)| *name == metric)?.1
    }

    /// A metric that does not.
    pub fn get(&self, metric: &str) -> Option<f64> {
        self.whole.iter().find(|(name, _)| *name == metric)?.1
    }
}

/// The rankings of a model and of what it must beat.
#[derive(Debug, Clone, PartialEq)]
pub struct RankingReport {
    /// The rating from which on an item is relevant.
    pub threshold: f64,
    /// What was ranked: the same for all.
    pub counts: RankingCounts,
    /// By the model's predictions before clipping, as it recommends.
    pub model: Ranking,
    /// By the number of training ratings.
    pub popularity: Ranking,
    /// By the bias baseline; `None` if the model's file has none.
    pub bias: Option<Ranking>,
}

/// Measures how a model ranks, and its baselines, on ratings `(user, item, rating)` with indices of
/// the model; `None` is an id that it does not have.
///
/// The same for any number of threads; for each of them it takes a score for every item.
///
/// # Errors
/// [`Error::Usage`] if a cutoff is 0 or there is none, or if the threshold is not finite.
pub fn evaluate_ranking(
    predictor: &Predictor<'_>,
    ratings: impl IntoIterator<Item = (Option<u32>, Option<u32>, f32)>,
    options: &RankingOptions,
) -> Result<RankingReport> {
    let threshold = options.relevant.map_or(predictor.model().metadata.rating_mean, f64::from);
    if !threshold.is_finite() {
        return Err(Error::usage(format!("ratings can't reach {threshold}"), "pass a finite --relevant"));
    }
    let cutoffs = &options.cutoffs;
    if cutoffs.is_empty() || cutoffs.contains(&0) {
        return Err(Error::usage("a list of 0 items can't be measured", "pass -k 1 or more"));
    }
    let task = RankingTask::new(predictor, ratings, threshold);
    let bias = predictor.model().bias_baseline();
    Ok(RankingReport {
        threshold,
        counts: task.counts(),
        model: task.measure(predictor, cutoffs),
        popularity: task.measure(&Popularity::of(predictor), cutoffs),
        bias: bias.map(|bias| task.measure(&bias, cutoffs)),
    })
}

#[cfg(test)]
mod tests;
