//! Stochastic descent as a whole: GPU = CPU = the textbook loop, the same bits
//! for any number of threads, and what it must learn.

use deltav::backend::Backend;
use deltav::backend::gpu::GpuOptions;
use deltav::config::{ModelKind, Reg, RegScaling, TrainConfig};
use deltav::data::Ratings;
use deltav::data::planted::Planted;
use deltav::event::Silent;
use deltav::model::Model;
use deltav::problem::{Blocks, Cells, factors};
use deltav::train::{Dataset, train};

use crate::support::compare::{FACTORS, assert_close, assert_close_f32};
use crate::support::devices;
use crate::support::oracle::{State, penalty};
use crate::support::oracle_sgd::Stochastic;
use crate::support::problems::{self, Case};

fn config(model: ModelKind, rank: usize, epochs: u32, reg: f64, options: &[(&str, &str)]) -> TrainConfig {
    TrainConfig {
        model: Some(model),
        optimizer: "sgd".to_owned(),
        rank,
        epochs: Some(epochs),
        seed: 42,
        reg: Some(Reg::Fixed(reg)),
        options: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..TrainConfig::default()
    }
}

fn run(config: &TrainConfig, ratings: &Ratings, backend: &mut dyn Backend) -> Model {
    let data = Dataset { train: ratings.clone(), valid: None, test: None };
    train(config.clone().check().unwrap(), &data, backend, &mut Silent).unwrap()
}

/// The places of the ratings in the order of one epoch without shuffle.
fn order(ratings: &Ratings, blocks: usize) -> Vec<usize> {
    if blocks == 1 {
        return (0..ratings.value.len()).collect();
    }
    let cells = Cells {
        rows: ratings.user.clone(),
        columns: ratings.item.clone(),
        ratings: (0..ratings.value.len()).map(|p| p as f32).collect(),
    };
    // A side has one row more than ids: anyone unknown.
    let cut = Blocks::cut(&cells, ratings.users.len() + 1, ratings.items.len() + 1, blocks);
    let mut order = Vec::new();
    for diagonal in 0..blocks {
        for row in 0..blocks {
            let range = cut.block(row, (row + diagonal) % blocks);
            order.extend(cut.cells.ratings[range].iter().map(|&p| p as usize));
        }
    }
    order
}

/// The textbook loop on the same configuration, from the same start.
fn reference(config: &TrainConfig, ratings: &Ratings, model: &Model, order: &[usize]) -> State {
    let (m, n, k) = (ratings.users.len(), ratings.items.len(), config.rank);
    let (u, v) = factors(config.seed, m, n, k);
    let rows =
        |flat: &[f32]| flat.chunks(k).map(|row| row.iter().copied().map(f64::from).collect()).collect();
    let biased = config.model == Some(ModelKind::Biased);
    let state = State { u: rows(&u), v: rows(&v), b: vec![0.0; m], c: vec![0.0; n], biased };
    let Some(Reg::Fixed(lambda)) = config.reg else { panic!("a fixed penalty") };
    let scaling = config.reg_scaling.unwrap_or(RegScaling::Sqrt).name();
    let of = |index: &[u32], rows: usize| -> Vec<f64> {
        let count = |row: usize| index.iter().filter(|&&i| i as usize == row).count();
        (0..rows).map(|row| penalty(scaling, lambda, count(row)) / count(row).max(1) as f64).collect()
    };
    let rate = model.metadata.settings["rate"].parse().unwrap();
    let adagrad = model.metadata.settings["adagrad"] == "on";
    let (users, items) = (of(&ratings.user, m), of(&ratings.item, n));
    let mut loop_ = Stochastic::new(state, rate, adagrad, users, items);
    for _ in 0..config.epochs.unwrap() {
        for &p in order {
            let y = (f64::from(ratings.value[p]) - model.mean) / model.scale;
            loop_.visit(ratings.user[p] as usize, ratings.item[p] as usize, y);
        }
    }
    loop_.state
}

fn same(what: &str, a: &Model, b: &Model) {
    assert_close_f32(&format!("U, {what}"), &a.user_factors, &b.user_factors, FACTORS);
    assert_close_f32(&format!("V, {what}"), &a.item_factors, &b.item_factors, FACTORS);
    assert_close_f32(&format!("b, {what}"), &a.user_bias, &b.user_bias, FACTORS);
    assert_close_f32(&format!("c, {what}"), &a.item_bias, &b.item_bias, FACTORS);
}

/// The textbook loop in `blocks`, on every device.
fn agree(case: &Case, blocks: usize, config: &TrainConfig) {
    let Case { name, ratings } = case;
    let blocks = blocks.min(ratings.users.len() + 1).min(ratings.items.len() + 1);
    let mut config = config.clone();
    config.options.push(("shuffle".to_owned(), "off".to_owned()));
    config.options.push(("blocks".to_owned(), blocks.to_string()));
    let mut expected = None;
    for (device, mut backend) in devices::all() {
        let model = run(&config, ratings, &mut *backend);
        let expected =
            expected.get_or_insert_with(|| reference(&config, ratings, &model, &order(ratings, blocks)));
        let what = format!("{name}, rank {}, {:?}, {blocks} blocks, {device}", config.rank, config.options);
        assert_close(&format!("U: {what}"), &model.user_factors, &expected.flat_u(), FACTORS);
        assert_close(&format!("V: {what}"), &model.item_factors, &expected.flat_v(), FACTORS);
        assert_close(&format!("b: {what}"), &model.user_bias, &expected.b, FACTORS);
        assert_close(&format!("c: {what}"), &model.item_bias, &expected.c, FACTORS);
    }
}

#[test]
fn one_block_in_file_order_is_the_textbook_loop() {
    for case in problems::awkward() {
        for (epochs, rank) in [(1, 4), (15, 5)] {
            agree(&case, 1, &config(ModelKind::Plain, rank, epochs, 0.0, &[("adagrad", "off")]));
            agree(&case, 1, &config(ModelKind::Biased, rank, epochs, 0.6, &[]));
        }
    }
}

#[test]
fn blocks_are_the_textbook_loop_in_another_order() {
    for case in problems::awkward() {
        agree(&case, 3, &config(ModelKind::Centered, 4, 15, 0.3, &[]));
        agree(&case, 4, &config(ModelKind::Biased, 3, 15, 0.6, &[("adagrad", "off")]));
    }
}

#[test]
fn every_rank_agrees() {
    let case = Case { name: "random", ratings: problems::random(30, 45, 0.2, 11) };
    for rank in [1, 3, 4, 31, 32, 33, 128] {
        agree(&case, 3, &config(ModelKind::Plain, rank, 15, 0.4, &[]));
        agree(&case, 3, &config(ModelKind::Biased, rank, 15, 1.2, &[]));
        agree(&case, 3, &config(ModelKind::Biased, rank, 15, 0.5, &[("adagrad", "off")]));
    }
    agree(&case, 3, &config(ModelKind::Biased, 512, 3, 1.2, &[]));
}

#[test]
fn every_scaling_of_l2_agrees() {
    let case = Case { name: "random", ratings: problems::random(25, 20, 0.3, 13) };
    for reg_scaling in [RegScaling::Sqrt, RegScaling::None, RegScaling::Count] {
        for adagrad in ["on", "off"] {
            let config = config(ModelKind::Biased, 5, 15, 0.4, &[("adagrad", adagrad)]);
            agree(&case, 2, &TrainConfig { reg_scaling: Some(reg_scaling), ..config });
        }
    }
}

/// Whether the twin works in vectors here.
fn fused_multiply_adds() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        cfg!(target_arch = "aarch64")
    }
}

/// `u·v` as the twin adds it up: sixteen sums side by side, and then their halves; or eight, and
/// what is left over.
fn dot(u: &[f32], v: &[f32]) -> f32 {
    if fused_multiply_adds() {
        let mut sums = [0.0f32; 16];
        u.iter().zip(v).enumerate().for_each(|(f, (x, y))| sums[f % 16] = x.mul_add(*y, sums[f % 16]));
        for half in [8, 4, 2, 1] {
            (0..half).for_each(|lane| sums[lane] += sums[lane + half]);
        }
        return sums[0];
    }
    let whole = u.len() / 8 * 8;
    let mut sums = [0.0f32; 8];
    (0..whole).for_each(|f| sums[f % 8] += u[f] * v[f]);
    let rest: f32 = (whole..u.len()).map(|f| u[f] * v[f]).sum();
    sums.iter().sum::<f32>() + rest
}

/// The plain rule in f32, operation by operation.
#[test]
fn the_textbook_loop_in_f32_has_the_same_bits() {
    for case in problems::awkward() {
        for rank in [1, 7, 8, 19, 32] {
            let config = config(
                ModelKind::Plain,
                rank,
                5,
                0.0,
                &[("adagrad", "off"), ("blocks", "1"), ("shuffle", "off"), ("rate", "0.01")],
            );
            let ratings = &case.ratings;
            let model = run(&config, ratings, &mut devices::cpu(2));
            let (mut u, mut v) = factors(config.seed, ratings.users.len(), ratings.items.len(), rank);
            for _ in 0..5 {
                for p in 0..ratings.value.len() {
                    let (i, j) = (ratings.user[p] as usize * rank, ratings.item[p] as usize * rank);
                    let e = ratings.value[p] - dot(&u[i..i + rank], &v[j..j + rank]);
                    for f in 0..rank {
                        let (x, y) = (u[i + f], v[j + f]);
                        let move_by = |w: f32, pull: f32| match fused_multiply_adds() {
                            true => 0.01f32.mul_add(pull, w),
                            false => w + 0.01 * pull,
                        };
                        (u[i + f], v[j + f]) = (move_by(x, e * y), move_by(y, e * x));
                    }
                }
            }
            let what = format!("{}, rank {rank}", case.name);
            assert!(model.user_factors == u && model.item_factors == v, "{what}");
        }
    }
}

#[test]
fn shuffled_epochs_agree_on_every_device() {
    for case in problems::awkward() {
        for (rank, adagrad) in [(4, "on"), (33, "off")] {
            let config = config(ModelKind::Biased, rank, 15, 0.6, &[("adagrad", adagrad), ("blocks", "4")]);
            let cpu = run(&config, &case.ratings, &mut devices::cpu(2));
            for (device, mut gpu) in devices::gpus() {
                let gpu = run(&config, &case.ratings, &mut *gpu);
                same(&format!("{}, rank {rank}, {device} and CPU", case.name), &gpu, &cpu);
            }
        }
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let ratings = problems::random(700, 500, 0.05, 16);
    for adagrad in ["on", "off"] {
        let config = config(ModelKind::Biased, 16, 5, 0.6, &[("adagrad", adagrad)]);
        let one = run(&config, &ratings, &mut devices::cpu(1));
        assert!(one.metadata.settings["blocks"].parse::<u32>().unwrap() > 4, "{:?}", one.metadata.settings);
        for threads in [2, 3, 4] {
            assert_eq!(one, run(&config, &ratings, &mut devices::cpu(threads)), "{threads} threads");
        }
    }
}

#[test]
fn two_runs_have_the_same_bits_and_two_seeds_do_not() {
    let ratings = problems::random(60, 80, 0.2, 15);
    let config = config(ModelKind::Biased, 9, 10, 0.6, &[("blocks", "4")]);
    for (device, mut backend) in devices::all() {
        let first = run(&config, &ratings, &mut *backend);
        assert_eq!(first, run(&config, &ratings, &mut *backend), "{device}");
        let other = TrainConfig { seed: 43, ..config.clone() };
        assert_ne!(first.user_factors, run(&other, &ratings, &mut *backend).user_factors, "{device}");
        let mut still = config.clone();
        still.options.push(("shuffle".to_owned(), "off".to_owned()));
        assert_ne!(first.user_factors, run(&still, &ratings, &mut *backend).user_factors, "{device}");
    }
}

#[test]
fn shards_below_a_small_limit_agree_on_every_device() {
    let ratings = problems::random(70, 90, 0.3, 21);
    for model in [ModelKind::Plain, ModelKind::Biased] {
        for rank in [1, 7] {
            let config = config(model, rank, 15, 0.6, &[]);
            let whole = run(&config, &ratings, &mut devices::cpu(2)).metadata.metrics["train_rmse"];
            for bytes in [1024, 1500, 4096] {
                let cpu = run(&config, &ratings, &mut devices::cpu(2).with_max_buffer_bytes(bytes));
                let rmse = cpu.metadata.metrics["train_rmse"];
                assert!((rmse / whole - 1.0).abs() < 0.05, "another order, as good: {rmse} and {whole}");
                for adapter in devices::adapters() {
                    let options = GpuOptions {
                        max_buffer_bytes: Some(bytes),
                        max_workgroups: Some(7),
                        ..GpuOptions::default()
                    };
                    let gpu = run(&config, &ratings, &mut devices::gpu(&adapter, &options));
                    same(&format!("{model:?}, rank {rank}, buffers of {bytes}"), &gpu, &cpu);
                }
            }
        }
    }
}

/// The noise is the floor: what is left above it is what 15 epochs did not learn.
#[test]
fn planted_ratings_are_learned() {
    let planted = Planted::new(400, 300, 40_000).rank(4).noise(0.3).seed(5).generate().unwrap();
    let split = planted.split(0.1, 5).unwrap();
    let data = Dataset { train: split.train, valid: None, test: Some(split.test) };
    let test_rmse = |epochs: u32, options: &[(&str, &str)]| {
        let config = config(ModelKind::Biased, 8, epochs, 0.3, options).check().unwrap();
        train(config, &data, &mut devices::cpu(2), &mut Silent).unwrap().metadata.metrics["test_rmse"]
    };
    let start = test_rmse(0, &[]);
    for options in [&[][..], &[("blocks", "1")], &[("adagrad", "off")]] {
        let learned = test_rmse(40, options);
        assert!(learned < 1.15 * split.floor, "{options:?}: {learned}, floor {}", split.floor);
        assert!(learned < 0.5 * start, "{options:?}: {learned} from {start}");
    }
}

#[test]
fn a_rate_too_high_is_an_error_with_its_remedy() {
    let ratings = problems::random(60, 80, 0.2, 15);
    let data = Dataset { train: ratings, valid: None, test: None };
    for (device, mut backend) in devices::all() {
        let config = config(ModelKind::Plain, 4, 15, 0.0, &[("adagrad", "off"), ("rate", "20")]);
        let error = train(config.check().unwrap(), &data, &mut *backend, &mut Silent).unwrap_err();
        assert_eq!(error.exit_code(), 3, "{device}: {error}");
        assert!(error.to_string().contains("--opt rate=5"), "{error}");
    }
}
