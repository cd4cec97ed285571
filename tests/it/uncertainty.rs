//! What training learns of its own uncertainty: the same on every device, kept
//! in files, and right about ratings that were held out.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use deltav::backend::Backend;
use deltav::backend::gpu::GpuOptions;
use deltav::config::{ModelKind, Reg, TrainConfig};
use deltav::data::planted::Planted;
use deltav::data::{Held, Ratings};
use deltav::event::Silent;
use deltav::model::{Explore, Level, Model, Posterior, interval_coverage};
use deltav::train::{Dataset, train};

use crate::support::compare::{FACTORS, assert_close_f32};
use crate::support::devices;
use crate::support::problems;

/// Variances, priors and noise after 30 epochs, all of size 1, on GPU and CPU.
/// Measured: below 2e-6; rounding of f32 sums, as for the factors.
const VARIANCES: f64 = FACTORS;

/// The mask's factors alone: they follow the gauge, whose rounding is beside its gaps. Measured: 2e-4.
const MASK_FACTORS: f64 = 1e-3;

fn config(model: ModelKind, rank: usize, epochs: u32) -> TrainConfig {
    TrainConfig {
        model: Some(model),
        rank,
        epochs: Some(epochs),
        reg: Some(Reg::Auto),
        ..TrainConfig::default()
    }
}

fn run(config: &TrainConfig, train_part: &Ratings, valid: Option<&Held>, backend: &mut dyn Backend) -> Model {
    let data = Dataset { train: train_part.clone(), valid: valid.cloned(), test: None };
    train(config.clone().check().unwrap(), &data, backend, &mut Silent).unwrap()
}

fn planted(users: usize, items: usize, ratings: usize, rank: usize) -> Ratings {
    Planted::new(users, items, ratings).rank(rank).seed(11).generate().unwrap().ratings
}

/// All of a posterior's numbers, by name.
fn numbers(posterior: &Posterior) -> Vec<(&'static str, Vec<f32>)> {
    let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<_>>();
    let mut all = vec![
        ("ũ", posterior.user_variances.clone()),
        ("ṽ", posterior.item_variances.clone()),
        ("b̃", posterior.user_bias_variances.clone()),
        ("c̃", posterior.item_bias_variances.clone()),
        ("σ_u²", posterior.user_noise.clone()),
        ("p", narrow(&posterior.user_prior)),
        ("r", narrow(&posterior.item_prior)),
        ("σ², p_b, r_c", narrow(&[posterior.noise, posterior.user_bias_prior, posterior.item_bias_prior])),
    ];
    if let Some(mask) = &posterior.mask {
        all.push(("Y of users", mask.user_mask_factors.clone()));
        all.push(("Y of items", mask.item_mask_factors.clone()));
    }
    all
}

#[test]
fn every_device_learns_the_same_variances() {
    let ratings = planted(90, 60, 2_000, 2);
    for model in ModelKind::ALL {
        let config = config(model, 3, 30);
        let cpu = run(&config, &ratings, None, &mut devices::cpu(2));
        let expected = numbers(cpu.posterior.as_ref().unwrap());
        for (device, mut backend) in devices::gpus() {
            let gpu = run(&config, &ratings, None, &mut *backend);
            let actual = numbers(gpu.posterior.as_ref().unwrap());
            assert_eq!(actual.len(), expected.len());
            for ((name, actual), (_, expected)) in actual.iter().zip(&expected) {
                let tolerance = if name.starts_with('Y') { MASK_FACTORS } else { VARIANCES };
                assert_close_f32(&format!("{model:?}: {name} of {device}"), actual, expected, tolerance);
            }
        }
    }
}

#[test]
fn shards_are_put_together_in_order() {
    let ratings = planted(90, 60, 2_000, 2);
    let config = config(ModelKind::Svdpp, 3, 10);
    let whole = run(&config, &ratings, None, &mut devices::cpu(2));
    let expected = numbers(whole.posterior.as_ref().unwrap());
    for adapter in devices::adapters() {
        let options =
            GpuOptions { max_buffer_bytes: Some(1024), max_workgroups: None, ..GpuOptions::default() };
        let sharded = run(&config, &ratings, None, &mut devices::gpu(&adapter, &options));
        for ((name, actual), (_, expected)) in
            numbers(sharded.posterior.as_ref().unwrap()).iter().zip(&expected)
        {
            assert_close_f32(name, actual, expected, VARIANCES);
        }
    }
}

#[test]
fn more_ratings_are_more_certain_and_none_leave_the_prior() {
    let ratings = planted(200, 100, 5_000, 2);
    // The last user of the ids loses all ratings.
    let last = ratings.users.len() as u32 - 1;
    let kept: Vec<usize> = (0..ratings.len()).filter(|&p| ratings.user[p] != last).collect();
    let part = Ratings {
        user: kept.iter().map(|&p| ratings.user[p]).collect(),
        item: kept.iter().map(|&p| ratings.item[p]).collect(),
        value: kept.iter().map(|&p| ratings.value[p]).collect(),
        ..ratings
    };
    let model = run(&config(ModelKind::Biased, 3, 20), &part, None, &mut devices::cpu(2));
    let posterior = model.posterior.as_ref().unwrap();
    let total = |user: usize| posterior.user_variances[user * 3..][..3].iter().sum::<f32>();
    let counts = part.user_counts();
    let by_count = |fewest: bool| {
        let rated = (0..counts.len()).filter(|&user| counts[user] > 0);
        if fewest { rated.min_by_key(|&user| counts[user]) } else { rated.max_by_key(|&user| counts[user]) }
            .unwrap()
    };
    assert!(total(by_count(false)) < 0.5 * total(by_count(true)));
    // Its variances are the priors of the last epoch, which has learned new ones since.
    let prior: f64 = posterior.user_prior.iter().sum();
    assert!(
        (f64::from(total(last as usize)) / prior - 1.0).abs() < 0.1,
        "{} for {prior}",
        total(last as usize)
    );
    assert!((f64::from(posterior.user_noise[last as usize]) / posterior.noise - 1.0).abs() < 1e-6);
    let predictor = model.predictor();
    let (known, unknown) =
        (predictor.predict(Some(by_count(false) as u32), Some(0)), predictor.predict(None, Some(0)));
    assert!(known.mean_std < unknown.mean_std && unknown.mean_std < unknown.rating_std);
}

#[test]
fn every_shape_has_a_posterior_that_can_be_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.model");
    let mut cases = problems::awkward();
    let mut equal = cases[7].clone();
    equal.name = "all ratings equal";
    equal.ratings.value.fill(3.5);
    cases.push(equal);
    for case in cases {
        for model in ModelKind::ALL {
            let what = format!("{}, {model:?}", case.name);
            let model = run(&config(model, 4, 26), &case.ratings, None, &mut devices::cpu(2));
            model.save(&path, true).unwrap_or_else(|error| panic!("{what}: {error}"));
            let predictor = model.predictor();
            let rated = case.ratings.user.iter().zip(&case.ratings.item);
            for (&user, &item) in rated {
                let prediction = predictor.predict(Some(user), Some(item));
                let (mean, rating) = (prediction.mean_std.unwrap(), prediction.rating_std.unwrap());
                assert!(mean > 0.0 && rating > mean && rating < 10.0, "{what}: {prediction:?}");
            }
        }
    }
}

#[test]
fn only_learned_regularization_has_a_posterior() {
    let ratings = planted(60, 40, 800, 2);
    let fixed = TrainConfig { reg: Some(Reg::Fixed(1.2)), ..config(ModelKind::Biased, 3, 20) };
    let gd = TrainConfig { optimizer: "gd".to_owned(), ..fixed.clone() };
    for without in [fixed, gd, config(ModelKind::Svdpp, 3, 0), config(ModelKind::Svdpp, 3, 3)] {
        let model = run(&without, &ratings, None, &mut devices::cpu(1));
        assert_eq!(model.posterior, None, "{without:?}");
        let error = model.predictor().explore_index(0, 3, true, Explore::Ucb { z: 1.0 }).unwrap_err();
        assert!(error.to_string().contains("--reg auto"), "{error}");
    }
    let first = run(&config(ModelKind::Svdpp, 3, 4), &ratings, None, &mut devices::cpu(1));
    assert!(first.posterior.is_some_and(|posterior| posterior.mask.is_some()));
}

#[test]
fn a_trained_posterior_comes_back_bit_for_bit() {
    let (part, valid) = planted(60, 40, 800, 2).split(0.1, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.model");
    for model in [ModelKind::Biased, ModelKind::Svdpp] {
        let model = run(&config(model, 3, 12), &part, Some(&valid), &mut devices::cpu(2));
        assert_eq!(model.posterior.as_ref().unwrap().calibration.unwrap().ratings, 80);
        model.save(&path, true).unwrap();
        let loaded = Model::load(&path).unwrap();
        assert_eq!(loaded, model);
        let again = folder.path().join("again.model");
        loaded.save(&again, true).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap());
        let explore = Explore::Thompson { seed: 3 };
        let list = |model: &Model| model.predictor().explore_index(1, 9, true, explore).unwrap();
        assert_eq!(list(&loaded), list(&model));
    }
}

#[test]
fn intervals_for_90_percent_cover_90_percent() {
    let split = Planted::new(800, 500, 60_000).seed(21).generate().unwrap().split(0.2, 21).unwrap();
    let (part, valid) = split.train.split(0.1, 21).unwrap();
    let model = run(&config(ModelKind::Svdpp, 16, 26), &part, Some(&valid), &mut devices::cpu(4));
    let predictor = model.predictor();
    let test: Vec<_> = (0..split.test.len())
        .map(|p| (split.test.user[p], split.test.item[p], split.test.value[p]))
        .collect();
    for (level, least, greatest) in [(0.5, 0.46, 0.54), (0.9, 0.87, 0.93), (0.99, 0.98, 0.998)] {
        let coverage =
            interval_coverage(&predictor, test.iter().copied(), Level::new(level).unwrap()).unwrap();
        assert_eq!(coverage.ratings, 12_000);
        assert!((least..=greatest).contains(&coverage.share), "{level}: {coverage:?}");
        assert!(coverage.width > 0.5 && coverage.width < 4.0, "{level}: {coverage:?}");
    }
}
