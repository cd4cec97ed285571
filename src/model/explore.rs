//! Recommendations that also try what the model is not sure of.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::Predictor;
use super::predict::dot;
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
        let model = self.model;
        let Some(posterior) = &model.posterior else {
            return Err(Error::usage(
                "this model does not know how certain it is, so there is nothing to explore",
                "train with --reg auto",
            ));
        };
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
            Explore::Ucb { z } => self.top(user, n, include_seen, |item| {
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
                self.top(user, n, include_seen, |item| scores[item])
            }
        };
        let explored = |(item, ranked_by): (u32, f64)| {
            let score = self.clipped(self.unclipped(row, item as usize));
            Explored { item, score, ranked_by }
        };
        Ok(ranked.into_iter().map(explored).collect())
    }
}

#[cfg(test)]
mod tests;
