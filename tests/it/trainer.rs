//! The short form of training: the same as the long one and as the program, bit for bit.

use deltav::backend::DeviceChoice;
use deltav::data::Ratings;
use deltav::event::{Event, Silent, StopReason, Stopped, until};
use deltav::{Model, Trainer};

use crate::cli::Folder;

fn trainer() -> Trainer<'static> {
    Trainer::new().rank(4).epochs(8).seed(3).device(DeviceChoice::Cpu).threads(2)
}

fn ratings(folder: &Folder) -> Ratings {
    Ratings::read(folder.path().join("ratings.csv")).unwrap()
}

#[test]
fn it_trains_what_the_program_trains() {
    let folder = Folder::planted();
    let call =
        ["train", "ratings.csv", "--rank", "4", "--epochs", "8", "--seed", "3", "--device", "cpu", "-q"];
    folder.succeed(&[&call[..], &["--holdout", "0.2"]].concat());
    // As the program does, with somebody listening: the curve is in the file.
    let model = trainer().holdout(0.2).train(ratings(&folder), |_: &Event| {}).unwrap();
    model.save(folder.path().join("own.safetensors"), false).unwrap();
    let program = Model::load(folder.path().join("ratings.safetensors")).unwrap();
    assert_eq!(program.user_factors, model.user_factors);
    assert_eq!(program.item_factors, model.item_factors);
    assert_eq!(program.metadata.metrics, model.metadata.metrics);
    assert_eq!(program.metadata, model.metadata);
    assert!(folder.read("own.safetensors") == folder.read("ratings.safetensors"));
}

#[test]
fn a_start_from_an_older_model_is_that_of_the_program() {
    let folder = Folder::planted();
    let call =
        ["train", "ratings.csv", "--rank", "4", "--epochs", "8", "--seed", "3", "--device", "cpu", "-q"];
    folder.succeed(&[&call[..], &["-o", "old.safetensors"]].concat());
    folder.succeed(&[&call[..], &["-o", "new.safetensors", "--init-model", "old.safetensors"]].concat());
    let old = Model::load(folder.path().join("old.safetensors")).unwrap();
    let new = Model::load(folder.path().join("new.safetensors")).unwrap();
    let own = trainer().start_from(&old).train(ratings(&folder), Silent).unwrap();
    assert_eq!(own.user_factors, new.user_factors);
    assert_ne!(own.user_factors, old.user_factors);
}

#[test]
fn an_observer_stops_with_the_epoch_that_it_was_told_of() {
    let folder = Folder::planted();
    let run = |trainer: Trainer<'_>, last: u32| {
        let mut end: Option<Stopped> = None;
        let observer = until(|event| {
            if let Event::Stopped(stopped) = event {
                end = Some(stopped.clone());
            }
            // What is said of other events counts for nothing.
            !matches!(event, Event::Epoch(epoch) if epoch.epoch < last)
        });
        let model = trainer.train(ratings(&folder), observer).unwrap();
        (model, end.unwrap())
    };
    let (model, end) = run(trainer(), 5);
    assert_eq!((end.reason, end.last.epoch, end.reason.name()), (StopReason::Observer, 5, "observer"));
    // Not the fifth of eight epochs would be another thing: nothing here depends on how many were asked for.
    let five = trainer().epochs(5).train(ratings(&folder), Silent).unwrap();
    assert_eq!(model.user_factors, five.user_factors);
    // With a hold-out the best epoch is kept, whenever it was.
    let (_, end) = run(trainer().holdout(0.2), 6);
    assert_eq!(end.last.epoch, 6);
    assert_eq!(end.best_epoch, Some(end.kept.epoch));
    // The last epoch ends the run anyway.
    assert_eq!(run(trainer(), 8).1.reason, StopReason::Epochs);
}

#[test]
fn every_member_of_an_average_is_stopped() {
    let folder = Folder::planted();
    let config = deltav::config::TrainConfig { rank: 4, average: 2, ..Default::default() };
    let mut epochs = Vec::new();
    let observer = until(|event| match event {
        Event::Epoch(epoch) => {
            epochs.push((epoch.member, epoch.epoch));
            epoch.epoch == 2
        }
        _ => false,
    });
    Trainer::with(config).device(DeviceChoice::Cpu).train(ratings(&folder), observer).unwrap();
    assert_eq!(epochs, [(Some(1), 1), (Some(1), 2), (Some(2), 1), (Some(2), 2)]);
}

#[test]
fn what_can_not_be_meant_is_refused() {
    let folder = Folder::planted();
    let refused = |trainer: Trainer<'_>| trainer.train(ratings(&folder), Silent).unwrap_err().exit_code();
    assert_eq!(
        [refused(trainer().rank(0)), refused(trainer().holdout(1.5)), refused(trainer().threads(0))],
        [2; 3]
    );
    assert_eq!(refused(trainer().patience(3)), 2, "patience without a hold-out");
    assert_eq!(refused(trainer().device(DeviceChoice::Gpu(Some(99)))), 69);
}
