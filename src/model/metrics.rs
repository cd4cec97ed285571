//! How far predictions are from ratings.

use rayon::prelude::*;

use super::predict::{Prediction, Predictor, Unknown, UnknownCounts};
use crate::error::{Error, Result};

/// A measure of error between predicted and actual ratings.
#[derive(Debug)]
pub struct Metric {
    /// The name on the command line and in files.
    pub name: &'static str,
    /// What it is, in a few words.
    pub summary: &'static str,
    /// The formula; r̂ predicted, r actual, N their number.
    pub formula: &'static str,
    /// Computes it from predicted and actual ratings: as many of one as of the other, at least one.
    pub compute: fn(predicted: &[f64], actual: &[f64]) -> f64,
}

/// Every metric. A new one is one entry here.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "rmse",
        summary: "root of the mean squared error, in rating units",
        formula: "√(Σ(r̂ − r)² / N)",
        compute: |predicted, actual| mean_of(predicted, actual, |error| error * error).sqrt(),
    },
    Metric {
        name: "mae",
        summary: "mean absolute error, in rating units",
        formula: "Σ|r̂ − r| / N",
        compute: |predicted, actual| mean_of(predicted, actual, f64::abs),
    },
];

fn mean_of(predicted: &[f64], actual: &[f64], of_error: impl Fn(f64) -> f64) -> f64 {
    let sum: f64 = predicted.iter().zip(actual).map(|(p, a)| of_error(p - a)).sum();
    sum / predicted.len() as f64
}

/// The accuracy of a model on ratings that it was given to predict.
#[derive(Debug, Clone, PartialEq)]
pub struct Accuracy {
    /// Ratings measured.
    pub count: u64,
    /// Ratings looked at, and those with an unknown user or item.
    pub unknown: UnknownCounts,
    /// The model's errors by metric, in the order of [`METRICS`]; empty if nothing was measured.
    pub values: Vec<(&'static str, f64)>,
    /// The errors of predicting the mean training rating for every pair, likewise.
    pub mean_baseline: Vec<(&'static str, f64)>,
    /// The errors of the bias baseline, likewise; `None` if the model's file has none.
    pub bias_baseline: Option<Vec<(&'static str, f64)>>,
}

impl Accuracy {
    /// The model's error by a metric's name; `None` if nothing was measured.
    pub fn get(&self, metric: &str) -> Option<f64> {
        self.values.iter().find(|(name, _)| *name == metric).map(|(_, value)| *value)
    }
}

/// Measures a model on ratings `(user, item, rating)` with indices of the model; `None` is an id
/// that it does not have. Predictions are clipped as the model clips them.
///
/// # Errors
/// [`Error::Usage`] if the policy is [`Unknown::Error`] and something is unknown.
pub fn evaluate(
    predictor: &Predictor<'_>,
    ratings: impl IntoIterator<Item = (Option<u32>, Option<u32>, f32)>,
    unknown: Unknown,
) -> Result<Accuracy> {
    let ratings: Vec<_> = ratings.into_iter().collect();
    let predictions: Vec<Prediction> =
        ratings.par_iter().map(|&(user, item, _)| predictor.predict(user, item)).collect();
    let accuracy = accuracy(predictor, &ratings, &predictions, unknown);
    let counts = accuracy.unknown;
    if unknown == Unknown::Error && counts.unknown() > 0 {
        return Err(Error::usage(
            format!("{} of {} ratings have an unknown user or item", counts.unknown(), counts.pairs),
            "pass --unknown mean or --unknown skip",
        ));
    }
    Ok(accuracy)
}

/// [`evaluate`] with the predictions at hand, `[N]` as the ratings; what the policy refuses is left out.
pub(crate) fn accuracy(
    predictor: &Predictor<'_>,
    ratings: &[(Option<u32>, Option<u32>, f32)],
    predictions: &[Prediction],
    unknown: Unknown,
) -> Accuracy {
    let mut counts = UnknownCounts::default();
    let baseline = predictor.model().bias_baseline();
    let (mut predicted, mut actual, mut by_bias) = (Vec::new(), Vec::new(), Vec::new());
    for (&prediction, &(user, item, rating)) in predictions.iter().zip(ratings) {
        // A refusal is counted, so that one message can say how many there are.
        if let Ok(Some(value)) = unknown.apply(prediction, &mut counts) {
            predicted.push(value);
            actual.push(f64::from(rating));
            by_bias.extend(baseline.as_ref().map(|baseline| baseline.predict(user, item)));
        }
    }
    let mean = vec![predictor.model().metadata.rating_mean; actual.len()];
    Accuracy {
        count: actual.len() as u64,
        unknown: counts,
        values: measure(&predicted, &actual),
        mean_baseline: measure(&mean, &actual),
        bias_baseline: baseline.map(|_| measure(&by_bias, &actual)),
    }
}

/// Every metric of predicted and actual ratings; nothing if there are none.
pub(super) fn measure(predicted: &[f64], actual: &[f64]) -> Vec<(&'static str, f64)> {
    if actual.is_empty() {
        return Vec::new();
    }
    METRICS.iter().map(|metric| (metric.name, (metric.compute)(predicted, actual))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::known_answers;
    use super::super::{BaselineBiases, Model};
    use super::*;
    use crate::config::ModelKind;

    #[test]
    fn known_answers_by_hand() {
        // Errors 3, −4, 0, 1: squares 26 / 4, absolutes 8 / 4.
        let values = measure(&[4.0, 1.0, 2.0, 3.0], &[1.0, 5.0, 2.0, 2.0]);
        assert_eq!(values, [("rmse", 6.5_f64.sqrt()), ("mae", 2.0)]);
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
    }

    #[test]
    fn evaluation_follows_the_policy_and_counts() {
        let model = known_answers(ModelKind::Biased);
        let predictor = model.predictor();
        // Predicted 3.75, 4.5 and, for the unknown user, 3.25.
        let ratings = [(Some(0), Some(0), 4.75), (Some(0), Some(1), 4.5), (Some(2), Some(0), 1.25)];

        let all = evaluate(&predictor, ratings, Unknown::Mean).unwrap();
        assert_eq!((all.count, all.unknown.users, all.unknown.pairs), (3, 1, 3));
        assert_eq!(all.get("mae"), Some(1.0));
        assert_eq!(all.get("rmse"), Some((5.0_f64 / 3.0).sqrt()));
        assert_eq!(all.mean_baseline[1], ("mae", (1.25 + 1.0 + 2.25) / 3.0));
        assert_eq!(all.bias_baseline, None);

        let known = evaluate(&predictor, ratings, Unknown::Skip).unwrap();
        assert_eq!((known.count, known.unknown.unknown()), (2, 1));
        assert_eq!(known.get("mae"), Some(0.5));

        let error = evaluate(&predictor, ratings, Unknown::Error).unwrap_err();
        assert!(error.to_string().starts_with("1 of 3 ratings have an unknown"), "{error}");
        assert!(evaluate(&predictor, ratings[..2].iter().copied(), Unknown::Error).is_ok());
    }

    #[test]
    fn the_bias_baseline_is_measured_on_the_same_ratings() {
        let biases = BaselineBiases { user_bias: vec![0.5, -1.0, 0.0], item_bias: vec![0.25, 0.0, 0.0] };
        let model = Model { baseline: Some(biases), ..known_answers(ModelKind::Biased) };
        let predictor = model.predictor();
        // 3.5 + 0.5 + 0.25, and 3.5 + 0.25 for the unknown user.
        let ratings = [(Some(0), Some(0), 4.0), (None, Some(0), 1.75)];
        let mae = |policy| evaluate(&predictor, ratings, policy).unwrap().bias_baseline.unwrap()[1];
        assert_eq!(mae(Unknown::Mean), ("mae", (0.25 + 2.0) / 2.0));
        assert_eq!(mae(Unknown::Skip), ("mae", 0.25));
    }

    #[test]
    fn nothing_measured_is_no_number() {
        let model = known_answers(ModelKind::Biased);
        let none = evaluate(&model.predictor(), [(None, None, 3.0)], Unknown::Skip).unwrap();
        assert_eq!((none.count, none.get("rmse"), none.get("no such")), (0, None, None));
        assert!(none.values.is_empty() && none.mean_baseline.is_empty());
    }
}
