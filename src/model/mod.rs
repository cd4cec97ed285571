//! A trained model: what it predicts, its file, and what it answers.
//!
//! [`Model::load`] and [`Model::save`] read and write its file,
//! [`Model::predictor`] makes it ready to predict and to recommend,
//! [`evaluate`] measures it, [`Model::card`] describes it and [`EXPORTS`] are
//! the formats that other programs read.

mod baseline;
#[cfg(feature = "report")]
mod call;
mod card;
mod curve;
mod explore;
mod export;
mod file;
mod fold_in;
mod interval;
mod metrics;
mod names;
mod normal;
pub(crate) mod posterior;
mod predict;
mod ranking;
mod recommend;
mod similar;
pub(crate) mod tensors;
mod top_n;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{MAX_AVERAGE, MAX_RANK, ModelKind};
use crate::data::{Compressed, Ids, Side};

pub use baseline::{BaselineBiases, BiasBaseline};
pub use card::{Card, CardSection};
pub use curve::CurvePoint;
pub use explore::{Explore, Explored, ExploredList};
pub use export::{EXPORTS, ExportFormat};
pub use fold_in::{FoldedIn, FoldedUncertainty, Scored};
#[cfg(feature = "report")]
pub(crate) use interval::coverage_of;
pub use interval::{Interval, IntervalCoverage, Level, interval_coverage};
#[cfg(feature = "report")]
pub(crate) use metrics::accuracy;
pub use metrics::{Accuracy, METRICS, Metric, evaluate};
pub use posterior::{Calibration, MaskFactors, Posterior};
pub use predict::{Part, Prediction, Predictor, Unknown, UnknownCounts};
pub use ranking::{
    Popularity, RANKING_METRICS, Ranked, Ranking, RankingCompute, RankingCounts, RankingMetric,
    RankingOptions, RankingReport, RankingTask, RankingTop, Scorer, evaluate_ranking,
};
pub use recommend::Recommendation;
pub use similar::{Neighbor, Neighborhood, Similarity};
#[cfg(feature = "cli")]
pub(crate) use top_n::lists_at_once;
pub use top_n::{TopList, TopN, TopNCounts};

/// The greatest rank of a model: an average lines up the factors of its parts.
const MAX_MODEL_RANK: usize = MAX_RANK * MAX_AVERAGE as usize;

/// A matrix factorisation with everything that a prediction needs.
///
/// `r̂ = mean + scale·(b_u + c_i + u·v)`, clipped to the range of the training
/// ratings if `clip`. A user or an item without training ratings counts as
/// unknown: its factors and its bias take no part.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The form of a prediction.
    pub kind: ModelKind,
    /// Number k of latent factors: 1 to [`MAX_RANK`], of an average up to [`MAX_AVERAGE`] times that.
    pub rank: usize,
    /// The m users' ids.
    pub users: Ids,
    /// The n items' ids.
    pub items: Ids,
    /// The items' names, `[n]`, in UTF-8: for people, empty where there is none, and not always distinct.
    pub item_names: Option<Ids>,
    /// U, `[m, k]` row-major. `u·v` is in units of `scale`, as the biases are.
    pub user_factors: Vec<f32>,
    /// V, `[n, k]` row-major.
    pub item_factors: Vec<f32>,
    /// b, `[m]`; zeros where the kind has no biases.
    pub user_bias: Vec<f32>,
    /// c, `[n]`; zeros where the kind has no biases.
    pub item_bias: Vec<f32>,
    /// μ in rating units; 0 for plain.
    pub mean: f64,
    /// s ≥ 0 in rating units; 1 for plain, 0 if all training ratings are equal.
    pub scale: f64,
    /// Whether predictions are clipped to `metadata.rating_min..=rating_max`.
    pub clip: bool,
    /// Which items each user rated in the training part: `[m]` rows of item indices, ascending, each once.
    pub seen: Compressed,
    /// How certain the model is, if it learned its regularization (`--reg auto`).
    pub posterior: Option<Posterior>,
    /// The biases of the baseline to compare with; `None` in files from before there were any.
    pub baseline: Option<BaselineBiases>,
    /// Where the model comes from.
    pub metadata: Metadata,
}

/// Where a model comes from. Holds no clock and no path, so that the same run
/// writes the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Version of the crate that trained it.
    pub version: String,
    /// SHA-256 of the training ratings, in hex.
    pub data_hash: String,
    /// Training ratings.
    pub ratings: u64,
    /// Least training rating.
    pub rating_min: f32,
    /// Greatest training rating.
    pub rating_max: f32,
    /// Mean training rating: the prediction where nothing is known.
    pub rating_mean: f64,
    /// Seed of the initial factors and of the split.
    pub seed: u64,
    /// Name of the optimiser.
    pub optimizer: String,
    /// Every other setting by name, as text.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Epochs that ran.
    pub epochs: u32,
    /// The epoch whose factors the model has, where it was chosen for its error;
    /// `None`: the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_epoch: Option<u32>,
    /// That epoch's errors by name: `train_rmse`, `valid_rmse`, `test_rmse`, in rating units.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// RMSE by epoch.
    #[serde(default)]
    pub curve: Vec<CurvePoint>,
    /// The device that trained it.
    #[serde(default)]
    pub device: String,
}

impl Model {
    /// Checks that the parts fit each other and that every number is finite.
    ///
    /// Returns what is wrong, in words. [`Model::save`] and [`Model::load`] both call it, so that
    /// whatever is saved can be loaded, and whatever is loaded can predict.
    pub fn check(&self) -> Result<(), String> {
        let (m, n, k) = (self.users.len(), self.items.len(), self.rank);
        if k == 0 {
            return Err("rank is 0".to_owned());
        }
        if k > MAX_MODEL_RANK {
            return Err(format!("rank is {k}, which is more than {MAX_MODEL_RANK}"));
        }
        if m > u32::MAX as usize || n > u32::MAX as usize {
            return Err(format!("{m} users and {n} items are more than 32 bits number"));
        }
        check_numbers("user_factors", &self.user_factors, m.checked_mul(k))?;
        check_numbers("item_factors", &self.item_factors, n.checked_mul(k))?;
        check_numbers("user_bias", &self.user_bias, Some(m))?;
        check_numbers("item_bias", &self.item_bias, Some(n))?;
        check_pattern(&self.seen, m, n)?;
        if let Some(posterior) = &self.posterior {
            posterior.check(m, n, k)?;
        }
        if let Some(names) = &self.item_names {
            if names.len() != n {
                return Err(format!("item_names holds {} names for {n} items", names.len()));
            }
            if let Some(at) = names.iter().position(|name| std::str::from_utf8(name).is_err()) {
                return Err(format!("item_names holds bytes that are not UTF-8 at position {at}"));
            }
        }
        if let Some(baseline) = &self.baseline {
            check_numbers("baseline_user_bias", &baseline.user_bias, Some(m))?;
            check_numbers("baseline_item_bias", &baseline.item_bias, Some(n))?;
        }

        // Ratings are f32, and so is the size of everything computed from them.
        let rating = |value: f64| value.abs() <= f64::from(f32::MAX);
        if !rating(self.mean) {
            return Err(format!("mean is {}", self.mean));
        }
        if !(rating(self.scale) && self.scale >= 0.0) {
            return Err(format!("scale is {}", self.scale));
        }
        let Metadata { rating_min, rating_max, rating_mean, metrics, curve, .. } = &self.metadata;
        if !(rating_min.is_finite() && rating_max.is_finite() && rating_min <= rating_max) {
            return Err(format!("ratings range from {rating_min} to {rating_max}"));
        }
        if !rating(*rating_mean) {
            return Err(format!("rating_mean is {rating_mean}"));
        }
        let curve = curve.iter().flat_map(|point| [&point.train, &point.valid, &point.test]).flatten();
        if !metrics.values().chain(curve).all(|value| value.is_finite()) {
            return Err("a measured error is not finite".to_owned());
        }
        Ok(())
    }
}

fn check_numbers(name: &str, values: &[f32], count: Option<usize>) -> Result<(), String> {
    if Some(values.len()) != count {
        return Err(format!("{name} holds {} numbers, not one for each row and factor", values.len()));
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(format!("{name} holds {} at position {at}", values[at])),
        None => Ok(()),
    }
}

fn check_pattern(seen: &Compressed, rows: usize, columns: usize) -> Result<(), String> {
    let Compressed { offsets, columns: indices, .. } = seen;
    if Some(offsets.len()) != rows.checked_add(1)
        || offsets.first() != Some(&0)
        || offsets.last() != Some(&(indices.len() as u64))
        || !offsets.is_sorted()
    {
        return Err("seen_offsets do not divide seen_items into one row for each user".to_owned());
    }
    if let Some(index) = indices.iter().find(|&&index| index as usize >= columns) {
        return Err(format!("seen_items holds item {index} of {columns}"));
    }
    let row = |ends: &[u64]| indices[ends[0] as usize..ends[1] as usize].is_sorted_by(|a, b| a < b);
    if offsets.windows(2).all(row) {
        Ok(())
    } else {
        Err("seen_items are not in order, each once".to_owned())
    }
}

#[cfg(test)]
pub(crate) mod testing;
