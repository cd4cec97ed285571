//! A device that fails: whatever fails, at whichever verb, is the error of the run.

use deltav::backend::Backend;
use deltav::config::{ModelKind, TrainConfig};
use deltav::event::{Event, Silent};
use deltav::optim::OPTIMIZERS;
use deltav::output::Claim;
use deltav::train::{Checkpoint, Checkpointing, Controls, Dataset, Every, train, train_with};

use crate::support::faulty::{Fault, Faulty};
use crate::support::{devices, problems};

/// Few epochs that do all that many do: of the default, those before and after the warm-up.
fn configs() -> Vec<TrainConfig> {
    let mut configs: Vec<TrainConfig> = OPTIMIZERS
        .iter()
        .map(|spec| TrainConfig {
            optimizer: spec.name.to_owned(),
            rank: 2,
            epochs: Some(3),
            options: match spec.name {
                "line-search" => vec![("warm-up", "1"), ("settle", "1")],
                "sgd" => vec![("blocks", "2")],
                _ => Vec::new(),
            }
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
            ..TrainConfig::default()
        })
        .collect();
    configs.push(TrainConfig {
        model: Some(ModelKind::Plain),
        epochs: Some(0),
        rank: 2,
        ..TrainConfig::default()
    });
    configs.push(TrainConfig { average: 2, epochs: Some(2), rank: 2, ..TrainConfig::default() });
    configs
}

#[test]
fn a_fault_at_any_verb_is_the_error_of_the_run_and_leaves_nothing_allocated() {
    let (rest, test) = problems::random(8, 7, 0.7, 3).split(0.2, 1).unwrap();
    let (part, valid) = rest.split(0.2, 2).unwrap();
    let data = Dataset { train: part, valid: Some(valid), test: Some(test) };
    let mut backend = Faulty::healthy(devices::cpu(1).with_max_buffer_bytes(256));
    for config in configs() {
        for silent in [false, true] {
            let run = |backend: &mut Faulty| {
                let checked = config.clone().check().unwrap();
                let mut listen = |_: &Event| {};
                let model = if silent {
                    train(checked, &data, backend, &mut Silent)
                } else {
                    train(checked, &data, backend, &mut listen)
                };
                assert_eq!(backend.allocated(), 0, "{} gives its buffers back", config.optimizer);
                model
            };
            backend.recover();
            let whole = run(&mut backend).unwrap();
            let verbs = backend.verbs();
            assert!(verbs > 10, "{verbs}");
            for fault in Fault::ALL {
                for n in 1..=verbs {
                    backend.fail_at(n, fault);
                    let error = run(&mut backend).unwrap_err();
                    let what = format!("{}, {fault:?} at verb {n} of {verbs}", config.optimizer);
                    assert_eq!(error.exit_code(), fault.exit_code(), "{what}: {error}");
                    assert!(error.to_string().contains(&format!("at verb {n}")), "{what}: {error}");
                    assert!(!error.to_string().contains('\n'), "{what}: {error}");
                }
            }
            // What failed left no trace.
            backend.recover();
            assert_eq!(run(&mut backend).unwrap(), whole, "{}", config.optimizer);
        }
    }
}

#[test]
fn from_a_fault_at_any_verb_the_run_goes_on_from_its_last_checkpoint() {
    let (part, valid) = problems::random(8, 7, 0.7, 3).split(0.2, 2).unwrap();
    let data = Dataset { train: part, valid: Some(valid), test: None };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.ckpt");
    let mut backend = Faulty::healthy(devices::cpu(1));
    for config in configs() {
        let run = |backend: &mut Faulty| {
            let resume = file.exists().then(|| Checkpoint::load(&file).unwrap());
            let checkpoint =
                Checkpointing { file: Claim::acquire(&file, true).unwrap(), every: Every::Epochs(1) };
            let controls = Controls { checkpoint: Some(checkpoint), resume, ..Controls::default() };
            train_with(config.clone().check().unwrap(), &data, backend, &mut |_: &Event| {}, controls)
        };
        backend.recover();
        let whole = run(&mut backend).unwrap();
        let verbs = backend.verbs();
        for n in 1..=verbs {
            let _ = std::fs::remove_file(&file);
            backend.fail_at(n, Fault::Lost);
            let error = run(&mut backend).unwrap_err();
            let what = format!("{}, verb {n} of {verbs}: {error}", config.optimizer);
            assert_eq!(error.exit_code(), 69, "{what}");
            assert_eq!(
                error.to_string().contains("run.ckpt: the same call with --resume"),
                file.exists(),
                "{what}"
            );
            backend.recover();
            assert!(run(&mut backend).unwrap() == whole, "{what}");
        }
        let _ = std::fs::remove_file(&file);
    }
}
