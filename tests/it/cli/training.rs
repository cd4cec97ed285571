//! `deltav train` on good days.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use serde_json::Value;

use super::{Folder, events};

const QUICK: [&str; 6] = ["--rank", "4", "--epochs", "40", "--device", "cpu"];

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "ratings.csv"], &QUICK[..], more].concat()
}

#[test]
fn events_are_json_lines_with_the_fields_of_the_contract() {
    let folder = Folder::planted();
    let all = folder.json(&train(&["--json", "--holdout", "0.1", "--test", "test.csv"]));
    assert!(all.iter().all(|event| event["schema"] == 1 && event["event"].is_string()));

    let loaded = events(&all, "loaded")[0];
    assert_eq!(
        (&loaded["ratings"], &loaded["valid"], &loaded["test"]),
        (&2_430.into(), &270.into(), &300.into())
    );
    assert!(loaded["device"].as_str().unwrap().starts_with("CPU"), "{loaded}");

    let epochs = events(&all, "epoch");
    assert_eq!(epochs.len(), 40, "an event for every epoch");
    for (number, epoch) in (1..).zip(&epochs) {
        assert_eq!((&epoch["epoch"], &epoch["epochs"]), (&Value::from(number), &40.into()));
        for field in ["train_rmse", "valid_rmse", "test_rmse", "seconds", "ratings_per_second"] {
            assert!(epoch[field].as_f64().is_some_and(|x| x >= 0.0), "{field}: {epoch}");
        }
    }
    let rmse = |at: usize| epochs[at]["train_rmse"].as_f64().unwrap();
    assert!(rmse(39) < rmse(0), "training lowers the error");

    let [stopped, saved] = ["stopped", "saved"].map(|kind| events(&all, kind)[0]);
    let best = stopped["best_epoch"].as_u64().unwrap() as usize;
    assert_eq!((&stopped["reason"], &stopped["epoch"]), (&"epochs".into(), &40.into()));
    let lowest =
        |field: &str| epochs.iter().map(|e| e[field].as_f64().unwrap()).fold(f64::INFINITY, f64::min);
    assert_eq!(stopped["valid_rmse"].as_f64(), Some(lowest("valid_rmse")));
    assert_eq!(stopped["test_rmse"], epochs[best - 1]["test_rmse"], "the saved model's");
    assert_eq!(saved["path"], "ratings.safetensors");
    assert_eq!(saved["bytes"], folder.read("ratings.safetensors").len());
    assert_eq!(all.last().unwrap()["event"], "saved");
}

#[test]
fn what_is_not_computed_is_null() {
    let folder = Folder::planted();
    let all = folder.json(&train(&["--json"]));
    for epoch in events(&all, "epoch") {
        assert!(
            epoch["valid_rmse"].is_null() && epoch["test_rmse"].is_null() && epoch["train_rmse"].is_f64()
        );
    }
}

#[test]
fn json_leaves_stderr_empty_and_quiet_leaves_both() {
    let folder = Folder::planted();
    let json = folder.run(&train(&["--json"]));
    assert_eq!((json.code, json.stderr.as_str()), (Some(0), ""));
    let quiet = folder.run(&train(&["--quiet", "--force"]));
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (Some(0), "", ""));
}

#[test]
fn without_a_terminal_there_are_few_lines_and_no_escapes() {
    let folder = Folder::planted();
    let outcome = folder.run(&["train", "ratings.csv", "--rank", "4", "--device", "cpu"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), ""));
    let epochs = outcome.stderr.lines().filter(|line| line.starts_with("epoch ")).count();
    assert!((10..=21).contains(&epochs), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains(['\x1b', '\r']), "{}", outcome.stderr);
    let next = outcome.stderr.lines().last().unwrap();
    let call: Vec<&str> = next.strip_prefix("next: deltav ").unwrap().split(' ').collect();
    assert_eq!(folder.succeed(&call).lines().count(), 11, "the hint works as it stands");
}

#[test]
fn the_same_call_writes_the_same_bytes() {
    for device in ["cpu", "software"] {
        let folder = Folder::planted();
        for out in ["a", "b"] {
            folder.succeed(&[
                "train",
                "ratings.csv",
                "--out",
                out,
                "--epochs",
                "8",
                "--holdout",
                "0.1",
                "--seed",
                "7",
                "--device",
                device,
            ]);
        }
        assert_eq!(folder.read("a"), folder.read("b"), "{device}");
    }
}

#[test]
fn threads_and_quiet_change_no_byte() {
    let folder = Folder::planted();
    folder.succeed(&train(&["--out", "a", "--threads", "1"]));
    folder.succeed(&train(&["--out", "b", "--threads", "3", "--quiet"]));
    assert_eq!(folder.read("a"), folder.read("b"));
}

#[test]
fn the_seed_decides_the_split_and_the_start() {
    let folder = Folder::planted();
    let last = |seed: &str| {
        let all = folder.json(&train(&["--json", "--force", "--holdout", "0.2", "--seed", seed]));
        events(&all, "stopped")[0]["valid_rmse"].as_f64().unwrap()
    };
    assert_eq!(last("1"), last("1"));
    assert_ne!(last("1"), last("2"));
}

#[test]
fn no_epochs_write_the_initial_factors() {
    let folder = Folder::planted();
    let all = folder.json(&["train", "ratings.csv", "--epochs", "0", "--device", "cpu", "--json"]);
    assert!(events(&all, "epoch").is_empty());
    assert_eq!(events(&all, "stopped")[0]["epoch"], 0);
    assert_eq!(folder.json(&["inspect", "ratings.safetensors", "--json"])[0]["training"]["epochs"], 0);
}

#[test]
fn both_losses_find_the_same_model_and_every_kind_trains() {
    let folder = Folder::planted();
    let rmse = |more: &[&str]| {
        let call = [
            "train",
            "ratings.csv",
            "--device",
            "cpu",
            "--rank",
            "4",
            "--json",
            "--force",
            "--test",
            "test.csv",
        ];
        let all = folder.json(&[&call, more].concat());
        events(&all, "stopped")[0]["test_rmse"].as_f64().unwrap()
    };
    assert!(
        (rmse(&["--loss", "mean", "--epochs", "40"]) - rmse(&["--loss", "sum", "--epochs", "40"])).abs()
            < 1e-4
    );
    for model in ["plain", "centered", "biased"] {
        assert!(rmse(&["--model", model, "--epochs", "300"]) < 1.0, "{model}");
    }
}

#[test]
fn a_terminal_free_run_tells_of_strangers_and_of_what_the_hold_out_empties() {
    let folder = Folder::new();
    folder.write("ratings.csv", "user,item,rating\na,x,1\na,y,2\nb,x,3\nb,y,4\nc,x,5\nd,y,1\n");
    folder.write("test.csv", "user,item,rating\na,x,2\nnobody,x,3\n");
    let call = [
        "train",
        "ratings.csv",
        "--test",
        "test.csv",
        "--holdout",
        "0.5",
        "--device",
        "cpu",
        "--epochs",
        "1",
    ];
    let stderr = folder.run(&call).stderr;
    for part in ["of 2 test ratings", "the hold-out leaves ", "rank 32 exceeds "] {
        assert!(
            stderr.lines().any(|line| line.starts_with("note: ") && line.contains(part)),
            "{part}: {stderr}"
        );
    }
    let all = folder.json(&[&call[..], &["--json", "--force"]].concat());
    assert!(events(&all, "notice").len() >= 3, "{all:?}");
    assert!(events(&all, "notice").iter().all(|notice| notice["message"].is_string()));
}

#[test]
fn ratings_come_from_a_pipe_too() {
    let folder = Folder::planted();
    let ratings = std::fs::File::open(folder.path().join("ratings.csv")).unwrap();
    let call = ["train", "-", "--epochs", "3", "--device", "cpu", "--out", "piped"];
    assert!(folder.command(&call).stdin(ratings).stderr(Stdio::null()).status().unwrap().success());
    folder.succeed(&["train", "ratings.csv", "--epochs", "3", "--device", "cpu", "--out", "read"]);
    assert_eq!(folder.read("piped"), folder.read("read"));
}

#[test]
fn a_reader_that_leaves_costs_no_model() {
    let folder = Folder::planted();
    let call = ["train", "ratings.csv", "--json", "--device", "cpu", "--epochs", "2000"];
    let mut child = folder.command(&call).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
    folder.succeed(&["inspect", "ratings.safetensors"]);
}

#[test]
fn a_run_that_never_leaves_the_warm_up_says_so() {
    let folder = Folder::planted();
    let short = folder.run(&["train", "ratings.csv", "--epochs", "3", "--device", "cpu", "-f"]);
    assert!(short.stderr.contains("warm-up"), "{}", short.stderr);
    let long = folder.run(&["train", "ratings.csv", "--epochs", "9", "--device", "cpu", "-f"]);
    assert!(!long.stderr.contains("warm-up"), "{}", long.stderr);
    let narrow =
        folder.run(&["train", "ratings.csv", "--epochs", "5", "--rank", "40", "--device", "cpu", "-f"]);
    assert!(narrow.stderr.contains("only 32 of 40 factors"), "{}", narrow.stderr);
    // A model's factors are all there from the start.
    folder.run(&["train", "ratings.csv", "--epochs", "9", "--rank", "40", "--device", "cpu", "-o", "wide"]);
    let more = ["--epochs", "5", "--rank", "40", "--device", "cpu", "--init-model", "wide", "-f"];
    let filled = folder.run(&[&["train", "ratings.csv"], &more[..]].concat());
    assert!(filled.code == Some(0) && !filled.stderr.contains("factors hold"), "{}", filled.stderr);
}
