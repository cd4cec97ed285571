//! Checkpoints: a run that goes on from one ends with the same bits as one without a break.

mod breaks;

use std::path::{Path, PathBuf};

use deltav::backend::{Backend, DeviceChoice, OpenOptions, open};
use deltav::config::{Keep, ModelKind, Reg, TrainConfig};

use deltav::Result;
use deltav::event::{Event, Observer, Silent};
use deltav::interrupt::{Interrupt, Signal};
use deltav::model::Model;
use deltav::output::Claim;
use deltav::train::{Checkpoint, Checkpointing, Controls, Dataset, Every, train, train_with};

use crate::support::{fuzz, problems};

const DEVICES: [DeviceChoice; 2] = [DeviceChoice::Cpu, DeviceChoice::Software];

fn backend(device: DeviceChoice) -> Box<dyn Backend> {
    let options = OpenOptions { threads: Some(2), ..OpenOptions::default() };
    open(device, &options).unwrap().backend
}

/// Ratings with a user and an item whose only rating is held out.
fn data() -> Dataset {
    let (train, valid) = problems::random(40, 30, 0.4, 5).split(0.15, 2).unwrap();
    let (_, test) = problems::random(40, 30, 0.1, 6).split(0.9, 3).unwrap();
    Dataset { train, valid: Some(valid), test: Some(test) }
}

fn without_valid() -> Dataset {
    Dataset { valid: None, ..data() }
}

fn config(optimizer: &str, options: &[(&str, &str)]) -> TrainConfig {
    TrainConfig {
        optimizer: optimizer.to_owned(),
        rank: 5,
        epochs: Some(7),
        options: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..TrainConfig::default()
    }
}

/// Every optimiser, in every form that keeps something else between epochs.
fn cases() -> Vec<(&'static str, TrainConfig, Dataset)> {
    let learned = [("warm-up", "2"), ("settle", "2")];
    let fixed = TrainConfig { reg: Some(Reg::Fixed(0.9)), ..config("line-search", &[]) };
    // Without a penalty and with more factors than the ratings carry, momentum overshoots late, and
    // then an epoch depends on the objective before it.
    let restarts = TrainConfig {
        rank: 12,
        reg: Some(Reg::Fixed(0.0)),
        ..config("line-search", &[("momentum", "0.95")])
    };
    let restarts = TrainConfig { epochs: Some(34), ..restarts };
    let centered = TrainConfig { model: Some(ModelKind::Centered), ..config("line-search", &learned) };
    let masks = [("warm-up", "2"), ("settle", "1"), ("mask-steps", "2")];
    let joined = [("warm-up", "2"), ("settle", "1"), ("warm-rank", "2"), ("join", "2")];
    let gd = TrainConfig { keep: Some(Keep::Last), ..config("gd", &[]) };
    let plain = TrainConfig { model: Some(ModelKind::Plain), ..config("momentum", &[]) };
    let average =
        |optimizer, options| TrainConfig { average: 3, epochs: Some(3), ..config(optimizer, options) };
    let patient = TrainConfig {
        patience: Some(2),
        epochs: Some(40),
        reg: Some(Reg::Fixed(0.0)),
        ..config("adam", &[("rate", "0.3")])
    };
    vec![
        ("line-search", config("line-search", &learned), data()),
        ("line-search, masks", config("line-search", &masks), without_valid()),
        ("line-search, joined", config("line-search", &joined), data()),
        ("line-search, centered", centered, data()),
        ("line-search, fixed", TrainConfig { reg_bias: Some(0.3), ..fixed }, without_valid()),
        ("line-search, restarts", restarts, without_valid()),
        ("als", config("als", &[]), data()),
        ("sgd", config("sgd", &[("blocks", "3")]), data()),
        ("sgd, in order", config("sgd", &[("shuffle", "off"), ("adagrad", "off")]), without_valid()),
        ("adam", config("adam", &[("schedule", "cosine")]), data()),
        ("momentum", config("momentum", &[("nesterov", "off")]), data()),
        ("momentum, plain", plain, without_valid()),
        ("gd", gd, data()),
        ("patience", patient, data()),
        ("average", average("line-search", &learned), data()),
        ("average, sgd", average("sgd", &[]), without_valid()),
    ]
}

/// Copies each checkpoint as it is written, and keeps the epochs that were told.
struct Copies<'a> {
    folder: &'a Path,
    files: Vec<PathBuf>,
    told: Vec<(Option<u32>, u32, Option<f64>)>,
    raise: Option<(u32, Interrupt)>,
}

impl<'a> Copies<'a> {
    fn new(folder: &'a Path) -> Self {
        Self { folder, files: Vec::new(), told: Vec::new(), raise: None }
    }
}

impl Observer for Copies<'_> {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Checkpointed(saved) => {
                let copy = self.folder.join(format!("copy{}", self.files.len()));
                std::fs::copy(&saved.path, &copy).unwrap();
                assert_eq!(std::fs::metadata(&copy).unwrap().len(), saved.bytes);
                self.files.push(copy);
            }
            Event::Epoch(epoch) => {
                self.told.push((epoch.member, epoch.epoch, epoch.train_rmse));
                if let Some((at, interrupt)) = &self.raise
                    && *at == epoch.epoch
                {
                    interrupt.raise(Signal::Interrupt);
                }
            }
            _ => {}
        }
    }
}

fn checkpointing(folder: &Path, every: Every) -> Option<Checkpointing> {
    Some(Checkpointing { file: Claim::acquire(folder.join("run.ckpt"), true).unwrap(), every })
}

fn run(
    config: &TrainConfig,
    data: &Dataset,
    device: DeviceChoice,
    observer: &mut dyn Observer,
    controls: Controls<'_>,
) -> Result<Model> {
    train_with(config.clone().check().unwrap(), data, &mut *backend(device), observer, controls)
}

#[test]
fn from_any_epoch_the_rest_of_the_run_has_the_same_bits() {
    for (name, config, data) in cases() {
        for device in DEVICES {
            let folder = tempfile::tempdir().unwrap();
            let mut copies = Copies::new(folder.path());
            let controls = Controls {
                checkpoint: checkpointing(folder.path(), Every::Epochs(1)),
                ..Controls::default()
            };
            let whole = run(&config, &data, device, &mut copies, controls).unwrap();
            let plain =
                train(config.clone().check().unwrap(), &data, &mut *backend(device), &mut |_: &Event| {})
                    .unwrap();
            assert!(whole == plain, "{name} on {device}: saving it changed the run");
            assert_eq!(copies.files.len(), copies.told.len(), "{name}: one an epoch");
            for (i, file) in copies.files.iter().enumerate() {
                let mut rest = Copies::new(folder.path());
                let controls =
                    Controls { resume: Some(Checkpoint::load(file).unwrap()), ..Controls::default() };
                let resumed = run(&config, &data, device, &mut rest, controls).unwrap();
                assert!(resumed == whole, "{name} on {device}, from {:?}", copies.told[i]);
                assert_eq!(rest.told, copies.told[i + 1..], "{name} on {device}");
            }
        }
    }
}

/// A run over `data` with a checkpoint at an epoch, in a file of the folder.
fn checkpoint(config: &TrainConfig, data: &Dataset, folder: &Path, epoch: u32) -> PathBuf {
    let mut copies = Copies::new(folder);
    let controls =
        Controls { checkpoint: checkpointing(folder, Every::Epochs(epoch)), ..Controls::default() };
    run(config, data, DeviceChoice::Cpu, &mut copies, controls).unwrap();
    copies.files.swap_remove(0)
}

#[test]
fn a_raised_flag_ends_with_a_checkpoint_of_that_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (config("line-search", &[("warm-up", "2")]), data());
    let whole = run(&config, &data, DeviceChoice::Cpu, &mut |_: &Event| {}, Controls::default()).unwrap();
    let stop = |checkpoint: Option<Checkpointing>, at: u32| {
        let interrupt = Interrupt::new();
        let mut copies = Copies::new(folder.path());
        copies.raise = Some((at, interrupt.clone()));
        let controls = Controls { interrupt: Some(interrupt), checkpoint, ..Controls::default() };
        let result = run(&config, &data, DeviceChoice::Cpu, &mut copies, controls);
        (result, copies)
    };
    // Every::default() is a minute: the only checkpoint is the one at the end.
    let (result, copies) = stop(checkpointing(folder.path(), Every::default()), 4);
    let error = result.unwrap_err();
    assert_eq!((error.exit_code(), copies.told.len(), copies.files.len()), (130, 4, 1));
    assert!(error.to_string().starts_with("interrupted by SIGINT after epoch 4; saved "), "{error}");
    assert!(error.to_string().contains("run.ckpt: the same call with --resume"), "{error}");
    let resume = Some(Checkpoint::load(folder.path().join("run.ckpt")).unwrap());
    let controls = Controls { resume, ..Controls::default() };
    let resumed = run(&config, &data, DeviceChoice::Cpu, &mut |_: &Event| {}, controls).unwrap();
    assert!(resumed == whole);

    let error = stop(None, 4).0.unwrap_err().to_string();
    assert!(error.ends_with("nothing was written: with --checkpoint FILE it could go on"), "{error}");
    // After the last epoch there is nothing to stop.
    assert!(stop(None, 7).0.unwrap() == whole);
}

#[test]
fn what_differs_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let sgd = config("sgd", &[("rate", "0.1")]);
    let file = checkpoint(&sgd, &data(), folder.path(), 3);
    let resume = |config: &TrainConfig, data: &Dataset| {
        let controls = Controls { resume: Some(Checkpoint::load(&file).unwrap()), ..Controls::default() };
        run(config, data, DeviceChoice::Cpu, &mut |_: &Event| {}, controls)
    };
    let refused = |config: TrainConfig, data: &Dataset, code: u8, named: &[&str]| {
        let error = resume(&config, data).unwrap_err();
        assert_eq!(error.exit_code(), code, "{error}");
        let text = error.to_string();
        assert!(named.iter().all(|name| text.contains(name)), "{text}: {named:?}");
    };
    let option = |value: &str| vec![("rate".to_owned(), value.to_owned())];
    let with = |change: &dyn Fn(&mut TrainConfig)| {
        let mut config = sgd.clone();
        change(&mut config);
        config
    };
    let all = data();
    for (config, named) in [
        (with(&|c| c.rank = 6), &["--rank is 5 there and 6 here"][..]),
        (with(&|c| c.seed = 1), &["--seed is 0 there and 1 here"]),
        (with(&|c| c.options = option("0.2")), &["--opt rate is 0.1 there and 0.2 here"]),
        (with(&|c| c.options = Vec::new()), &["--opt rate is 0.1 there and auto here"]),
        (with(&|c| c.reg = Some(Reg::Fixed(2.0))), &["--reg is 1.2 there and 2 here"]),
        (with(&|c| c.model = Some(ModelKind::Centered)), &["--model is biased there and centered here"]),
        (with(&|c| c.clip = false), &["--no-clip is off there and on here"]),
        (with(&|c| c.patience = Some(3)), &["--patience is none there and 3 here"]),
        (with(&|c| c.keep = Some(Keep::Last)), &["--keep is auto there and last here"]),
        (with(&|c| c.average = 2), &["--average is 1 there and 2 here"]),
        (with(&|c| c.epochs = Some(2)), &["has epoch 3 already", "--epochs 3 or more"]),
        (
            TrainConfig { seed: 7, ..config("adam", &[]) },
            &["--optimizer is sgd there and adam here", "--seed", "--opt shuffle is on there and unset here"],
        ),
    ] {
        refused(config, &all, 2, named);
    }
    let other = Dataset { test: None, ..all.clone() };
    refused(sgd.clone(), &other, 65, &["is of other test ratings", "none here"]);
    refused(sgd.clone(), &without_valid(), 65, &["is of other validation ratings"]);
    let mut other = all.clone();
    other.train.value[0] += 1.0;
    refused(sgd.clone(), &other, 65, &["is of other ratings"]);

    // The same number in other words is the same; so is more time, or more epochs.
    resume(&with(&|c| c.options = option("1e-1")), &all).unwrap();
    resume(&with(&|c| c.max_seconds = Some(1e9)), &all).unwrap();
    let longer = with(&|c| c.epochs = Some(12));
    let whole = run(&longer, &all, DeviceChoice::Cpu, &mut |_: &Event| {}, Controls::default()).unwrap();
    assert!(resume(&longer, &all).unwrap() == whole);
    // But not where the rate falls over the epochs.
    let adam = checkpoint(&config("adam", &[]), &all, folder.path(), 3);
    let controls = Controls { resume: Some(Checkpoint::load(adam).unwrap()), ..Controls::default() };
    let longer = TrainConfig { epochs: Some(12), ..config("adam", &[]) };
    let error = run(&longer, &all, DeviceChoice::Cpu, &mut |_: &Event| {}, controls).unwrap_err();
    assert!(error.to_string().contains("--epochs is 7 there and 12 here"), "{error}");
}

#[test]
fn another_device_goes_on_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (config("line-search", &[("warm-up", "2")]), data());
    let file = checkpoint(&config, &data, folder.path(), 4);
    let whole = run(&config, &data, DeviceChoice::Cpu, &mut |_: &Event| {}, Controls::default()).unwrap();
    let mut notices = Vec::new();
    let mut observer = |event: &Event| {
        if let Event::Notice(text) = event {
            notices.push(text.clone());
        }
    };
    let controls = Controls { resume: Some(Checkpoint::load(file).unwrap()), ..Controls::default() };
    let resumed = run(&config, &data, DeviceChoice::Software, &mut observer, controls).unwrap();
    assert!(notices[0].starts_with("going on after epoch 4 in "), "{notices:?}");
    assert!(notices[1].starts_with("the checkpoint was made on CPU"), "{notices:?}");
    let rmse = |model: &Model| model.metadata.metrics["valid_rmse"];
    assert!((rmse(&resumed) - rmse(&whole)).abs() < 1e-4);
}

#[test]
fn a_damaged_checkpoint_is_refused_and_never_believed() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { rank: 2, ..config("line-search", &[("warm-up", "2")]) };
    let (train, valid) = problems::random(6, 5, 0.7, 5).split(0.2, 2).unwrap();
    let data = Dataset { train, valid: Some(valid), test: None };
    let bytes = std::fs::read(checkpoint(&config, &data, folder.path(), 4)).unwrap();
    let resume = |bytes: Vec<u8>| {
        let resume = Some(Checkpoint::from_bytes("x.ckpt", bytes)?);
        let controls = Controls { resume, ..Controls::default() };
        run(&config, &data, DeviceChoice::Cpu, &mut |_: &Event| {}, controls)
    };
    resume(bytes.clone()).unwrap();
    for length in (0..bytes.len()).step_by(37) {
        let error = resume(bytes[..length].to_vec()).unwrap_err();
        assert_eq!(error.exit_code(), 65, "{length}: {error}");
    }
    for at in (0..bytes.len()).step_by(11) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        let error = resume(bytes).map(|_| at).unwrap_err();
        assert_eq!(error.exit_code(), 65, "byte {at}: {error}");
    }
    let model = folder.path().join("model");
    train_model(&data).save(&model, false).unwrap();
    let error = Checkpoint::load(&model).unwrap_err().to_string();
    assert!(error.contains("is a model, not a checkpoint"), "{error}");
    let error = Model::load(folder.path().join("run.ckpt")).unwrap_err().to_string();
    assert!(error.contains("is a checkpoint") && error.contains("--resume"), "{error}");
    assert_eq!(Checkpoint::load(folder.path().join("none")).unwrap_err().exit_code(), 66);
}

fn train_model(data: &Dataset) -> Model {
    run(&config("als", &[]), data, DeviceChoice::Cpu, &mut |_: &Event| {}, Controls::default()).unwrap()
}

/// The checkpoint that the corpus of the fuzzer starts from: `DELTAV_WRITE_GOLDEN=1` writes it
/// anew, as a new version or another layout needs it.
#[test]
fn the_golden_checkpoint_goes_on() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/line-search.ckpt");
    let (config, data) = fuzz::checkpointed();
    if std::env::var_os("DELTAV_WRITE_GOLDEN").is_some() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(checkpoint(&config, &data, folder.path(), 3), &file).unwrap();
    }
    let rmse = |resume: Option<Checkpoint>| {
        let controls = Controls { resume, ..Controls::default() };
        let model = run(&config, &data, DeviceChoice::Cpu, &mut |_: &Event| {}, controls).unwrap();
        model.metadata.metrics["valid_rmse"]
    };
    assert!((rmse(Some(Checkpoint::load(file).unwrap())) - rmse(None)).abs() < 1e-5);
}

#[test]
fn what_is_not_finite_is_never_saved() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens, so that no loss is read: the checkpoint's own look at the numbers finds it.
    let config = TrainConfig { epochs: Some(60), ..config("gd", &[("rate", "1e9")]) };
    let controls =
        Controls { checkpoint: checkpointing(folder.path(), Every::Epochs(1)), ..Controls::default() };
    let error = run(&config, &without_valid(), DeviceChoice::Cpu, &mut Silent, controls).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    // Whatever was saved before is sound.
    let saved = Checkpoint::load(folder.path().join("run.ckpt")).unwrap();
    assert!(saved.epoch() < 60, "{saved:?}");
    let controls = Controls { resume: Some(saved), ..Controls::default() };
    let error = run(&config, &without_valid(), DeviceChoice::Cpu, &mut Silent, controls).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
}
