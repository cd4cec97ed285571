//! How far predictions are from known ratings, looked at from several sides.
//!
//! Every pair is predicted once; all pictures are counts and sums over these predictions, in the
//! order of the ratings, so that they are the same for any number of threads.

use rayon::prelude::*;

use crate::data::Held;
use crate::model::{
    Accuracy, IntervalCoverage, Level, Prediction, Predictor, Unknown, accuracy, coverage_of,
};

/// Most bins of ratings.
const MOST_LEVELS: usize = 20;
/// Bins of residuals; odd, so that one has 0 in its middle.
const RESIDUAL_BINS: usize = 41;
/// Bins of predictions whose ratings are averaged.
const CALIBRATION_BINS: usize = 20;
/// Shares for which intervals are measured.
const LEVELS: [f64; 7] = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

/// Which ratings errors were measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A test file, which took no part in training.
    Test,
    /// The validation part, which chose the best epoch and calibrated the intervals.
    Validation,
    /// Ratings that were not trained on, of a file that is not the training file.
    Unseen,
    /// The training ratings themselves, which say nothing of new ones.
    Training,
}

impl Part {
    /// The part in words, as in "measured on …".
    pub fn name(self) -> &'static str {
        match self {
            Part::Test => "the test ratings",
            Part::Validation => "the validation ratings",
            Part::Unseen => "ratings that were not trained on",
            Part::Training => "the training ratings",
        }
    }
}

/// All that is shown of the errors.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) part: Part,
    pub(super) accuracy: Accuracy,
    pub(super) distribution: Distribution,
    pub(super) residuals: Histogram,
    /// By the user's number of training ratings.
    pub(super) by_user: Vec<Group>,
    /// By the item's.
    pub(super) by_item: Vec<Group>,
    pub(super) calibration: Vec<Calibrated>,
    /// By level; empty where the model has no standard deviations.
    pub(super) intervals: Vec<(f64, IntervalCoverage)>,
}

/// Ratings and predictions counted in the same bins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Distribution {
    /// The bins' middles, ascending, evenly spaced.
    pub(super) middles: Vec<f64>,
    pub(super) ratings: Vec<u64>,
    pub(super) predictions: Vec<u64>,
}

/// Counts of equal bins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) counts: Vec<u64>,
    pub(super) mean: f64,
}

/// Ratings whose user, or item, has about so many training ratings.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    /// From so many training ratings on, to twice as many less one; 0: none.
    pub(super) from: u64,
    pub(super) ratings: u64,
    pub(super) rmse: f64,
    /// Of the bias baseline.
    pub(super) bias_rmse: Option<f64>,
}

/// Ratings whose predictions lie in a bin.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Calibrated {
    pub(super) predicted: f64,
    pub(super) rated: f64,
    /// Standard error of the mean rating; `None` of fewer than two ratings.
    pub(super) error: Option<f64>,
    pub(super) ratings: u64,
}

impl Measured {
    /// Predicts all ratings and counts; `None` if there are none.
    pub(super) fn new(predictor: &Predictor<'_>, held: &Held, part: Part) -> Option<Self> {
        let ratings: Vec<_> = held.iter().collect();
        if ratings.is_empty() {
            return None;
        }
        let predict = |&(user, item, _): &(Option<u32>, Option<u32>, f32)| predictor.predict(user, item);
        let predictions: Vec<Prediction> = ratings.par_iter().map(predict).collect();
        let predicted: Vec<f64> = predictions.iter().map(|prediction| prediction.rating).collect();
        let actual: Vec<f64> = held.value.iter().copied().map(f64::from).collect();
        let squares: Vec<f64> = predicted.iter().zip(&actual).map(|(p, a)| (a - p).powi(2)).collect();
        let bias_squares: Option<Vec<f64>> = predictor.model().bias_baseline().map(|bias| {
            let errors = ratings.iter().zip(&actual);
            errors.map(|(&(user, item, _), actual)| (actual - bias.predict(user, item)).powi(2)).collect()
        });
        let group = |count: &dyn Fn(usize) -> u64| {
            groups((0..ratings.len()).map(count), &squares, bias_squares.as_deref())
        };
        let of = |id: Option<u32>, count: &dyn Fn(u32) -> u64| id.map_or(0, count);
        let by_user = group(&|at| of(held.user[at], &|user| predictor.user_ratings(user)));
        let by_item = group(&|at| of(held.item[at], &|item| predictor.item_ratings(item)));
        let coverage = |&level: &f64| {
            let rated = predictions.iter().copied().zip(held.value.iter().copied());
            Some((level, coverage_of(predictor, rated, Level::new(level).ok()?)?))
        };
        Some(Self {
            part,
            accuracy: accuracy(predictor, &ratings, &predictions, Unknown::Mean),
            distribution: Distribution::new(&actual, &predicted),
            residuals: residuals(&actual, &predicted),
            by_user,
            by_item,
            calibration: calibration(&actual, &predicted),
            intervals: LEVELS.par_iter().filter_map(coverage).collect(),
        })
    }
}

impl Distribution {
    /// A bin for each level of the ratings, if they have few, else equal ones; what lies outside of
    /// the ratings is counted in the first and the last bin.
    fn new(actual: &[f64], predicted: &[f64]) -> Self {
        let (low, high) = range(actual);
        let mut levels: Vec<f64> = Vec::new();
        for &rating in actual {
            let at = levels.partition_point(|&level| level < rating);
            if levels.get(at) != Some(&rating) {
                levels.insert(at, rating);
            }
            if levels.len() > MOST_LEVELS {
                break;
            }
        }
        let gap = levels.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        let steps = (high - low) / gap;
        let bins = match levels.len() {
            1 => 1,
            2..=MOST_LEVELS if steps < MOST_LEVELS as f64 - 0.5 => steps.round() as usize + 1,
            _ => MOST_LEVELS,
        };
        let step = if bins > 1 { (high - low) / (bins - 1) as f64 } else { 1.0 };
        let count = |values: &[f64]| {
            let mut counts = vec![0; bins];
            for value in values {
                counts[place((value - low) / step + 0.5, bins)] += 1;
            }
            counts
        };
        let middles = (0..bins).map(|bin| low + step * bin as f64).collect();
        Self { middles, ratings: count(actual), predictions: count(predicted) }
    }

    /// The width of a bin.
    pub(super) fn step(&self) -> f64 {
        if let [first, second, ..] = self.middles[..] { second - first } else { 1.0 }
    }
}

/// Rating minus prediction, from minus to plus the ratings' range; what lies outside is counted in
/// the first and the last bin.
fn residuals(actual: &[f64], predicted: &[f64]) -> Histogram {
    let (low, high) = range(actual);
    let reach = if high > low { high - low } else { 1.0 };
    let mut counts = vec![0; RESIDUAL_BINS];
    let mut sum = 0.0;
    for (actual, predicted) in actual.iter().zip(predicted) {
        let residual = actual - predicted;
        sum += residual;
        counts[place((residual + reach) / (2.0 * reach) * RESIDUAL_BINS as f64, RESIDUAL_BINS)] += 1;
    }
    Histogram { low: -reach, high: reach, counts, mean: sum / actual.len().max(1) as f64 }
}

/// By powers of two of `count`, the training ratings of each rating's user or item.
fn groups(count: impl Iterator<Item = u64>, squares: &[f64], bias: Option<&[f64]>) -> Vec<Group> {
    let mut sums = [(0_u64, 0.0, 0.0); 65];
    for (at, count) in count.enumerate() {
        let group = &mut sums[(u64::BITS - count.leading_zeros()) as usize];
        group.0 += 1;
        group.1 += squares[at];
        group.2 += bias.map_or(0.0, |bias| bias[at]);
    }
    let rooted = |sum: f64, ratings: u64| (sum / ratings as f64).sqrt();
    let filled = (0_u32..).zip(sums).filter(|(_, (ratings, ..))| *ratings > 0);
    let group = |(bits, (ratings, sum, bias_sum)): (u32, (u64, f64, f64))| Group {
        from: if bits == 0 { 0 } else { 1 << (bits - 1) },
        ratings,
        rmse: rooted(sum, ratings),
        bias_rmse: bias.map(|_| rooted(bias_sum, ratings)),
    };
    filled.map(group).collect()
}

impl Group {
    /// The numbers of training ratings that it stands for: `0`, `1`, `2–3`, `4–7`, …
    pub(super) fn label(&self) -> String {
        match self.from {
            0 | 1 => self.from.to_string(),
            from => format!("{from}–{}", from - 1 + from),
        }
    }
}

/// Mean rating by predicted rating, in equal bins of what was predicted.
fn calibration(actual: &[f64], predicted: &[f64]) -> Vec<Calibrated> {
    let (low, high) = range(predicted);
    let width = (high - low) / CALIBRATION_BINS as f64;
    let mut bins = vec![(0_u64, 0.0, 0.0); CALIBRATION_BINS];
    let bin = |value: f64| {
        let position = if width > 0.0 { (value - low) / width } else { 0.0 };
        place(position, CALIBRATION_BINS)
    };
    for (actual, &predicted) in actual.iter().zip(predicted) {
        let (count, sum, rated) = &mut bins[bin(predicted)];
        *count += 1;
        *sum += predicted;
        *rated += actual;
    }
    let mut squares = vec![0.0; CALIBRATION_BINS];
    for (actual, &predicted) in actual.iter().zip(predicted) {
        let at = bin(predicted);
        squares[at] += (actual - bins[at].2 / bins[at].0 as f64).powi(2);
    }
    let filled = bins.into_iter().zip(squares).filter(|((count, ..), _)| *count > 0);
    filled
        .map(|((count, predicted, rated), squares)| {
            let n = count as f64;
            let error = (count > 1).then(|| (squares / (n - 1.0) / n).sqrt());
            Calibrated { predicted: predicted / n, rated: rated / n, error, ratings: count }
        })
        .collect()
}

fn range(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    (low, values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// The bin of a position, the ends' for what lies outside.
fn place(position: f64, bins: usize) -> usize {
    (position.max(0.0) as usize).min(bins - 1)
}

#[cfg(test)]
mod tests;
