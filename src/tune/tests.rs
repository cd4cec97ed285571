use super::*;
use crate::backend::{DeviceChoice, OpenOptions, open};
use crate::config::ModelKind;
use crate::data::planted::Planted;
use crate::output::Claim;

fn tuning(splits: u32) -> Tuning {
    Tuning {
        base: TrainConfig { rank: 4, ..TrainConfig::default() },
        holdout: 0.1,
        holdout_by: HoldoutBy::default(),
        splits,
        max_seconds: None,
        interrupt: None,
    }
}

fn space(axes: &[&str]) -> Space {
    Space::of(axes.iter().map(|axis| axis.parse().unwrap()).collect()).unwrap()
}

fn planted() -> Ratings {
    Planted::new(200, 120, 6_000).generate().unwrap().ratings
}

fn run(tuning: &Tuning, space: &Space, journal: Option<&mut Journal>) -> (Result<Tuned>, Vec<bool>) {
    let options = OpenOptions { threads: Some(1), ..OpenOptions::default() };
    let mut backend = open(DeviceChoice::Cpu, &options).unwrap().backend;
    let mut known = Vec::new();
    let mut told = |progress: &Progress<'_>| {
        known.push(progress.known);
        assert_eq!(progress.done, known.len());
        assert!(progress.done <= progress.total);
    };
    let tuned = tune(tuning, space, &planted(), &mut *backend, journal, &mut told);
    (tuned, known)
}

#[test]
fn rounds_halve_candidates_and_double_splits() {
    assert_eq!(rounds(20, 8), [(20, 1), (10, 2), (5, 4), (3, 8)]);
    assert_eq!(rounds(2, 8), [(2, 1), (2, 2), (2, 4), (2, 8)]);
    assert_eq!(rounds(1, 8), [(1, 1)]);
    assert_eq!(rounds(5, 1), [(5, 1)]);
    assert_eq!(rounds(100, 3), [(100, 1), (50, 2), (25, 3)]);
    assert_eq!(runs(&rounds(20, 8)), 20 + 10 + 10 + 12);
}

#[test]
fn axes_are_read_and_refused() {
    assert_eq!("rank=16,32".parse::<Axis>().unwrap(), "rank=16, 32".parse().unwrap());
    for bad in ["rank", "rank=", "rank=1,", "=1", "epochs=3", "opt.=1", "ranks=1"] {
        assert!(bad.parse::<Axis>().is_err(), "{bad}");
    }
    let axes = |texts: &[&str]| Space::of(texts.iter().map(|text| text.parse().unwrap()).collect());
    assert_eq!(axes(&["rank=1", "rank=2"]).unwrap_err().exit_code(), 2);
    let many: Vec<String> = (0..40).map(|rank| rank.to_string()).collect();
    let many = [format!("rank={}", many.join(",")), format!("reg={}", many.join(","))];
    assert_eq!(axes(&[&many[0], &many[1]]).unwrap_err().exit_code(), 2);
}

#[test]
fn candidates_are_all_that_can_be_combined_and_the_defaults_once() {
    let texts = |space: &Space, base: &TrainConfig| -> Vec<String> {
        space.candidates(base).unwrap().iter().map(ToString::to_string).collect()
    };
    let base = TrainConfig::default();
    let tried = texts(&space(&["rank=32,64", "model=svdpp,biased", "reg=auto,1"]), &base);
    // svdpp learns its regularization; rank 32 and svdpp and auto are the defaults.
    assert_eq!(tried[0], "defaults");
    assert_eq!(
        tried[1..],
        [
            "--rank 32 --model biased --reg auto",
            "--rank 32 --model biased --reg 1",
            "--rank 64 --model svdpp --reg auto",
            "--rank 64 --model biased --reg auto",
            "--rank 64 --model biased --reg 1",
        ]
    );
    assert_eq!(texts(&space(&["opt.momentum=0.5,0.7"]), &base), ["defaults", "--opt momentum=0.5"]);
    for wrong in [
        "rank=8,x",
        "rank=8,0",
        "reg=1,nan",
        "rank=x",
        "rank=0",
        "model=nice",
        "reg=much",
        "opt.rate=1",
        "optimizer=magic",
    ] {
        assert_eq!(space(&[wrong]).candidates(&base).unwrap_err().exit_code(), 2, "{wrong}");
    }
    for spec in crate::optim::OPTIMIZERS {
        let base = TrainConfig { optimizer: spec.name.to_owned(), ..TrainConfig::default() };
        assert!(Space::usual(spec.name).unwrap().candidates(&base).unwrap().len() > 5, "{}", spec.name);
    }
}

#[test]
fn the_best_is_at_least_as_good_as_the_defaults_on_the_same_splits() {
    let tuning = tuning(4);
    // Rank 1 can't hold what was planted; rank 16 holds more than it.
    let (tuned, told) = run(&tuning, &space(&["rank=1,2,8,16"]), None);
    let tuned = tuned.unwrap();
    assert_eq!((told.len(), tuned.complete), (runs(&rounds(5, 4)), true));
    let (best, defaults) = (tuned.best().unwrap(), tuned.defaults().unwrap());
    assert_eq!((best.outcomes.len(), defaults.outcomes.len()), (4, 4));
    let (gain, _) = best.gain(defaults, &tuning.base).unwrap();
    assert!(gain >= 0.0, "{gain}");
    assert_ne!(best.settings.to_string(), "--rank 1");
    // Those that were left out come last, and nothing is measured twice.
    let counts: Vec<usize> = tuned.trials.iter().map(|trial| trial.outcomes.len()).collect();
    assert!(counts.is_sorted_by(|a, b| a >= b), "{counts:?}");
    // What is told of the best is what a run of its own gives.
    let (epochs, error) = best.best(&tuning.base).unwrap();
    let mean: f64 = (0..4)
        .map(|split| {
            let data = tuning.split(&planted(), split).unwrap();
            let config = best.settings.config(&tuning.base).unwrap();
            let config = TrainConfig {
                seed: u64::from(split),
                epochs: Some(epochs),
                patience: None,
                keep: Some(crate::config::Keep::Last),
                ..config
            };
            let mut backend = open(DeviceChoice::Cpu, &OpenOptions::default()).unwrap().backend;
            let model =
                crate::train::train(config.check().unwrap(), &data, &mut *backend, &mut crate::event::Silent);
            model.unwrap().metadata.metrics["valid_rmse"] / 4.0
        })
        .sum();
    assert!((mean - error).abs() < 1e-3, "{mean} for {error}");
}

#[test]
fn a_journal_goes_on_with_the_same_result() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let tried = space(&["rank=1,2,8"]);
    let journal = |resume, tuning: &Tuning| {
        Journal::open(Claim::acquire(&path, true).unwrap(), resume, tuning, &planted())
    };
    // Broken off before the first run, and then in the middle.
    let short = Tuning { max_seconds: Some(0.0), ..tuning(2) };
    let mut first = journal(false, &short).unwrap();
    let (tuned, told) = run(&short, &tried, Some(&mut first));
    assert!(told.is_empty() && !tuned.unwrap().complete);
    drop(first);
    let mut second = journal(true, &tuning(1)).unwrap();
    let (_, told) = run(&tuning(1), &tried, Some(&mut second));
    assert_eq!(told, [false; 4]);
    drop(second);
    let mut third = journal(true, &tuning(2)).unwrap();
    assert_eq!(third.len(), 4);
    let (resumed, told) = run(&tuning(2), &tried, Some(&mut third));
    assert_eq!(told[..4], [true; 4]);
    assert!(told[4..].iter().all(|known| !known));
    drop(third);
    let (whole, _) = run(&tuning(2), &tried, None);
    let results = |tuned: Tuned| -> Vec<(String, Vec<f64>)> {
        tuned.trials.iter().map(|trial| (trial.settings.to_string(), trial.curve())).collect()
    };
    assert_eq!(results(resumed.unwrap()), results(whole.unwrap()));

    let other = Tuning { base: TrainConfig { seed: 5, ..tuning(2).base }, ..tuning(2) };
    let error = journal(true, &other).unwrap_err();
    assert!(error.to_string().contains("--seed is 0 there and 5 here"), "{error}");
    // Candidates change the base: what it is counts, though none of them names it.
    let other =
        Tuning { base: TrainConfig { model: Some(ModelKind::Biased), ..tuning(2).base }, ..tuning(2) };
    let error = journal(true, &other).unwrap_err();
    assert!(error.to_string().contains("--model is auto there and biased here"), "{error}");
    std::fs::write(&path, "{\"tuning\": 1").unwrap();
    assert_eq!(journal(true, &tuning(2)).unwrap_err().exit_code(), 65);
}

#[test]
fn what_diverges_comes_last() {
    let base = TrainConfig { optimizer: "gd".to_owned(), epochs: Some(5), ..TrainConfig::default() };
    let tuning = Tuning { base, ..tuning(1) };
    let (tuned, _) = run(&tuning, &space(&["opt.rate=1e9,0.1"]), None);
    let tuned = tuned.unwrap();
    let last = tuned.trials.last().unwrap();
    assert_eq!(last.settings.to_string(), "--opt rate=1e9");
    assert_eq!(last.best(&tuning.base), None);
    assert!(tuned.best().unwrap().best(&tuning.base).is_some());
}
