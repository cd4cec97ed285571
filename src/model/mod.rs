//! A trained model: what it predicts, its file, and what it answers.

mod export;
mod file;
mod metrics;
mod predict;
mod recommend;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::ModelKind;
use crate::data::{Compressed, Ids};

pub use export::ExportFormat;
pub use metrics::{Accuracy, METRICS, Metric};
pub use predict::{Prediction, Unknown};
pub use recommend::Recommendation;

/// A matrix factorisation with everything that a prediction needs.
///
/// `r̂ = mean + scale·(b_u + c_i + u·v)`, clipped to the range of the training
/// ratings if `clip`. A user or an item without training ratings counts as
/// unknown: its factors and its bias take no part.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The form of a prediction.
    pub kind: ModelKind,
    /// Number k of latent factors.
    pub rank: usize,
    /// The m users' ids.
    pub users: Ids,
    /// The n items' ids.
    pub items: Ids,
    /// U, `[m, k]` row-major, in units of √scale… of the standardised rating.
    pub user_factors: Vec<f32>,
    /// V, `[n, k]` row-major.
    pub item_factors: Vec<f32>,
    /// b, `[m]`; zeros where the kind has no biases.
    pub user_bias: Vec<f32>,
    /// c, `[n]`; zeros where the kind has no biases.
    pub item_bias: Vec<f32>,
    /// μ in rating units; 0 for plain.
    pub mean: f64,
    /// s in rating units; 1 for plain.
    pub scale: f64,
    /// Whether predictions are clipped to `metadata.rating_min..=rating_max`.
    pub clip: bool,
    /// Which items each user rated in the training part: `[m]` rows of item indices.
    pub seen: Compressed,
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
    pub settings: BTreeMap<String, String>,
    /// Epochs that ran.
    pub epochs: u32,
    /// Last measured errors by name: `train_rmse`, `valid_rmse`, `test_rmse`.
    pub metrics: BTreeMap<String, f64>,
    /// RMSE by epoch: `(epoch, train, valid)`.
    pub curve: Vec<(u32, Option<f64>, Option<f64>)>,
    /// The device that trained it.
    pub device: String,
}
