//! Counts and sums against their definitions, one rating at a time.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::config::ModelKind;
use crate::model::testing::{known_answers, random_model, random_posterior};
use crate::model::{BaselineBiases, Model};

/// A model with everything, and ratings to measure it on, some of them of nobody it knows.
fn example(seed: u64) -> (Model, Held) {
    let mut model = random_model(ModelKind::Biased, 40, 30, 3, 0.2, seed);
    model.posterior = Some(random_posterior(&model, seed));
    model.baseline = Some(BaselineBiases { user_bias: vec![0.25; 40], item_bias: vec![-0.5; 30] });
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut held = Held::default();
    for _ in 0..500 {
        held.user.push(rng.random_bool(0.95).then(|| rng.random_range(0..40)));
        held.item.push(rng.random_bool(0.95).then(|| rng.random_range(0..30)));
        held.value.push(rng.random_range(1..=5) as f32);
    }
    (model, held)
}

#[test]
fn groups_are_those_of_a_search_one_by_one() {
    for seed in 0..4 {
        let (model, held) = example(seed);
        let predictor = model.predictor();
        let measured = Measured::new(&predictor, &held, Part::Test).unwrap();
        let bias = model.bias_baseline().unwrap();
        let counts: [&dyn Fn(usize) -> u64; 2] =
            [&|at| held.user[at].map_or(0, |user| predictor.user_ratings(user)), &|at| {
                held.item[at].map_or(0, |item| predictor.item_ratings(item))
            }];
        for (groups, count) in [&measured.by_user, &measured.by_item].into_iter().zip(counts) {
            assert!(groups.len() > 2 && groups.is_sorted_by_key(|group| group.from), "{groups:?}");
            assert_eq!(groups.iter().map(|group| group.ratings).sum::<u64>(), 500);
            for group in groups {
                let to = if group.from == 0 { 1 } else { 2 * group.from };
                let mine: Vec<usize> = (0..500).filter(|&at| (group.from..to).contains(&count(at))).collect();
                assert_eq!(mine.len() as u64, group.ratings);
                let rmse = |of: &dyn Fn(usize) -> f64| {
                    let squares = mine.iter().map(|&at| (of(at) - f64::from(held.value[at])).powi(2));
                    (squares.sum::<f64>() / mine.len() as f64).sqrt()
                };
                let model = rmse(&|at| predictor.predict(held.user[at], held.item[at]).rating);
                let baseline = rmse(&|at| bias.predict(held.user[at], held.item[at]));
                assert!((group.rmse - model).abs() < 1e-12);
                assert!((group.bias_rmse.unwrap() - baseline).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn errors_and_intervals_are_those_of_evaluate() {
    let (model, held) = example(9);
    let predictor = model.predictor();
    let measured = Measured::new(&predictor, &held, Part::Test).unwrap();
    assert_eq!(measured.accuracy, crate::model::evaluate(&predictor, held.iter(), Unknown::Mean).unwrap());
    assert_eq!(measured.intervals.len(), LEVELS.len());
    for (level, coverage) in &measured.intervals {
        let level = Level::new(*level).unwrap();
        let expected = crate::model::interval_coverage(&predictor, held.iter(), level);
        assert_eq!(Some(*coverage), expected);
    }
}

#[test]
fn calibration_is_the_mean_of_what_was_predicted_alike() {
    let (model, held) = example(5);
    let predictor = model.predictor();
    let measured = Measured::new(&predictor, &held, Part::Test).unwrap();
    let bins = &measured.calibration;
    assert!(bins.len() > 3 && bins.is_sorted_by(|a, b| a.predicted < b.predicted));
    assert_eq!(bins.iter().map(|bin| bin.ratings).sum::<u64>(), 500);
    // Ratings weighted by bins are the ratings' mean, whatever the bins.
    let mean = |of: &dyn Fn(&Calibrated) -> f64| {
        bins.iter().map(|bin| of(bin) * bin.ratings as f64).sum::<f64>() / 500.0
    };
    let rated = held.value.iter().copied().map(f64::from).sum::<f64>() / 500.0;
    assert!((mean(&|bin| bin.rated) - rated).abs() < 1e-12);
    // A bin by hand: errors of the mean from a sample's deviation.
    let found = calibration(&[1.0, 3.0, 5.0, 2.0], &[1.0, 1.0, 1.0, 3.0]);
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].rated, found[0].ratings), (3.0, 3));
    // Sample variance (4 + 0 + 4)/2 = 4, of the mean 4/3.
    assert!((found[0].error.unwrap() - (4.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    assert_eq!(found[1].error, None);
}

#[test]
fn levels_have_bins_of_their_own() {
    let of = Distribution::new(&[1.0, 2.0, 2.0, 5.0], &[0.0, 1.49, 1.51, 9.0]);
    assert_eq!(of.middles, [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!((&of.ratings[..], &of.predictions[..]), (&[1, 2, 0, 0, 1][..], &[2, 1, 0, 0, 1][..]));
    let halves = Distribution::new(&[0.5, 1.0, 5.0], &[0.5]);
    assert_eq!((halves.middles.len(), halves.step()), (10, 0.5));
}

#[test]
fn ratings_of_any_kind_have_bins() {
    let odd: [&[f64]; 5] = [
        &[3.0],
        &[3.0, 3.0],
        &[1.0, 1.0 + 1e-9, 5.0],
        &[f64::from(f32::MIN), f64::from(f32::MAX)],
        &(0..1_000).map(|at| f64::from(at).sqrt()).collect::<Vec<_>>(),
    ];
    for ratings in odd {
        let of = Distribution::new(ratings, &[ratings[0]]);
        assert_eq!(of.ratings.iter().sum::<u64>(), ratings.len() as u64, "{ratings:?}");
        assert!(of.middles.len() <= MOST_LEVELS && of.middles.iter().all(|middle| middle.is_finite()));
        let residuals = residuals(ratings, ratings);
        let middle = RESIDUAL_BINS / 2;
        assert_eq!((residuals.counts[middle], residuals.mean), (ratings.len() as u64, 0.0));
    }
}

#[test]
fn residuals_beyond_the_range_are_in_the_last_bins() {
    let of = residuals(&[1.0, 5.0, 3.0], &[9.0, -9.0, 3.0]);
    assert_eq!((of.low, of.high), (-4.0, 4.0));
    assert_eq!((of.counts[0], of.counts[RESIDUAL_BINS / 2], of.counts[RESIDUAL_BINS - 1]), (1, 1, 1));
    assert_eq!(of.mean, 2.0);
}

#[test]
fn nothing_measured_is_nothing_shown() {
    let model = known_answers(ModelKind::Plain);
    assert_eq!(Measured::new(&model.predictor(), &Held::default(), Part::Test), None);
    let one = Held { user: vec![None], item: vec![None], value: vec![4.0] };
    let measured = Measured::new(&model.predictor(), &one, Part::Test).unwrap();
    assert_eq!((measured.by_user.len(), measured.by_user[0].label()), (1, "0".to_owned()));
    assert!(measured.intervals.is_empty() && measured.calibration[0].error.is_none());
    let label = |from| Group { from, ratings: 1, rmse: 1.0, bias_rmse: None }.label();
    assert_eq!([1, 2, 4, 1024].map(label), ["1", "2–3", "4–7", "1024–2047"]);
    assert_eq!(label(1 << 63), format!("{}–{}", 1_u64 << 63, u64::MAX));
}
