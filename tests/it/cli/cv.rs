//! `deltav cv` and `train --average`.

use serde_json::Value;

use super::{Folder, events};

const QUICK: [&str; 6] = ["--rank", "4", "--epochs", "12", "--device", "cpu"];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The lines of `ratings.csv`, header first.
fn lines(folder: &Folder) -> Vec<String> {
    String::from_utf8(folder.read("ratings.csv")).unwrap().lines().map(str::to_owned).collect()
}

/// Writes fold `f` of three, its every third line, as `f.train` and `f.test`.
fn write_fold(folder: &Folder, lines: &[String], f: usize) -> String {
    let part = |test: bool| -> String {
        let mine =
            |(at, line): (usize, &String)| (at == 0 || (at % 3 == f) == test).then(|| format!("{line}\n"));
        lines.iter().enumerate().filter_map(mine).collect()
    };
    folder.write(&format!("{f}.train"), part(false));
    folder.write(&format!("{f}.test"), part(true));
    format!("{f}.train:{f}.test")
}

#[test]
fn a_fold_is_what_train_and_evaluate_say() {
    let folder = Folder::planted();
    let lines = lines(&folder);
    let folds: Vec<String> = (0..3).map(|f| write_fold(&folder, &lines, f)).collect();
    let mut call = [&["cv", "--json"], &QUICK[..]].concat();
    folds.iter().for_each(|fold| call.extend(["--fold-files", fold.as_str()]));
    let all = folder.json(&call);
    let told = events(&all, "fold");
    assert_eq!((told.len(), all.len()), (3, 4));
    for (f, fold) in told.iter().enumerate() {
        let (train, test, out) = (format!("{f}.train"), format!("{f}.test"), format!("{f}.model"));
        folder.succeed(&[&["train", &train, "--out", &out], &QUICK[..]].concat());
        let measured = &folder.json(&["evaluate", &out, &test, "--json"])[0];
        assert_eq!((&fold["rmse"], &fold["mae"]), (&measured["rmse"], &measured["mae"]), "fold {f}");
        assert_eq!(
            (&fold["fold"], &fold["folds"], &fold["epochs"]),
            (&(f + 1).into(), &3.into(), &12.into())
        );
        assert!(number(&fold["seconds"]) > 0.0 && fold["test"] == 900, "{fold}");
    }
    let cv = events(&all, "cv")[0];
    let rmse: Vec<f64> = told.iter().map(|fold| number(&fold["rmse"])).collect();
    let mean = rmse.iter().sum::<f64>() / 3.0;
    let sd = (rmse.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    assert!((number(&cv["mean"]["rmse"]) - mean).abs() < 1e-12);
    assert!((number(&cv["sd"]["rmse"]) - sd).abs() < 1e-12 && sd > 0.0);
}

#[test]
fn a_test_part_changes_nothing_that_is_trained() {
    let folder = Folder::planted();
    let all = lines(&folder);
    let fold = write_fold(&folder, &all, 0);
    let run = |more: &[&str]| {
        folder.json(&[&["cv", "--fold-files", &fold, "--json"], &QUICK[..], more].concat())[0].clone()
    };
    let before = run(&[]);
    // Every rating of the test part becomes what it is not, by a known amount.
    let text = String::from_utf8(folder.read("0.test")).unwrap();
    let shifted: String = text
        .lines()
        .enumerate()
        .map(|(at, line)| match (at, line.rsplit_once(',')) {
            (1.., Some((pair, value))) => format!("{pair},{}\n", value.parse::<f64>().unwrap() + 100.0),
            _ => format!("{line}\n"),
        })
        .collect();
    folder.write("0.test", shifted);
    let after = run(&[]);
    // Had training seen them, the predictions and so the distance would have moved.
    let (near, far) = (number(&before["mae"]), number(&after["mae"]));
    let signed = 100.0 - far;
    assert!(signed.abs() <= near, "mean error {signed}, mean absolute error {near}");
    let squares = |fold: &Value| number(&fold["rmse"]).powi(2);
    // Σ(e + 100)² = Σe² + 200·Σe + 100²: exactly, if the predictions are the same.
    assert!((squares(&after) - squares(&before) - 1e4 + 200.0 * signed).abs() < 1e-6, "{before} {after}");
}

#[test]
fn random_folds_are_seeded_and_shown_as_a_table() {
    let folder = Folder::planted();
    let cv = |more: &[&str]| folder.json(&[&["cv", "ratings.csv", "--json"], &QUICK[..], more].concat());
    let rmse = |all: &[Value]| -> Vec<f64> {
        events(all, "fold").iter().map(|fold| number(&fold["rmse"])).collect()
    };
    let all = cv(&[]);
    assert_eq!(rmse(&all).len(), 5);
    assert!(events(&all, "fold").iter().all(|fold| fold["test"] == 540 && fold["ratings"] == 2160));
    assert_eq!(rmse(&all), rmse(&cv(&[])));
    assert_ne!(rmse(&all), rmse(&cv(&["--seed", "1"])));
    assert_eq!(rmse(&cv(&["--folds", "2"])).len(), 2);
    let outcome = folder.run(&[&["cv", "ratings.csv", "--folds", "3"], &QUICK[..]].concat());
    let table: Vec<&str> = outcome.stdout.lines().collect();
    assert!(table[0].starts_with("fold") && table[0].contains("RMSE") && table[0].contains("MAE"));
    assert!(table[4].starts_with("mean ") && table[5].starts_with("± sd "), "{}", outcome.stdout);
    assert_eq!(outcome.stderr.lines().filter(|line| line.starts_with("fold ")).count(), 3);
    assert_eq!(folder.files(), ["ratings.csv", "test.csv"], "nothing is saved");
}

#[test]
fn folds_that_cannot_be_meant_are_refused() {
    let folder = Folder::planted();
    folder.write("two.csv", "user,item,rating\na,x,1\nb,x,2\n");
    for (call, code, part) in [
        (&["cv"][..], 2, "<FILE>"),
        (&["cv", "ratings.csv", "--folds", "1"], 2, "--folds 2 or more"),
        (&["cv", "ratings.csv", "--folds", "0"], 2, "--folds"),
        (&["cv", "ratings.csv", "--folds", "-3"], 2, "--folds"),
        (&["cv", "two.csv", "--folds", "3", "--device", "cpu"], 2, "3 folds are more than the 2 ratings"),
        (&["cv", "ratings.csv", "--fold-files", "a:b"], 2, "--fold-files"),
        (&["cv", "--fold-files", "a"], 2, "TRAIN:TEST"),
        (&["cv", "--fold-files", "missing:test.csv"], 66, "missing"),
        (&["cv", "--fold-files", "ratings.csv:missing"], 66, "missing"),
        (&["cv", "missing.csv", "--rank", "0"], 2, "rank"),
        (&["cv", "missing.csv"], 66, "missing.csv"),
        (&["cv", "ratings.csv", "--patience", "3"], 2, "--patience"),
        (&["train", "ratings.csv", "--average", "0"], 2, "--average"),
        (&["train", "ratings.csv", "--average", "-1"], 2, "--average"),
        (&["train", "ratings.csv", "--average", "1000"], 2, "--average"),
    ] {
        let line = folder.fail(&[call, &["-q"]].concat(), code);
        assert!(line.contains(part), "{call:?}: {line}");
    }
    folder.succeed(&["cv", "two.csv", "--folds", "2", "--device", "cpu", "--epochs", "3"]);
}

#[test]
fn an_average_is_one_model_with_members_in_its_events() {
    let folder = Folder::planted();
    let train = ["train", "ratings.csv", "--test", "test.csv", "--json", "--force", "--average"];
    let all = folder.json(&[&train[..], &["3"], &QUICK[..]].concat());
    let members: Vec<u64> = events(&all, "epoch").iter().map(|e| e["member"].as_u64().unwrap()).collect();
    assert_eq!(members, [[1; 12], [2; 12], [3; 12]].concat());
    let [stopped] = events(&all, "stopped")[..] else { panic!("one end") };
    let card = &folder.json(&["inspect", "ratings.safetensors", "--json"])[0];
    assert_eq!((&card["rank"], &card["training"]["settings"]["average"]), (&12.into(), &"3".into()));
    let measured = &folder.json(&["evaluate", "ratings.safetensors", "test.csv", "--json"])[0];
    assert_eq!(measured["rmse"], stopped["test_rmse"], "the average's, not a member's");
    let bytes = folder.read("ratings.safetensors");
    folder.json(&[&train[..], &["3"], &QUICK[..]].concat());
    assert_eq!(folder.read("ratings.safetensors"), bytes);

    // People see it, too.
    let people = [&train[..4], &["--force", "--average", "2"], &QUICK[..]].concat();
    let stderr = folder.run(&people).stderr;
    assert!(stderr.contains("model 2: epoch"), "{stderr}");
    // An average of one is the plain run.
    folder.json(&[&train[..], &["1"], &QUICK[..]].concat());
    let one = folder.read("ratings.safetensors");
    folder.succeed(&[&train[..6], &QUICK[..]].concat());
    assert_eq!(folder.read("ratings.safetensors"), one);
}
