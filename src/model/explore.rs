//! Recommendations that also try what the model is not sure of.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::predict::dot;
use super::recommend::Candidate;
use super::top_n::lists_at_once;
use super::{Predictor, Side, TopN};
use crate::error::{Error, Result};

/// The ChaCha stream of Thompson draws, above a user's index; see
/// [`HOLDOUT_STREAM`](crate::data::HOLDOUT_STREAM).
const THOMPSON_STREAM: u64 = 0x7468_6f6d << 32; // "thom"

/// How uncertainty takes part in a ranking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Explore {
    /// Upper confidence bound: ranks by mean + z·`mean_std`.
    Ucb {
        /// Standard deviations of the mean, finite; 0 ranks as [`Predictor::recommend`] does. Default: 1.
        z: f64,
    },
    /// Thompson sampling: draws factors and biases from the posterior and ranks by what they predict.
    /// The user's row is drawn once for the whole list, an item's row once for the item.
    Thompson {
        /// The same seed gives a user the same list.
        seed: u64,
    },
}

/// An item that was recommended to explore.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Explored {
    /// The item's index.
    pub item: u32,
    /// The predicted rating in rating units, clipped if the model clips.
    pub score: f64,
    /// What it was ranked by, in rating units, not clipped.
    pub ranked_by: f64,
}

/// A user's list of [`Predictor::explore_top_n`].
#[derive(Debug, Clone, PartialEq)]
pub struct ExploredList {
    /// The user's index.
    pub user: u32,
    /// The first items, first first.
    pub items: Vec<Explored>,
}

impl Predictor<'_> {
    /// The `n` first items for a user, as [`recommend`](Self::recommend), but ranked with
    /// regard to what is uncertain.
    ///
    /// # Errors
    /// [`Error::Usage`] as [`recommend`](Self::recommend), if the model has no posterior, and if z is not finite.
    pub fn explore(
        &self,
        user: &[u8],
        n: usize,
        include_seen: bool,
        explore: Explore,
    ) -> Result<Vec<Explored>> {
        self.explore_index(self.known_user(user)?, n, include_seen, explore)
    }

    /// [`explore`](Self::explore) for a user's index; nothing for an unknown one.
    ///
    /// # Errors
    /// [`Error::Usage`] if the model has no posterior, and if z is not finite.
    pub fn explore_index(
        &self,
        user: u32,
        n: usize,
        include_seen: bool,
        explore: Explore,
    ) -> Result<Vec<Explored>> {
        let items: Vec<u32> =
            (0..self.model.items.len() as u32).filter(|&item| self.knows_item(item)).collect();
        self.explore_among(user, n, include_seen, &items, explore)
    }

    /// [`explore_index`](Self::explore_index) for many users, with a choice of items: calls `each`
    /// with the lists of a block of users at a time, in the order of `users`. A list is the same
    /// whatever the other users are; nothing for an unknown one.
    ///
    /// # Errors
    /// As [`explore_index`](Self::explore_index), and whatever `each` returns.
    pub fn explore_top_n(
        &self,
        users: &[u32],
        query: &TopN,
        explore: Explore,
        mut each: impl FnMut(&[ExploredList]) -> Result<()>,
    ) -> Result<()> {
        let items = self.listable(Side::Items, query);
        for block in users.chunks(lists_at_once(query.n, items.len())) {
            let list = |&user: &u32| {
                let items = self.explore_among(user, query.n, query.include_seen, &items, explore)?;
                Ok(ExploredList { user, items })
            };
            each(&block.par_iter().map(list).collect::<Result<Vec<_>>>()?)?;
        }
        Ok(())
    }

    /// [`explore_index`](Self::explore_index) with these items only, known and ascending.
    fn explore_among(
        &self,
        user: u32,
        n: usize,
        include_seen: bool,
        items: &[u32],
        explore: Explore,
    ) -> Result<Vec<Explored>> {
        let model = self.model;
        let items = items.iter().copied();
        let posterior = model.known_posterior()?;
        if !self.knows_user(user) {
            return Ok(Vec::new());
        }
        let row = user as usize;
        let ranked = match explore {
            Explore::Ucb { z } if !z.is_finite() => {
                return Err(Error::usage(
                    format!("z = {z} is out of range"),
                    "pass a finite number, such as 1",
                ));
            }
            Explore::Ucb { z } => self.top(user, n, include_seen, items, |item| {
                let variance = self.variance(Some(row), Some(item)).map_or(0.0, |(mean, _)| mean);
                self.unclipped(row, item) + z * model.scale * variance.sqrt()
            }),
            Explore::Thompson { seed } => {
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(THOMPSON_STREAM | u64::from(user));
                let mut draw = |mean: f32, variance: f64| -> f64 {
                    let normal: f64 = rng.sample(StandardNormal);
                    f64::from(mean) + variance.sqrt() * normal
                };
                let k = model.rank;
                let factors = &model.user_factors[row * k..(row + 1) * k];
                let variances = &posterior.user_variances[row * k..(row + 1) * k];
                let drawn: Vec<f32> = factors
                    .iter()
                    .zip(variances)
                    .map(|(&mean, &variance)| draw(mean, variance.into()) as f32)
                    .collect();
                let squares: Vec<f32> = drawn.iter().map(|u| u * u).collect();
                let bias = draw(model.user_bias[row], posterior.user_bias_variances[row].into());
                // With u drawn, b + c + u·v is normal: one draw of it for each item, whether or not
                // the item can be listed, so that lists of all kinds agree.
                let scores: Vec<f64> = (0..model.items.len())
                    .map(|item| {
                        let v = &model.item_factors[item * k..(item + 1) * k];
                        let spread = dot(&squares, &posterior.item_variances[item * k..(item + 1) * k]);
                        let variance = f64::from(posterior.item_bias_variances[item]) + spread;
                        let rest = draw(model.item_bias[item], variance);
                        model.mean + model.scale * (bias + dot(&drawn, v) + rest)
                    })
                    .collect();
                self.top(user, n, include_seen, items, |item| scores[item])
            }
        };
        let explored = |Candidate { rating: ranked_by, item }: Candidate| {
            let score = self.clipped(self.unclipped(row, item as usize));
            Explored { item, score, ranked_by }
        };
        Ok(ranked.into_iter().map(explored).collect())
    }
}

#[cfg(test)]
mod tests;
