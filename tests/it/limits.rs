//! Small devices and large data: sharded buffers and long grids change nothing.

use deltav::backend::gpu::GpuOptions;
use deltav::backend::{Backend, alloc_f32, alloc_u32, read_f32};
use deltav::config::{Loss, ModelKind, Reg, TrainConfig};
use deltav::event::{Event, Silent};
use deltav::kernel::gradient::Gradient;
use deltav::kernel::step_gd::StepGd;
use deltav::model::{Model, TopList, TopN};
use deltav::train::{Dataset, train};

use crate::support::compare::{FACTORS, assert_close_f32};
use crate::support::devices;
use crate::support::problems;

/// Factors after 2 epochs where a row sums up 70,000 cells in f32, in another order.
const LONG_ROWS: f64 = 1e-4;

fn config(rank: usize) -> TrainConfig {
    TrainConfig {
        model: Some(ModelKind::Biased),
        optimizer: "gd".to_owned(),
        rank,
        epochs: Some(20),
        loss: Loss::Mean,
        reg: Some(Reg::Fixed(0.3)),
        ..TrainConfig::default()
    }
}

fn run(rank: usize, data: &Dataset, backend: &mut dyn Backend) -> (Model, Vec<f64>) {
    let mut curve = Vec::new();
    let mut listen = |event: &Event| {
        if let Event::Epoch(epoch) = event {
            curve.extend(epoch.train_rmse.into_iter().chain(epoch.valid_rmse).chain(epoch.test_rmse));
        }
    };
    let model = train(config(rank).check().unwrap(), data, backend, &mut listen).unwrap();
    (model, curve)
}

fn same(what: &str, (a, a_curve): &(Model, Vec<f64>), (b, b_curve): &(Model, Vec<f64>)) {
    assert_close_f32(&format!("U, {what}"), &a.user_factors, &b.user_factors, FACTORS);
    assert_close_f32(&format!("V, {what}"), &a.item_factors, &b.item_factors, FACTORS);
    assert_eq!(a_curve.len(), b_curve.len());
    for (x, y) in a_curve.iter().zip(b_curve) {
        assert!((x - y).abs() < 1e-5, "{what}: RMSE {x} and {y}");
    }
}

#[test]
fn shards_below_a_small_limit_train_the_same_model() {
    let all = problems::random(70, 90, 0.3, 21);
    let (train, held) = all.split(0.2, 3).unwrap();
    let data = Dataset { train, valid: Some(held.clone()), test: Some(held) };
    let whole = run(7, &data, &mut devices::cpu(2));
    for bytes in [1024, 1500, 4096] {
        let mut cpu = devices::cpu(2).with_max_buffer_bytes(bytes);
        same(&format!("CPU, buffers of {bytes}"), &run(7, &data, &mut cpu), &whole);
        for adapter in devices::adapters() {
            // The device itself is opened with this limit: wgpu refuses a larger binding.
            let options =
                GpuOptions { max_buffer_bytes: Some(bytes), max_workgroups: None, ..GpuOptions::default() };
            let mut gpu = devices::gpu(&adapter, &options);
            same(&format!("GPU, buffers of {bytes}"), &run(7, &data, &mut gpu), &whole);
        }
    }
}

#[test]
fn a_second_dimension_of_workgroups_trains_the_same_model() {
    let data = Dataset { train: problems::random(70, 90, 0.3, 22), valid: None, test: None };
    let whole = run(9, &data, &mut devices::cpu(2));
    for adapter in devices::adapters() {
        for max in [1, 3, 10] {
            let options =
                GpuOptions { max_buffer_bytes: None, max_workgroups: Some(max), ..GpuOptions::default() };
            let mut gpu = devices::gpu(&adapter, &options);
            if max * max < 30 {
                // Too few for the data: a typed error, not a wrong answer.
                let result = train(config(9).check().unwrap(), &data, &mut gpu, &mut Silent);
                assert!(result.is_err(), "{max} workgroups a dimension");
            } else {
                same("few workgroups a dimension", &run(9, &data, &mut gpu), &whole);
            }
        }
    }
}

/// 65,535 workgroups of 64 invocations cover 4.2M elements: this has more.
#[test]
fn more_than_65535_workgroups_reach_every_element() {
    let (rows, width) = (70_000usize, 64usize);
    let factors: Vec<f32> = (0..8 * width).map(|i| (i % 13) as f32 - 6.0).collect();
    // One cell in every row but the multiples of 7, and row 69,999 has 100.
    let mut offsets = vec![0u32];
    let mut columns = Vec::new();
    for row in 0..rows {
        let cells = if row == rows - 1 { 100 } else { usize::from(row % 7 != 0) };
        columns.extend((0..cells).map(|c| ((row + c) % 8) as u32));
        offsets.push(columns.len() as u32);
    }
    let delta: Vec<f32> = (0..columns.len()).map(|p| ((p % 5) as f32) - 2.0).collect();
    let mut expected = vec![0.0f32; rows * width];
    for row in 0..rows {
        for p in offsets[row] as usize..offsets[row + 1] as usize {
            for f in 0..width {
                // Small integers: exact in f32.
                expected[row * width + f] += delta[p] * factors[columns[p] as usize * width + f];
            }
        }
    }
    for (device, mut backend) in devices::all() {
        let backend = &mut *backend;
        let call = Gradient {
            offsets: alloc_u32(backend, "offsets", &offsets).unwrap(),
            columns: alloc_u32(backend, "columns", &columns).unwrap(),
            order: None,
            residuals: alloc_f32(backend, "residuals", &delta).unwrap(),
            factors: alloc_f32(backend, "factors", &factors).unwrap(),
            gradient: backend.alloc("gradient", deltav::kernel::Element::F32, rows * width).unwrap(),
            width,
            accumulate: false,
        };
        let dispatch = call.dispatch().unwrap();
        assert!(dispatch.workgroups() > 65_535);
        let step = StepGd {
            gradient: call.gradient,
            penalty: backend.alloc("penalty", deltav::kernel::Element::F32, rows).unwrap(),
            factors: backend.alloc("factors", deltav::kernel::Element::F32, rows * width).unwrap(),
            width,
            frozen: None,
            rate: 2.0,
        };
        backend.dispatch(&[dispatch, step.dispatch().unwrap()]).unwrap();
        assert!(read_f32(backend, call.gradient).unwrap() == expected, "{device}");
        let doubled: Vec<f32> = expected.iter().map(|x| 2.0 * x).collect();
        assert!(read_f32(backend, step.factors).unwrap() == doubled, "{device}");
    }
}

/// Rows beyond what a software adapter's loops may run: its answer must still
/// be the CPU's.
#[test]
fn rows_longer_than_a_software_adapters_loops_are_cut() {
    let users = 70_000;
    let cells: Vec<(usize, usize)> = (0..users).flat_map(|user| [(user, 0), (user, 1 + user % 5)]).collect();
    let data = Dataset { train: problems::from_cells(users, 6, &cells, 8), valid: None, test: None };
    let small: Vec<(usize, usize)> = (0..3_000).flat_map(|user| [(user, 0), (user, 1 + user % 5)]).collect();
    let small = Dataset { train: problems::from_cells(3_000, 6, &small, 8), valid: None, test: None };
    let cases =
        [("gd", 1, &data), ("line-search", 32, &data), ("als", 62, &small), ("line-search", 512, &small)];
    for (optimizer, rank, data) in cases {
        let config = TrainConfig {
            optimizer: optimizer.to_owned(),
            epochs: Some(2),
            reg: Some(Reg::Fixed(1.2)),
            rank,
            ..TrainConfig::default()
        };
        let run = |backend: &mut dyn Backend| {
            train(config.clone().check().unwrap(), data, backend, &mut Silent).unwrap()
        };
        let cpu = run(&mut devices::cpu(2));
        for (device, mut gpu) in devices::gpus() {
            let gpu = run(&mut *gpu);
            let what = format!("{optimizer}, rank {rank}, {device}");
            assert_close_f32(&format!("V, {what}"), &gpu.item_factors, &cpu.item_factors, LONG_ROWS);
            assert_close_f32(&format!("c, {what}"), &gpu.item_bias, &cpu.item_bias, LONG_ROWS);
        }
    }
}

#[test]
fn data_move_in_pieces_of_any_size() {
    let words: Vec<u32> = (0..1_000).map(|i| i * 7 + 1).collect();
    for adapter in devices::adapters() {
        for staging_bytes in [4, 256, 1_000, 4_000, 1 << 20] {
            let options = GpuOptions { staging_bytes: Some(staging_bytes), ..GpuOptions::default() };
            let mut gpu = devices::gpu(&adapter, &options);
            let buffer = alloc_u32(&mut gpu, "words", &words).unwrap();
            let mut back = vec![0; words.len()];
            gpu.read(buffer, &mut back).unwrap();
            assert_eq!(back, words, "{staging_bytes} bytes at a time");
        }
    }
}

/// Users × items is beyond 32 bits, and the ratings are spread to the last of both.
#[test]
fn more_pairs_than_32_bits_number() {
    let side = 70_000;
    let cells: Vec<(usize, usize)> = (0..20_000)
        .map(|p| (side - 1 - p * 7 % side, side - 1 - (p * 7 % side * 31 + p / 9) % 500))
        .collect();
    let ratings = problems::from_cells(side, side, &cells, 9);
    let data = Dataset { train: ratings.clone(), valid: None, test: None };
    for (optimizer, epochs) in [("line-search", 8), ("als", 3)] {
        let config = TrainConfig {
            optimizer: optimizer.to_owned(),
            epochs: Some(epochs),
            rank: 2,
            clip: false,
            ..TrainConfig::default()
        };
        for (device, mut backend) in devices::all() {
            let what = format!("{optimizer}, {device}");
            let model = train(config.clone().check().unwrap(), &data, &mut *backend, &mut Silent).unwrap();
            let predictor = model.predictor();
            let squares: f64 = (0..ratings.len())
                .map(|p| {
                    let predicted = predictor.predict(Some(ratings.user[p]), Some(ratings.item[p])).rating;
                    (predicted - f64::from(ratings.value[p])).powi(2)
                })
                .sum();
            let rmse = (squares / ratings.len() as f64).sqrt();
            let said = model.metadata.metrics["train_rmse"];
            assert!((rmse - said).abs() < 1e-5, "{what}: {said} for {rmse}");
            assert!(said < 0.9 * ratings.stats().std, "{what}: {said}");
            let last = side as u32 - 1;
            let query = TopN { n: 3, ..TopN::default() };
            let check = |lists: &[TopList]| {
                assert_eq!(lists[0].items, predictor.recommend_index(last, 3, false), "{what}");
                assert!(lists[0].items.iter().all(|best| best.item as usize >= side - 500), "{what}");
                Ok(())
            };
            predictor.top_n(&[last; 70], &query, &mut *backend, check).unwrap();
        }
    }
}
