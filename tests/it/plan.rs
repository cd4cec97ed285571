//! The memory that is planned against that which is taken.

use deltav::backend::Backend;
use deltav::backend::gpu::GpuOptions;
use deltav::config::{Kernels, ModelKind, TrainConfig};
use deltav::data::Ratings;
use deltav::event::Event;
use deltav::model::Model;
use deltav::optim::OPTIMIZERS;
use deltav::train::{Dataset, Place, Plan, Shape, train};

use crate::support::counting::{Bytes, Counting};
use crate::support::{devices, problems};

fn dataset(ratings: Ratings) -> Dataset {
    let (rest, test) = ratings.split(0.1, 1).unwrap();
    let (part, valid) = rest.split(0.1, 2).unwrap();
    Dataset { train: part, valid: Some(valid), test: Some(test) }
}

/// Every optimiser with every model that it takes, by both kinds of kernels.
fn configs() -> Vec<TrainConfig> {
    let mut configs = Vec::new();
    for spec in OPTIMIZERS {
        for model in ModelKind::ALL {
            for kernels in [Kernels::Auto, Kernels::Textbook] {
                let options = match spec.name {
                    "line-search" => vec![("warm-up".to_owned(), "1".to_owned())],
                    _ => Vec::new(),
                };
                let config = TrainConfig {
                    model: Some(model),
                    optimizer: spec.name.to_owned(),
                    rank: 5,
                    epochs: Some(2),
                    options,
                    kernels,
                    ..TrainConfig::default()
                };
                if config.clone().check().is_ok() {
                    configs.push(config);
                }
            }
        }
    }
    assert!(configs.len() > 30, "{}", configs.len());
    configs
}

/// What a plan says of the device's buffers.
fn planned(plan: &Plan) -> Bytes {
    let own = plan.items.iter().filter(|item| item.place == Place::Device);
    let buffers = own.filter(|item| !["transfers", "pages of cells"].contains(&&*item.purpose));
    buffers.map(|item| (item.purpose.clone(), item.bytes)).collect()
}

fn plan(config: &TrainConfig, data: &Dataset, backend: &dyn Backend) -> Plan {
    let checked = config.clone().check().unwrap();
    Plan::new(&checked, &Shape::of(data, config.model.unwrap_or(ModelKind::Svdpp)), true, backend).unwrap()
}

fn run(config: &TrainConfig, data: &Dataset, backend: &mut dyn Backend) -> deltav::Result<Model> {
    train(config.clone().check().unwrap(), data, backend, &mut |_: &Event| {})
}

#[test]
fn what_is_planned_is_what_is_taken() {
    let data = dataset(problems::random(60, 40, 0.3, 5));
    for config in configs() {
        for (device, backend) in devices::all() {
            let mut backend = Counting::new(backend);
            let plan = plan(&config, &data, &backend);
            run(&config, &data, &mut backend).unwrap();
            let what = format!("{} {:?} {:?}, {device}", config.optimizer, config.model, config.kernels);
            assert_eq!(planned(&plan), backend.taken, "{what}");
            assert!(backend.streamed.is_empty());
        }
    }
}

#[test]
fn what_is_cut_into_tiles_is_planned_to_a_tenth() {
    let data = dataset(problems::random(200, 100, 0.4, 7));
    for config in configs() {
        let backend: Box<dyn Backend> = Box::new(devices::cpu(1).with_max_buffer_bytes(3_000));
        let mut backend = Counting::new(backend);
        let planned: u64 = planned(&plan(&config, &data, &backend)).values().sum();
        run(&config, &data, &mut backend).unwrap();
        let taken: u64 = backend.taken.values().sum();
        let ratio = planned as f64 / taken as f64;
        assert!(
            (0.95..1.1).contains(&ratio),
            "{} {:?}: {planned} of {taken}",
            config.optimizer,
            config.model
        );
    }
}

/// The methods that have fused kernels: both phases of the default among them.
fn fused() -> Vec<TrainConfig> {
    let fuses =
        |config: &TrainConfig| OPTIMIZERS.iter().any(|spec| spec.name == config.optimizer && spec.fuses);
    let configs = configs().into_iter().filter(|config| config.kernels == Kernels::Auto && fuses(config));
    configs.map(|config| TrainConfig { kernels: Kernels::Fused, epochs: Some(3), ..config }).collect()
}

#[test]
fn whatever_memory_a_device_has_the_run_is_refused_streamed_or_resident_as_planned_with_the_same_bits() {
    let data = dataset(problems::random(150, 90, 0.5, 9));
    for adapter in devices::adapters() {
        for config in fused() {
            let open = |max_memory_bytes| {
                let options = GpuOptions { max_memory_bytes, ..GpuOptions::default() };
                devices::gpu(&adapter, &options)
            };
            let whole = run(&config, &data, &mut open(None)).unwrap();
            let all = plan(&config, &data, &open(None)).device();
            let mut ends = [0; 3];
            for part in 4..=16 {
                let mut backend = open(Some(all * part / 15));
                let planned = plan(&config, &data, &backend);
                let fits = planned.check(false).is_ok();
                let what = format!("{} {:?}, {part}/15 of {all}", config.optimizer, config.model);
                match run(&config, &data, &mut backend) {
                    Ok(model) => {
                        assert!(fits, "{what}");
                        assert!(model == whole, "{what}");
                        ends[if planned.page_bytes.is_some() { 1 } else { 2 }] += 1;
                    }
                    Err(error) => {
                        assert!(!fits, "{what}: {error}");
                        assert_eq!(error.exit_code(), 71, "{what}: {error}");
                        assert!(error.to_string().contains("bytes are free"), "{what}: {error}");
                        ends[0] += 1;
                    }
                }
                assert_eq!(backend.allocated(), 0, "{what}");
            }
            assert!(ends.iter().all(|&n| n > 0), "{} {:?}: {ends:?}", config.optimizer, config.model);
        }
    }
}

#[test]
fn a_device_that_hides_how_little_memory_it_has_gets_the_ratings_streamed() {
    let data = dataset(problems::random(60, 40, 0.4, 3));
    let config = &fused()[0];
    let whole = run(config, &data, &mut devices::cpu(1)).unwrap();
    let mut backend = Counting::new(Box::new(devices::cpu(1)));
    run(config, &data, &mut backend).unwrap();
    let all: u64 = backend.taken.values().sum();
    let cells = backend.taken["cells"];
    let mut backend = Counting::new(Box::new(devices::cpu(1)));
    backend.has = Some(all - cells);
    let mut notices = Vec::new();
    let mut listen = |event: &Event| {
        if let Event::Notice(text) = event {
            notices.push(text.clone());
        }
    };
    let model = train(config.clone().check().unwrap(), &data, &mut backend, &mut listen).unwrap();
    assert!(model == whole);
    assert_eq!(backend.streamed["cells"], cells);
    assert!(notices.iter().any(|text| text.contains("streamed")), "{notices:?}");
    // Less than what is not streamed.
    let mut backend = Counting::new(Box::new(devices::cpu(1)));
    backend.has = Some(all - cells - 4);
    assert_eq!(run(config, &data, &mut backend).unwrap_err().exit_code(), 71);
    assert_eq!(backend.allocated(), 0);
    // Textbook kernels can't be streamed to.
    let textbook = TrainConfig { kernels: Kernels::Textbook, ..config.clone() };
    let mut backend = Counting::new(Box::new(devices::cpu(1)));
    backend.has = Some(all - cells);
    assert_eq!(run(&textbook, &data, &mut backend).unwrap_err().exit_code(), 71);
}

#[test]
fn streamed_elements_are_seen_by_kernels_in_the_order_of_the_recording() {
    use deltav::kernel::Element;
    use deltav::kernel::copy::CopyValues;
    for adapter in devices::adapters() {
        let mut backend = devices::gpu(&adapter, &GpuOptions::default());
        // Some larger than those before them, so that pages grow while others are in them.
        let lengths = [5, 3, 9, 1, 40, 40, 2];
        let contents: Vec<Vec<u32>> = lengths
            .iter()
            .enumerate()
            .map(|(i, &n)| (0..n).map(|j| (i * 100 + j) as u32).collect())
            .collect();
        let mut recording = Vec::new();
        let mut copies = Vec::new();
        let held: Vec<_> = contents
            .iter()
            .map(|words| backend.stream("cells", Element::F32, words.clone()).unwrap())
            .collect();
        for round in 0..3 {
            for (i, &values) in held.iter().enumerate().filter(|(i, _)| round < 2 || i % 3 == 0) {
                let copied = backend.alloc("copy", Element::F32, values.len()).unwrap();
                recording.push(CopyValues { values, copied }.dispatch().unwrap());
                copies.push((i, copied));
            }
        }
        backend.dispatch(&recording).unwrap();
        backend.dispatch(&recording[3..5]).unwrap();
        for (i, buffer) in copies.iter().copied().chain(held.iter().copied().enumerate()) {
            let mut words = vec![0; buffer.len()];
            backend.read(buffer, &mut words).unwrap();
            assert_eq!(words, contents[i]);
        }
        let error = backend.write(held[0], &contents[0]).unwrap_err();
        assert_eq!(error.exit_code(), 1, "{error}");
        // What is lost while it streams is the device's error.
        backend.lose_device();
        assert_eq!(backend.dispatch(&recording).unwrap_err().exit_code(), 69);
        backend.release(0);
        assert_eq!(backend.allocated(), 0);
    }
}
