//! How sure a model is, on the command line.

use super::Folder;

const MODEL: &str = "ratings.safetensors";

/// The cells of a CSV's columns, by name.
fn column<'a>(csv: &'a str, name: &str) -> Vec<&'a str> {
    let mut lines = csv.lines();
    let place = lines.next().unwrap().split(',').position(|column| column == name).unwrap();
    lines.map(|line| line.split(',').nth(place).unwrap()).collect()
}

fn numbers(csv: &str, name: &str) -> Vec<f64> {
    column(csv, name).iter().map(|cell| cell.parse().unwrap()).collect()
}

#[test]
fn predictions_come_with_their_spread_and_interval() {
    let folder = Folder::trained();
    let csv = folder.succeed(&["predict", MODEL, "test.csv", "--with-std", "--interval", "0.9"]);
    assert!(csv.starts_with("user,item,prediction,mean_std,rating_std,low,high\n"), "{csv}");
    let [prediction, mean, rating, low, high] =
        ["prediction", "mean_std", "rating_std", "low", "high"].map(|name| numbers(&csv, name));
    for p in 0..prediction.len() {
        assert!(0.0 < mean[p] && mean[p] < rating[p], "the noise comes on top");
        assert!(low[p] <= prediction[p] && prediction[p] <= high[p]);
    }
    // The values themselves are those of a call without more columns.
    let plain = folder.succeed(&["predict", MODEL, "test.csv"]);
    assert_eq!(column(&plain, "prediction"), column(&csv, "prediction"));
    let narrow = folder.succeed(&["predict", MODEL, "test.csv", "--interval", "0.5"]);
    let width = |csv: &str| -> f64 {
        numbers(csv, "high").iter().zip(numbers(csv, "low")).map(|(high, low)| high - low).sum()
    };
    assert!(width(&narrow) < width(&csv));
    let json = folder.json(&["predict", MODEL, "test.csv", "--with-std", "--json"]);
    assert!(json.iter().all(|row| row["mean_std"].is_f64() && row.get("low").is_none()));
}

#[test]
fn exploring_lists_have_what_ranked_them() {
    let folder = Folder::trained();
    let plain = folder.succeed(&["recommend", MODEL, "--user", "u1", "-n", "20"]);
    let zero = ["recommend", MODEL, "--user", "u1", "-n", "20", "--explore", "ucb", "--explore-z", "0"];
    assert_eq!(column(&folder.succeed(&zero), "item"), column(&plain, "item"), "z = 0 explores nothing");
    let ucb = folder.succeed(&["recommend", MODEL, "--user", "u1", "-n", "20", "--explore", "ucb"]);
    let ranked = numbers(&ucb, "ranked_by");
    assert!(ranked.is_sorted_by(|a, b| a >= b));
    let draw = |seed: &str| {
        folder.succeed(&["recommend", MODEL, "--all", "-n", "5", "--explore", "thompson", "--seed", seed])
    };
    assert_eq!(draw("7"), draw("7"));
    assert_ne!(draw("7"), draw("8"));
    let json = folder.json(&["recommend", MODEL, "--user", "u1", "--explore", "ucb", "--json"]);
    assert!(json.iter().all(|row| row["ranked_by"].is_f64()));
    let json = folder.json(&["recommend", MODEL, "--user", "u1", "--json"]);
    assert!(json.iter().all(|row| row.as_object().unwrap().len() == 4), "the contract's four keys");
}

#[test]
fn a_model_that_learned_no_variances_says_so() {
    let folder = Folder::planted();
    folder.succeed(&["train", "ratings.csv", "--reg", "1", "--rank", "4", "--device", "cpu", "-q"]);
    for call in [
        &["predict", MODEL, "test.csv", "--with-std"][..],
        &["predict", MODEL, "test.csv", "--interval", "0.9"],
        &["recommend", MODEL, "--user", "u1", "--explore", "ucb"],
    ] {
        let line = folder.fail(call, 2);
        assert!(line.contains("--reg auto"), "{line}");
    }
    folder.fail(&["predict", MODEL, "test.csv", "--interval", "1.5"], 2);
    folder.fail(&["recommend", MODEL, "--user", "u1", "--explore", "greedy"], 2);
    folder.fail(&["recommend", MODEL, "--user", "u1", "--explore-z", "2"], 2);
}
