//! What a model must beat: the mean and a bias for each user and item.

use rayon::prelude::*;

use super::Model;
use crate::data::{Cells, Layout, Ratings, Side, by_block};
use crate::error::Result;
use crate::world::together::running_sum;
use crate::world::{Alone, World};

/// Passes over both sides. On ml-100k the training RMSE is .9186 after one, .9176 after four, .9174 after ten.
const PASSES: usize = 4;

/// Rows that are worth a thread of their own.
const MIN_ROWS: usize = 64;

/// Rows whose sums processes add up at a time, each of all its blocks: 64 blocks' take 32 MiB.
const RANGE: usize = 1 << 16;

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

/// A [`BiasBaseline`] as a model's file keeps it: the rest stands in the metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineBiases {
    /// b, `[m]` in rating units; 0 without training ratings.
    pub user_bias: Vec<f32>,
    /// c, `[n]` in rating units; 0 without training ratings.
    pub item_bias: Vec<f32>,
}

impl BaselineBiases {
    /// One side's.
    pub fn of(&self, side: Side) -> &[f32] {
        match side {
            Side::Users => &self.user_bias,
            Side::Items => &self.item_bias,
        }
    }
}

impl BiasBaseline {
    /// The damping of the baseline that models are compared with.
    pub const DAMPING: f64 = 5.0;

    /// Fits the biases, the same for any number of threads.
    ///
    /// `damping`: λ ≥ 0, as many ratings of value `mean` as are added to each row. Without ratings
    /// every prediction is 0.
    pub fn fit(ratings: &Ratings, damping: f64) -> Self {
        Self::fit_sorted(&Layout::of(ratings), damping)
    }

    /// As [`fit`](Self::fit), of ratings that are sorted already.
    fn fit_sorted(ratings: &Layout, damping: f64) -> Self {
        match Self::fit_over(ratings, damping, &Alone) {
            Ok(baseline) => baseline,
            Err(error) => unreachable!("nobody else is asked: {error}"),
        }
    }

    /// As [`fit`](Self::fit), of users whom several processes have: each fits its own users' biases.
    ///
    /// # Errors
    /// As [`World::send`].
    pub(crate) fn fit_over(ratings: &Layout, damping: f64, world: &dyn World) -> Result<Self> {
        let Layout { by_user, by_item, stats, block, item_counts } = ratings;
        // Users' ratings are all here; items' may be here and there.
        let users = Rows { cells: by_user, block: usize::MAX, world: &Alone };
        let items = Rows { cells: by_item, block: *block, world };
        let counts = by_user.counts();
        let rating = |[_, bits]: [u32; 2]| f64::from(f32::from_bits(bits)) - stats.mean;
        let deviations = [users.sums(by_user, rating)?, items.sums(by_user, rating)?];
        let mut user_bias = vec![0.0; counts.len()];
        let mut item_bias = vec![0.0; item_counts.len()];
        for _ in 0..PASSES {
            let others = items.sums(by_user, |[user, _]| user_bias[user as usize])?;
            damped_means(&mut item_bias, &deviations[1], &others, item_counts, damping);
            let others = users.sums(by_user, |[item, _]| item_bias[item as usize])?;
            damped_means(&mut user_bias, &deviations[0], &others, &counts, damping);
        }
        Ok(Self { mean: stats.mean, user_bias, item_bias, range: (stats.min.into(), stats.max.into()) })
    }

    /// The biases for a model's file; `None` if one of them is beyond f32.
    pub fn biases(&self) -> Option<BaselineBiases> {
        let narrow = |biases: &[f64]| -> Option<Vec<f32>> {
            biases.iter().map(|&bias| Some(bias as f32).filter(|bias| bias.is_finite())).collect()
        };
        Some(BaselineBiases { user_bias: narrow(&self.user_bias)?, item_bias: narrow(&self.item_bias)? })
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

/// One side's ratings, by its rows.
struct Rows<'a> {
    cells: &'a Cells,
    /// Rows of the other side whose cells are summed apart.
    block: usize,
    /// Who has them.
    world: &'a dyn World,
}

impl Rows<'_> {
    /// The sum of a term over the ratings of each row, `[rows]`: all processes', block by block.
    fn sums(&self, by_user: &Cells, term: impl Fn([u32; 2]) -> f64 + Sync) -> Result<Vec<f64>> {
        let Self { cells, block, world } = *self;
        let rows = cells.offsets().len() - 1;
        if world.processes() == 1 {
            let each = (0..rows).into_par_iter().with_min_len(MIN_ROWS);
            return Ok(each.map(|row| by_blocks(cells.row(row), block, &term)).collect());
        }
        let users = by_user.offsets().len() - 1;
        let mut sums = Vec::with_capacity(rows);
        for range in (0..rows).step_by(RANGE).map(|first| first..rows.min(first + RANGE)) {
            let parts = (0..users).step_by(block).flat_map(|first| {
                let of_block = |row| {
                    let cells: &[[u32; 2]] = cells.row(row);
                    let before = |end: usize| cells.partition_point(|&[user, _]| (user as usize) < end);
                    sum(&cells[before(first)..before(first + block)], &term)
                };
                range.clone().into_par_iter().with_min_len(MIN_ROWS).map(of_block).collect::<Vec<f64>>()
            });
            sums.extend(running_sum(world, &parts.collect::<Vec<_>>(), range.len())?);
        }
        Ok(sums)
    }
}

/// Each row's damped mean of `r − mean − other`.
fn damped_means(biases: &mut [f64], deviations: &[f64], others: &[f64], counts: &[u64], damping: f64) {
    for (((bias, deviation), other), &count) in biases.iter_mut().zip(deviations).zip(others).zip(counts) {
        *bias = if count > 0 { (deviation - other) / (damping + count as f64) } else { 0.0 };
    }
}

/// The sums of blocks, see [`by_block`], added up in their order.
fn by_blocks(cells: &[[u32; 2]], block: usize, term: impl Fn([u32; 2]) -> f64) -> f64 {
    by_block(cells, block).map(|cells| sum(cells, &term)).fold(0.0, |all, part| all + part)
}

/// Four sums that don't wait for each other, in an order that is always the same.
fn sum(cells: &[[u32; 2]], term: impl Fn([u32; 2]) -> f64) -> f64 {
    let (fours, rest) = cells.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for four in fours {
        sums.iter_mut().zip(four).for_each(|(sum, &cell)| *sum += term(cell));
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&cell| term(cell)).sum::<f64>()
}

impl Model {
    /// The bias baseline of the training ratings; `None` in files from before it was kept.
    pub fn bias_baseline(&self) -> Option<BiasBaseline> {
        let BaselineBiases { user_bias, item_bias } = self.baseline.as_ref()?;
        let wide = |biases: &[f32]| biases.iter().copied().map(f64::from).collect();
        let metadata = &self.metadata;
        Some(BiasBaseline {
            mean: metadata.rating_mean,
            user_bias: wide(user_bias),
            item_bias: wide(item_bias),
            range: (metadata.rating_min.into(), metadata.rating_max.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ids, known_answers};
    use super::*;
    use crate::config::ModelKind;

    fn fit(ratings: &[(u32, u32, f32)], users: usize, items: usize, damping: f64) -> BiasBaseline {
        let name = |count: usize| ids(&(0..count).map(|at| at.to_string()).collect::<Vec<_>>());
        let ratings = Ratings {
            users: name(users),
            items: name(items),
            user: ratings.iter().map(|rating| rating.0).collect(),
            item: ratings.iter().map(|rating| rating.1).collect(),
            value: ratings.iter().map(|rating| rating.2).collect(),
            time: None,
        };
        BiasBaseline::fit(&ratings, damping)
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
            assert!(gradient.abs() < 2e-3, "item {item}: {gradient}");
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

    #[test]
    fn a_model_gives_its_baseline_back() {
        let model = known_answers(ModelKind::Biased);
        assert_eq!(model.bias_baseline(), None);
        let biases = BaselineBiases { user_bias: vec![0.5, -1.0, 0.0], item_bias: vec![0.25, 4.0, 0.0] };
        let model = Model { baseline: Some(biases.clone()), ..model };
        let baseline = model.bias_baseline().unwrap();
        assert_eq!(baseline.biases(), Some(biases));
        // The mean rating is 3.5, the range 1 to 5.
        assert_eq!(baseline.predict(Some(1), Some(0)), 2.75);
        assert_eq!(baseline.predict(Some(0), Some(1)), 5.0);
    }

    #[test]
    fn biases_beyond_f32_are_not_kept() {
        let ratings: Vec<_> =
            (0..400).map(|user| (user, user / 399, [f32::MAX, f32::MIN][user as usize / 399])).collect();
        let baseline = fit(&ratings, 400, 2, 0.0);
        assert!(baseline.item_bias[1] < f64::from(f32::MIN), "{:?}", baseline.item_bias);
        assert_eq!(baseline.biases(), None);
        assert!(fit(&ratings[..9], 400, 2, 0.0).biases().is_some());
    }
}
