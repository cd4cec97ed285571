//! The line search as a whole: GPU = CPU = f64 reference, with fixed penalties
//! and with everything learned; and what mathematics promises of it.

use deltav::backend::Backend;
use deltav::backend::gpu::GpuOptions;
use deltav::config::{ModelKind, Reg, TrainConfig};
use deltav::data::{Ratings, Side};
use deltav::event::{Event, Silent};
use deltav::model::Model;
use deltav::problem::{factors, fill};
use deltav::train::{Dataset, train};

use crate::support::compare::{FACTORS, assert_close};
use crate::support::devices;
use crate::support::oracle_search::Search;
use crate::support::problems::{self, Case};

/// Predictions after the gauge, in standard deviations of the ratings: the
/// singular vectors of f32 factors carry their rounding over the gaps between
/// singular values. Measured: below 2e-4 on the shapes here.
const LEARNED: f64 = 1e-3;

/// Predictions up to 5 after 20 epochs, of observed cells and others. Measured: below 4e-4.
const PRODUCTS: f64 = 1e-3;

fn config(model: ModelKind, reg: Reg, rank: usize, epochs: u32) -> TrainConfig {
    TrainConfig {
        model: Some(model),
        reg: Some(reg),
        rank,
        epochs: Some(epochs),
        seed: 42,
        ..TrainConfig::default()
    }
}

fn run(config: &TrainConfig, ratings: &Ratings, backend: &mut dyn Backend) -> Model {
    let data = Dataset { train: ratings.clone(), valid: None, test: None };
    train(config.clone().check().unwrap(), &data, backend, &mut Silent).unwrap()
}

fn reference(config: &TrainConfig, ratings: &Ratings, model: &Model) -> Search {
    let (k, m, n) = (config.rank, ratings.users.len(), ratings.items.len());
    let first = config.options.iter().find(|(key, _)| key == "warm-rank");
    let first = first.map_or(k, |(_, value)| value.parse().unwrap());
    let (u, v) = factors(config.seed, m, n, first);
    let row = |r: &[f32]| r.iter().copied().map(f64::from).chain(vec![0.0; k - first]).collect();
    let rows = |flat: &[f32]| flat.chunks(first).map(row).collect();
    let dense = problems::dense(ratings, model.mean, model.scale);
    let kind = config.model.unwrap();
    let biased = matches!(kind, ModelKind::Biased | ModelKind::Svdpp);
    let mut search = Search::new(&dense, rows(&u), rows(&v), biased, kind == ModelKind::Svdpp);
    let known = ratings.known();
    let drawn = |side, counts: &[u64]| {
        let rated: Vec<bool> = counts.iter().map(|&n| n > 0).collect();
        let mut normal = vec![0.0; counts.len() * (k - first)];
        fill(config.seed, side, 0, &mut normal, 0..k - first, 1.0, &rated);
        normal
    };
    if biased && config.reg == Some(Reg::Auto) {
        search.start_biased();
    }
    for epoch in 1..=config.epochs.unwrap() {
        match (config.reg.unwrap(), epoch.saturating_sub(3)) {
            (Reg::Fixed(lambda), _) => search.fixed(epoch == 1, lambda),
            (Reg::Auto, 0) => search.fixed(epoch == 1, 0.8),
            (Reg::Auto, learned) => {
                if learned == 1 {
                    search.gauge(first);
                }
                let joins = first < k && learned == 3;
                if joins {
                    let users = drawn(Side::Users, &known.user_counts);
                    search.widen([&users, &drawn(Side::Items, &known.item_counts)]);
                }
                search.variational(learned, learned == 1 || joins);
            }
        }
    }
    search
}

/// `u·v + b + c` of every pair, in standard deviations.
fn products(model: &Model) -> Vec<f32> {
    let k = model.rank;
    let mut all = Vec::new();
    for (i, u) in model.user_factors.chunks(k).enumerate() {
        for (j, v) in model.item_factors.chunks(k).enumerate() {
            let dot: f32 = u.iter().zip(v).map(|(a, b)| a * b).sum();
            all.push(dot + model.user_bias[i] + model.item_bias[j]);
        }
    }
    all
}

#[test]
fn fixed_penalties_agree_on_every_shape() {
    for Case { name, ratings } in problems::awkward() {
        for (kind, rank) in [(ModelKind::Biased, 4), (ModelKind::Plain, 3)] {
            for epochs in [1, 2, 20] {
                let config = config(kind, Reg::Fixed(0.7), rank, epochs);
                for (device, mut backend) in devices::all() {
                    let model = run(&config, &ratings, &mut *backend);
                    let expected = reference(&config, &ratings, &model);
                    let what = format!("{name}, {kind:?}, {epochs} epochs, {device}");
                    let (m, n) = (ratings.users.len(), ratings.items.len());
                    let pairs = (0..m).flat_map(|i| (0..n).map(move |j| (i, j)));
                    let all: Vec<f64> = pairs.map(|(i, j)| expected.predict(i, j)).collect();
                    if epochs > 2 && kind == ModelKind::Plain && m.min(n) < rank {
                        // One row at rank 3 is a flat valley: rounding grows along it.
                        continue;
                    }
                    // Without biases the valley is flat, and rounding grows along it with the epochs.
                    let tolerance = if kind == ModelKind::Plain && epochs > 2 { 5.0 } else { 1.0 } * PRODUCTS;
                    assert_close(&format!("U·Vᵀ, {what}"), &products(&model), &all, tolerance);
                    if epochs > 2 {
                        // Turns of both sides against each other cost little, so that
                        // rounding grows along them; U·Vᵀ is what is determined.
                        continue;
                    }
                    let flat = |m: &[Vec<f64>]| m.iter().flatten().copied().collect::<Vec<_>>();
                    assert_close(
                        &format!("U, {what}"),
                        &model.user_factors,
                        &flat(&expected.users.w),
                        FACTORS,
                    );
                    assert_close(
                        &format!("V, {what}"),
                        &model.item_factors,
                        &flat(&expected.items.w),
                        FACTORS,
                    );
                    assert_close(&format!("b, {what}"), &model.user_bias, &expected.users.b, FACTORS);
                    assert_close(&format!("c, {what}"), &model.item_bias, &expected.items.b, FACTORS);
                }
            }
        }
    }
}

#[test]
fn fixed_penalties_agree_at_every_rank() {
    let ratings = problems::random(30, 45, 0.2, 31);
    for rank in [1, 3, 31, 32, 33, 128] {
        let config = config(ModelKind::Biased, Reg::Fixed(0.9), rank, 15);
        for (device, mut backend) in devices::all() {
            let model = run(&config, &ratings, &mut *backend);
            let expected = reference(&config, &ratings, &model);
            let flat: Vec<f64> = expected.users.w.iter().flatten().copied().collect();
            assert_close(&format!("U, rank {rank}, {device}"), &model.user_factors, &flat, FACTORS);
        }
    }
}

#[test]
fn everything_learned_agrees_in_what_it_predicts() {
    let cases = [
        Case { name: "random", ratings: problems::random(40, 30, 0.3, 32) },
        Case { name: "sparse", ratings: problems::random(60, 50, 0.08, 33) },
    ];
    for Case { name, ratings } in cases {
        for model in [ModelKind::Biased, ModelKind::Svdpp, ModelKind::Centered] {
            // And a warm-up with fewer factors than there are in the end.
            for (rank, epochs, first) in [(3, 6, 3), (3, 16, 3), (8, 26, 8), (7, 6, 4), (20, 12, 3)] {
                let mut config = config(model, Reg::Auto, rank, epochs);
                if first < rank {
                    config.options = vec![("warm-rank".to_owned(), first.to_string())];
                }
                for (device, mut backend) in devices::all() {
                    let trained = run(&config, &ratings, &mut *backend);
                    let expected = reference(&config, &ratings, &trained);
                    let (m, n) = (ratings.users.len(), ratings.items.len());
                    let all: Vec<f64> = (0..m)
                        .flat_map(|i| (0..n).map(move |j| (i, j)))
                        .map(|(i, j)| expected.predict(i, j))
                        .collect();
                    let what = format!("{name}, {model:?}, rank {rank}, {epochs} epochs, {device}");
                    assert_close(&what, &products(&trained), &all, LEARNED);
                }
            }
        }
    }
}

#[test]
fn ids_without_ratings_change_no_bit_of_the_others() {
    let ratings = problems::random(50, 40, 0.2, 37);
    let mut padded = ratings.clone();
    padded.users = problems::ids("u", 450);
    padded.items = problems::ids("i", 90);
    for model in [ModelKind::Svdpp, ModelKind::Biased] {
        let config = config(model, Reg::Auto, 6, 15);
        let mut cpu = devices::cpu(2);
        let (alone, among) = (run(&config, &ratings, &mut cpu), run(&config, &padded, &mut cpu));
        // Factors are drawn row by row, so that the first rows start the same.
        assert_eq!(alone.user_factors[..], among.user_factors[..50 * 6], "{model:?}");
        assert_eq!(alone.item_factors[..], among.item_factors[..40 * 6], "{model:?}");
        // Partial sums of more rows are added up.
        let [alone, among] = [&alone, &among].map(|model| model.metadata.metrics["train_rmse"]);
        assert!((alone - among).abs() < 1e-6 * alone, "{model:?}: {alone} and {among}");
    }
}

#[test]
fn shards_learn_the_same_model() {
    let ratings = problems::random(70, 90, 0.2, 34);
    let config = config(ModelKind::Svdpp, Reg::Auto, 5, 14);
    let whole: Vec<f64> =
        products(&run(&config, &ratings, &mut devices::cpu(2))).iter().copied().map(f64::from).collect();
    let small = run(&config, &ratings, &mut devices::cpu(2).with_max_buffer_bytes(3000));
    assert_close("CPU, small buffers", &products(&small), &whole, LEARNED);
    for adapter in devices::adapters() {
        let options =
            GpuOptions { max_buffer_bytes: Some(3000), max_workgroups: None, ..GpuOptions::default() };
        let small = run(&config, &ratings, &mut devices::gpu(&adapter, &options));
        assert_close("GPU, small buffers", &products(&small), &whole, LEARNED);
    }
}

#[test]
fn two_runs_and_any_number_of_threads_have_the_same_bits() {
    let ratings = problems::random(300, 200, 0.1, 35);
    let config = config(ModelKind::Svdpp, Reg::Auto, 9, 12);
    let one = run(&config, &ratings, &mut devices::cpu(1));
    for threads in [2, 3] {
        assert_eq!(one, run(&config, &ratings, &mut devices::cpu(threads)), "{threads} threads");
    }
    for (device, mut backend) in devices::gpus() {
        let first = run(&config, &ratings, &mut *backend);
        assert_eq!(first, run(&config, &ratings, &mut *backend), "{device}");
    }
}

/// Without momentum an epoch is two exact line searches: the objective can't rise.
#[test]
fn the_objective_never_rises_without_momentum() {
    let ratings = problems::random(40, 60, 0.2, 36);
    let dense = |model: &Model| problems::dense(&ratings, model.mean, model.scale);
    let mut last = f64::INFINITY;
    for epochs in 1..25 {
        let mut config = config(ModelKind::Biased, Reg::Fixed(0.5), 4, epochs);
        config.options = vec![("momentum".to_owned(), "0".to_owned())];
        let model = run(&config, &ratings, &mut devices::cpu(1));
        let data = dense(&model);
        let row =
            |w: &[f32], k: usize| w.chunks(k).map(|r| r.iter().copied().map(f64::from).collect()).collect();
        let state = crate::support::oracle::State {
            u: row(&model.user_factors, 4),
            v: row(&model.item_factors, 4),
            b: model.user_bias.iter().copied().map(f64::from).collect(),
            c: model.item_bias.iter().copied().map(f64::from).collect(),
            biased: true,
        };
        let objective = state.objective(&data, crate::support::oracle::Objective::Sum, 0.5, "sqrt");
        assert!(objective <= last * (1.0 + 1e-6), "epoch {epochs}: {objective} after {last}");
        last = objective;
    }
}

/// No input makes it diverge: extreme scales, one rating, equal ratings, ranks
/// above the data, tiny and huge penalties.
#[test]
fn it_diverges_on_no_input() {
    for seed in 0..12 {
        let mut ratings =
            problems::random(1 + seed as usize * 3, 20 - seed as usize, 0.1 + 0.07 * seed as f64, 50 + seed);
        match seed % 4 {
            1 => ratings.value.iter_mut().for_each(|y| *y = 3.0),
            2 => ratings
                .value
                .iter_mut()
                .enumerate()
                .for_each(|(p, y)| *y = if p % 2 == 0 { -1e15 } else { 1e15 }),
            3 => ratings.value.iter_mut().for_each(|y| *y *= 1e-15),
            _ => {}
        }
        for (model, reg) in [
            (ModelKind::Svdpp, Reg::Auto),
            (ModelKind::Biased, Reg::Auto),
            (ModelKind::Biased, Reg::Fixed(0.0)),
            (ModelKind::Biased, Reg::Fixed(1e6)),
            (ModelKind::Centered, Reg::Fixed(1e-6)),
        ] {
            for rank in [1, 30] {
                let data = Dataset { train: ratings.clone(), valid: None, test: None };
                let mut worst = 0.0f64;
                let mut first = None;
                let mut listen = |event: &Event| {
                    if let Event::Epoch(epoch) = event {
                        first.get_or_insert(epoch.train_rmse.unwrap());
                        worst = worst.max(epoch.train_rmse.unwrap());
                    }
                };
                let config = config(model, reg, rank, 40).check().unwrap();
                train(config, &data, &mut devices::cpu(2), &mut listen)
                    .unwrap_or_else(|e| panic!("seed {seed}, {model:?}, {reg}, rank {rank}: {e}"));
                let spread = f64::from(data.train.stats().max) - f64::from(data.train.stats().min);
                assert!(
                    worst <= 2.0 * first.unwrap() + spread + 1e-6,
                    "seed {seed}, {model:?}, {reg}, rank {rank}: {worst}"
                );
            }
        }
    }
}

/// With factors penalised away, what is left is a ridge regression on biases,
/// `min Σ (y − b − c)² + λ_b Σ √n b² + λ_b Σ √n c²`, whatever λ the factors have.
#[test]
fn biases_have_a_penalty_of_their_own() {
    let ratings = problems::random(30, 25, 0.3, 38);
    for reg_bias in [0.05, 3.0] {
        for (optimizer, epochs, tolerance) in
            [("line-search", 300, 1e-4), ("als", 300, 1e-4), ("gd", 20_000, 1e-3)]
        {
            let config = TrainConfig {
                optimizer: optimizer.to_owned(),
                reg_bias: Some(reg_bias),
                ..config(ModelKind::Biased, Reg::Fixed(60.0), 2, epochs)
            };
            let model = run(&config, &ratings, &mut devices::cpu(2));
            let dense = problems::dense(&ratings, model.mean, model.scale);
            let (mut b, mut c) = (vec![0.0; dense.m], vec![0.0; dense.n]);
            for _ in 0..2_000 {
                for i in 0..dense.m {
                    let rated: Vec<usize> = (0..dense.n).filter(|&j| dense.r[i][j]).collect();
                    let n = rated.len() as f64;
                    let sum: f64 = rated.iter().map(|&j| dense.y[i][j] - c[j]).sum();
                    b[i] = if n > 0.0 { sum / (n + reg_bias * n.sqrt()) } else { 0.0 };
                }
                for j in 0..dense.n {
                    let rated: Vec<usize> = (0..dense.m).filter(|&i| dense.r[i][j]).collect();
                    let n = rated.len() as f64;
                    let sum: f64 = rated.iter().map(|&i| dense.y[i][j] - b[i]).sum();
                    c[j] = if n > 0.0 { sum / (n + reg_bias * n.sqrt()) } else { 0.0 };
                }
            }
            assert_close(&format!("b, {optimizer}, {reg_bias}"), &model.user_bias, &b, tolerance);
            assert_close(&format!("c, {optimizer}, {reg_bias}"), &model.item_bias, &c, tolerance);
        }
    }
}

/// The same λ said twice is the same run, to the bit, by every optimiser that has a fixed λ.
#[test]
fn the_same_penalty_for_biases_changes_nothing() {
    let ratings = problems::random(40, 30, 0.2, 39);
    for spec in deltav::optim::OPTIMIZERS {
        let config = TrainConfig {
            optimizer: spec.name.to_owned(),
            ..config(ModelKind::Biased, Reg::Fixed(0.5), 3, 5)
        };
        let twice = TrainConfig { reg_bias: Some(0.5), ..config.clone() };
        for (device, mut backend) in devices::all() {
            let (a, b) = (run(&config, &ratings, &mut *backend), run(&twice, &ratings, &mut *backend));
            assert_eq!(a.user_bias, b.user_bias, "{}, {device}", spec.name);
            assert_eq!(a.item_factors, b.item_factors, "{}, {device}", spec.name);
        }
    }
}
