//! `tune`: a table, a command line that works, a file that `train` takes, a journal to go on from.

use super::{Folder, events};

/// Few candidates and splits.
const FEW: [&str; 9] =
    ["tune", "ratings.csv", "--device", "cpu", "--try", "rank=1,2,8", "--splits", "2", "--force"];

#[test]
fn what_it_finds_is_what_train_takes() {
    let folder = Folder::planted();
    let outcome = folder.run(&FEW);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert!(lines[0].starts_with("settings ") && lines[0].ends_with("time"), "{}", outcome.stdout);
    assert!(lines.iter().any(|line| line.starts_with("defaults ")), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("saved ratings.toml: deltav train ratings.csv --config ratings.toml"));
    assert!(outcome.stderr.lines().filter(|line| line.contains("round 1: ")).count() == 4);

    // The command line and the file are the same run.
    let words: Vec<&str> = lines.last().unwrap().split(' ').skip(1).collect();
    assert_eq!(&words[..2], ["train", "ratings.csv"]);
    folder.succeed(&[&words[..], &["--device", "cpu", "--out", "by-flags"]].concat());
    folder.succeed(&[
        "train",
        "ratings.csv",
        "--config",
        "ratings.toml",
        "--device",
        "cpu",
        "--out",
        "by-file",
    ]);
    assert_eq!(folder.read("by-flags"), folder.read("by-file"));
    // An hour later it finds the same.
    assert_eq!(folder.succeed(&FEW).lines().last(), lines.last().copied());
}

#[test]
fn every_run_and_every_candidate_is_told_as_json() {
    let folder = Folder::planted();
    let told = folder.json(&[&FEW[..], &["--json"]].concat());
    let runs = events(&told, "run");
    assert_eq!(runs.len(), 6);
    assert!(runs.iter().all(|run| run["total"] == 6 && run["valid_rmse"].is_f64()), "{runs:?}");
    let whole = told.last().unwrap();
    assert_eq!((&whole["event"], &whole["complete"]), (&"tuned".into(), &true.into()));
    let candidates = whole["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), 4);
    let defaults = candidates.iter().find(|candidate| candidate["settings"] == "defaults").unwrap();
    assert!(defaults["gain"].is_null() && defaults["epochs"] == 26, "{defaults}");
    assert!(candidates[0]["valid_rmse"].as_f64() <= defaults["valid_rmse"].as_f64());
    assert!(whole["command"].as_str().unwrap().starts_with("deltav train ratings.csv"));
}

#[test]
fn a_journal_is_gone_on_from_and_never_lost() {
    let folder = Folder::planted();
    let journal = [&FEW[..8], &["--journal", "tune.json", "--json"]].concat();
    folder.succeed(&[&journal[..], &["--out", "whole.toml"]].concat());
    let line = folder.fail(&journal, 73);
    assert!(line.contains("tune.json: exists; pass --resume"), "{line}");
    let told = folder.json(&[&journal[..], &["--out", "again.toml", "--resume"]].concat());
    assert!(events(&told, "run").iter().all(|run| run["known"] == true), "{told:?}");
    assert_eq!(folder.read("again.toml"), folder.read("whole.toml"));
    let line = folder.fail(&[&journal[..], &["--out", "x.toml", "--resume", "--seed", "4"]].concat(), 65);
    assert!(line.contains("tune.json: is of another call: --seed is 0 there and 4 here"), "{line}");
    folder.write("tune.json", "[]");
    let line = folder.fail(&[&journal[..], &["--out", "x.toml", "--resume"]].concat(), 65);
    assert!(line.contains("tune.json: is no journal of `deltav tune`"), "{line}");
}

#[test]
fn what_can_not_be_tuned_is_one_line() {
    let folder = Folder::planted();
    let call = |flags: &[&str], code| {
        folder.fail(&[&["tune", "ratings.csv", "--device", "cpu"][..], flags].concat(), code)
    };
    for (flags, told) in [
        (&["--try", "rank=1,x"][..], "x is no value for rank"),
        (&["--try", "ranks=1"], "there is no setting `ranks` to try"),
        (&["--try", "rank=1", "--try", "rank=2"], "rank is given twice"),
        (&["--optimizer", "magic"], "magic"),
        (&["--epochs", "0"], "nothing is learned in 0 epochs"),
        (&["--max-seconds", "-1"], "no time to tune in"),
        (&["--max-seconds", "0"], "the time was up before anything was measured"),
        (&["--holdout", "1"], "pass a fraction"),
        (&["--splits", "0"], "0 is not in 1..=1000"),
    ] {
        let line = call(flags, 2);
        assert!(line.contains(told), "{flags:?}: {line}");
    }
    let line = call(&["--out", "ratings.csv", "--force"], 73);
    assert!(line.contains("ratings.csv"), "{line}");
    let line = call(&["--journal", "ratings.csv", "--resume"], 73);
    assert!(line.contains("ratings.csv"), "{line}");
    folder.write("ratings.toml", "");
    assert!(call(&[], 73).contains("ratings.toml: exists"));
}
