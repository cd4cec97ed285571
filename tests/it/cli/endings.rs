//! The flags that end a run, and what is saved.

use super::{Folder, events};

const GD: [&str; 8] = ["train", "ratings.csv", "--optimizer", "gd", "--device", "cpu", "--rank", "4"];

fn gd<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&GD[..], more].concat()
}

#[test]
fn the_best_epoch_is_saved_and_named() {
    let folder = Folder::planted();
    // A rank above what 1,000 ratings carry, without a penalty: it overfits.
    let call = [
        "train",
        "ratings.csv",
        "--holdout",
        "0.6",
        "--model",
        "biased",
        "--reg",
        "0",
        "--epochs",
        "30",
        "--device",
        "cpu",
    ];
    let outcome = folder.run(&call);
    let line = outcome.stderr.lines().find(|line| line.starts_with("kept epoch ")).unwrap().to_owned();
    let best: u32 = line.split(' ').nth(2).unwrap().parse().unwrap();
    assert!(line.contains(&format!("kept epoch {best} of 30, validation RMSE ")) && best < 30, "{line}");

    let all = folder.json(&[&call[..], &["--json", "--force"]].concat());
    let stopped = events(&all, "stopped")[0];
    assert_eq!((&stopped["best_epoch"], &stopped["epoch"]), (&best.into(), &30.into()));
    let card = &folder.json(&["inspect", "ratings.safetensors", "--json"])[0];
    assert_eq!((&card["training"]["best_epoch"], &card["training"]["epochs"]), (&best.into(), &30.into()));
    assert_eq!(card["metrics"]["valid_rmse"], stopped["valid_rmse"]);

    let epochs = best.to_string();
    let short = [&call[..8], &["--device", "cpu", "--out", "short", "--epochs", &epochs]].concat();
    folder.succeed(&short[..]);
    let predict = |model: &str| folder.succeed(&["predict", model, "test.csv"]);
    assert_eq!(predict("ratings.safetensors"), predict("short"));
    folder.succeed(&[&call[..], &["--keep", "last", "--out", "last"]].concat());
    assert_ne!(predict("last"), predict("short"));
}

#[test]
fn a_validation_file_is_measured_and_never_trained_on() {
    let folder = Folder::planted();
    let text = String::from_utf8(folder.read("test.csv")).unwrap();
    let train = |valid: &str, text: &str, out: &str, more: &[&str]| {
        folder.write(valid, text);
        let call = ["train", "ratings.csv", "--device", "cpu", "--epochs", "12", "--json", "--out", out];
        folder.json(&[&call[..], &["--valid", valid], more].concat())
    };
    let all = train("valid.csv", &text, "a", &["--keep", "last"]);
    assert_eq!(events(&all, "loaded")[0]["valid"], 300);
    assert!(events(&all, "epoch").iter().all(|epoch| epoch["valid_rmse"].is_f64()));
    folder.succeed(&["train", "ratings.csv", "--device", "cpu", "--epochs", "12", "--out", "b"]);
    let predict = |model: &str| folder.succeed(&["predict", model, "test.csv"]);
    assert_eq!(predict("a"), predict("b"));
    folder.write("strangers.csv", "user,item,rating\nx1,y1,3\n");
    let line = folder.fail(&["train", "ratings.csv", "--valid", "strangers.csv", "--out", "c"], 65);
    assert!(line.starts_with("error: strangers.csv: "), "{line}");
}

#[test]
fn the_test_file_changes_no_byte_of_the_factors() {
    let folder = Folder::planted();
    let text = String::from_utf8(folder.read("test.csv")).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[1..].reverse();
    // Other pairs, other values: the model must not know.
    let changed: Vec<String> = lines
        .iter()
        .take(200)
        .enumerate()
        .map(|(at, line)| match (at, line.rsplit_once(',')) {
            (1.., Some((pair, _))) => format!("{pair},{}", at % 5),
            _ => (*line).to_owned(),
        })
        .collect();
    folder.write("changed.csv", changed.join("\n"));
    let model = |test: &str, more: &[&str]| {
        let call = ["train", "ratings.csv", "--device", "cpu", "--epochs", "12", "--out", test, "--force"];
        folder.succeed(&[&call[..], more].concat());
        let out = format!("{test}.npz");
        folder.succeed(&["export", test, "--format", "npz", "--out", &out, "--force"]);
        folder.read(&out)
    };
    for more in [&[][..], &["--holdout", "0.1", "--patience", "3"]] {
        let with = |test: &str| model(&format!("{}.model", test.len()), &[more, &["--test", test]].concat());
        let none = model("none.model", more);
        assert_eq!(none, with("test.csv"));
        assert_eq!(none, with("changed.csv"));
    }
}

#[test]
fn patience_and_time_end_a_run_with_their_reason() {
    let folder = Folder::planted();
    let end = |more: &[&str]| {
        let call = [
            "train",
            "ratings.csv",
            "--device",
            "cpu",
            "--json",
            "--force",
            "--model",
            "biased",
            "--reg",
            "0",
        ];
        let all = folder.json(&[&call[..], more].concat());
        let stopped = events(&all, "stopped")[0];
        let number = |field: &str| stopped[field].as_u64();
        (stopped["reason"].as_str().unwrap().to_owned(), number("epoch").unwrap(), number("best_epoch"))
    };
    let (reason, epoch, best) = end(&["--holdout", "0.6", "--patience", "4", "--epochs", "500"]);
    assert_eq!((reason.as_str(), epoch), ("patience", best.unwrap() + 4));
    assert_eq!(end(&["--max-seconds", "1e-9"]), ("max-seconds".to_owned(), 1, None));
    assert_eq!(end(&["--max-seconds", "1000", "--epochs", "3"]), ("epochs".to_owned(), 3, None));
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    let folder = Folder::new();
    for (flags, named) in [
        (&["--patience", "3"][..], "--holdout"),
        (&["--keep", "best"], "--valid"),
        (&["--patience", "0", "--holdout", "0.1"], "patience 0"),
        (&["--patience", "-1", "--holdout", "0.1"], "--patience"),
        (&["--max-seconds", "0"], "--max-seconds"),
        (&["--max-seconds", "-1"], "--max-seconds"),
        (&["--max-seconds", "nan"], "--max-seconds"),
        (&["--holdout", "0.1", "--valid", "v.csv"], "--valid"),
        (&["--keep", "all"], "best"),
        (&["--valid", "-", "--test", "-"], "--test"),
    ] {
        let line = folder.fail(&[&["train", "missing.csv"], flags].concat(), 2);
        assert!(line.contains(named), "{flags:?}: {line}");
    }
    let line = folder.fail(&["train", "-", "--valid", "-"], 2);
    assert!(line.contains("FILE") && line.contains("--valid"), "{line}");
}

#[test]
fn of_a_run_that_diverges_the_best_epoch_is_saved_where_a_file_is_named() {
    let folder = Folder::planted();
    // The first rate that is too large is only just so: its first epochs do learn.
    let rates =
        ["rate=0.01", "rate=0.014", "rate=0.02", "rate=0.028", "rate=0.04", "rate=0.056", "rate=0.08"];
    let settings = |rate: &'static str| ["--opt", rate, "--loss", "sum", "--reg", "0", "--epochs", "500"];
    let diverges = |rate: &&'static str| {
        folder.run(&gd(&[&settings(rate)[..], &["-q", "--force"]].concat())).code == Some(3)
    };
    let rate = settings(rates.iter().copied().find(|rate| diverges(rate)).unwrap());
    std::fs::remove_file(folder.path().join("ratings.safetensors")).unwrap();
    for holdout in [&["--holdout", "0.1"][..], &[]] {
        let call = gd(&[&rate, holdout].concat());
        // No file is named: nothing is left.
        let line = folder.fail(&[&call[..], &["-q"]].concat(), 3);
        assert!(!line.contains("kept"), "{line}");
        let outcome = folder.run(&[&call[..], &["--out", "rescued", "-q"]].concat());
        assert_eq!((outcome.code, outcome.stderr.lines().count()), (Some(3), 1), "{}", outcome.stderr);
        let line = outcome.stderr.trim_end();
        assert!(line.starts_with("error: epoch ") && line.contains("gd diverged (rate="), "{line}");
        let (_, kept) = line.rsplit_once("; kept epoch ").unwrap();
        let card = &folder.json(&["inspect", "rescued", "--json"])[0];
        assert_eq!(card["training"]["best_epoch"].to_string(), kept);
        std::fs::remove_file(folder.path().join("rescued")).unwrap();
    }
    let all = folder.run(&gd(&[&rate[..], &["--json", "--out", "rescued"]].concat())).stdout;
    assert!(all.lines().last().unwrap().contains(r#""event":"saved""#), "{all}");
    // The first epoch ends worse than the mean for all: that is nothing to keep.
    let outcome = folder.run(&gd(&["--opt", "rate=1e5", "--out", "nothing", "-q"]));
    assert_eq!(outcome.code, Some(3));
    assert!(!folder.files().contains(&"nothing".to_owned()), "{}", outcome.stderr);
}

#[test]
fn the_hold_out_is_of_users_or_of_the_newest() {
    let folder = Folder::new();
    let mut text = "user,item,rating,timestamp\n".to_owned();
    for p in 0..600_u32 {
        // The later half of the file is the older one.
        let (time, rating) = if p < 300 { (1_000_000 + p, p % 3) } else { (p, 3 + p % 3) };
        text += &format!("u{},i{},{rating},{time}\n", p % 30, p / 30 * 3 + p % 3);
    }
    folder.write("timed.csv", &text);
    let train = |file: &str, by: &str, fraction: &str, out: &str| {
        let call = ["train", file, "--epochs", "4", "--device", "cpu", "--json", "--force", "--out", out];
        let all = folder
            .json(&[&call[..], &["--keep", "last", "--holdout", fraction, "--holdout-by", by]].concat());
        events(&all, "loaded")[0]["valid"].as_u64().unwrap()
    };
    assert_eq!(train("timed.csv", "random", "0.1", "a"), 60);
    assert_eq!(train("timed.csv", "user", "0.1", "b"), 60);
    assert_eq!(train("timed.csv", "user", "0.01", "b"), 30, "one of each user");
    assert_eq!(train("timed.csv", "time", "0.5", "c"), 300);
    // Only the older half has ratings above 2, and items that it alone rates.
    let card = |model: &str| folder.json(&["inspect", model, "--json"])[0]["data"].clone();
    let (c, a) = (card("c"), card("a"));
    assert_eq!(
        (&c["ratings"], &c["rating_min"], &c["unknown_items"]),
        (&300.into(), &3.0.into(), &30.into())
    );
    assert_eq!((&a["rating_min"], &a["unknown_items"]), (&0.0.into(), &0.into()));

    folder.write("untimed.csv", "user,item,rating\na,x,1\nb,y,2\n");
    let line = folder.fail(&["train", "untimed.csv", "--holdout", "0.5", "--holdout-by", "time"], 65);
    assert!(line.starts_with("error: untimed.csv:1: ") && line.contains("--columns"), "{line}");
    let columns = ["--columns", "user,item,rating", "--holdout", "0.5", "--holdout-by", "time"];
    let line = folder.fail(&[&["train", "timed.csv"], &columns[..]].concat(), 2);
    assert!(line.contains("timestamp"), "{line}");
    let line = folder.fail(&["train", "untimed.csv", "--holdout-by", "user"], 2);
    assert!(line.contains("--holdout"), "{line}");
    let line = folder.fail(&["train", "untimed.csv", "--holdout", "0.5", "--holdout-by", "user"], 2);
    assert!(line.contains("no user has two ratings"), "{line}");
    folder.write("one.csv", "user,item,rating\na,x,1\n");
    for by in ["random", "user"] {
        let line = folder.fail(&["train", "one.csv", "--holdout", "0.5", "--holdout-by", by], 2);
        assert!(line.contains("1 rating can't be split"), "{line}");
    }
}
