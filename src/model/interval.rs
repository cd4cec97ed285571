//! How far a rating may be from its prediction: variances, intervals, and
//! their calibration on ratings that were held out.
//!
//! An interval is for the rating as a continuous number, clipped to the range
//! of the training ratings as predictions are: it need not end on a rating
//! that people can give. `docs/uncertainty.md` has the assumptions and how
//! often the intervals were right.

use rayon::prelude::*;

use super::normal::two_sided;
use super::{Calibration, Model, Posterior, Prediction, Predictor};
use crate::data::Held;
use crate::error::{Error, Result};

/// The share of ratings that an interval is to cover.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    level: f64,
    z: f64,
}

impl Level {
    /// A level above 0 and below 1, such as 0.9.
    ///
    /// # Errors
    /// [`Error::Usage`] for any other number.
    pub fn new(level: f64) -> Result<Self> {
        if level > 0.0 && level < 1.0 {
            Ok(Self { level, z: two_sided(level) })
        } else {
            Err(Error::usage(
                format!("interval {level} is out of range"),
                "pass a share above 0 and below 1, such as 0.9",
            ))
        }
    }

    /// The level that calibration makes right on the held-out ratings: 0.9.
    pub fn calibrated() -> Self {
        Self { level: CALIBRATED, z: two_sided(CALIBRATED) }
    }

    /// The share.
    pub fn share(self) -> f64 {
        self.level
    }

    /// Half an interval's width in standard deviations.
    pub fn z(self) -> f64 {
        self.z
    }
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
        Level::new(number).map_err(|error| error.to_string())
    }
}

const CALIBRATED: f64 = 0.9;

/// Where a rating is expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end, in rating units.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// How often intervals were right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IntervalCoverage {
    /// Ratings looked at.
    pub ratings: u64,
    /// The share of them that lay in their interval, ends included.
    pub share: f64,
    /// Mean width of the intervals, in rating units.
    pub width: f64,
    /// Mean interval score, in rating units, the lower the better: an interval's width, and
    /// 2/(1 − level) times the distance by which it missed (Gneiting & Raftery 2007, section 6.2).
    pub score: f64,
}

impl Predictor<'_> {
    /// The interval that holds the rating with a probability of `level`:
    /// `unclipped ± z·rating_std`, clipped to the range of the training ratings if the model clips.
    ///
    /// `None` where the prediction has no standard deviation.
    pub fn interval(&self, prediction: &Prediction, level: Level) -> Option<Interval> {
        let reach = level.z * prediction.rating_std?;
        Some(Interval {
            low: self.clipped(prediction.unclipped - reach),
            high: self.clipped(prediction.unclipped + reach),
        })
    }

    /// Variances of the mean and of a rating, in units of `scale²`; `None` is a user or an item
    /// without training ratings: its prior takes its place, the factors' widened to all rows.
    ///
    /// Without biases such a prediction is the mean rating, of which the factors know nothing.
    pub(super) fn variance(&self, user: Option<usize>, item: Option<usize>) -> Option<(f64, f64)> {
        let posterior = self.model.posterior.as_ref()?;
        let user = user.map(|user| self.user_moments(posterior, user));
        self.variance_of(user, item.map(|item| self.item_moments(posterior, item)))
    }

    pub(super) fn user_moments<'p>(&'p self, posterior: &'p Posterior, user: usize) -> RowMoments<'p> {
        let row = user * self.model.rank..(user + 1) * self.model.rank;
        RowMoments {
            means: &self.model.user_factors[row.clone()],
            variances: &posterior.user_variances[row],
            bias_variance: posterior.user_bias_variances[user].into(),
            noise: posterior.user_noise[user].into(),
        }
    }

    pub(super) fn item_moments<'p>(&'p self, posterior: &'p Posterior, item: usize) -> RowMoments<'p> {
        let row = item * self.model.rank..(item + 1) * self.model.rank;
        RowMoments {
            means: &self.model.item_factors[row.clone()],
            variances: &posterior.item_variances[row],
            bias_variance: posterior.item_bias_variances[item].into(),
            noise: posterior.noise,
        }
    }

    /// [`variance`](Self::variance) of any rows.
    pub(super) fn variance_of(
        &self,
        user: Option<RowMoments<'_>>,
        item: Option<RowMoments<'_>>,
    ) -> Option<(f64, f64)> {
        let model = self.model;
        let posterior = model.posterior.as_ref()?;
        if !model.kind.has_bias() && (user.is_none() || item.is_none()) {
            return None;
        }
        let mut sum = user.map_or(posterior.user_bias_prior, |row| row.bias_variance)
            + item.map_or(posterior.item_bias_prior, |row| row.bias_variance);
        let spread = (user.is_none() || item.is_none()).then(|| self.spread(posterior));
        for f in 0..model.rank {
            let moments = |row: Option<RowMoments<'_>>, prior: f64| {
                row.map_or((0.0, prior), |row| (f64::from(row.means[f]).powi(2), row.variances[f].into()))
            };
            let (u, du) = moments(user, spread.map_or(0.0, |spread| spread.users[f]));
            let (v, dv) = moments(item, spread.map_or(0.0, |spread| spread.items[f]));
            sum += du * v + u * dv + du * dv;
        }
        let noise = user.map_or(posterior.noise, |user| user.noise);
        Some((sum, (sum + noise) * posterior.factor().powi(2)))
    }

    /// How far the factors of someone unknown may be from 0.
    ///
    /// The prior variance; with the mask, whose sum is not known either, the mean of `ū² + ũ` over
    /// all rows with ratings, which has the prior means in it.
    fn spread(&self, posterior: &Posterior) -> &Spread {
        self.spread.get_or_init(|| {
            let model = self.model;
            if posterior.mask.is_none() {
                return Spread { users: posterior.user_prior.clone(), items: posterior.item_prior.clone() };
            }
            let known_user = |row: usize| self.knows_user(row as u32);
            let known_item = |row: usize| self.knows_item(row as u32);
            Spread {
                users: second_moments(&model.user_factors, &posterior.user_variances, model.rank, known_user),
                items: second_moments(&model.item_factors, &posterior.item_variances, model.rank, known_item),
            }
        })
    }
}

/// Means and variances of a user's row, or of an item's.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowMoments<'r> {
    /// Factors, `[k]`.
    pub(super) means: &'r [f32],
    /// Variances of the factors, `[k]`.
    pub(super) variances: &'r [f32],
    /// Variance of the bias.
    pub(super) bias_variance: f64,
    /// σ² of a user's ratings; of an item nothing is known but that of all.
    pub(super) noise: f64,
}

/// A variance for each factor, `[k]`.
#[derive(Debug)]
pub(super) struct Spread {
    users: Vec<f64>,
    items: Vec<f64>,
}

fn second_moments(means: &[f32], variances: &[f32], k: usize, known: impl Fn(usize) -> bool) -> Vec<f64> {
    let (mut sums, mut rows) = (vec![0.0; k], 0_u64);
    let both = means.chunks_exact(k).zip(variances.chunks_exact(k)).enumerate();
    for (_, (means, variances)) in both.filter(|&(row, _)| known(row)) {
        rows += 1;
        for (sum, (&mean, &variance)) in sums.iter_mut().zip(means.iter().zip(variances)) {
            *sum += f64::from(mean).powi(2) + f64::from(variance);
        }
    }
    sums.iter().map(|sum| sum / rows.max(1) as f64).collect()
}

impl Model {
    /// Sets the calibration from ratings that were held out of the training, so that the intervals
    /// for 90% cover at least that share of as many new ratings, on average (split conformal
    /// prediction). Returns it; `None` if the model has no posterior, or if there are fewer than 9
    /// ratings or no factor does it. The earlier calibration is dropped either way.
    ///
    /// Held-out ratings that chose between models, or when to stop, make it a little too narrow.
    ///
    /// # Source
    /// Lei, G'Sell, Rinaldo, Tibshirani & Wasserman 2018, section 2.2, with the score `|e|/std`.
    pub fn calibrate(&mut self, held: &Held) -> Option<Calibration> {
        self.posterior.as_mut()?.calibration = None;
        let predictor = self.predictor();
        let mut scores: Vec<f64> = (0..held.len())
            .into_par_iter()
            .filter_map(|p| {
                let prediction = predictor.predict(held.user[p], held.item[p]);
                predictor.score(&prediction, f64::from(held.value[p]))
            })
            .collect();
        // The smallest score that ⌈0.9(N + 1)⌉ of the N don't exceed.
        let wanted = ((scores.len() + 1) as f64 * CALIBRATED).ceil() as usize;
        if wanted > scores.len() {
            return None;
        }
        let (_, score, _) = scores.select_nth_unstable_by(wanted - 1, f64::total_cmp);
        let factor = *score / Level::calibrated().z;
        let calibration = (factor > 0.0 && factor.is_finite())
            .then_some(Calibration { factor, ratings: scores.len() as u64 });
        self.posterior.as_mut()?.calibration = calibration;
        calibration
    }
}

impl Predictor<'_> {
    /// How many standard deviations an interval must reach to cover the rating.
    ///
    /// A rating at an end of the range is covered as soon as the interval reaches that end.
    fn score(&self, prediction: &Prediction, rating: f64) -> Option<f64> {
        let std = prediction.rating_std?;
        let metadata = &self.model.metadata;
        let (least, greatest) = (f64::from(metadata.rating_min), f64::from(metadata.rating_max));
        let error = rating - prediction.unclipped;
        let distance = match self.model.clip {
            true if rating < least || rating > greatest => f64::INFINITY,
            true if rating == greatest && rating == least => 0.0,
            true if rating == greatest => error.max(0.0),
            true if rating == least => (-error).max(0.0),
            _ => error.abs(),
        };
        Some(if distance == 0.0 { 0.0 } else { distance / std })
    }
}

/// Measures how often the intervals of a level hold the rating. `None` is an id that the model
/// does not have. `None` if the model has no posterior or no rating has an interval.
pub fn interval_coverage(
    predictor: &Predictor<'_>,
    ratings: impl IntoIterator<Item = (Option<u32>, Option<u32>, f32)>,
    level: Level,
) -> Option<IntervalCoverage> {
    let predicted = ratings.into_iter().map(|(user, item, rating)| (predictor.predict(user, item), rating));
    coverage_of(predictor, predicted, level)
}

/// [`interval_coverage`] with the predictions at hand.
pub(crate) fn coverage_of(
    predictor: &Predictor<'_>,
    predicted: impl IntoIterator<Item = (Prediction, f32)>,
    level: Level,
) -> Option<IntervalCoverage> {
    let (mut count, mut covered, mut width, mut missed) = (0_u64, 0_u64, 0.0, 0.0);
    for (prediction, rating) in predicted {
        let Some(Interval { low, high }) = predictor.interval(&prediction, level) else { continue };
        let rating = f64::from(rating);
        count += 1;
        covered += u64::from((low..=high).contains(&rating));
        width += high - low;
        missed += (low - rating).max(rating - high).max(0.0);
    }
    let mean = |sum: f64| sum / count as f64;
    (count > 0).then(|| IntervalCoverage {
        ratings: count,
        share: mean(covered as f64),
        width: mean(width),
        score: mean(width) + 2.0 / (1.0 - level.level) * mean(missed),
    })
}

#[cfg(test)]
mod tests;
