//! Several processes train what one does, bit for bit: here as threads of one program.

mod ranges;

use std::path::Path;
use std::sync::Mutex;

use deltav::backend::{Backend, DeviceChoice, OpenOptions, open};
use deltav::config::{Kernels, Loss, ModelKind, Reg, TrainConfig};
use deltav::data::{Held, Ids};
use deltav::event::Event;
use deltav::interrupt::{Interrupt, Signal};
use deltav::model::Model;
use deltav::output::Claim;
use deltav::train::{
    Checkpoint, Checkpointing, Controls, Dataset, Every, Place, Plan, Shape, Team, train, train_with,
};
use deltav::world::{World, threads};
use deltav::{Error, Result};

use crate::support::compare::assert_close;
use crate::support::counting::Counting;
use crate::support::problems;
use crate::support::shares::shares;

fn backend(device: DeviceChoice) -> Box<dyn Backend> {
    let options = OpenOptions { threads: Some(2), ..OpenOptions::default() };
    open(device, &options).unwrap().backend
}

/// Seven blocks of users; some have no rating, some items none, some held ratings nobody knows.
fn data() -> Dataset {
    let (train, valid) = problems::random(420, 37, 0.12, 5).split(0.1, 2).unwrap();
    let test = Held {
        user: vec![None, Some(3), Some(419), None, Some(64)],
        item: vec![Some(1), None, Some(36), None, Some(2)],
        value: vec![1.0, 5.0, 3.5, 2.0, 4.0],
    };
    Dataset { train, valid: Some(valid), test: Some(test) }
}

fn config(optimizer: &str, kind: ModelKind, rank: usize, options: &[(&str, &str)]) -> TrainConfig {
    TrainConfig {
        optimizer: optimizer.to_owned(),
        model: Some(kind),
        rank,
        epochs: Some(9),
        options: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..TrainConfig::default()
    }
}

fn cases() -> Vec<(&'static str, TrainConfig)> {
    let quick = [("warm-up", "3"), ("settle", "2")];
    let fixed =
        |kind, rank| TrainConfig { reg: Some(Reg::Fixed(0.8)), ..config("line-search", kind, rank, &[]) };
    let gradient = |name, kind| TrainConfig { reg: Some(Reg::Fixed(0.3)), ..config(name, kind, 6, &[]) };
    vec![
        ("svdpp", config("line-search", ModelKind::Svdpp, 5, &quick)),
        ("svdpp, wide, a smaller warm-up", {
            config(
                "line-search",
                ModelKind::Svdpp,
                37,
                &[("warm-up", "2"), ("warm-rank", "20"), ("join", "2"), ("mask-steps", "2")],
            )
        }),
        ("biased", config("line-search", ModelKind::Biased, 17, &quick)),
        ("centered", config("line-search", ModelKind::Centered, 3, &quick)),
        ("fixed", fixed(ModelKind::Biased, 8)),
        ("biases' own penalty", TrainConfig { reg_bias: Some(0.05), ..fixed(ModelKind::Biased, 4) }),
        ("plain", fixed(ModelKind::Plain, 1)),
        ("gd", gradient("gd", ModelKind::Biased)),
        ("gd of sums", TrainConfig { loss: Loss::Sum, ..gradient("gd", ModelKind::Plain) }),
        ("momentum", gradient("momentum", ModelKind::Centered)),
        ("adam", gradient("adam", ModelKind::Biased)),
    ]
}

/// What each process ends with.
fn together(
    config: &TrainConfig,
    data: &Dataset,
    processes: usize,
    device: DeviceChoice,
    controls: impl Fn(usize) -> Controls<'static> + Sync,
) -> Vec<Result<Model>> {
    each(config, data, processes, &|_: &Event| {}, |process| (backend(device), controls(process)))
}

/// What each process ends with, on a device and with controls of its own.
fn each<'a>(
    config: &TrainConfig,
    data: &Dataset,
    processes: usize,
    seen: &(impl Fn(&Event) + Sync),
    own: impl Fn(usize) -> (Box<dyn Backend>, Controls<'a>) + Sync,
) -> Vec<Result<Model>> {
    let shares = shares(data, processes).unwrap();
    threads::run(processes, |world| {
        let (part, share) = &shares[world.process()];
        let (mut backend, controls) = own(share.process);
        let controls = Controls { team: Some(Team { world, share }), ..controls };
        let mut observer = |event: &Event| seen(event);
        train_with(config.clone().check().unwrap(), part, &mut *backend, &mut observer, controls)
    })
}

fn first(models: Vec<Result<Model>>) -> Model {
    let mut models: Vec<Model> = models.into_iter().map(|model| model.unwrap()).collect();
    models.swap_remove(0)
}

fn alone(config: &TrainConfig, data: &Dataset, device: DeviceChoice) -> Model {
    train(config.clone().check().unwrap(), data, &mut *backend(device), &mut |_: &Event| {}).unwrap()
}

#[test]
fn any_number_of_processes_trains_the_plain_model() {
    let data = data();
    for (name, config) in cases() {
        let plain = alone(&config, &data, DeviceChoice::Cpu);
        for processes in [1, 2, 3, 4, 7] {
            let model =
                first(together(&config, &data, processes, DeviceChoice::Cpu, |_| Controls::default()));
            assert_eq!(model.item_factors, plain.item_factors, "{name}, {processes} processes");
            assert_eq!(model.user_factors, plain.user_factors, "{name}, {processes} processes");
            assert_eq!(model.metadata, plain.metadata, "{name}, {processes} processes");
            assert!(model == plain, "{name}, {processes} processes");
        }
    }
}

#[test]
fn adapters_agree_with_themselves_and_with_the_cpu() {
    let data = data();
    for (name, config) in cases() {
        let run = |processes| {
            first(together(&config, &data, processes, DeviceChoice::Software, |_| Controls::default()))
        };
        let one = run(1);
        let plain = alone(&config, &data, DeviceChoice::Cpu);
        for processes in [2, 3] {
            assert!(run(processes) == one, "{name}, {processes} processes");
        }
        let wide: Vec<f64> = plain.item_factors.iter().copied().map(f64::from).collect();
        assert_close(name, &one.item_factors, &wide, 2e-3);
    }
}

#[test]
fn a_model_of_one_process_s_users_is_a_start_for_all() {
    let data = data();
    let config =
        TrainConfig { reg: Some(Reg::Fixed(0.8)), ..config("line-search", ModelKind::Biased, 4, &[]) };
    // Of the first 64 users, and items of other names.
    let mut known = problems::random(64, 9, 0.5, 3);
    known.items = Ids::from_parts(b"ABCDEFGHI".to_vec(), (0..10).collect()).unwrap();
    let initial = alone(&config, &Dataset { train: known, valid: None, test: None }, DeviceChoice::Cpu);
    let controls = || Controls { initial: Some(&initial), ..Controls::default() };
    let checked = config.clone().check().unwrap();
    let plain = train_with(checked, &data, &mut *backend(DeviceChoice::Cpu), &mut |_: &Event| {}, controls())
        .unwrap();
    let models = each(&config, &data, 3, &|_: &Event| {}, |_| (backend(DeviceChoice::Cpu), controls()));
    assert!(first(models) == plain);
}

#[test]
fn other_devices_are_told_of() {
    let data = data();
    let config = config("line-search", ModelKind::Biased, 4, &[]);
    let told = |devices: [DeviceChoice; 2]| {
        let told = Mutex::new(0);
        let seen = |event: &Event| {
            *told.lock().unwrap() +=
                usize::from(matches!(event, Event::Notice(notice) if notice.contains("process 1 on ")));
        };
        let models =
            each(&config, &data, 2, &seen, |process| (backend(devices[process]), Controls::default()));
        assert!(models.into_iter().all(|model| model.is_ok()));
        told.into_inner().unwrap()
    };
    assert_eq!(told([DeviceChoice::Cpu, DeviceChoice::Cpu]), 0);
    assert_eq!(told([DeviceChoice::Cpu, DeviceChoice::Software]), 2);
}

#[test]
fn fewer_held_ratings_than_processes_are_no_matter() {
    let whole = data();
    let valid = Held { user: vec![Some(400)], item: vec![Some(3)], value: vec![4.0] };
    for data in [
        Dataset { valid: None, test: None, ..whole.clone() },
        Dataset { valid: Some(valid), test: None, ..whole },
    ] {
        let config = config("line-search", ModelKind::Svdpp, 4, &[("warm-up", "3")]);
        let plain = alone(&config, &data, DeviceChoice::Cpu);
        let model = first(together(&config, &data, 3, DeviceChoice::Cpu, |_| Controls::default()));
        assert!(model == plain);
    }
}

fn checkpointing(folder: &Path, every: u32) -> Option<Checkpointing> {
    let file = Claim::acquire(folder.join("run.checkpoint"), true).unwrap();
    Some(Checkpointing { file, every: Every::Epochs(every) })
}

#[test]
fn a_run_goes_on_with_other_numbers_of_processes() {
    let data = data();
    for (name, config) in cases() {
        let plain = alone(&config, &data, DeviceChoice::Cpu);
        let folder = tempfile::tempdir().unwrap();
        // Stopped after four epochs by a signal that only the last process was sent.
        let stopped = together(&config, &data, 3, DeviceChoice::Cpu, |process| {
            let interrupt = Interrupt::new();
            if process == 2 {
                interrupt.raise(Signal::Terminate);
            }
            Controls {
                checkpoint: (process == 0).then(|| checkpointing(folder.path(), 100)).flatten(),
                interrupt: Some(interrupt),
                ..Controls::default()
            }
        });
        for (process, end) in stopped.into_iter().enumerate() {
            let error = end.unwrap_err();
            assert!(
                matches!(error, Error::Interrupted { signal: Signal::Terminate, .. }),
                "{process}: {error}"
            );
        }
        let path = folder.path().join("run.checkpoint");
        assert_eq!(Checkpoint::load(&path).unwrap().epoch(), 1, "{name}");
        for processes in [1, 2, 5] {
            let on = together(&config, &data, processes, DeviceChoice::Cpu, |process| Controls {
                resume: (process == 0).then(|| Checkpoint::load(&path).unwrap()),
                ..Controls::default()
            });
            assert!(first(on) == plain, "{name}, on {processes} processes");
        }
        // And as one process alone has it.
        let controls = Controls { resume: Some(Checkpoint::load(&path).unwrap()), ..Controls::default() };
        let checked = config.clone().check().unwrap();
        let on = train_with(checked, &data, &mut *backend(DeviceChoice::Cpu), &mut |_: &Event| {}, controls);
        assert!(on.unwrap() == plain, "{name}, alone");
    }
}

#[test]
fn what_trains_in_one_process_says_so() {
    let data = data();
    let als = TrainConfig { reg: Some(Reg::Fixed(1.0)), ..config("als", ModelKind::Biased, 3, &[]) };
    let sgd = TrainConfig { reg: Some(Reg::Fixed(1.0)), ..config("sgd", ModelKind::Biased, 3, &[]) };
    let line = config("line-search", ModelKind::Biased, 3, &[]);
    for (what, config) in [
        ("optimizer", als),
        ("optimizer", sgd),
        ("textbook", TrainConfig { kernels: Kernels::Textbook, ..line.clone() }),
        ("average", TrainConfig { average: 2, ..line }),
    ] {
        for end in together(&config, &data, 2, DeviceChoice::Cpu, |_| Controls::default()) {
            let error = end.unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains(what), "{what}: {error}");
        }
    }
}

#[test]
fn processes_tell_each_other_what_is_planned() {
    let measured = data();
    let unmeasured = Dataset { valid: None, test: None, ..measured.clone() };
    for (name, config) in cases() {
        for (data, processes) in [(&unmeasured, 2), (&unmeasured, 5), (&measured, 3)] {
            let shares = shares(data, processes).unwrap();
            let sent = |epochs| {
                let config = TrainConfig { epochs: Some(epochs), ..config.clone() };
                let sent = threads::run(processes, |world| {
                    let (own, share) = &shares[world.process()];
                    let controls = Controls { team: Some(Team { world, share }), ..Controls::default() };
                    let mut backend = backend(DeviceChoice::Cpu);
                    let checked = config.clone().check().unwrap();
                    train_with(checked, own, &mut *backend, &mut |_: &Event| {}, controls).unwrap();
                    world.sent()
                });
                sent.iter().sum::<u64>()
            };
            let (own, share) = &shares[1];
            let shape = Shape::of_share(own, share, config.model.unwrap());
            let plan =
                Plan::new(&config.clone().check().unwrap(), &shape, true, &*backend(DeviceChoice::Cpu));
            let planned = plan.unwrap().traffic.unwrap().bytes;
            // Past the warm-up all epochs tell as much.
            let epoch = sent(9) - sent(8);
            // Of held ratings a process knows how many there are, not whose.
            let off = if data.validates() { planned.abs_diff(epoch) * 10 } else { planned.abs_diff(epoch) };
            assert!(off == 0 || (data.validates() && off < epoch), "{name}, {processes}: {planned}, {epoch}");
        }
    }
}

#[test]
fn what_a_process_takes_is_planned_to_a_tenth() {
    let data = data();
    for (name, config) in cases() {
        let shares = shares(&data, 3).unwrap();
        let taken = threads::run(3, |world| {
            let (own, share) = &shares[world.process()];
            let controls = Controls { team: Some(Team { world, share }), ..Controls::default() };
            let mut backend = Counting::new(backend(DeviceChoice::Cpu));
            let shape = Shape::of_share(own, share, config.model.unwrap());
            let checked = || config.clone().check().unwrap();
            let plan = Plan::new(&checked(), &shape, true, &backend).unwrap();
            train_with(checked(), own, &mut backend, &mut |_: &Event| {}, controls).unwrap();
            let planned = plan.items.iter().filter(|item| item.place == Place::Device);
            let planned: u64 = planned.map(|item| item.bytes).sum();
            (planned as f64, backend.taken.values().sum::<u64>() as f64)
        });
        for (process, (planned, taken)) in taken.into_iter().enumerate() {
            assert!(
                (planned / taken - 1.0).abs() < 0.1,
                "{name}, {process}: {planned} planned, {taken} taken"
            );
        }
    }
}
