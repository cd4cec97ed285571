//! Averages of models, and the device's memory between runs.

use deltav::backend::{Backend, alloc_f32, read_f32};
use deltav::config::{ModelKind, TrainConfig};
use deltav::event::{Epoch, Event, Silent, Stopped};
use deltav::kernel::copy::CopyValues;
use deltav::model::{Model, Unknown, evaluate};
use deltav::train::{Dataset, train};

use crate::support::{devices, problems};

fn config(model: ModelKind, seed: u64, average: u32) -> TrainConfig {
    TrainConfig { model: Some(model), rank: 3, epochs: Some(9), seed, average, ..TrainConfig::default() }
}

fn data() -> Dataset {
    let (train, held) = problems::random(25, 20, 0.4, 41).split(0.2, 1).unwrap();
    Dataset { train, valid: Some(held.clone()), test: Some(held) }
}

fn quiet(config: TrainConfig, data: &Dataset, backend: &mut dyn Backend) -> Model {
    train(config.check().unwrap(), data, backend, &mut Silent).unwrap()
}

#[test]
fn an_average_predicts_the_mean_of_its_members() {
    let data = data();
    for kind in [ModelKind::Plain, ModelKind::Biased, ModelKind::Svdpp] {
        for (device, mut backend) in devices::all() {
            let backend = &mut *backend;
            let members: Vec<Model> = (7..11)
                .map(|seed| Model { clip: false, ..quiet(config(kind, seed, 1), &data, backend) })
                .collect();
            let average = quiet(config(kind, 7, 4), &data, backend);
            assert_eq!((average.rank, average.check()), (12, Ok(())));
            let average = Model { clip: false, ..average };
            let mut far = 0.0_f64;
            for user in (0..26).map(Some).chain([None]) {
                for item in (0..21).map(Some).chain([None]) {
                    let one = |model: &Model| model.predictor().predict(user, item).rating;
                    let mean = members.iter().map(one).sum::<f64>() / 4.0;
                    assert!((one(&average) - mean).abs() < 1e-5, "{kind:?}, {device}, {user:?} {item:?}");
                    far = far.max((one(&members[0]) - mean).abs());
                }
            }
            assert!(far > 1e-3, "{kind:?}: the members differ");
        }
    }
}

#[test]
fn an_average_of_one_is_the_model_itself() {
    let (data, mut backend) = (data(), devices::cpu(2));
    let one = quiet(config(ModelKind::Svdpp, 5, 1), &data, &mut backend);
    let plain = TrainConfig { rank: 3, epochs: Some(9), seed: 5, ..TrainConfig::default() };
    assert_eq!(one, quiet(plain, &data, &mut backend));
    assert!(!one.metadata.settings.contains_key("average"));
}

#[test]
fn its_events_are_numbered_and_its_errors_are_its_own() {
    let (data, mut backend) = (data(), devices::cpu(2));
    let mut epochs: Vec<Epoch> = Vec::new();
    let (mut loaded, mut ends): (u32, Vec<Stopped>) = (0, Vec::new());
    let config = config(ModelKind::Svdpp, 1, 3).check().unwrap();
    let model = train(config, &data, &mut backend, &mut |event: &Event| match event {
        Event::Epoch(epoch) => epochs.push(*epoch),
        Event::Loaded(_) => loaded += 1,
        Event::Stopped(stopped) => ends.push(stopped.clone()),
        _ => {}
    })
    .unwrap();
    let numbers: Vec<(Option<u32>, u32)> = epochs.iter().map(|e| (e.member, e.epoch)).collect();
    let expected: Vec<(Option<u32>, u32)> =
        (1..=3).flat_map(|member| (1..=9).map(move |epoch| (Some(member), epoch))).collect();
    assert_eq!((numbers, loaded, ends.len()), (expected, 1, 1));

    let kept = ends[0].kept;
    assert_eq!((kept.member, ends[0].best_epoch, model.metadata.best_epoch), (None, None, None));
    let held = data.test.as_ref().unwrap();
    let pairs = (0..held.len()).map(|p| (held.user[p], held.item[p], held.value[p]));
    let rmse = evaluate(&model.predictor(), pairs, Unknown::Mean).unwrap().get("rmse").unwrap();
    assert_eq!((kept.test_rmse, kept.valid_rmse), (Some(rmse), Some(rmse)));
    let metadata = &model.metadata;
    assert_eq!((metadata.metrics["test_rmse"], metadata.settings["average"].as_str()), (rmse, "3"));
    assert_eq!((metadata.seed, metadata.epochs, metadata.curve.len()), (1, 9, 0));
    // Each member keeps its best epoch; the mean of squares is below the squares' mean.
    let best = |member: u32| {
        let mine = epochs.iter().filter(|e| e.member == Some(member)).filter_map(|e| e.valid_rmse);
        mine.fold(f64::INFINITY, f64::min)
    };
    let squares = (1..=3).map(|member| best(member).powi(2)).sum::<f64>() / 3.0;
    assert!(rmse <= squares.sqrt() + 1e-6, "{rmse}");
}

#[test]
fn a_rank_beyond_what_trains_is_saved_and_loaded() {
    let (data, mut backend) = (data(), devices::cpu(2));
    let config = TrainConfig { rank: 300, epochs: Some(2), average: 3, ..TrainConfig::default() };
    let model = quiet(config, &data, &mut backend);
    assert_eq!(model.rank, 900);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    model.save(&path, false).unwrap();
    assert_eq!(Model::load(&path).unwrap(), model);
    for average in [0, 65, u32::MAX] {
        let config = TrainConfig { average, ..TrainConfig::default() };
        assert_eq!(config.check().unwrap_err().exit_code(), 2);
    }
}

#[test]
fn a_run_gives_its_memory_back_and_the_next_is_the_same() {
    let data = data();
    for (device, mut backend) in devices::all() {
        let backend = &mut *backend;
        let mine = alloc_f32(backend, "mine", &[1.0, 2.0, 3.0]).unwrap();
        let first = quiet(config(ModelKind::Svdpp, 1, 1), &data, backend);
        assert_eq!(backend.allocated(), 1, "{device}");
        let averaged = quiet(config(ModelKind::Svdpp, 1, 2), &data, backend);
        assert_eq!((backend.allocated(), averaged.rank), (1, 6), "{device}");
        assert_eq!(first, quiet(config(ModelKind::Svdpp, 1, 1), &data, backend), "{device}");
        // A new buffer with an old one's number has nothing of it.
        let copied = alloc_f32(backend, "copied", &[0.0; 3]).unwrap();
        backend.dispatch(&[CopyValues { values: mine, copied }.dispatch().unwrap()]).unwrap();
        assert_eq!(read_f32(backend, copied).unwrap(), [1.0, 2.0, 3.0], "{device}");
        backend.release(1);
        let longer = alloc_f32(backend, "longer", &[4.0; 3]).unwrap();
        assert_eq!(longer.id(), copied.id());
        backend.dispatch(&[CopyValues { values: mine, copied: longer }.dispatch().unwrap()]).unwrap();
        assert_eq!(read_f32(backend, longer).unwrap(), [1.0, 2.0, 3.0], "{device}");
    }
}
