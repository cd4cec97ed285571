//! What a ranking can be ordered by.

use super::super::{BiasBaseline, Predictor};

/// Gives every item a score for a user: the greater, the earlier in the ranking.
pub trait Scorer: Sync {
    /// Fills in the scores of all n items of the model for a user's index. None may be NaN. Those
    /// of items that are no candidates are not looked at.
    fn scores(&self, user: u32, scores: &mut [f64]);
}

/// By the prediction before clipping, as [`Predictor::recommend`] orders. The user and the items
/// that matter have training ratings.
impl Scorer for Predictor<'_> {
    fn scores(&self, user: u32, scores: &mut [f64]) {
        for (item, score) in scores.iter_mut().enumerate() {
            *score = self.unclipped(user as usize, item);
        }
    }
}

/// By `mean + b_u + c_i` before clipping: the same order for all users.
impl Scorer for BiasBaseline {
    fn scores(&self, user: u32, scores: &mut [f64]) {
        let base = self.mean + self.user_bias[user as usize];
        for (score, bias) in scores.iter_mut().zip(&self.item_bias) {
            *score = base + bias;
        }
    }
}

/// Scores items by their number of training ratings, for all users alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Popularity {
    counts: Vec<u64>,
}

impl Popularity {
    /// Of the ratings that a model was trained on.
    pub fn of(predictor: &Predictor<'_>) -> Self {
        let items = 0..predictor.model().items.len() as u32;
        Self { counts: items.map(|item| predictor.item_ratings(item)).collect() }
    }
}

impl Scorer for Popularity {
    fn scores(&self, _user: u32, scores: &mut [f64]) {
        for (score, &count) in scores.iter_mut().zip(&self.counts) {
            *score = count as f64;
        }
    }
}
