//! Ratings of any size, from subnormal numbers to the largest: a model is
//! trained, in which everything is finite, or one line says why not.

use deltav::backend::Backend;
use deltav::backend::gpu::GpuOptions;
use deltav::config::{ModelKind, Reg, TrainConfig};
use deltav::data::{Held, Ratings};
use deltav::event::Event;
use deltav::model::{
    BiasBaseline, EXPORTS, Level, Model, Neighborhood, Prediction, Predictor, Similarity, TopN, Unknown,
    evaluate, interval_coverage,
};
use deltav::optim::{OPTIMIZERS, OptimizerSpec};
use deltav::output::Output;
use deltav::train::{Dataset, train};
use deltav::{Error, Result};

use crate::support::{devices, problems};

/// Ratings of a size.
struct Case {
    name: &'static str,
    ratings: Ratings,
    /// Whether plain can have them.
    plain: bool,
}

/// The same pattern with other values: each from the one before, 0.5 to 5, and its place.
fn with(value: impl Fn(f32, usize) -> f32) -> Ratings {
    let base = problems::random(14, 11, 0.6, 71);
    let value = base.value.iter().enumerate().map(|(p, &rating)| value(rating, p)).collect();
    Ratings { value, ..base }
}

fn cases() -> Vec<Case> {
    let case = |name, plain, ratings: Ratings| {
        assert!(ratings.value.iter().all(|value| value.is_finite()), "{name}");
        Case { name, ratings, plain }
    };
    vec![
        case("the least numbers", false, with(|r, _| r * 2.0 * 1e-45)),
        case("subnormal", false, with(|r, _| r * 1e-40)),
        case("1e-30", false, with(|r, _| r * 1e-30)),
        case("1e-11", true, with(|r, _| r * 1e-11)),
        case("1e-3", true, with(|r, _| r * 1e-3)),
        case("1e11", true, with(|r, _| r * 1e11)),
        case("1e20", false, with(|r, _| r * 1e20)),
        case("1e30", false, with(|r, _| r * 1e30)),
        case("near the largest", false, with(|r, _| r / 5.0 * f32::MAX)),
        case("largest and least", false, with(|_, p| if p % 3 == 0 { f32::MAX } else { f32::MIN })),
        case("1e30 beside 1", false, with(|r, p| if p == 17 { 1e30 } else { r })),
        case("1 beside 1e-30", true, with(|r, p| if p == 17 { 1.0 } else { r * 1e-30 })),
        case("both signs", true, with(|r, p| if p % 2 == 0 { r } else { -r })),
        case("1e9 and a little", true, with(|r, _| 1e9 + 64.0 * (2.0 * r).floor())),
        case("2^24 and a little", true, with(|r, _| 16_777_210.0 + r.round())),
        case("1 and the least beyond", true, with(|_, p| if p % 2 == 0 { 1.0 } else { 1.0 + f32::EPSILON })),
        case("all 1e30", false, with(|_, _| 1e30)),
        case("all 0", true, with(|_, _| 0.0)),
        case("all but one 0", false, with(|_, p| if p == 5 { 1e-42 } else { 0.0 })),
    ]
}

fn split(ratings: &Ratings) -> Dataset {
    let (rest, test) = ratings.clone().split(0.15, 3).unwrap();
    let (train, valid) = rest.split(0.2, 4).unwrap();
    Dataset { train, valid: Some(valid), test: Some(test) }
}

fn config(spec: &OptimizerSpec, model: ModelKind, reg: Reg) -> TrainConfig {
    TrainConfig {
        model: Some(model),
        optimizer: spec.name.to_owned(),
        rank: 3,
        epochs: Some(9),
        reg: Some(reg),
        ..TrainConfig::default()
    }
}

/// Every kind with every optimiser and both ways to regularise, as far as they go together.
fn configs() -> Vec<TrainConfig> {
    let mut all = Vec::new();
    for spec in OPTIMIZERS {
        for model in ModelKind::ALL {
            for reg in [Reg::Auto, Reg::Fixed(0.0), Reg::Fixed(1.2)] {
                let config = config(spec, model, reg);
                if config.clone().check().is_ok() {
                    all.push(config);
                }
            }
        }
    }
    assert!(all.len() > 30, "{}", all.len());
    all
}

/// Trains; every number of every event must be one.
fn run(what: &str, config: &TrainConfig, data: &Dataset, backend: &mut dyn Backend) -> Result<Model> {
    let number = |x: Option<f64>| assert!(x.is_none_or(f64::is_finite), "{what}: an event says {x:?}");
    let mut listen = |event: &Event| match event {
        Event::Epoch(epoch) => {
            [epoch.train_rmse, epoch.valid_rmse, epoch.test_rmse, Some(epoch.ratings_per_second)]
                .into_iter()
                .for_each(number);
        }
        Event::Stopped(end) => {
            [end.last.train_rmse, end.kept.train_rmse, end.kept.valid_rmse, end.kept.test_rmse]
                .into_iter()
                .for_each(number);
        }
        _ => {}
    };
    train(config.clone().check().unwrap(), data, backend, &mut listen)
}

fn finite(what: &str, values: impl IntoIterator<Item = f64>) {
    for value in values {
        assert!(value.is_finite(), "{what}: {value}");
    }
}

fn prediction(what: &str, predictor: &Predictor<'_>, prediction: &Prediction) {
    let Prediction { rating, unclipped, mean_std, rating_std, .. } = *prediction;
    finite(what, [rating, unclipped].into_iter().chain(mean_std).chain(rating_std));
    for level in [0.5, 0.99] {
        if let Some(interval) = predictor.interval(prediction, Level::new(level).unwrap()) {
            finite(what, [interval.low, interval.high]);
            assert!(interval.low <= interval.high, "{what}: {interval:?}");
        }
    }
}

/// Asks a model for all that it can say.
fn ask(what: &str, model: &Model, ratings: &Ratings, held: &Held, backend: &mut dyn Backend) {
    model.check().unwrap_or_else(|why| panic!("{what}: {why}"));
    let predictor = model.predictor();
    let (m, n) = (model.users.len() as u32, model.items.len() as u32);
    let pairs = || (0..held.len()).map(|p| (held.user[p], held.item[p], held.value[p]));
    for user in (0..m).map(Some).chain([None]) {
        for item in (0..n).map(Some).chain([None]) {
            prediction(what, &predictor, &predictor.predict(user, item));
        }
    }
    let measured = evaluate(&predictor, pairs(), Unknown::Mean).unwrap();
    let baselines = measured.mean_baseline.iter().chain(measured.bias_baseline.iter().flatten());
    finite(what, measured.values.iter().chain(baselines).map(|(_, value)| *value));
    finite(what, BiasBaseline::fit(ratings, 5.0).evaluate(pairs()).iter().map(|(_, value)| *value));
    if model.posterior.is_some() {
        let covered = interval_coverage(&predictor, pairs(), Level::new(0.9).unwrap()).unwrap();
        finite(what, [covered.share, covered.width, covered.score]);
    }
    let users: Vec<u32> = (0..m).collect();
    let mut lists = Vec::new();
    let query = TopN { n: 4, include_seen: true, ..TopN::default() };
    predictor
        .top_n(&users, &query, backend, |some| {
            lists.extend_from_slice(some);
            Ok(())
        })
        .unwrap();
    for list in &lists {
        finite(what, list.items.iter().map(|best| best.score));
        assert_eq!(list.items, predictor.recommend_index(list.user, 4, true), "{what}, user {}", list.user);
    }
    for similarity in [Similarity::Cosine, Similarity::Dot] {
        let wanted = Neighborhood { similarity, ..Neighborhood::default() };
        for item in (0..n).filter(|&item| predictor.knows_item(item)) {
            let near = predictor.similar_items(item, &wanted).unwrap();
            finite(what, near.iter().map(|neighbor| neighbor.similarity));
        }
    }
    // The first user's ratings as a newcomer's, and ratings of quite another size.
    let own: Vec<(u32, f32)> = (0..ratings.len())
        .filter(|&p| ratings.user[p] == 0)
        .map(|p| (ratings.item[p], ratings.value[p]))
        .collect();
    for factor in [1.0, 0.0, 1e-30, f32::MAX] {
        let newcomer: Vec<(u32, f32)> =
            own.iter().map(|&(item, value)| (item, (value * factor).clamp(f32::MIN, f32::MAX))).collect();
        match predictor.fold_in_user(&newcomer) {
            Ok(row) => {
                for item in (0..n).map(Some).chain([None]) {
                    prediction(what, &predictor, &predictor.predict_for(&row, item));
                }
                finite(what, predictor.recommend_for(&row, &query).iter().map(|best| best.score));
            }
            Err(error) => {
                let text = error.to_string();
                assert!(factor != 1.0 && error.exit_code() == 2 && !text.contains('\n'), "{what}: {text}");
            }
        }
    }
}

/// A file of it and every export: read back or refused in one line.
fn write(what: &str, model: &Model, folder: &std::path::Path) {
    let path = folder.join("model");
    model.save(&path, true).unwrap();
    assert!(Model::load(&path).unwrap() == *model, "{what}");
    for format in EXPORTS {
        let side = format.one_sided().then_some(deltav::data::Side::Users);
        let output = Output::create(folder.join("export"), true).unwrap();
        if let Err(error) = format.write(model, side, output) {
            let text = error.to_string();
            assert!(text.contains("does not fit into f32") && !text.contains('\n'), "{what}: {text}");
        }
    }
}

#[test]
fn ratings_of_any_size_train_or_are_refused_in_one_line() {
    let mut cpu = devices::cpu(2);
    let folder = tempfile::tempdir().unwrap();
    for Case { name, ratings, plain } in cases() {
        let data = split(&ratings);
        for config in configs() {
            let kind = config.model.unwrap();
            let what = format!("{name}, {}, {}, {:?}", kind.name(), config.optimizer, config.reg.unwrap());
            match run(&what, &config, &data, &mut cpu) {
                Ok(model) => {
                    assert!(plain || kind != ModelKind::Plain, "{what}");
                    ask(&what, &model, &data.train, data.test.as_ref().unwrap(), &mut cpu);
                    write(&what, &model, folder.path());
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(!text.contains('\n'), "{what}: {text}");
                    assert_eq!(kind, ModelKind::Plain, "{what}: {text}");
                    match error {
                        Error::Usage { .. } => {
                            assert!(!plain && text.contains("--model centered"), "{what}: {text}");
                        }
                        // A rate of 0.2 suits ratings of 1 to 5.
                        Error::Diverged { .. } => assert!(plain && text.contains("rate"), "{what}: {text}"),
                        _ => panic!("{what}: {text}"),
                    }
                }
            }
        }
    }
}

#[test]
fn a_gpu_trains_ratings_of_any_size() {
    for adapter in devices::adapters() {
        let mut gpu = devices::gpu(&adapter, &GpuOptions::default());
        for Case { name, ratings, plain } in cases() {
            let data = split(&ratings);
            let auto = OPTIMIZERS.iter().map(|spec| TrainConfig {
                optimizer: spec.name.to_owned(),
                rank: 3,
                epochs: Some(9),
                ..TrainConfig::default()
            });
            let least = config(OPTIMIZERS[0], ModelKind::Plain, Reg::Fixed(0.0));
            for config in auto.chain([least]) {
                let what = format!("{name}, {}, {:?}", config.optimizer, config.model);
                match run(&what, &config, &data, &mut gpu) {
                    Ok(model) => ask(&what, &model, &data.train, data.test.as_ref().unwrap(), &mut gpu),
                    Err(error) => {
                        assert!(config.model.is_some() && !plain, "{what}: {error}");
                        assert_eq!(error.exit_code(), 2, "{what}: {error}");
                    }
                }
            }
        }
    }
}

/// Units are arbitrary, and a power of 2 is exact: the same factors to the bit,
/// and predictions that are that much larger.
#[test]
fn other_units_give_the_same_factors() {
    let mut cpu = devices::cpu(2);
    let plain = split(&with(|r, _| r));
    for power in [-100, -20, 20, 100] {
        let factor = 2.0_f64.powi(power);
        let other = split(&with(|r, _| r * factor as f32));
        for config in configs().iter().filter(|config| config.model != Some(ModelKind::Plain)) {
            let what = format!("{:?}, {}, 2^{power}", config.model, config.optimizer);
            let [small, large] = [&plain, &other].map(|data| run(&what, config, data, &mut cpu).unwrap());
            assert_eq!(small.user_factors, large.user_factors, "{what}");
            assert_eq!(small.item_bias, large.item_bias, "{what}");
            assert_eq!(small.posterior, large.posterior, "{what}");
            assert_eq!(small.mean * factor, large.mean, "{what}");
            assert_eq!(small.scale * factor, large.scale, "{what}");
            assert_eq!(
                small.metadata.metrics["test_rmse"] * factor,
                large.metadata.metrics["test_rmse"],
                "{what}"
            );
            let predict = |model: &Model| model.predictor().predict(Some(1), Some(2)).rating;
            assert_eq!(predict(&small) * factor, predict(&large), "{what}");
        }
    }
}

#[test]
fn a_test_rating_out_of_all_proportion_is_named() {
    let data = split(&with(|r, _| r));
    for value in [1e30, f32::MAX, f32::MIN] {
        for part in [0, 1] {
            let mut data = data.clone();
            let held = if part == 0 { &mut data.valid } else { &mut data.test };
            held.as_mut().unwrap().value[1] = value;
            for config in configs() {
                let error = run("", &config, &data, &mut devices::cpu(1)).unwrap_err();
                assert_eq!(error.exit_code(), 2, "{error}");
                assert!(error.to_string().contains(&format!("{value:e}")), "{error}");
            }
        }
    }
    // A million times as far is a large error, and no more.
    let mut data = data;
    data.test.as_mut().unwrap().value[1] = 1e6;
    let model = run("", &configs()[0], &data, &mut devices::cpu(1)).unwrap();
    assert!(model.metadata.metrics["test_rmse"] > 1e4);
}

#[test]
fn penalties_of_any_size_train_or_are_refused() {
    let data = split(&with(|r, _| r));
    let mut cpu = devices::cpu(1);
    for spec in OPTIMIZERS {
        for model in [ModelKind::Plain, ModelKind::Biased] {
            for reg in
                [0.0, 1e-300, 1e-45, 1e-30, 1e6, 1e12, 1.1e12, 1e39, 1e300, f64::INFINITY, f64::NAN, -1.0]
            {
                let config = config(spec, model, Reg::Fixed(reg));
                let what = format!("{}, {model:?}, λ = {reg}", spec.name);
                match config.clone().check() {
                    Ok(_) => assert!((0.0..=1e12).contains(&reg), "{what}"),
                    Err(error) => {
                        assert!(!(0.0..=1e12).contains(&reg) && error.exit_code() == 2, "{what}: {error}");
                        assert!(error.to_string().contains("1e12"), "{what}: {error}");
                        continue;
                    }
                }
                match run(&what, &config, &data, &mut cpu) {
                    Ok(model) => model.check().unwrap(),
                    // A rate of a rating's own must be smaller than 1/λ.
                    Err(error) => assert!(spec.name == "sgd" && error.exit_code() == 3, "{what}: {error}"),
                }
            }
        }
        for (reg, bias, good) in [
            (1.0, 1e-12, true),
            (1e-12, 1.0, true),
            (1.0, 1e-13, false),
            (1e-13, 1.0, false),
            (1.0, 1e39, false),
        ] {
            let config =
                TrainConfig { reg_bias: Some(bias), ..config(spec, ModelKind::Biased, Reg::Fixed(reg)) };
            let what = format!("{}, λ = {reg}, {bias}", spec.name);
            assert_eq!(config.clone().check().is_ok(), good, "{what}");
            if good {
                match run(&what, &config, &data, &mut cpu) {
                    Ok(model) => model.check().unwrap(),
                    Err(error) => assert_eq!(error.exit_code(), 3, "{what}: {error}"),
                }
            }
        }
    }
}
