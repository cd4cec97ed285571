//! How a run ends: the best epoch, patience, a time limit, divergence.

use std::time::{Duration, Instant};

use deltav::backend::Backend;
use deltav::config::{Keep, Loss, ModelKind, Reg, TrainConfig};
use deltav::data::{Held, Ratings};
use deltav::event::{Epoch, Event, Observer, Silent, StopReason, Stopped};
use deltav::model::{Model, Unknown, evaluate};
use deltav::train::{Dataset, train};
use deltav::{Error, Result};

use crate::support::{devices, problems};

fn gd(rank: usize, epochs: u32, rate: Option<&str>) -> TrainConfig {
    TrainConfig {
        model: Some(ModelKind::Biased),
        optimizer: "gd".to_owned(),
        rank,
        epochs: Some(epochs),
        loss: Loss::Sum,
        reg: Some(Reg::Fixed(0.0)),
        options: rate.map(|rate| ("rate".to_owned(), rate.to_owned())).into_iter().collect(),
        ..TrainConfig::default()
    }
}

fn line_search(epochs: u32, warm_up: u32) -> TrainConfig {
    TrainConfig {
        rank: 5,
        epochs: Some(epochs),
        options: vec![("warm-up".to_owned(), warm_up.to_string())],
        ..TrainConfig::default()
    }
}

/// What a run tells and returns.
struct Run {
    epochs: Vec<Epoch>,
    stopped: Option<Stopped>,
    result: Result<Model>,
}

fn run(config: &TrainConfig, data: &Dataset, backend: &mut dyn Backend) -> Run {
    let (mut epochs, mut stopped) = (Vec::new(), None);
    let result = train(config.clone().check().unwrap(), data, backend, &mut |event: &Event| match event {
        Event::Epoch(epoch) => epochs.push(*epoch),
        Event::Stopped(end) => stopped = Some(end.clone()),
        _ => {}
    });
    Run { epochs, stopped, result }
}

/// Noise, of which little can be learned: the validation RMSE falls, then rises.
fn noise() -> Dataset {
    let (train, valid) = problems::random(60, 50, 0.4, 31).split(0.2, 1).unwrap();
    Dataset { train, valid: Some(valid), test: None }
}

/// Validated with the opposite of every training rating: each epoch is worse than the one before.
fn opposite() -> Dataset {
    let train = problems::random(30, 25, 0.5, 32);
    let Ratings { user, item, value, .. } = &train;
    let some = |side: &[u32]| side.iter().copied().map(Some).collect();
    let valid =
        Held { user: some(user), item: some(item), value: value.iter().map(|value| 5.5 - value).collect() };
    Dataset { train, valid: Some(valid), test: None }
}

/// Validated with the training ratings: each epoch is better than the one before.
fn itself() -> Dataset {
    let mut data = opposite();
    if let Some(valid) = &mut data.valid {
        valid.value.clone_from(&data.train.value);
    }
    data
}

fn same_factors(what: &str, a: &Model, b: &Model) {
    assert_eq!(a.user_factors, b.user_factors, "{what}");
    assert_eq!(a.item_factors, b.item_factors, "{what}");
    assert_eq!((&a.user_bias, &a.item_bias), (&b.user_bias, &b.item_bias), "{what}");
    // Variances and priors belong to the epoch as the factors do.
    assert_eq!(a.posterior, b.posterior, "{what}");
}

#[test]
fn the_best_epoch_is_what_a_run_of_just_as_many_ends_with() {
    let data = noise();
    for config in [gd(6, 60, None), line_search(25, 5)] {
        for (device, mut backend) in devices::all() {
            let what = format!("{}, {device}", config.optimizer);
            let Run { epochs, stopped, result } = run(&config, &data, &mut *backend);
            let (stopped, model) = (stopped.unwrap(), result.unwrap());
            let rmse = |epoch: &Epoch| epoch.valid_rmse.unwrap();
            let best = epochs.iter().min_by(|a, b| rmse(a).total_cmp(&rmse(b))).unwrap();
            assert!((1..config.epochs.unwrap()).contains(&best.epoch), "{what}: best is {}", best.epoch);
            assert_eq!((stopped.best_epoch, &stopped.kept), (Some(best.epoch), best), "{what}");
            assert_eq!(stopped.last, *epochs.last().unwrap());
            let metadata = &model.metadata;
            assert_eq!((metadata.best_epoch, Some(metadata.epochs)), (Some(best.epoch), config.epochs));
            assert_eq!(metadata.metrics["valid_rmse"], rmse(best));

            // The model is measured apart from training.
            let held = data.valid.as_ref().unwrap();
            let pairs = (0..held.len()).map(|p| (held.user[p], held.item[p], held.value[p]));
            let measured = evaluate(&model.predictor(), pairs, Unknown::Mean).unwrap();
            assert!((measured.get("rmse").unwrap() - rmse(best)).abs() < 1e-5, "{what}");

            let short = TrainConfig { epochs: Some(best.epoch), ..config.clone() };
            let Run { result, .. } = run(&short, &data, &mut *backend);
            same_factors(&what, &model, &result.unwrap());
            // Who listens makes no difference.
            let silent = train(config.clone().check().unwrap(), &data, &mut *backend, &mut Silent).unwrap();
            same_factors(&what, &model, &silent);
        }
    }
}

#[test]
fn what_was_learned_is_kept_with_the_factors_that_it_belongs_to() {
    // Of noise there is little to learn: the best epoch comes early, but not in the warm-up.
    let data = noise();
    for (device, mut backend) in devices::all() {
        let config = line_search(25, 1);
        let all = run(&config, &data, &mut *backend).result.unwrap();
        let best = all.metadata.best_epoch.unwrap();
        assert!(best < 25 && all.posterior.is_some(), "{device}: best is {best}");
        assert!(all.posterior.as_ref().unwrap().mask.is_some(), "{device}");
        let short = TrainConfig { epochs: Some(best), ..config };
        same_factors(&device, &all, &run(&short, &data, &mut *backend).result.unwrap());
    }
}

#[test]
fn the_epoch_before_a_change_of_gauge_is_kept_whole() {
    // The first epoch is the best, and the last of the warm-up: factors are turned after it.
    let mut data = opposite();
    for (p, &user) in data.train.user.iter().enumerate() {
        // Structure that the later epochs fit ever better.
        data.train.value[p] = 1.0 + 4.0 * (user % 2) as f32;
        if let Some(valid) = &mut data.valid {
            valid.value[p] = 6.0 - data.train.value[p];
        }
    }
    for (device, mut backend) in devices::all() {
        let all = run(&line_search(9, 1), &data, &mut *backend).result.unwrap();
        assert_eq!(all.metadata.best_epoch, Some(1), "{device}");
        let one = run(&line_search(1, 1), &data, &mut *backend).result.unwrap();
        same_factors(&device, &all, &one);
    }
}

#[test]
fn a_model_is_the_one_that_its_last_epoch_measured() {
    // The turn after the warm-up's epoch, and the factors that join after the third, belong to the next.
    let data = noise();
    for (device, mut backend) in devices::all() {
        for epochs in 1..6 {
            let options = [("warm-up", "1"), ("warm-rank", "2"), ("join", "2")];
            let config = TrainConfig {
                rank: 5,
                options: options.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
                keep: Some(Keep::Last),
                ..line_search(epochs, 1)
            };
            let Run { epochs: told, result, .. } = run(&config, &data, &mut *backend);
            let (model, held) = (result.unwrap(), data.valid.as_ref().unwrap());
            let pairs = (0..held.len()).map(|p| (held.user[p], held.item[p], held.value[p]));
            let measured = evaluate(&model.predictor(), pairs, Unknown::Mean).unwrap().get("rmse").unwrap();
            let told = told.last().unwrap().valid_rmse.unwrap();
            assert!((measured - told).abs() < 1e-5, "{device}, {epochs} epochs: {measured}, not {told}");
        }
    }
}

#[test]
fn the_last_epoch_is_kept_on_request_and_without_validation() {
    let data = noise();
    let mut backend = devices::cpu(2);
    let config = TrainConfig { keep: Some(Keep::Last), ..gd(6, 60, None) };
    let Run { epochs, stopped, result } = run(&config, &data, &mut backend);
    let last = result.unwrap();
    let unvalidated = Dataset { valid: None, ..data.clone() };
    same_factors("--keep last", &last, &run(&gd(6, 60, None), &unvalidated, &mut backend).result.unwrap());
    assert_eq!((stopped.unwrap().best_epoch, last.metadata.best_epoch), (None, None));
    assert_eq!(Some(&last.metadata.metrics["valid_rmse"]), epochs.last().unwrap().valid_rmse.as_ref());
    let best = run(&gd(6, 60, None), &data, &mut backend).result.unwrap();
    assert_ne!(best.user_factors, last.user_factors);
}

#[test]
fn patience_counts_epochs_without_a_better_one() {
    let mut backend = devices::cpu(2);
    for patience in [1, 3, 7] {
        for keep in [Keep::Best, Keep::Last] {
            let config = TrainConfig { patience: Some(patience), keep: Some(keep), ..gd(4, 40, None) };
            let Run { epochs, stopped, result } = run(&config, &opposite(), &mut backend);
            // The first epoch is the best: the run ends `patience` epochs later.
            let stopped = stopped.unwrap();
            assert_eq!((stopped.reason, stopped.last.epoch), (StopReason::Patience, 1 + patience));
            assert_eq!(epochs.len() as u32, 1 + patience);
            let kept = if keep == Keep::Best { 1 } else { 1 + patience };
            let short = TrainConfig { epochs: Some(kept), keep: Some(Keep::Last), ..gd(4, 40, None) };
            same_factors(
                "patience",
                &result.unwrap(),
                &run(&short, &opposite(), &mut backend).result.unwrap(),
            );

            let Run { stopped, .. } = run(&config, &itself(), &mut backend);
            let stopped = stopped.unwrap();
            assert_eq!((stopped.reason, stopped.last.epoch), (StopReason::Epochs, 40));
        }
    }
    assert_eq!(StopReason::Patience.name(), "patience");
}

#[test]
fn a_time_limit_lets_the_running_epoch_finish() {
    struct Slow(Vec<Event>);
    impl Observer for Slow {
        fn event(&mut self, event: &Event) {
            self.0.push(event.clone());
            if matches!(event, Event::Epoch(_)) {
                std::thread::sleep(Duration::from_millis(30));
            }
        }
    }
    let data = Dataset { valid: None, ..noise() };
    for (seconds, at_least, at_most) in [(1e-9, 1, 1), (0.1, 2, 20), (1e9, 50, 50)] {
        let config = TrainConfig { max_seconds: Some(seconds), ..gd(4, 50, None) };
        let mut slow = Slow(Vec::new());
        let began = Instant::now();
        let model =
            train(config.check().unwrap(), &data, &mut devices::cpu(1), &mut slow).unwrap().metadata.epochs;
        assert!((at_least..=at_most).contains(&model), "{model} epochs in {seconds} s");
        assert!(model < 50 || began.elapsed() > Duration::from_millis(1_500));
        let Some(Event::Stopped(stopped)) = slow.0.last() else { panic!("the end is told last") };
        let reason = if model < 50 { StopReason::MaxSeconds } else { StopReason::Epochs };
        assert_eq!((stopped.reason, stopped.last.epoch), (reason, model));
    }
    assert_eq!(StopReason::MaxSeconds.name(), "max-seconds");
}

#[test]
fn what_needs_validation_is_refused_without() {
    let data = Dataset { valid: None, ..noise() };
    let empty = Dataset { valid: Some(Held::default()), ..noise() };
    for config in [
        TrainConfig { patience: Some(3), ..gd(2, 5, None) },
        TrainConfig { keep: Some(Keep::Best), ..gd(2, 5, None) },
    ] {
        for data in [&data, &empty] {
            let error = run(&config, data, &mut devices::cpu(1)).result.unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains("--holdout"), "{error}");
        }
    }
    for config in [
        TrainConfig { patience: Some(0), ..gd(2, 5, None) },
        TrainConfig { max_seconds: Some(0.0), ..gd(2, 5, None) },
        TrainConfig { max_seconds: Some(f64::NAN), ..gd(2, 5, None) },
    ] {
        assert_eq!(config.check().unwrap_err().exit_code(), 2);
    }
}

/// The divergence of a run that must diverge: its epoch, its line and what is left.
fn divergence(run: Run) -> (u32, String, Option<Model>) {
    let error = run.result.unwrap_err();
    let line = error.to_string();
    assert_eq!(error.exit_code(), 3);
    assert!(!line.contains('\n') && line.contains("gd") && line.contains("rate"), "{line}");
    assert!(run.stopped.is_none());
    let Error::Diverged { epoch, kept, .. } = error else { panic!("{line}") };
    (epoch, line, kept.map(|model| *model))
}

#[test]
fn an_explosion_ends_the_run_and_the_best_epoch_is_left() {
    // A rate that is only just too large: it falls at first, then grows without bound.
    let config = gd(4, 2_000, Some("0.09"));
    for data in [noise(), Dataset { valid: None, ..noise() }] {
        for (device, mut backend) in devices::all() {
            let all = run(&config, &data, &mut *backend);
            let told = all.epochs.clone();
            let (epoch, line, kept) = divergence(all);
            assert_eq!(told.len() as u32 + 1, epoch, "{device}");
            let error = |e: &Epoch| e.valid_rmse.or(e.train_rmse).unwrap();
            // It is found before anything overflows.
            assert!(told.iter().all(|e| e.train_rmse.unwrap() < 200.0), "{device}");
            let best = told.iter().min_by(|a, b| error(a).total_cmp(&error(b))).unwrap();
            let kept = kept.unwrap();
            assert!(line.ends_with(&format!("kept epoch {}", best.epoch)), "{device}: {line}");
            assert_eq!((kept.metadata.best_epoch, kept.metadata.epochs), (Some(best.epoch), epoch - 1));
            assert_eq!(kept.check(), Ok(()));
            let short = TrainConfig { epochs: Some(best.epoch), ..config.clone() };
            let short = run(&short, &data, &mut *backend).result.unwrap();
            same_factors(&device, &kept, &short);
        }
    }
}

#[test]
fn a_first_epoch_that_diverges_leaves_nothing() {
    for rate in ["1", "1e6", "1e30"] {
        let (epoch, line, kept) = divergence(run(&gd(4, 20, Some(rate)), &noise(), &mut devices::cpu(2)));
        assert!(epoch <= 2 && kept.is_none() && !line.contains("kept"), "{line}");
    }
}

#[test]
fn equal_ratings_are_no_divergence() {
    let mut train = problems::random(9, 8, 0.5, 33);
    for value in [0.0, 3.0, 1e20, 1e-20] {
        train.value.fill(value);
        for config in [gd(3, 30, None), line_search(12, 5)] {
            let data = Dataset { train: train.clone(), valid: None, test: None };
            let model = run(&config, &data, &mut devices::cpu(1)).result.unwrap();
            assert_eq!(model.predictor().predict(Some(0), Some(0)).rating, f64::from(value));
        }
    }
    let one = Dataset { train: problems::from_cells(1, 1, &[(0, 0)], 3), valid: None, test: None };
    run(&line_search(12, 5), &one, &mut devices::cpu(1)).result.unwrap();
}
