//! Whole epochs: GPU = CPU = f64 reference, and the same bits every time.

use deltav::backend::Backend;
use deltav::backend::gpu::GpuOptions;
use deltav::config::{Loss, ModelKind, Reg, RegScaling, TrainConfig};
use deltav::data::Ratings;
use deltav::data::planted::Planted;
use deltav::event::Silent;
use deltav::model::Model;
use deltav::problem::factors;
use deltav::train::{Dataset, train};

use crate::support::compare::{FACTORS, assert_close, assert_close_f32};
use crate::support::devices;
use crate::support::oracle::{Objective, State};
use crate::support::problems::{self, Case};

fn config(
    model: ModelKind,
    rank: usize,
    epochs: u32,
    loss: Loss,
    reg: f64,
    rate: Option<f64>,
) -> TrainConfig {
    TrainConfig {
        model: Some(model),
        optimizer: "gd".to_owned(),
        rank,
        epochs: Some(epochs),
        seed: 42,
        loss,
        reg: Some(Reg::Fixed(reg)),
        options: rate.map(|rate| ("rate".to_owned(), rate.to_string())).into_iter().collect(),
        ..TrainConfig::default()
    }
}

fn run(config: &TrainConfig, ratings: &Ratings, backend: &mut dyn Backend) -> Model {
    let data = Dataset { train: ratings.clone(), valid: None, test: None };
    train(config.clone().check().unwrap(), &data, backend, &mut Silent).unwrap()
}

/// The reference's answer to the same configuration, from the same start.
fn reference(config: &TrainConfig, ratings: &Ratings, model: &Model, rate: f64) -> State {
    let (m, n, k) = (ratings.users.len(), ratings.items.len(), config.rank);
    let (u, v) = factors(config.seed, m, n, k);
    let rows =
        |flat: &[f32]| flat.chunks(k).map(|row| row.iter().copied().map(f64::from).collect()).collect();
    let dense = problems::dense(ratings, model.mean, model.scale);
    let biased = config.model == Some(ModelKind::Biased);
    let mut state = State { u: rows(&u), v: rows(&v), b: vec![0.0; m], c: vec![0.0; n], biased };
    let objective = if config.loss == Loss::Mean { Objective::Mean } else { Objective::Sum };
    let Some(Reg::Fixed(lambda)) = config.reg else { panic!("a fixed penalty") };
    let scaling = config.reg_scaling.unwrap_or(RegScaling::Sqrt);
    for _ in 0..config.epochs.unwrap() {
        state.descend(&dense, objective, rate, lambda, scaling.name());
    }
    state
}

fn agree(case: &Case, config: &TrainConfig) {
    let Case { name, ratings } = case;
    let cpu = run(config, ratings, &mut devices::cpu(2));
    let rate: f64 = cpu.metadata.settings["rate"].parse().unwrap();
    let what = format!("{name}, rank {}, {:?}, {:?}", config.rank, config.model, config.loss);
    let expected = reference(config, ratings, &cpu, rate);
    let check = |device: &str, model: &Model| {
        assert_close(&format!("{what}: U of {device}"), &model.user_factors, &expected.flat_u(), FACTORS);
        assert_close(&format!("{what}: V of {device}"), &model.item_factors, &expected.flat_v(), FACTORS);
        assert_close(&format!("{what}: b of {device}"), &model.user_bias, &expected.b, FACTORS);
        assert_close(&format!("{what}: c of {device}"), &model.item_bias, &expected.c, FACTORS);
    };
    check("CPU", &cpu);
    for (device, mut backend) in devices::gpus() {
        let gpu = run(config, ratings, &mut *backend);
        check(&device, &gpu);
        assert_close_f32(
            &format!("{what}: U of {device} and CPU"),
            &gpu.user_factors,
            &cpu.user_factors,
            FACTORS,
        );
        assert_close_f32(
            &format!("{what}: V of {device} and CPU"),
            &gpu.item_factors,
            &cpu.item_factors,
            FACTORS,
        );
    }
}

#[test]
fn every_shape_agrees_after_1_and_50_epochs() {
    for case in problems::awkward() {
        for epochs in [1, 50] {
            for loss in [Loss::Mean, Loss::Sum] {
                agree(&case, &config(ModelKind::Plain, 4, epochs, loss, 0.0, None));
            }
            agree(&case, &config(ModelKind::Biased, 4, epochs, Loss::Mean, 0.3, None));
        }
    }
}

#[test]
fn every_rank_agrees_after_50_epochs() {
    let case = Case { name: "random", ratings: problems::random(30, 45, 0.2, 11) };
    for rank in [1, 3, 4, 31, 32, 33, 128] {
        agree(&case, &config(ModelKind::Plain, rank, 50, Loss::Mean, 0.0, None));
        agree(&case, &config(ModelKind::Biased, rank, 50, Loss::Sum, 0.5, None));
    }
}

#[test]
fn the_largest_rank_agrees() {
    let case = Case { name: "random", ratings: problems::random(9, 14, 0.4, 12) };
    agree(&case, &config(ModelKind::Biased, 512, 5, Loss::Mean, 0.1, None));
}

#[test]
fn every_scaling_of_l2_agrees() {
    let case = Case { name: "random", ratings: problems::random(25, 20, 0.3, 13) };
    for reg_scaling in [RegScaling::Sqrt, RegScaling::None, RegScaling::Count] {
        for model in [ModelKind::Plain, ModelKind::Centered, ModelKind::Biased] {
            let config =
                TrainConfig { reg_scaling: Some(reg_scaling), ..config(model, 5, 50, Loss::Mean, 0.4, None) };
            agree(&case, &config);
        }
    }
}

#[test]
fn an_explicit_rate_means_what_the_formula_says() {
    let case = Case { name: "random", ratings: problems::random(25, 20, 0.3, 14) };
    let n = case.ratings.value.len() as f64;
    let mean = config(ModelKind::Plain, 3, 20, Loss::Mean, 0.2, Some(0.01 * n / 2.0));
    let sum = config(ModelKind::Plain, 3, 20, Loss::Sum, 0.2, Some(0.01));
    agree(&case, &mean);
    agree(&case, &sum);
    // η_sum = 2·η_mean / N: the same run.
    let (a, b) =
        (run(&mean, &case.ratings, &mut devices::cpu(1)), run(&sum, &case.ratings, &mut devices::cpu(1)));
    assert_close_f32("both losses", &a.user_factors, &b.user_factors, FACTORS);
}

#[test]
fn two_runs_on_one_device_have_the_same_bits() {
    let ratings = problems::random(60, 80, 0.2, 15);
    let config = config(ModelKind::Biased, 9, 50, Loss::Mean, 0.3, None);
    for (device, mut backend) in devices::all() {
        let first = run(&config, &ratings, &mut *backend);
        let again = run(&config, &ratings, &mut *backend);
        assert_eq!(first, again, "{device}");
    }
    for (device, mut backend) in devices::all() {
        let fresh = run(&config, &ratings, &mut *backend);
        let (_, mut other) = devices::all().into_iter().find(|(name, _)| *name == device).unwrap();
        assert_eq!(fresh, run(&config, &ratings, &mut *other), "{device}, opened anew");
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    // Large enough that every kernel splits its work.
    let ratings = problems::random(700, 500, 0.05, 16);
    let config = config(ModelKind::Biased, 16, 10, Loss::Mean, 0.3, None);
    let one = run(&config, &ratings, &mut devices::cpu(1));
    for threads in [2, 3, 4] {
        assert_eq!(one, run(&config, &ratings, &mut devices::cpu(threads)), "{threads} threads");
    }
}

#[test]
fn zero_epochs_keep_the_initial_factors() {
    let ratings = problems::random(7, 9, 0.5, 17);
    let (u, v) = factors(42, 7, 9, 3);
    for (device, mut backend) in devices::all() {
        let model = run(&config(ModelKind::Biased, 3, 0, Loss::Mean, 0.3, None), &ratings, &mut *backend);
        assert_eq!((&model.user_factors, &model.item_factors), (&u, &v), "{device}");
        assert!(model.user_bias.iter().chain(&model.item_bias).all(|&b| b == 0.0), "{device}");
    }
}

#[test]
fn an_epoch_is_one_submission() {
    let ratings = problems::random(50, 40, 0.2, 18);
    let data = Dataset { train: ratings, valid: None, test: None };
    for adapter in devices::adapters() {
        // Small buffers: many tiles and still one submission.
        for max_buffer_bytes in [None, Some(2048)] {
            let options = GpuOptions { max_buffer_bytes, max_workgroups: None, ..GpuOptions::default() };
            let count = |epochs: u32, listen: bool| {
                let mut backend = devices::gpu(&adapter, &options);
                let config = config(ModelKind::Plain, 4, epochs, Loss::Mean, 0.0, None).check().unwrap();
                if listen {
                    train(config, &data, &mut backend, &mut |_: &deltav::event::Event| {}).unwrap();
                } else {
                    train(config, &data, &mut backend, &mut Silent).unwrap();
                }
                backend.submissions()
            };
            assert_eq!(count(30, true) - count(10, true), 20);
            assert_eq!(count(30, false) - count(10, false), 20);
        }
    }
}

#[test]
fn gd_recovers_planted_factors_without_noise() {
    let planted = Planted::new(120, 90, 5_000).rank(4).exact().noise(0.0).seed(3).generate().unwrap();
    let split = planted.split(0.1, 1).unwrap();
    let config = TrainConfig { rank: 4, ..config(ModelKind::Plain, 4, 4_000, Loss::Mean, 0.0, None) };
    let data = Dataset { train: split.train, valid: None, test: Some(split.test) };
    let model = train(config.check().unwrap(), &data, &mut devices::cpu(2), &mut Silent).unwrap();
    let [fit, held] = ["train_rmse", "test_rmse"].map(|name| model.metadata.metrics[name]);
    assert!(fit < 1e-3, "RMSE {fit}");
    // And not by memorising: cells that it never saw are right as well.
    assert!(held < 0.05, "RMSE {held} of the cells held out");
}

#[test]
fn a_large_penalty_does_not_make_the_auto_rate_diverge() {
    let ratings = problems::random(40, 50, 0.2, 19);
    for reg in [10.0, 1e3, 1e6] {
        for reg_scaling in [RegScaling::Sqrt, RegScaling::Count] {
            let config = TrainConfig {
                reg_scaling: Some(reg_scaling),
                ..config(ModelKind::Biased, 4, 200, Loss::Mean, reg, None)
            };
            run(&config, &ratings, &mut devices::cpu(1));
        }
    }
}

/// What training says of a held part is what the model says of it.
#[test]
fn held_errors_are_the_models_own() {
    let all = problems::random(40, 30, 0.3, 20);
    let (mut train_part, mut held) = all.split(0.3, 5).unwrap();
    // A user and an item without training ratings, ids that nobody knows, and pairs twice.
    let keep = |p: usize| train_part.user[p] != 3 && train_part.item[p] != 7;
    let kept: Vec<usize> = (0..train_part.value.len()).filter(|&p| keep(p)).collect();
    train_part.user = kept.iter().map(|&p| train_part.user[p]).collect();
    train_part.item = kept.iter().map(|&p| train_part.item[p]).collect();
    train_part.value = kept.iter().map(|&p| train_part.value[p]).collect();
    for (user, item) in [
        (Some(3), Some(1)),
        (Some(2), Some(7)),
        (Some(3), Some(7)),
        (None, Some(0)),
        (Some(0), None),
        (None, None),
    ] {
        for value in [0.5, 4.0] {
            held.user.push(user);
            held.item.push(item);
            held.value.push(value);
        }
    }
    let data = Dataset { train: train_part, valid: None, test: Some(held.clone()) };
    for model in ModelKind::ALL {
        for clip in [true, false] {
            let auto = model == ModelKind::Svdpp;
            let written = TrainConfig {
                clip,
                optimizer: if auto { "line-search" } else { "gd" }.to_owned(),
                reg: Some(if auto { Reg::Auto } else { Reg::Fixed(0.5) }),
                ..config(model, 5, 12, Loss::Mean, 0.0, None)
            };
            for bytes in [1 << 20, 2_000] {
                let mut cpu = devices::cpu(2).with_max_buffer_bytes(bytes);
                let trained = train(written.clone().check().unwrap(), &data, &mut cpu, &mut Silent).unwrap();
                let predictor = trained.predictor();
                let squares: f64 = (0..held.value.len())
                    .map(|p| {
                        let rating = predictor.predict(held.user[p], held.item[p]).rating;
                        (rating - f64::from(held.value[p])).powi(2)
                    })
                    .sum();
                let expected = (squares / held.value.len() as f64).sqrt();
                let said = trained.metadata.metrics["test_rmse"];
                assert!(
                    (said - expected).abs() < 1e-5,
                    "{model:?}, clip {clip}, {bytes}: {said} for {expected}"
                );
            }
        }
    }
}
