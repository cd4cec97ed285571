//! New users and new items without training anew: their factors from their ratings, all else as it is.
//!
//! The answer is the exact minimum of the objective that the row would have had in training, with
//! the other side held fast. x̄ and x̃ are means and variances of the other side's factors, y the
//! row's ratings in units of the model less the other side's biases, n their number; a bias is one
//! factor more, with x̄ = 1 and x̃ = 0.
//!
//! | regularization | solves |
//! |---|---|
//! | learned | `(Σ x̄x̄ᵀ + diag(Σ x̃ + ρ))·w = Σ y·x̄ + ρ·M`, `ρ_f = σ²/p_f`; `w̃_f = σ²/H_ff` |
//! | fixed λ | `(Σ x̄x̄ᵀ + λ·nᵃ·I)·w = Σ y·x̄`, with λ of its own for the bias if it has one |
//!
//! H is the matrix in brackets, M the prior mean: 0, or of svdpp `n^(−½) Σ y_i` over the factors of
//! the mask. The noise of a new user is shrunk to that of all as in training:
//! `(10·σ² + Σ E[e²]) / (10 + n)`. What is not known to the model takes no part.
//!
//! Source: the objective is that of `optim/line_search/learn.rs` or of `optim/als.rs`; the solution
//! for a fixed λ is Hu, Koren & Volinsky 2008, section 4, with weights 1.

mod solve;

use self::solve::System;
use super::interval::RowMoments;
use super::posterior::{LEAST_VARIANCE, shrunk_noise};
use super::predict::dot;
use super::recommend::{Candidate, best};
use super::{Model, Part, Posterior, Prediction, Predictor, Side, TopN};
use crate::config::{MAX_RANK, RegScaling, WARM_UP_LAMBDA};
use crate::error::{Error, Result};

/// A new user, or a new item, as a row of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldedIn {
    /// The side that it is a row of.
    pub side: Side,
    /// Its factors, `[k]`, in units of the model: u or v.
    pub factors: Vec<f32>,
    /// Its bias, in units of the model; 0 where the kind has none.
    pub bias: f32,
    /// How certain that is; `None` where the model has no posterior.
    pub uncertainty: Option<FoldedUncertainty>,
    /// What it was folded in by: indices of the other side, ascending.
    pub rated: Vec<u32>,
    /// Ratings that took no part: their item, or user, has no training ratings.
    pub unknown: u64,
}

/// The posterior of a new row around its factors and its bias.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldedUncertainty {
    /// Variances of the factors, `[k]`.
    pub variances: Vec<f32>,
    /// Variance of the bias; 0 where the kind has none.
    pub bias_variance: f32,
    /// σ² of its ratings around their means, in units of `scale²`: of a user its own, shrunk to
    /// that of all.
    pub noise: f32,
}

/// An item for a new user, or a user for a new item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Its index.
    pub index: u32,
    /// The predicted rating in rating units, clipped if the model clips. The order of a list is
    /// that of the unclipped predictions.
    pub score: f64,
}

/// What pulls a row, in units where a rating's curvature is `x·x`.
struct Prior {
    /// ρ of each factor, and of the bias last, `[k + 1]`.
    precision: Vec<f64>,
    /// M, `[k + 1]`.
    mean: Vec<f64>,
}

impl Predictor<'_> {
    /// A new user's factors from their ratings, `(item's index, rating)` in any order.
    ///
    /// Items without training ratings, and indices that are not the model's, take no part and are
    /// counted. Of an item that occurs twice both ratings count. Without any known item the
    /// factors and the bias are 0. The call is a function of the model and the ratings alone, so
    /// that threads can share the predictor and fold in side by side; a user with n ratings costs
    /// `n·k²/2 + k³/6` multiply-adds.
    ///
    /// # Errors
    /// [`Error::Usage`] if a rating is not finite or too large, and if the model's file does not
    /// say what objective it minimises: an average of models, or a model with learned
    /// regularization of a version that did not keep its posterior.
    pub fn fold_in_user(&self, ratings: &[(u32, f32)]) -> Result<FoldedIn> {
        self.fold_in(Side::Users, ratings)
    }

    /// A new item's factors from its ratings, `(user's index, rating)`: as
    /// [`fold_in_user`](Self::fold_in_user) with the sides exchanged.
    ///
    /// # Errors
    /// As there.
    pub fn fold_in_item(&self, ratings: &[(u32, f32)]) -> Result<FoldedIn> {
        self.fold_in(Side::Items, ratings)
    }

    fn fold_in(&self, side: Side, ratings: &[(u32, f32)]) -> Result<FoldedIn> {
        if let Some((_, rating)) = ratings.iter().find(|(_, rating)| !rating.is_finite()) {
            return Err(Error::usage(format!("rating {rating} is not finite"), "pass finite ratings"));
        }
        let model = self.model;
        // Only averages have a higher rank; k² numbers are allocated below.
        if model.rank > MAX_RANK {
            return Err(average());
        }
        let knows = |index: u32| match side {
            Side::Users => self.knows_item(index),
            Side::Items => self.knows_user(index),
        };
        let mut known: Vec<(u32, f32)> = ratings.iter().copied().filter(|&(index, _)| knows(index)).collect();
        let unknown = (ratings.len() - known.len()) as u64;
        // One order for one set of ratings, so that equal sets give equal bits.
        known.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let other = Other::of(model, side);
        let prior = self.prior(side, &known)?;
        let (k, n) = (model.rank, known.len() as f64);
        let bias = model.kind.has_bias();

        let mut system = System::new(k + usize::from(bias));
        let scale = if model.scale > 0.0 { model.scale } else { 1.0 };
        let target = |index: u32, rating: f32| {
            (f64::from(rating) - model.mean) / scale - f64::from(other.bias[index as usize])
        };
        system.add(known.iter().map(|&(index, rating)| (other.row(index), target(index, rating))), bias);
        let mut extra = prior.precision.clone();
        // Σ x̃: how badly the other side is known holds a row back.
        let mut spread = vec![0.0; k + 1];
        if let Some(posterior) = &model.posterior {
            let (variances, _) = other.variances(posterior);
            for &(index, _) in &known {
                let row = &variances[index as usize * k..(index as usize + 1) * k];
                spread.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
            }
        }
        extra.iter_mut().zip(&spread).for_each(|(precision, sum)| *precision += sum);
        let squares = system.diagonal();
        let pull: Vec<f64> = prior.precision.iter().zip(&prior.mean).map(|(rho, mean)| rho * mean).collect();
        let mut solution = if known.is_empty() { prior.mean.clone() } else { system.solve(&extra, &pull) };
        solution.resize(k + 1, 0.0);

        let uncertainty = model.posterior.as_ref().map(|posterior| {
            let noise = posterior.noise.max(LEAST_VARIANCE);
            let h = |f: usize| squares.get(f).copied().unwrap_or(0.0) + extra[f];
            let variances: Vec<f64> = (0..=k).map(|f| noise / h(f)).collect();
            let bias_variance = if bias { variances[k] } else { 0.0 };
            let own = (side == Side::Users).then(|| {
                let errors = known.iter().map(|&(index, rating)| {
                    let product: f64 =
                        other.row(index).iter().zip(&solution).map(|(&x, w)| f64::from(x) * w).sum();
                    let unsure = f64::from(other.variances(posterior).1[index as usize]);
                    (target(index, rating) - product - solution[k]).powi(2) + unsure
                });
                let factors =
                    (0..k).map(|f| variances[f] * (squares[f] + spread[f]) + solution[f].powi(2) * spread[f]);
                let energy = errors.sum::<f64>() + factors.sum::<f64>() + bias_variance * n;
                shrunk_noise(noise, energy, n)
            });
            FoldedUncertainty {
                variances: variances[..k].iter().map(|&x| x as f32).collect(),
                bias_variance: bias_variance as f32,
                noise: own.unwrap_or(noise) as f32,
            }
        });
        let folded = FoldedIn {
            side,
            factors: solution[..k].iter().map(|&w| w as f32).collect(),
            bias: solution[k] as f32,
            uncertainty,
            rated: known.iter().map(|&(index, _)| index).collect(),
            unknown,
        };
        if folded.is_finite() {
            Ok(folded)
        } else {
            let what = "a rating is too large for the factors to stay finite";
            Err(Error::usage(what, "pass ratings in the units of those it was trained on"))
        }
    }

    /// What pulls a row with these ratings.
    fn prior(&self, side: Side, known: &[(u32, f32)]) -> Result<Prior> {
        let model = self.model;
        let k = model.rank;
        let mut mean = vec![0.0; k + 1];
        let Some(posterior) = &model.posterior else {
            let (lambda, lambda_bias, scaling) = fixed(model)?;
            let penalty = |lambda: f64| scaling.penalty(lambda, known.len() as u64);
            let mut precision = vec![penalty(lambda); k];
            precision.push(penalty(lambda_bias));
            return Ok(Prior { precision, mean });
        };
        let noise = posterior.noise.max(LEAST_VARIANCE);
        let (priors, bias_prior) = match side {
            Side::Users => (&posterior.user_prior, posterior.user_bias_prior),
            Side::Items => (&posterior.item_prior, posterior.item_bias_prior),
        };
        let precision = priors.iter().chain([&bias_prior]).map(|p| noise / p.max(LEAST_VARIANCE)).collect();
        if let Some(mask) = posterior.mask.as_ref().filter(|_| !known.is_empty()) {
            let factors = match side {
                Side::Users => &mask.user_mask_factors,
                Side::Items => &mask.item_mask_factors,
            };
            for &(index, _) in known {
                let row = &factors[index as usize * k..(index as usize + 1) * k];
                mean.iter_mut().zip(row).for_each(|(sum, &y)| *sum += f64::from(y));
            }
            let share = (known.len() as f64).sqrt().recip();
            mean.iter_mut().for_each(|sum| *sum *= share);
        }
        Ok(Prior { precision, mean })
    }

    /// The predicted rating of a new row and a row of the other side; `None` is an id that the
    /// model does not have. Unknown parts take no part, as in [`predict`](Self::predict).
    pub fn predict_for(&self, row: &FoldedIn, other: Option<u32>) -> Prediction {
        let model = self.model;
        let other = other.filter(|&index| match row.side {
            Side::Users => self.knows_item(index),
            Side::Items => self.knows_user(index),
        });
        // A row without ratings is as unknown as one that the model has never heard of.
        if row.rated.is_empty() {
            return match row.side {
                Side::Users => self.predict(None, other),
                Side::Items => self.predict(other, None),
            };
        }
        let unclipped = match other {
            Some(other) => self.unclipped_for(row, other as usize),
            None if model.kind.has_bias() => model.mean + model.scale * f64::from(row.bias),
            None => model.metadata.rating_mean,
        };
        let variance = model.posterior.as_ref().zip(row.uncertainty.as_ref());
        let variance = variance.and_then(|(posterior, uncertainty)| {
            let own = RowMoments {
                means: &row.factors,
                variances: &uncertainty.variances,
                bias_variance: uncertainty.bias_variance.into(),
                noise: uncertainty.noise.into(),
            };
            let other = other.map(|index| index as usize);
            match row.side {
                Side::Users => self.variance_of(Some(own), other.map(|i| self.item_moments(posterior, i))),
                Side::Items => self.variance_of(other.map(|u| self.user_moments(posterior, u)), Some(own)),
            }
        });
        let missing = if row.side == Side::Users { Part::Item } else { Part::User };
        Prediction {
            rating: self.clipped(unclipped),
            unknown: other.is_none().then_some(missing),
            unclipped,
            mean_std: variance.map(|(mean, _)| model.scale * mean.sqrt()),
            rating_std: variance.map(|(_, rating)| model.scale * rating.sqrt()),
        }
    }

    /// The best items for a new user, or the users who would rate a new item highest, best first:
    /// exactly `n`, or all there are. The query's indices are those of what is listed.
    ///
    /// What was folded in by is left out unless `include_seen`; what has no training ratings
    /// always is. Ties go to the lower index. A user of whom nothing is known gets the items with
    /// the greatest biases.
    pub fn recommend_for(&self, row: &FoldedIn, query: &TopN) -> Vec<Scored> {
        let mut listed = self.listable(row.side.other(), query);
        if !query.include_seen {
            listed.retain(|index| row.rated.binary_search(index).is_err());
        }
        let rated = listed
            .into_iter()
            .map(|index| Candidate { rating: self.unclipped_for(row, index as usize), item: index });
        let without = row.rated.is_empty() && !self.model.kind.has_bias();
        let score =
            |unclipped: f64| self.clipped(if without { self.model.metadata.rating_mean } else { unclipped });
        let best = best(rated, query.n).into_iter();
        best.map(|Candidate { rating, item }| Scored { index: item, score: score(rating) }).collect()
    }

    fn unclipped_for(&self, row: &FoldedIn, other: usize) -> f64 {
        let others = Other::of(self.model, row.side);
        let biases = f64::from(row.bias) + f64::from(others.bias[other]);
        self.model.mean + self.model.scale * (biases + dot(&row.factors, others.row(other as u32)))
    }
}

impl FoldedIn {
    fn is_finite(&self) -> bool {
        let unsure = self
            .uncertainty
            .iter()
            .flat_map(|unsure| unsure.variances.iter().chain([&unsure.bias_variance, &unsure.noise]));
        self.factors.iter().chain([&self.bias]).chain(unsure).all(|x| x.is_finite())
    }
}

/// The side that a row's ratings lead to.
struct Other<'m> {
    side: Side,
    rank: usize,
    factors: &'m [f32],
    bias: &'m [f32],
}

impl<'m> Other<'m> {
    fn of(model: &'m Model, side: Side) -> Self {
        let (factors, bias) = match side {
            Side::Users => (&model.item_factors, &model.item_bias),
            Side::Items => (&model.user_factors, &model.user_bias),
        };
        Self { side, rank: model.rank, factors, bias }
    }

    fn row(&self, index: u32) -> &'m [f32] {
        &self.factors[index as usize * self.rank..(index as usize + 1) * self.rank]
    }

    /// Variances of the factors and of the biases.
    fn variances<'p>(&self, posterior: &'p Posterior) -> (&'p [f32], &'p [f32]) {
        match self.side {
            Side::Users => (&posterior.item_variances, &posterior.item_bias_variances),
            Side::Items => (&posterior.user_variances, &posterior.user_bias_variances),
        }
    }
}

const AGAIN: &str = "train it again, without --average";

fn average() -> Error {
    Error::usage("an average of models can't fold in: its parts are not told apart", AGAIN)
}

/// λ of the factors, λ of the biases and how they grow with a row's ratings, of a model without
/// a posterior.
fn fixed(model: &Model) -> Result<(f64, f64, RegScaling)> {
    let settings = &model.metadata.settings;
    if settings.contains_key("average") {
        return Err(average());
    }
    let number = |key: &str| settings.get(key).and_then(|text| text.parse::<f64>().ok());
    if settings.get("reg").is_some_and(|reg| reg == "auto") {
        // Up to the end of the warm-up the penalty is fixed, whatever is learned after it.
        let kept = model.metadata.best_epoch.unwrap_or(model.metadata.epochs);
        if number("warm-up").is_some_and(|warm_up| f64::from(kept) <= warm_up) {
            return Ok((WARM_UP_LAMBDA, WARM_UP_LAMBDA, RegScaling::Sqrt));
        }
        let what = "the model learned its regularization, but its file is of a version that did not keep it";
        return Err(Error::usage(what, AGAIN));
    }
    let Some(lambda) = number("reg").filter(|lambda| *lambda >= 0.0) else {
        return Err(Error::usage("the model's file does not say how it was regularized", AGAIN));
    };
    let bias = number("reg_bias").filter(|lambda| *lambda >= 0.0).unwrap_or(lambda);
    let scalings = [RegScaling::Sqrt, RegScaling::None, RegScaling::Count];
    let scaling =
        settings.get("reg_scaling").and_then(|name| scalings.into_iter().find(|s| s.name() == name));
    Ok((lambda, bias, scaling.unwrap_or(RegScaling::Sqrt)))
}

#[cfg(test)]
mod tests;
