//! What a model that learned its regularization knows of its own uncertainty.

use serde::{Deserialize, Serialize};

use super::Model;
use crate::error::{Error, Result};

/// The posterior of a model, around the means that are its factors and biases.
///
/// Every factor and every bias is independent and normal: user u's f-th factor
/// has the model's `user_factors[u, f]` as mean and `user_variances[u, f]` as
/// variance. Variances are in units of `scale²` where they are of the biases
/// and the noise, and in factor units squared where they are of the factors.
///
/// The priors are what is known of a user or an item before its first rating:
/// `N(prior mean, prior variance)`. The prior mean is 0, and with the factors of
/// the mask (svdpp) `n^(−½) Σ_{i∈R(u)} user_mask_factors[i]` over the n items
/// that the user rated; for an item `n^(−½) Σ_{u∈R(i)} item_mask_factors[u]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    /// σ² of all ratings around their means, in units of `scale²`: that of a user without ratings.
    pub noise: f64,
    /// σ_u² of each user's ratings around their means, in units of `scale²`, `[m]`: the user's own
    /// mean of `E[e²]`, shrunk to `noise`. Some people rate more evenly than others.
    pub user_noise: Vec<f32>,
    /// How far the intervals had to be stretched, if ratings were held out to tell.
    pub calibration: Option<Calibration>,
    /// Variances of the user factors, `[m, k]` row-major.
    pub user_variances: Vec<f32>,
    /// Variances of the item factors, `[n, k]` row-major.
    pub item_variances: Vec<f32>,
    /// Variances of the user biases, `[m]`; zeros where the kind has no biases.
    pub user_bias_variances: Vec<f32>,
    /// Variances of the item biases, `[n]`; zeros where the kind has no biases.
    pub item_bias_variances: Vec<f32>,
    /// Prior variance of each user factor around its prior mean, `[k]`.
    pub user_prior: Vec<f64>,
    /// Prior variance of each item factor around its prior mean, `[k]`.
    pub item_prior: Vec<f64>,
    /// Prior variance of a user bias; 0 where the kind has no biases.
    pub user_bias_prior: f64,
    /// Prior variance of an item bias; 0 where the kind has no biases.
    pub item_bias_prior: f64,
    /// Of svdpp, what the prior means come from.
    pub mask: Option<MaskFactors>,
}

/// What an item says of the users that rate it, and a user of the items it rates.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskFactors {
    /// Summed over a user's items they give its prior mean: a row an item, `[n, k]`.
    pub user_mask_factors: Vec<f32>,
    /// Summed over an item's users they give its prior mean: a row a user, `[m, k]`.
    pub item_mask_factors: Vec<f32>,
}

/// The factor on a rating's standard deviation with which the interval for 90%
/// covers that share of ratings which were held out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The factor, above 0.
    pub factor: f64,
    /// Ratings that it was measured on.
    pub ratings: u64,
}

/// Floors that keep a precision finite where a factor or the noise dies out,
/// in units of the standardised rating's variance.
pub(crate) const LEAST_VARIANCE: f64 = 1e-8;

/// Ratings that the common noise counts as when a user's own is estimated.
const NOISE_SHRINKAGE: f64 = 10.0;

/// σ_u² of a user with n ratings whose `Σ E[e²]` is `energy`: their own mean, shrunk to the common `noise`.
pub(crate) fn shrunk_noise(noise: f64, energy: f64, n: f64) -> f64 {
    (NOISE_SHRINKAGE * noise + energy) / (NOISE_SHRINKAGE + n)
}

impl Model {
    /// The posterior, for whoever can't do without.
    ///
    /// # Errors
    /// [`Error::Usage`] if the model has none.
    pub fn known_posterior(&self) -> Result<&Posterior> {
        self.posterior.as_ref().ok_or_else(|| {
            Error::usage(
                "the model knows nothing of its uncertainty",
                "train it with --reg auto and more epochs than the warm-up, without --average",
            )
        })
    }
}

impl Posterior {
    /// The factor on a rating's standard deviation; 1 without a calibration.
    pub fn factor(&self) -> f64 {
        self.calibration.map_or(1.0, |calibration| calibration.factor)
    }

    /// Checks that the parts fit a model of m users, n items and rank k, and every number.
    pub(crate) fn check(&self, m: usize, n: usize, k: usize) -> Result<(), String> {
        let variances = [
            ("user_noise", &self.user_noise, Some(m)),
            ("user_variances", &self.user_variances, m.checked_mul(k)),
            ("item_variances", &self.item_variances, n.checked_mul(k)),
            ("user_bias_variances", &self.user_bias_variances, Some(m)),
            ("item_bias_variances", &self.item_bias_variances, Some(n)),
        ];
        for (name, values, count) in variances {
            super::check_numbers(name, values, count)?;
            if let Some(at) = values.iter().position(|&value| value < 0.0) {
                return Err(format!("{name} holds {} at position {at}", values[at]));
            }
        }
        if let Some(mask) = &self.mask {
            super::check_numbers("user_mask_factors", &mask.user_mask_factors, n.checked_mul(k))?;
            super::check_numbers("item_mask_factors", &mask.item_mask_factors, m.checked_mul(k))?;
        }
        let variance = |value: f64| (0.0..=f64::from(f32::MAX)).contains(&value);
        for (name, values) in [("user_prior", &self.user_prior), ("item_prior", &self.item_prior)] {
            if values.len() != k {
                return Err(format!("{name} holds {} numbers, not one for each factor", values.len()));
            }
            if let Some(at) = values.iter().position(|&value| !variance(value)) {
                return Err(format!("{name} holds {} at position {at}", values[at]));
            }
        }
        let scalars = [
            ("noise", self.noise),
            ("user_bias_prior", self.user_bias_prior),
            ("item_bias_prior", self.item_bias_prior),
        ];
        if let Some((name, value)) = scalars.into_iter().find(|&(_, value)| !variance(value)) {
            return Err(format!("{name} is {value}"));
        }
        match self.calibration {
            Some(Calibration { factor, .. }) if !(factor > 0.0 && variance(factor)) => {
                Err(format!("the calibration's factor is {factor}"))
            }
            _ => Ok(()),
        }
    }
}
