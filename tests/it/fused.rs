//! The fused kernels against those that they fuse, on whole runs.

use deltav::backend::gpu::GpuOptions;
use deltav::backend::{Backend, alloc_f32};
use deltav::config::{Kernels, ModelKind, Precision, Reg, TrainConfig};
use deltav::data::Ratings;
use deltav::data::planted::Planted;
use deltav::event::{Event, Silent};
use deltav::kernel::Element;
use deltav::kernel::fused::{Columns, Packing};
use deltav::kernel::pack_rows::PackRows;
use deltav::model::Model;
use deltav::train::{Dataset, train};
use half::f16;

use crate::support::compare::assert_close_f32;
use crate::support::{devices, problems};

fn config(model: ModelKind, optimizer: &str, rank: usize, kernels: Kernels) -> TrainConfig {
    let learns = optimizer == "line-search" && model == ModelKind::Svdpp;
    let mut options = Vec::new();
    if learns {
        // Both phases, and priors that are learned.
        let phases = [("warm-up", "1"), ("settle", "1"), ("warm-rank", "17"), ("join", "2")];
        options = phases.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    }
    if optimizer == "adam" {
        options = vec![("rate".to_owned(), "0.02".to_owned())];
    }
    TrainConfig {
        model: Some(model),
        optimizer: optimizer.to_owned(),
        rank,
        epochs: Some(7),
        reg: Some(if learns { Reg::Auto } else { Reg::Fixed(0.7) }),
        reg_bias: (model == ModelKind::Biased).then_some(0.3),
        options,
        kernels,
        ..TrainConfig::default()
    }
}

fn run(config: TrainConfig, train_on: &Ratings, backend: &mut dyn Backend) -> (Model, Vec<f64>) {
    let data = Dataset { train: train_on.clone(), valid: None, test: None };
    let mut curve = Vec::new();
    let mut listen = |event: &Event| {
        if let Event::Epoch(epoch) = event {
            curve.extend(epoch.train_rmse);
        }
    };
    let model = train(config.check().unwrap(), &data, backend, &mut listen).unwrap();
    (model, curve)
}

fn same(what: &str, (a, a_curve): &(Model, Vec<f64>), (b, b_curve): &(Model, Vec<f64>)) {
    // Adam divides by the gradient's own size: where that is small, so is what is left of its bits.
    let tolerance = if what.starts_with("adam") { 2e-3 } else { 2e-4 };
    assert_close_f32(&format!("U, {what}"), &a.user_factors, &b.user_factors, tolerance);
    assert_close_f32(&format!("V, {what}"), &a.item_factors, &b.item_factors, tolerance);
    assert_close_f32(&format!("b, {what}"), &a.user_bias, &b.user_bias, tolerance);
    assert_eq!(a_curve.len(), b_curve.len());
    for (x, y) in a_curve.iter().zip(b_curve) {
        assert!((x - y).abs() < 1e-5 * x.abs().max(1.0), "{what}: RMSE {x} and {y}");
    }
}

const METHODS: [(ModelKind, &str); 8] = [
    (ModelKind::Svdpp, "line-search"),
    (ModelKind::Biased, "line-search"),
    (ModelKind::Plain, "line-search"),
    (ModelKind::Centered, "gd"),
    (ModelKind::Biased, "gd"),
    (ModelKind::Biased, "momentum"),
    (ModelKind::Plain, "adam"),
    (ModelKind::Biased, "adam"),
];

#[test]
fn fused_and_textbook_train_the_same_model_on_every_device() {
    let ratings = problems::random(60, 40, 0.3, 5);
    for (model, optimizer) in METHODS {
        // One vector a row, three, and more than the unrolled ones.
        for rank in [1, 7, 37] {
            let textbook =
                run(config(model, optimizer, rank, Kernels::Textbook), &ratings, &mut devices::cpu(2));
            for (device, mut backend) in devices::all() {
                // On a CPU all of them are the same.
                let mappings = [Kernels::FusedRows, Kernels::FusedLanes];
                for kernels in mappings.into_iter().take(if device == "CPU" { 1 } else { 2 }) {
                    let fused = run(config(model, optimizer, rank, kernels), &ratings, &mut *backend);
                    let what = format!("{optimizer}, {model:?}, rank {rank}, {kernels:?}, {device}");
                    same(&what, &fused, &textbook);
                }
            }
        }
    }
}

#[test]
fn rows_of_several_segments_train_the_same_model_on_any_number_of_threads() {
    // One user has rated every one of 20,000 items: three segments.
    let cells: Vec<(usize, usize)> =
        (0..20_000).flat_map(|j| [(0, j), (1 + j % 3, j)]).filter(|&(i, j)| i == 0 || j % 5 != 0).collect();
    let ratings = problems::from_cells(4, 20_000, &cells, 6);
    for (model, optimizer) in [METHODS[0], METHODS[1], METHODS[4]] {
        // Few epochs: the textbook kernels add long rows up in one go, and what they lose is magnified.
        let config = |kernels| TrainConfig { epochs: Some(2), ..config(model, optimizer, 5, kernels) };
        let textbook = run(config(Kernels::Textbook), &ratings, &mut devices::cpu(2));
        let one = run(config(Kernels::Fused), &ratings, &mut devices::cpu(1));
        same(&format!("{optimizer}, {model:?}"), &one, &textbook);
        for threads in [2, 3, 7] {
            let many = run(config(Kernels::Fused), &ratings, &mut devices::cpu(threads));
            assert_eq!(one.0.user_factors, many.0.user_factors, "{threads} threads");
            assert_eq!(one.0.item_factors, many.0.item_factors, "{threads} threads");
            assert_eq!(one.1, many.1, "{threads} threads");
        }
    }
}

#[test]
fn a_row_longer_than_a_software_adapter_s_loops_is_shared_by_a_workgroup() {
    // One user has rated 70,000 items, each in one cell; llvmpipe ends a loop after 65,535.
    let cells: Vec<(usize, usize)> =
        (0..70_000).flat_map(|j| [(0, j), (1 + j % 3, j)]).filter(|&(i, j)| i == 0 || j % 5 != 0).collect();
    let ratings = problems::from_cells(4, 70_000, &cells, 6);
    for (model, optimizer) in [METHODS[0], METHODS[1], METHODS[4]] {
        let config = |kernels| TrainConfig { epochs: Some(2), ..config(model, optimizer, 5, kernels) };
        let cpu = run(config(Kernels::Fused), &ratings, &mut devices::cpu(2));
        for (device, mut backend) in devices::gpus() {
            for kernels in [Kernels::FusedRows, Kernels::FusedLanes] {
                let gpu = run(config(kernels), &ratings, &mut *backend);
                same(&format!("{optimizer}, {model:?}, {kernels:?}, {device}"), &gpu, &cpu);
            }
        }
    }
}

#[test]
fn what_can_not_be_fused_is_an_error_only_where_it_was_asked_for() {
    let ratings = problems::random(30, 20, 0.4, 8);
    let small = GpuOptions { max_buffer_bytes: Some(1024), ..GpuOptions::default() };
    let mut backends: Vec<Box<dyn Backend>> = vec![Box::new(devices::cpu(1).with_max_buffer_bytes(1024))];
    for adapter in devices::adapters() {
        backends.push(Box::new(devices::gpu(&adapter, &small)));
    }
    for mut backend in backends {
        let data = Dataset { train: ratings.clone(), valid: None, test: None };
        for kernels in Kernels::ALL {
            let checked = config(ModelKind::Biased, "line-search", 9, kernels).check().unwrap();
            let result = train(checked, &data, &mut *backend, &mut Silent);
            let asked = !matches!(kernels, Kernels::Auto | Kernels::Textbook);
            assert_eq!(result.is_err(), asked, "{kernels:?}");
            if let Err(error) = result {
                assert_eq!(error.exit_code(), 2);
                assert!(error.to_string().contains("--kernels textbook"), "{error}");
            }
        }
    }
    let als = config(ModelKind::Biased, "als", 4, Kernels::Fused).check().unwrap();
    let data = Dataset { train: ratings, valid: None, test: None };
    let error = train(als, &data, &mut devices::cpu(1), &mut Silent).unwrap_err();
    assert!(error.to_string().contains("this optimizer has none"), "{error}");
}

#[test]
fn f16_trains_the_same_model_to_its_rounding_and_to_the_same_bits_twice() {
    let split = Planted::new(200, 150, 6_000).generate().unwrap().split(0.2, 1).unwrap();
    let data = Dataset { train: split.train, valid: None, test: Some(split.test) };
    for (model, optimizer) in [METHODS[0], METHODS[1], METHODS[4]] {
        for adapter in devices::adapters() {
            for kernels in [Kernels::FusedRows, Kernels::FusedLanes] {
                let mut backend = devices::gpu(&adapter, &GpuOptions::default());
                let mut model_in = |precision| {
                    let config = TrainConfig { precision, ..config(model, optimizer, 12, kernels) };
                    train(config.check().unwrap(), &data, &mut backend, &mut Silent).unwrap()
                };
                let [whole, half, again] =
                    [Precision::F32, Precision::F16, Precision::F16].map(&mut model_in);
                let rmse = |model: &Model| model.metadata.metrics["test_rmse"];
                let what = format!("{optimizer}, {model:?}, {kernels:?}");
                assert!((rmse(&whole) - rmse(&half)).abs() < 1e-4 * rmse(&whole), "{what}");
                assert_close_f32(&what, &half.user_factors, &whole.user_factors, 3e-2);
                assert_ne!(half.user_factors, whole.user_factors, "{what}");
                assert_eq!(half.user_factors, again.user_factors, "{what}");
                assert_eq!(half.item_factors, again.item_factors, "{what}");
            }
        }
    }
}

#[test]
fn f16_is_refused_where_nothing_gathers_it() {
    let data = Dataset { train: problems::random(30, 20, 0.4, 8), valid: None, test: None };
    let refused = |config: TrainConfig, backend: &mut dyn Backend, words: &str| {
        let config = TrainConfig { precision: Precision::F16, ..config };
        let error = train(config.check().unwrap(), &data, backend, &mut Silent).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(words) && !error.to_string().contains('\n'), "{error}");
    };
    let biased = |optimizer, kernels| config(ModelKind::Biased, optimizer, 4, kernels);
    refused(biased("line-search", Kernels::Auto), &mut devices::cpu(1), "is for GPUs");
    for (_, mut backend) in devices::gpus() {
        refused(biased("als", Kernels::Auto), &mut *backend, "this optimizer has none");
        refused(biased("line-search", Kernels::Textbook), &mut *backend, "textbook has none");
    }
}

#[test]
fn what_f16_cannot_hold_is_its_largest_number_and_nan_stays() {
    let values = [1e9f32, -1e9, 65_520.0, 65_504.0, f32::INFINITY, f32::NAN, 1e-9, 0.1];
    for (device, mut backend) in devices::all() {
        let factors = alloc_f32(&mut *backend, "factors", &values).unwrap();
        let packing = Packing { rows: 1, lanes: 16, spread: false, half: true };
        let packed = backend.alloc("packed", Element::U32, packing.len()).unwrap();
        let columns = Columns { width: 8, rank: 8, bias: None, unit: 0.0 };
        let call = PackRows { factors, variances: None, packed, packing, columns };
        backend.dispatch(&[call.dispatch().unwrap()]).unwrap();
        let mut words = vec![0; packing.len()];
        backend.read(packed, &mut words).unwrap();
        let halves: Vec<f32> = words
            .iter()
            .flat_map(|word| [*word as u16, (word >> 16) as u16])
            .map(|bits| f16::from_bits(bits).to_f32())
            .collect();
        let most = 65_504.0;
        assert_eq!(halves[..5], [most, -most, most, most, most], "{device}");
        assert!(halves[5].is_nan(), "{device}");
        assert_eq!(halves[6..8], [0.0, f16::from_f32(0.1).to_f32()], "{device}");
        assert!(halves[8..].iter().all(|&x| x == 0.0), "{device}");
    }
}
