//! What a model must beat: the mean and a bias for each user and item.

/// Passes over both sides. On ml-100k the training RMSE is .9186 after one, .9174 after ten.
const PASSES: usize = 10;

/// `r̂ = mean + b_u + c_i`, clipped to the range of the training ratings; no factors.
///
/// Minimises `Σ(r − mean − b_u − c_i)² + λ·(Σb_u² + Σc_i²)` by alternating over items and users:
/// each bias is the damped mean of what the other side leaves, `Σ(r − mean − other) / (λ + n)`.
///
/// # Source
/// Koren, Bell & Volinsky 2009, "Matrix Factorization Techniques for Recommender Systems", biases.
#[derive(Debug, Clone, PartialEq)]
pub struct BiasBaseline {
    /// Mean training rating.
    pub mean: f64,
    /// b, `[m]` in rating units; 0 without training ratings.
    pub user_bias: Vec<f64>,
    /// c, `[n]` in rating units; 0 without training ratings.
    pub item_bias: Vec<f64>,
    range: (f64, f64),
}

impl BiasBaseline {
    /// The damping that `train` and `demo` compare with.
    pub const DAMPING: f64 = 5.0;

    /// Fits the biases to `(user, item, rating)`, walking over a clone of the iterator in each pass.
    ///
    /// `users`, `items`: the sizes m and n; indices lie below them. `damping`: λ ≥ 0, as many
    /// ratings of value `mean` as are added to each row. Without ratings every prediction is 0.
    pub fn fit<R>(ratings: &R, users: usize, items: usize, damping: f64) -> Self
    where
        R: Iterator<Item = (u32, u32, f32)> + Clone,
    {
        let mut user_counts = vec![0.0; users];
        let mut item_counts = vec![0.0; items];
        let (mut sum, mut count) = (0.0, 0.0);
        let mut range = (f64::INFINITY, f64::NEG_INFINITY);
        for (user, item, rating) in ratings.clone() {
            let rating = f64::from(rating);
            user_counts[user as usize] += 1.0;
            item_counts[item as usize] += 1.0;
            sum += rating;
            count += 1.0;
            range = (range.0.min(rating), range.1.max(rating));
        }
        if count == 0.0 {
            let (user_bias, item_bias) = (user_counts, item_counts);
            return Self { mean: 0.0, user_bias, item_bias, range: (0.0, 0.0) };
        }
        let mean = sum / count;
        let mut user_bias = vec![0.0; users];
        let mut item_bias = vec![0.0; items];
        for _ in 0..PASSES {
            let mut sums = vec![0.0; items];
            for (user, item, rating) in ratings.clone() {
                sums[item as usize] += f64::from(rating) - mean - user_bias[user as usize];
            }
            damped_means(&mut item_bias, &sums, &item_counts, damping);
            let mut sums = vec![0.0; users];
            for (user, item, rating) in ratings.clone() {
                sums[user as usize] += f64::from(rating) - mean - item_bias[item as usize];
            }
            damped_means(&mut user_bias, &sums, &user_counts, damping);
        }
        Self { mean, user_bias, item_bias, range }
    }

    /// The predicted rating; the bias of an unknown user or item takes no part.
    pub fn predict(&self, user: Option<u32>, item: Option<u32>) -> f64 {
        let bias = |biases: &[f64], index: Option<u32>| {
            index.and_then(|index| biases.get(index as usize)).copied().unwrap_or(0.0)
        };
        let rating = self.mean + bias(&self.user_bias, user) + bias(&self.item_bias, item);
        rating.max(self.range.0).min(self.range.1)
    }

    /// Its errors on `(user, item, rating)` by metric, in the order of
    /// [`METRICS`](super::METRICS); empty if there are no ratings.
    pub fn evaluate(
        &self,
        ratings: impl IntoIterator<Item = (Option<u32>, Option<u32>, f32)>,
    ) -> Vec<(&'static str, f64)> {
        let (predicted, actual): (Vec<_>, Vec<_>) = ratings
            .into_iter()
            .map(|(user, item, rating)| (self.predict(user, item), f64::from(rating)))
            .unzip();
        super::metrics::measure(&predicted, &actual)
    }
}

fn damped_means(biases: &mut [f64], sums: &[f64], counts: &[f64], damping: f64) {
    for ((bias, sum), count) in biases.iter_mut().zip(sums).zip(counts) {
        *bias = if *count > 0.0 { sum / (damping + count) } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(ratings: &[(u32, u32, f32)], users: usize, items: usize, damping: f64) -> BiasBaseline {
        BiasBaseline::fit(&ratings.iter().copied(), users, items, damping)
    }

    #[test]
    fn known_answer_by_hand() {
        // Mean 3; items (2 − 3)/(1 + 1) and (4 − 3)/(1 + 1); what is left of the user cancels.
        let baseline = fit(&[(0, 0, 2.0), (0, 1, 4.0)], 2, 3, 1.0);
        assert_eq!(baseline.mean, 3.0);
        assert_eq!(baseline.item_bias, [-0.5, 0.5, 0.0]);
        assert_eq!(baseline.user_bias, [0.0, 0.0]);
        assert_eq!(baseline.predict(Some(0), Some(1)), 3.5);
        assert_eq!(baseline.predict(None, Some(0)), 2.5);
        assert_eq!(baseline.predict(Some(99), None), 3.0);
        assert_eq!(baseline.evaluate([(Some(0), Some(0), 2.0)])[1], ("mae", 0.5));
    }

    #[test]
    fn additive_ratings_without_damping_are_met_exactly() {
        let (b, c) = ([0.5, -1.0, 0.5], [1.0, 0.0, -0.5, -0.5]);
        let ratings: Vec<_> =
            (0..12_u32).map(|at| (at / 4, at % 4, 3.0 + b[at as usize / 4] + c[at as usize % 4])).collect();
        let baseline = fit(&ratings, 3, 4, 0.0);
        for (user, item, rating) in ratings {
            assert!((baseline.predict(Some(user), Some(item)) - f64::from(rating)).abs() < 1e-12);
        }
    }

    #[test]
    fn the_biases_are_where_the_objective_is_flat() {
        // An irregular pattern: every third cell is missing.
        let ratings: Vec<_> =
            (0..60_u32).filter(|at| at % 3 != 0).map(|at| (at / 10, at % 10, (at * 7 % 5) as f32)).collect();
        let lambda = 2.0;
        let baseline = fit(&ratings, 6, 10, lambda);
        for user in 0..6_u32 {
            let bias = baseline.user_bias[user as usize];
            let errors = ratings.iter().filter(|r| r.0 == user).map(|&(_, item, rating)| {
                f64::from(rating) - baseline.mean - bias - baseline.item_bias[item as usize]
            });
            let gradient = errors.sum::<f64>() - lambda * bias;
            assert!(gradient.abs() < 1e-9, "user {user}: {gradient}");
        }
        for item in 0..10_u32 {
            let bias = baseline.item_bias[item as usize];
            let errors = ratings.iter().filter(|r| r.1 == item).map(|&(user, _, rating)| {
                f64::from(rating) - baseline.mean - bias - baseline.user_bias[user as usize]
            });
            let gradient = errors.sum::<f64>() - lambda * bias;
            assert!(gradient.abs() < 1e-3, "item {item}: {gradient}");
        }
    }

    #[test]
    fn predictions_stay_in_the_range_of_the_ratings() {
        let baseline = fit(&[(0, 0, 5.0), (0, 1, 5.0), (1, 0, 5.0), (1, 1, 1.0), (2, 1, 1.0)], 3, 2, 0.0);
        for user in 0..3 {
            for item in 0..2 {
                assert!((1.0..=5.0).contains(&baseline.predict(Some(user), Some(item))));
            }
        }
    }

    #[test]
    fn no_ratings_give_no_nan() {
        let baseline = fit(&[], 2, 2, 0.0);
        assert_eq!(baseline.predict(Some(0), Some(0)), 0.0);
        assert!(baseline.evaluate([]).is_empty());
    }
}
