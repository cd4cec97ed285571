//! Ratings and settings of unusual size: numbers out, or one line.

use super::Folder;

/// The planted ratings in other units, for training and for test.
fn scaled(unit: f64) -> Folder {
    let folder = Folder::planted();
    for name in ["ratings.csv", "test.csv"] {
        let text = String::from_utf8(folder.read(name)).unwrap();
        let line = |line: &str| match line.rsplit_once(',') {
            Some((pair, rating)) if rating != "rating" => {
                format!("{pair},{:e}\n", rating.parse::<f64>().unwrap() * unit)
            }
            _ => format!("{line}\n"),
        };
        folder.write(name, text.lines().map(line).collect::<String>());
    }
    folder
}

/// Whatever looks like a number is finite.
fn numbers(call: &[&str], text: &str) {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
    let numbers: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
    assert!(numbers.len() > 3, "{call:?}: {text}");
    assert!(numbers.iter().all(|x| x.is_finite()), "{call:?}: {text}");
}

#[test]
fn every_command_says_finite_numbers_of_ratings_of_any_size() {
    for unit in [1e-41, 1e-30, 1e30, 6e37] {
        let folder = scaled(unit);
        let quick = ["--rank", "4", "--epochs", "12", "--device", "cpu", "--json"];
        let train = ["train", "ratings.csv", "--test", "test.csv", "--out", "model"];
        let cv = ["cv", "ratings.csv", "--folds", "3"];
        for call in [
            &[&train[..], &quick].concat()[..],
            &[&cv[..], &quick].concat(),
            &["evaluate", "model", "test.csv", "-k", "5", "--json"],
            &["predict", "model", "test.csv", "--with-std", "--interval", "0.9"],
            &["recommend", "model", "--all", "-n", "3", "--device", "cpu"],
            &["recommend", "model", "--all", "-n", "3", "--device", "software"],
            &["recommend", "model", "--user", "u1", "--explore", "ucb"],
            &["similar", "model", "--item", "i1"],
            &["fold-in", "model", "test.csv", "-n", "3"],
            &["inspect", "model", "--json"],
        ] {
            numbers(call, &folder.succeed(call));
        }
        folder.succeed(&["export", "model", "--format", "npz", "--out", "model.npz"]);
        let plain = ["train", "ratings.csv", "--model", "plain", "--device", "cpu", "-q"];
        let line = folder.fail(&plain, 2);
        assert!(line.contains("f32 needs it between 1e-12 and 1e12; pass --model centered"), "{line}");
    }
}

#[test]
fn a_penalty_that_f32_does_not_hold_is_a_usage_error() {
    let folder = Folder::new();
    for reg in ["1e39", "1.1e12", "inf", "nan", "-1"] {
        let line = folder.fail(&["train", "missing.csv", &format!("--reg={reg}")], 2);
        assert!(line.contains("pass a number from 0 to 1e12, or auto"), "{line}");
    }
    let line = folder.fail(&["train", "missing.csv", "--reg", "1", "--reg-bias", "1e39"], 2);
    assert!(line.contains("--reg-bias 1e39"), "{line}");
    let line = folder.fail(&["train", "missing.csv", "--optimizer", "gd", "--opt", "rate=1e39"], 2);
    assert!(line.contains("rate=1e39"), "{line}");
}
