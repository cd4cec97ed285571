//! Variances against hand computations and draws; intervals and their calibration.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::super::testing::{known_answers, known_posterior, random_model, random_posterior};
use super::super::{Metadata, Part};
use super::*;
use crate::config::ModelKind;

fn known(kind: ModelKind) -> Model {
    Model { posterior: Some(known_posterior(kind)), ..known_answers(kind) }
}

fn level(level: f64) -> Level {
    Level::new(level).unwrap()
}

#[test]
fn known_answers_by_hand() {
    let model = known(ModelKind::Biased);
    let predictor = model.predictor();
    let stds = |user: &str, item: &str| {
        let prediction = predictor.predict_ids(user.as_bytes(), item.as_bytes());
        (prediction.mean_std.unwrap(), prediction.rating_std.unwrap())
    };
    let close = |(mean, rating): (f64, f64), variance: f64, noise: f64| {
        assert!((mean - 2.0 * variance.sqrt()).abs() < 1e-15, "{mean} for {variance}");
        assert!((rating - 2.0 * (variance + noise).sqrt()).abs() < 1e-15, "{rating} for {variance}");
    };
    // ann, x: ũ·v̄² = 0.5·0.25 + 0.25·0.0625; ū²·ṽ = 1·0.25 + 4·0.125; ũ·ṽ = 0.125 + 0.03125; b̃ + c̃.
    close(stds("ann", "x"), 0.140625 + 0.75 + 0.15625 + 0.0625 + 0.03125, 0.25);
    // bob, y: 0.125·0 + 0.25·0.25; 1·0.5 + 16·0.25; 0.0625 + 0.0625; and bob's own noise.
    close(stds("bob", "y"), 0.0625 + 4.5 + 0.125 + 0.125 + 0.25, 0.5);
    // Unknown user: ū = 0, ũ = p = (1, 0.5): 1·(0.25 + 0.25) + 0.5·(0.0625 + 0.125); p_b + c̃.
    close(stds("dot", "x"), 0.5 + 0.09375 + 0.5 + 0.03125, 0.25);
    close(stds("cid", "x"), 0.5 + 0.09375 + 0.5 + 0.03125, 0.25);
    // Unknown item: (0.5 + 1)·0.25 + (0.25 + 4)·2; b̃ + r_c.
    close(stds("ann", "z"), 0.375 + 8.5 + 0.0625 + 0.25, 0.25);
    // Nothing known: 1·0.25 + 0.5·2; p_b + r_c.
    close(stds("dot", "q"), 1.25 + 0.5 + 0.25, 0.25);
}

#[test]
fn the_mask_s_prior_means_widen_what_is_unknown() {
    let mut model = known(ModelKind::Svdpp);
    model.posterior.as_mut().unwrap().mask = random_posterior(&model, 1).mask;
    // Mean of ū² + ũ over ann and bob, not cid: (1.5 + 1.125)/2 and (4.25 + 16.25)/2.
    let variance: f64 = 1.3125 * 0.5 + 10.25 * 0.1875 + 0.5 + 0.03125;
    let std = model.predictor().predict_ids(b"dot", b"x").mean_std.unwrap();
    assert!((std - 2.0 * variance.sqrt()).abs() < 1e-15, "{std}");
}

#[test]
fn the_formula_is_the_variance_of_draws() {
    let draws = 100_000;
    for (seed, kind) in (0..4).zip(ModelKind::ALL) {
        let mut model = random_model(kind, 2, 2, 5, 1.0, seed);
        model.posterior = Some(random_posterior(&model, seed));
        let posterior = model.posterior.as_ref().unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = |mean: f32, variance: f32| -> f64 {
            let normal: f64 = rng.sample(StandardNormal);
            f64::from(mean) + f64::from(variance).sqrt() * normal
        };
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..draws {
            let mut value = draw(model.user_bias[1], posterior.user_bias_variances[1])
                + draw(model.item_bias[1], posterior.item_bias_variances[1]);
            for f in 5..10 {
                value += draw(model.user_factors[f], posterior.user_variances[f])
                    * draw(model.item_factors[f], posterior.item_variances[f]);
            }
            sum += value;
            squares += value * value;
        }
        let mean = sum / f64::from(draws);
        let std = model.scale * (squares / f64::from(draws) - mean * mean).sqrt();
        let prediction = model.predictor().predict(Some(1), Some(1));
        let expected = prediction.mean_std.unwrap();
        assert!((std / expected - 1.0).abs() < 0.02, "{}: {std} for {expected}", kind.name());
        let drawn = model.mean + model.scale * mean;
        assert!((drawn - prediction.unclipped).abs() < 0.02 * expected, "{}", kind.name());
    }
}

#[test]
fn without_a_posterior_nothing_is_made_up() {
    let model = known_answers(ModelKind::Biased);
    let predictor = model.predictor();
    let prediction = predictor.predict(Some(0), Some(0));
    assert_eq!((prediction.mean_std, prediction.rating_std), (None, None));
    assert_eq!(predictor.interval(&prediction, level(0.9)), None);
    assert_eq!(interval_coverage(&predictor, [(Some(0), Some(0), 3.0)], level(0.9)), None);
    assert_eq!(model.clone().calibrate(&Held::default()), None);
    // Nor where the prediction is the mean rating, which the factors don't know.
    for kind in [ModelKind::Plain, ModelKind::Centered] {
        let model = known(kind);
        let predictor = model.predictor();
        assert!(predictor.predict(Some(0), Some(0)).mean_std.is_some());
        let prediction = predictor.predict(Some(0), None);
        assert_eq!((prediction.unknown, prediction.rating_std), (Some(Part::Item), None), "{}", kind.name());
    }
}

#[test]
fn intervals_are_around_the_unclipped_rating_and_end_with_the_range() {
    let model = known(ModelKind::Biased);
    let predictor = model.predictor();
    let prediction =
        Prediction { rating: 5.0, unknown: None, unclipped: 5.5, mean_std: Some(0.5), rating_std: Some(1.0) };
    let Interval { low, high } = predictor.interval(&prediction, level(0.9)).unwrap();
    assert!((low - (5.5 - 1.644_853_626_951_472_7)).abs() < 1e-12 && high == 5.0, "{low} {high}");
    let far = Prediction { unclipped: 9.0, ..prediction };
    assert_eq!(predictor.interval(&far, level(0.9)), Some(Interval { low: 5.0, high: 5.0 }));
    let open = Model { clip: false, ..known(ModelKind::Biased) };
    let Interval { low, high } = open.predictor().interval(&far, level(0.5)).unwrap();
    assert!((high - low - 2.0 * 0.674_489_750_196_081_7).abs() < 1e-12 && low > 8.0);
}

#[test]
fn coverage_counts_widths_and_misses() {
    let (model, held) = at_distances(&[0.5, -1.5, 2.0, 0.0]);
    let ratings = held.value.iter().map(|&value| (Some(0), Some(1), value));
    let z = 0.674_489_750_196_081_7;
    let coverage = interval_coverage(&model.predictor(), ratings, level(0.5)).unwrap();
    assert_eq!((coverage.ratings, coverage.share), (4, 0.5));
    assert!((coverage.width - 2.0 * z).abs() < 1e-12);
    let missed = (1.5 - z + 2.0 - z) / 4.0;
    assert!((coverage.score - (2.0 * z + 4.0 * missed)).abs() < 1e-12, "{coverage:?}");
}

#[test]
fn levels_are_shares() {
    for bad in [0.0, 1.0, -0.1, 90.0, f64::NAN, f64::INFINITY] {
        let error = Level::new(bad).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
    }
    assert_eq!("0.9".parse::<Level>(), Ok(Level::calibrated()));
    assert!("ninety".parse::<Level>().is_err() && "90".parse::<Level>().is_err());
}

/// A model of one user and many items, all predicted 3 with variance 0 and the given noise, and
/// ratings at the given distances from it.
fn at_distances(errors: &[f64]) -> (Model, Held) {
    let mut model = random_model(ModelKind::Biased, 1, 2, 1, 1.0, 0);
    let mut posterior = random_posterior(&model, 0);
    for numbers in [&mut model.user_factors, &mut model.item_factors] {
        numbers.fill(0.0);
    }
    for numbers in [&mut model.user_bias, &mut model.item_bias] {
        numbers.fill(0.0);
    }
    for numbers in [
        &mut posterior.user_variances,
        &mut posterior.item_variances,
        &mut posterior.user_bias_variances,
        &mut posterior.item_bias_variances,
    ] {
        numbers.fill(0.0);
    }
    posterior.user_noise.fill(0.25);
    let held = Held {
        user: vec![Some(0); errors.len()],
        item: vec![Some(1); errors.len()],
        value: errors.iter().map(|error| (3.0 + error) as f32).collect(),
    };
    let metadata = Metadata { rating_min: 1.0, rating_max: 5.0, ..model.metadata.clone() };
    (Model { mean: 3.0, scale: 2.0, clip: true, posterior: Some(posterior), metadata, ..model }, held)
}

#[test]
fn calibration_is_the_quantile_of_held_out_errors() {
    // Of 19 scores the ⌈0.9·20⌉ = 18th smallest; the standard deviation is 2·√0.25 = 1.
    let errors: Vec<f64> =
        (1..=19).map(|i| f64::from(i) / 16.0 * if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let (mut model, held) = at_distances(&errors);
    let calibration = model.calibrate(&held).unwrap();
    assert_eq!(calibration.ratings, 19);
    assert!((calibration.factor - 18.0 / 16.0 / 1.644_853_626_951_472_7).abs() < 1e-12);
    assert_eq!(model.posterior.as_ref().unwrap().calibration, Some(calibration));
    assert_eq!(model.calibrate(&held), Some(calibration), "the earlier one has no part in it");
    let predictor = model.predictor();
    let prediction = predictor.predict(Some(0), Some(1));
    assert!((prediction.rating_std.unwrap() - calibration.factor).abs() < 1e-12);
    assert_eq!(prediction.mean_std, Some(0.0), "what is known of the mean stays");
    let ratings = held.value.iter().map(|&value| (Some(0), Some(1), value));
    // The 18th lies on its interval's end, to rounding.
    let coverage = interval_coverage(&predictor, ratings, level(0.9000001)).unwrap();
    assert_eq!((coverage.ratings, coverage.share), (19, 18.0 / 19.0));
}

#[test]
fn a_rating_at_the_end_of_the_range_is_covered_by_reaching_it() {
    // Predicted 6 and rated 5: the interval that is clipped to [5, 5] holds it.
    let (mut model, mut held) = at_distances(&[2.0; 20]);
    model.mean = 6.0;
    assert_eq!(model.calibrate(&held), None, "no factor is needed, and 0 is none");
    held.value[..6].fill(4.5);
    let calibration = model.calibrate(&held).unwrap();
    assert!((calibration.factor - 1.5 / 1.644_853_626_951_472_7).abs() < 1e-12, "{calibration:?}");
    // Ratings outside of the range that predictions are clipped to can't be covered.
    held.value.fill(5.5);
    assert_eq!(model.calibrate(&held), None);
    assert_eq!(model.posterior.as_ref().unwrap().factor(), 1.0);
}

#[test]
fn too_few_ratings_calibrate_nothing() {
    let (mut model, held) = at_distances(&[0.5; 8]);
    assert_eq!(model.calibrate(&held), None);
    let (mut model, held) = at_distances(&[0.5; 9]);
    assert!(model.calibrate(&held).is_some());
}
