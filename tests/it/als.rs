//! Alternating least squares as a whole: GPU = CPU = f64 reference, and what
//! mathematics promises of it.

use deltav::backend::Backend;
use deltav::backend::gpu::GpuOptions;
use deltav::config::{MAX_RANK, ModelKind, Reg, TrainConfig};
use deltav::data::Ratings;
use deltav::event::Silent;
use deltav::model::Model;
use deltav::problem::factors;
use deltav::train::{Dataset, train};

use crate::support::compare::{FACTORS, assert_close, assert_close_f32};
use crate::support::devices;
use crate::support::oracle::{Objective, State};
use crate::support::oracle_steps::Loss;
use crate::support::problems::{self, Case};

/// Factors after 10 epochs, where 1 epoch agrees to [`FACTORS`]: how a product
/// is split between its sides is determined by λ alone, so that rounding grows
/// along that direction. Measured: below 4e-5, on one row at rank 4.
const SPLIT: f64 = 1e-4;

/// Relative to the loss at the start: what f32 rounding of the systems can add to a minimum.
const RISE: f64 = 1e-6;

fn config(model: ModelKind, rank: usize, epochs: u32, reg: f64) -> TrainConfig {
    TrainConfig {
        model: Some(model),
        optimizer: "als".to_owned(),
        rank,
        epochs: Some(epochs),
        seed: 42,
        reg: Some(Reg::Fixed(reg)),
        ..TrainConfig::default()
    }
}

fn run(config: &TrainConfig, ratings: &Ratings, backend: &mut dyn Backend) -> Model {
    let data = Dataset { train: ratings.clone(), valid: None, test: None };
    train(config.clone().check().unwrap(), &data, backend, &mut Silent).unwrap()
}

/// Factors and biases in the reference's form.
fn state(k: usize, u: &[f32], v: &[f32], b: &[f32], c: &[f32], biased: bool) -> State {
    let wide = |flat: &[f32]| flat.iter().copied().map(f64::from).collect::<Vec<f64>>();
    let rows = |flat: &[f32]| flat.chunks(k).map(wide).collect();
    State { u: rows(u), v: rows(v), b: wide(b), c: wide(c), biased }
}

fn start(config: &TrainConfig, ratings: &Ratings) -> State {
    let (m, n) = (ratings.users.len(), ratings.items.len());
    let (u, v) = factors(config.seed, m, n, config.rank);
    let biased = config.model == Some(ModelKind::Biased);
    state(config.rank, &u, &v, &vec![0.0; m], &vec![0.0; n], biased)
}

fn found(model: &Model) -> State {
    let Model { rank, user_factors, item_factors, user_bias, item_bias, .. } = model;
    state(*rank, user_factors, item_factors, user_bias, item_bias, model.kind == ModelKind::Biased)
}

fn agree(Case { name, ratings }: &Case, config: &TrainConfig, tolerance: f64) {
    for (device, mut backend) in devices::all() {
        let model = run(config, ratings, &mut *backend);
        let data = problems::dense(ratings, model.mean, model.scale);
        let Some(Reg::Fixed(lambda)) = config.reg else { panic!("a fixed penalty") };
        let loss = Loss { data: &data, objective: Objective::Sum, lambda, scaling: "sqrt" };
        let mut expected = start(config, ratings);
        (0..config.epochs.unwrap()).for_each(|_| expected.alternate(&loss));
        let what = format!("{name}, {:?}, rank {}, {:?}, {device}", model.kind, config.rank, config.epochs);
        assert_close(&format!("U, {what}"), &model.user_factors, &expected.flat_u(), tolerance);
        assert_close(&format!("V, {what}"), &model.item_factors, &expected.flat_v(), tolerance);
        assert_close(&format!("b, {what}"), &model.user_bias, &expected.b, tolerance);
        assert_close(&format!("c, {what}"), &model.item_bias, &expected.c, tolerance);
    }
}

#[test]
fn every_shape_agrees() {
    for case in problems::awkward() {
        for (epochs, tolerance) in [(1, FACTORS), (10, SPLIT)] {
            for model in [ModelKind::Plain, ModelKind::Centered, ModelKind::Biased] {
                agree(&case, &config(model, 4, epochs, 1.2), tolerance);
            }
        }
    }
}

#[test]
fn every_rank_agrees() {
    let case = Case { name: "random", ratings: problems::random(30, 45, 0.2, 11) };
    for rank in [1, 3, 4, 31, 32, 33, 128] {
        agree(&case, &config(ModelKind::Biased, rank, 3, 1.2), FACTORS);
        agree(&case, &config(ModelKind::Plain, rank, 3, 1.2), FACTORS);
    }
}

/// Every row that has just moved solves its normal equations: its gradient is
/// 0, next to the sizes of the sums that cancel. Whether or not they determine it.
#[test]
fn every_row_solves_its_normal_equations() {
    let case = problems::random(30, 45, 0.2, 12);
    for (reg, rank) in [(1.2, 4), (0.01, 8), (0.0, 3), (0.0, 20)] {
        for model in [ModelKind::Plain, ModelKind::Biased] {
            for (device, mut backend) in devices::all() {
                let model = run(&config(model, rank, 4, reg), &case, &mut *backend);
                let data = problems::dense(&case, model.mean, model.scale);
                let state = found(&model);
                let loss = Loss { data: &data, objective: Objective::Sum, lambda: reg, scaling: "sqrt" };
                let descent = state.descent(&loss);
                // Items moved last.
                let (m, n) = (data.m, data.n);
                for j in 0..n {
                    let cells = (0..m).filter(|&i| data.r[i][j]);
                    let sizes: f64 = cells
                        .map(|i| {
                            let x: f64 = state.u[i].iter().map(|x| x * x).sum::<f64>() + 1.0;
                            let w: f64 = state.v[j].iter().map(|w| w * w).sum::<f64>() + 1.0;
                            x.sqrt() * (data.y[i][j].abs() + (x * w).sqrt())
                        })
                        .sum();
                    let bias = (model.kind == ModelKind::Biased).then_some((m + n) * rank + m + j);
                    for place in ((m + j) * rank..(m + j + 1) * rank).chain(bias) {
                        let g = descent[place].abs();
                        assert!(
                            g <= 1e-5 * sizes,
                            "λ = {reg}, rank {rank}, item {j}, {device}: {g:e} of {sizes}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn no_epoch_raises_the_objective() {
    for Case { name, ratings } in problems::awkward() {
        for (reg, rank) in [(1.2, 4), (0.1, 9), (0.0, 2), (0.0, 9)] {
            for kind in [ModelKind::Plain, ModelKind::Biased] {
                for (device, mut backend) in devices::all() {
                    let mut curve = Vec::new();
                    for epochs in 0..6 {
                        let model = run(&config(kind, rank, epochs, reg), &ratings, &mut *backend);
                        let data = problems::dense(&ratings, model.mean, model.scale);
                        curve.push(found(&model).objective(&data, Objective::Sum, reg, "sqrt"));
                    }
                    let limit = RISE * curve[0];
                    for pair in curve.windows(2) {
                        assert!(
                            pair[1] <= pair[0] + limit,
                            "{name}, λ = {reg}, rank {rank}, {kind:?}, {device}: {curve:?}"
                        );
                    }
                }
            }
        }
    }
}

/// λ = 0 and one row with fewer ratings than columns: numbers, not NaN, and
/// rows without a rating where they began.
#[test]
fn open_systems_stay_finite_and_unrated_rows_stay() {
    for Case { name, ratings } in problems::awkward() {
        for kind in [ModelKind::Plain, ModelKind::Biased] {
            let config = config(kind, 33, 8, 0.0);
            let (u, v) = factors(42, ratings.users.len(), ratings.items.len(), 33);
            for (device, mut backend) in devices::all() {
                let model = run(&config, &ratings, &mut *backend);
                let check = |counts: &[u64], now: &[f32], before: &[f32], biases: &[f32]| {
                    for (row, &count) in counts.iter().enumerate() {
                        let here = row * 33..(row + 1) * 33;
                        if count == 0 {
                            assert_eq!(now[here.clone()], before[here.clone()], "{name}, {device}");
                            assert_eq!(biases[row], 0.0, "{name}, {device}");
                        }
                        assert!(now[here].iter().all(|w| w.abs() < 1e4), "{name}, {device}");
                    }
                };
                check(&ratings.user_counts(), &model.user_factors, &u, &model.user_bias);
                check(&ratings.item_counts(), &model.item_factors, &v, &model.item_bias);
            }
        }
    }
}

/// Where every cell is observed, U is a multiple of the truth after the first
/// half-epoch; where 3 of 5 are, each epoch comes much nearer.
#[test]
fn a_planted_rank_one_matrix_is_found_from_any_start() {
    for (density, epochs) in [(1.0, 2), (0.6, 8)] {
        let mut ratings = problems::random(40, 30, density, 5);
        for p in 0..ratings.value.len() {
            let (i, j) = (ratings.user[p] as f32, ratings.item[p] as f32);
            ratings.value[p] = (1.0 + i / 20.0) * (j - 11.5) / 10.0;
        }
        for seed in 0..6 {
            for (device, mut backend) in devices::all() {
                let config = TrainConfig { seed, ..config(ModelKind::Plain, 1, epochs, 0.0) };
                let rmse = run(&config, &ratings, &mut *backend).metadata.metrics["train_rmse"];
                assert!(rmse < 1e-4, "density {density}, seed {seed}, {device}: {rmse}");
            }
        }
    }
}

#[test]
fn batches_shards_threads_and_repetition_change_nothing() {
    let ratings = problems::random(70, 90, 0.3, 21);
    let config = config(ModelKind::Biased, 7, 6, 1.2);
    let whole = run(&config, &ratings, &mut devices::cpu(1));
    for threads in [2, 4] {
        assert_eq!(whole, run(&config, &ratings, &mut devices::cpu(threads)), "{threads} threads");
    }
    for (device, mut backend) in devices::all() {
        let first = run(&config, &ratings, &mut *backend);
        assert_eq!(first, run(&config, &ratings, &mut *backend), "{device}");
    }
    // One system takes 216 bytes: a batch is 1, 4 or 18 rows, and cells are cut into tiles.
    for bytes in [400, 1024, 4096] {
        let same = |device: &str, model: &Model| {
            let what = format!("{device}, buffers of {bytes}");
            assert_close_f32(&format!("U, {what}"), &model.user_factors, &whole.user_factors, FACTORS);
            assert_close_f32(&format!("V, {what}"), &model.item_factors, &whole.item_factors, FACTORS);
        };
        let mut cpu = devices::cpu(2).with_max_buffer_bytes(bytes);
        same("CPU", &run(&config, &ratings, &mut cpu));
        for adapter in devices::adapters() {
            let options =
                GpuOptions { max_buffer_bytes: Some(bytes), max_workgroups: None, ..GpuOptions::default() };
            same("GPU", &run(&config, &ratings, &mut devices::gpu(&adapter, &options)));
        }
    }
}

#[test]
fn too_large_a_rank_is_a_usage_error_that_says_what_would_do() {
    let error = config(ModelKind::Biased, 129, 1, 1.2).check().unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("at most 128"), "{error}");
    let plain =
        TrainConfig { optimizer: "gd".to_owned(), rank: MAX_RANK, ..config(ModelKind::Plain, 1, 1, 0.0) };
    plain.check().unwrap();
    // A buffer of 1,024 bytes holds one system of width 21, so rank 19 with biases.
    let ratings = problems::random(20, 30, 0.3, 22);
    let data = Dataset { train: ratings.clone(), valid: None, test: None };
    let mut backend = devices::cpu(1).with_max_buffer_bytes(1024);
    run(&config(ModelKind::Biased, 19, 1, 1.2), &ratings, &mut backend);
    let checked = config(ModelKind::Biased, 20, 1, 1.2).check().unwrap();
    let error = train(checked, &data, &mut backend, &mut Silent).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("--rank 19 or less"), "{error}");
}
