//! Warm starts: the first factors are those of a model.

use deltav::Result;
use deltav::config::{ModelKind, Reg, TrainConfig};
use deltav::event::Event;
use deltav::model::Model;
use deltav::train::{Controls, Dataset, train_with};

use crate::support::{devices, problems};

fn config(optimizer: &str) -> TrainConfig {
    TrainConfig { optimizer: optimizer.to_owned(), rank: 5, epochs: Some(7), ..TrainConfig::default() }
}

fn run(config: &TrainConfig, data: &Dataset, initial: Option<&Model>) -> Result<Model> {
    let controls = Controls { initial, ..Controls::default() };
    train_with(config.clone().check()?, data, &mut devices::cpu(2), &mut |_: &Event| {}, controls)
}

/// The first epoch's training error from an initial model.
fn first_rmse(config: &TrainConfig, data: &Dataset, initial: Option<&Model>) -> Result<f64> {
    let config = TrainConfig { epochs: Some(0), ..config.clone() };
    let model = run(&config, data, initial)?;
    Ok(model.metadata.metrics["train_rmse"])
}

#[test]
fn a_warm_start_predicts_what_the_model_predicts() {
    let whole = Dataset { train: problems::random(40, 30, 0.4, 5), valid: None, test: None };
    // The same ratings in other units, other ids among them and another order.
    let (part, _) = whole.train.clone().split(0.3, 9).unwrap();
    let mut other = part.clone();
    other.value.iter_mut().for_each(|value| *value = 3.0 * *value + 10.0);
    for kind in [ModelKind::Plain, ModelKind::Centered, ModelKind::Biased] {
        let config = TrainConfig {
            model: Some(kind),
            reg: Some(Reg::Fixed(0.3)),
            epochs: Some(20),
            reg_bias: (kind == ModelKind::Biased).then_some(0.1),
            ..config("line-search")
        };
        let data = Dataset { train: part.clone(), valid: None, test: None };
        let model = run(&config, &data, None).unwrap();
        let end = model.metadata.metrics["train_rmse"];
        let again = first_rmse(&config, &data, Some(&model)).unwrap();
        assert!((again - end).abs() < 1e-6, "{kind:?}: {again} for {end}");
        assert!(first_rmse(&config, &data, None).unwrap() > 1.5 * end);
        if kind == ModelKind::Biased {
            // Where the biases take up the other mean, 10 more and 3 times as wide, its errors are
            // those of the model on what it was trained on.
            let data = Dataset { train: other.clone(), valid: None, test: None };
            let shifted = first_rmse(&config, &data, Some(&model)).unwrap();
            let mut square = 0.0;
            for p in 0..part.len() {
                let predicted = model.predictor().predict(Some(part.user[p]), Some(part.item[p])).unclipped;
                square += (predicted - f64::from(other.value[p])).powi(2);
            }
            let expected = (square / part.len() as f64).sqrt();
            assert!((shifted - expected).abs() < 0.05 * expected, "{shifted} for {expected}");
        }
    }
    let model = run(&config("als"), &whole, None).unwrap();
    for (config, named) in [
        (TrainConfig { rank: 6, ..config("als") }, "pass --rank 5"),
        (TrainConfig { model: Some(ModelKind::Centered), ..config("als") }, "pass --model biased"),
    ] {
        let error = first_rmse(&config, &whole, Some(&model)).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains(named), "{error}");
    }
    let mut strangers = whole.clone();
    strangers.train.users = problems::ids("other", whole.train.users.len());
    strangers.train.items = problems::ids("strange", whole.train.items.len());
    let error = first_rmse(&config("als"), &strangers, Some(&model)).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("knows no user"), "{error}");
}

#[test]
fn members_of_an_average_that_would_all_start_equal_are_refused() {
    let data = Dataset { train: problems::random(40, 30, 0.4, 5), valid: None, test: None };
    let model = run(&config("als"), &data, None).unwrap();
    let error = run(&TrainConfig { average: 2, ..config("als") }, &data, Some(&model)).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().ends_with("; leave --average out, or --init-model"), "{error}");
}
