//! How far an f32 score can be from the truth.

use super::super::Model;
use super::super::predict::dot;

/// Bounds the ratings of items whose f32 scores a device found to be low.
///
/// A score `c + Σ_f u_f·v_f` of k + 1 products in any order, each operation
/// rounded by at most ε, is off by at most `γ·(‖u‖·‖v‖ + |c|)`, `γ = nε/(1 − nε)`
/// with n = k + 2 (Higham 2002, section 3.1, and Cauchy–Schwarz). WGSL leaves
/// the direction of rounding open, so ε is 2⁻²³, and lets devices take numbers
/// below 2⁻¹²⁶ for 0.
#[derive(Debug)]
pub(super) struct Bound<'a> {
    model: &'a Model,
    item_norm: f64, // the greatest ‖v‖
    item_bias: f64, // the greatest |c|
}

impl<'a> Bound<'a> {
    /// For these items.
    pub(super) fn new(model: &'a Model, items: &[u32]) -> Self {
        let k = model.rank;
        let norm = |&item: &u32| norm(&model.item_factors[item as usize * k..(item as usize + 1) * k]);
        let bias = |&item: &u32| f64::from(model.item_bias[item as usize].abs());
        let item_norm = items.iter().map(norm).fold(0.0, f64::max);
        let item_bias = items.iter().map(bias).fold(0.0, f64::max);
        Self { model, item_norm, item_bias }
    }

    /// What no unclipped prediction for the user can exceed, as f64 computes it, of an item whose
    /// f32 score is at most `score`. `None` where f32 may overflow.
    pub(super) fn ceiling(&self, user: usize, score: f32) -> Option<f64> {
        let Model { rank: k, mean, scale, .. } = *self.model;
        let u = norm(&self.model.user_factors[user * k..(user + 1) * k]);
        let bias = f64::from(self.model.user_bias[user]);
        let size = u * self.item_norm + self.item_bias;
        if size > 2f64.powi(126) {
            return None;
        }
        let rounding = (k + 2) as f64 * 2f64.powi(-23);
        let flushed = (k + 1) as f64 * (2.0 + u + self.item_norm + self.item_bias) * 2f64.powi(-124);
        // A little more, for the rounding of these very lines.
        let error = 1.001 * (size * rounding / (1.0 - rounding) + flushed);
        let in_f64 = (k + 16) as f64 * 2f64.powi(-52) * (mean.abs() + scale * (bias.abs() + size));
        Some(mean + scale * (bias + f64::from(score) + error) + in_f64)
    }
}

/// `‖x‖₂`.
fn norm(x: &[f32]) -> f64 {
    dot(x, x).sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::random_model;
    use super::*;
    use crate::config::ModelKind;

    /// Sums in another order and with every rounding upwards stay below the ceiling, and it is tight.
    #[test]
    fn the_ceiling_is_above_every_rounded_score_and_close_to_it() {
        for (seed, kind) in (0..40).zip(ModelKind::ALL.into_iter().cycle()) {
            let rank = [1, 5, 32, 200][seed as usize % 4];
            let model = random_model(kind, 3, 30, rank, 1.0, seed);
            let items: Vec<u32> = (0..30).collect();
            let bound = Bound::new(&model, &items);
            let predictor = model.predictor();
            for (user, item) in (0..3).flat_map(|user| (0..30).map(move |item| (user, item))) {
                let products: Vec<f32> = (0..rank)
                    .map(|f| model.user_factors[user * rank + f] * model.item_factors[item * rank + f])
                    .chain([model.item_bias[item]])
                    .collect();
                let rating = predictor.unclipped(user, item);
                let forwards: f32 = products.iter().sum();
                let backwards: f32 = products.iter().rev().sum();
                let down = products.iter().fold(0.0f32, |sum, x| (sum + x).next_down());
                for score in [forwards, backwards, down] {
                    let ceiling = bound.ceiling(user, score).unwrap();
                    assert!(ceiling >= rating, "{ceiling} is below {rating}");
                    assert!(ceiling - rating < 1e-5 * (rank + 1) as f64, "{ceiling} is far from {rating}");
                }
            }
        }
    }

    #[test]
    fn what_may_overflow_has_no_ceiling() {
        let mut model = random_model(ModelKind::Plain, 1, 2, 2, 1.0, 1);
        model.user_factors = vec![1e20; 2];
        model.item_factors = vec![1e17; 4];
        assert!(Bound::new(&model, &[0, 1]).ceiling(0, 1e37).is_some());
        model.item_factors = vec![1e18; 4];
        assert_eq!(Bound::new(&model, &[0, 1]).ceiling(0, 1e38), None);
    }
}
