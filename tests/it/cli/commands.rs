//! What is done with a model.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use super::{Folder, events};

const MODEL: &str = "ratings.safetensors";

fn rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn a_model_goes_all_the_way_on_every_device() {
    for device in ["cpu", "software"] {
        let folder = Folder::planted();
        let all = folder.json(&[
            "train",
            "ratings.csv",
            "--test",
            "test.csv",
            "--rank",
            "4",
            "--epochs",
            "30",
            "--device",
            device,
            "--json",
        ]);
        let tested = events(&all, "stopped")[0]["test_rmse"].as_f64().unwrap();

        let measured = &folder.json(&["evaluate", MODEL, "test.csv", "--json"])[0];
        assert!(
            (measured["rmse"].as_f64().unwrap() - tested).abs() < 1e-5,
            "{device}: {measured} and {tested}"
        );
        assert!(measured["mean_baseline"]["rmse"].as_f64().unwrap() > tested, "{device}: {measured}");
        assert_eq!(
            (&measured["schema"], &measured["count"], &measured["unknown"]),
            (&1.into(), &300.into(), &0.into())
        );

        let predicted = rows(&folder.succeed(&["predict", MODEL, "test.csv"]));
        assert_eq!(predicted.len(), 300);
        assert!(predicted.iter().all(|row| (0.5..=5.0).contains(&row[2].parse::<f32>().unwrap())));

        assert_eq!(rows(&folder.succeed(&["recommend", MODEL, "--user", "u1", "-n", "5"])).len(), 5);
        let card = &folder.json(&["inspect", MODEL, "--json"])[0];
        assert_eq!(
            (&card["schema"], &card["rank"], &card["data"]["ratings"]),
            (&1.into(), &4.into(), &2_700.into())
        );
        assert_eq!(card["curve"].as_array().unwrap().len(), 30, "{device}");
        folder.succeed(&["export", MODEL, "--format", "npz", "--out", "model.npz"]);
        assert!(folder.read("model.npz").starts_with(b"PK"), "{device}");
    }
}

#[test]
fn ids_survive_byte_for_byte() {
    let folder = Folder::new();
    let ids = ["007", "7", "say \"hi\"", "a,b", "Zoë ✓", " padded ", "'quoted'"];
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["user", "item", "rating"]).unwrap();
    for (user, id) in ids.iter().enumerate() {
        for (item, other) in ids.iter().enumerate() {
            writer.write_record([id, other, &*(1 + (user * item) % 5).to_string()]).unwrap();
        }
    }
    folder.write("odd.csv", writer.into_inner().unwrap());
    folder.succeed(&["train", "odd.csv", "--rank", "2", "--epochs", "5", "--device", "cpu"]);

    let outcome = folder.run(&["predict", "odd.safetensors", "odd.csv"]);
    assert_eq!(outcome.stderr, "", "all of them are known");
    let predicted = rows(&outcome.stdout);
    let expected = ids.iter().flat_map(|user| ids.iter().map(move |item| (*user, *item)));
    assert!(predicted.iter().map(|row| (&*row[0], &*row[1])).eq(expected), "{predicted:?}");

    let list = folder.json(&[
        "recommend",
        "odd.safetensors",
        "--user",
        ids[2],
        "-n",
        "1",
        "--include-seen",
        "--json",
    ]);
    assert_eq!(list[0]["user"], ids[2]);
}

#[test]
fn recommendations_leave_out_what_was_rated_and_have_the_keys_of_the_contract() {
    let folder = Folder::trained();
    let ratings = rows(&String::from_utf8(folder.read("ratings.csv")).unwrap());
    let text = folder.succeed(&["recommend", MODEL, "--all", "-n", "1000", "--json"]);
    assert!(text.starts_with("{\"user\":\"") && text.lines().all(|line| line.contains("\",\"item\":\"")));
    let seen: std::collections::HashSet<(&str, &str)> =
        ratings.iter().map(|row| (&*row[0], &*row[1])).collect();
    let (mut rank, mut score, mut user) = (0, f64::INFINITY, String::new());
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(row.as_object().unwrap().len(), 4, "{line}");
        assert!(!seen.contains(&(row["user"].as_str().unwrap(), row["item"].as_str().unwrap())), "{line}");
        if row["user"] != user {
            (rank, score, user) = (0, f64::INFINITY, row["user"].as_str().unwrap().to_owned());
        }
        assert!(row["rank"] == rank + 1 && row["score"].as_f64().unwrap() <= score, "{line}");
        (rank, score) = (rank + 1, row["score"].as_f64().unwrap());
    }
    let everything =
        rows(&folder.succeed(&["recommend", MODEL, "--user", "u1", "-n", "1000", "--include-seen"]));
    let unseen = rows(&folder.succeed(&["recommend", MODEL, "--user", "u1", "-n", "1000"]));
    let rated = ratings.iter().filter(|row| row[0] == "u1").count();
    assert_eq!(everything.len(), unseen.len() + rated);
    assert!(rated > 0);
}

#[test]
fn several_users_come_in_the_order_of_the_call() {
    let folder = Folder::trained();
    let list = rows(&folder.succeed(&["recommend", MODEL, "--user", "u9", "--user", "u2", "-n", "2"]));
    let users: Vec<&str> = list.iter().map(|row| &*row[0]).collect();
    assert_eq!(users, ["u9", "u9", "u2", "u2"]);
}

#[test]
fn unknown_pairs_are_predicted_left_out_or_refused_and_counted() {
    let folder = Folder::trained();
    folder.write("pairs.csv", "item,user\ni1,u1\ni1,nobody\nnothing,u1\nnothing,nobody\n");
    let outcome = folder.run(&["predict", MODEL, "pairs.csv"]);
    assert_eq!((outcome.code, rows(&outcome.stdout).len()), (Some(0), 4));
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    assert!(
        outcome.stderr.starts_with("note: of 4 pairs, 1 with an unknown user, 1 with"),
        "{}",
        outcome.stderr
    );
    assert_eq!(folder.run(&["predict", MODEL, "pairs.csv", "--quiet"]).stderr, "");

    let skipped = rows(&folder.succeed(&["predict", MODEL, "pairs.csv", "--unknown", "skip"]));
    assert_eq!(skipped.len(), 1);
    assert_eq!(folder.run(&["predict", MODEL, "pairs.csv", "--unknown", "error"]).code, Some(65));

    let objects = folder.json(&["predict", MODEL, "pairs.csv", "--json"]);
    assert!(objects[0]["unknown"].is_null() && objects[3]["unknown"] == "user and item", "{objects:?}");
    assert!(objects.iter().all(|row| row["prediction"].is_f64()));
}

#[test]
fn predictions_go_to_a_file_complete_or_not_at_all() {
    let folder = Folder::trained();
    folder.write("pairs.csv", "user,item\nu1,i1\nu2,i2\n");
    let text = folder.succeed(&["predict", MODEL, "pairs.csv"]);
    assert_eq!(folder.succeed(&["predict", MODEL, "pairs.csv", "--out", "p.csv"]), "");
    assert_eq!(folder.read("p.csv"), text.as_bytes());
    folder.fail(&["predict", MODEL, "pairs.csv", "--out", "p.csv"], 73);
    folder.write("pairs.csv", "user,item\nu1,i1\nu2\n");
    folder.fail(&["predict", MODEL, "pairs.csv", "--out", "p.csv", "--force"], 65);
    assert_eq!(folder.read("p.csv"), text.as_bytes());
}

#[test]
fn clipping_can_be_left_out() {
    let folder = Folder::trained();
    let pairs: String = (1..=120).flat_map(|u| (1..=80).map(move |i| format!("u{u},i{i}\n"))).collect();
    folder.write("pairs.csv", format!("user,item\n{pairs}"));
    let outside = |more: &[&str]| {
        let text = folder.succeed(&[&["predict", MODEL, "pairs.csv"], more].concat());
        rows(&text).iter().filter(|row| !(0.5..=5.0).contains(&row[2].parse::<f32>().unwrap())).count()
    };
    assert_eq!(outside(&[]), 0);
    assert!(outside(&["--no-clip"]) > 0);
}

#[test]
fn text_reads_well() {
    let folder = Folder::trained();
    let table = folder.succeed(&["evaluate", MODEL, "test.csv"]);
    let first: Vec<&str> = table.lines().map(|line| line.split_whitespace().next().unwrap_or("")).collect();
    let rankings = ["top", "model", "popularity", "bias", "all", "model", "popularity", "bias"];
    assert_eq!(first[..5], ["300", "model", "bias", "mean", ""], "{table}");
    assert_eq!(
        first[6..].iter().filter(|word| **word != "left").copied().collect::<Vec<_>>(),
        rankings,
        "{table}"
    );
    assert!(table.contains("RMSE") && table.contains("MAE"), "{table}");
    let card = folder.succeed(&["inspect", MODEL]);
    for part in [
        "svdpp",
        "rank",
        "line-search",
        "momentum",
        "seed",
        "train_rmse",
        "CPU",
        env!("CARGO_PKG_VERSION"),
        "█",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
}

#[test]
fn a_closed_pipe_is_quiet() {
    let folder = Folder::trained();
    for call in [&["recommend", MODEL, "--all", "-n", "1000"][..], &["predict", MODEL, "many.csv"]] {
        folder.write("many.csv", "u1,i1\n".repeat(100_000));
        let mut child = folder.command(call).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.starts_with("user,item,"), "{first}");
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""), "{call:?}");
    }
}

#[test]
fn help_tells_what_the_registries_hold() {
    let folder = Folder::new();
    // A terminal's width may break any line.
    let help =
        |command: &str| folder.succeed(&[command, "--help"]).split_whitespace().collect::<Vec<_>>().join(" ");
    let (export, measures, help) = (help("export"), help("evaluate"), help("train"));
    for spec in deltav::optim::OPTIMIZERS {
        assert!(help.contains(&format!("{}: {}", spec.name, spec.summary)), "{}", spec.name);
        assert!(help.contains(&format!("{} for {}", spec.epochs, spec.name)), "{}", spec.name);
        assert!(
            spec.hyperparameters.iter().all(|h| help.contains(&format!("--opt {}={}", h.key, h.default)))
        );
    }
    for kind in deltav::config::ModelKind::ALL {
        assert!(help.contains(&format!("{}: {}", kind.name(), kind.formula())), "{}", kind.name());
    }
    let metrics = deltav::model::METRICS.iter().map(|metric| (metric.name, metric.formula));
    let ranking = deltav::model::RANKING_METRICS.iter().map(|metric| (metric.name, metric.formula));
    for (name, formula) in metrics.chain(ranking) {
        assert!(measures.contains(name) && measures.contains(formula), "{name}: {measures}");
    }
    assert!(deltav::model::EXPORTS.iter().all(|format| export.contains(format.summary)), "{export}");
    assert_eq!(folder.succeed(&["--version"]).trim(), concat!("deltav ", env!("CARGO_PKG_VERSION")));
    assert_eq!(folder.run(&[]).code, Some(2), "nothing asked is a usage error, with help");
}
