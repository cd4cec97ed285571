//! A model's report: from its file, from a run, and refused.

use super::{Folder, Outcome, events};

const MODEL: &str = "ratings.safetensors";
const TRAIN: [&str; 8] = ["train", "ratings.csv", "--rank", "4", "--epochs", "12", "--device", "cpu"];

/// A model whose tenth was held out, with names.
fn trained() -> Folder {
    let folder = Folder::planted();
    folder.write("names.csv", "itemId,title\ni1,<script>Heat</script>\ni2,\"Postman, The\"\n");
    folder.succeed(&[&TRAIN[..], &["--holdout", "0.1", "--names", "names.csv", "-q"]].concat());
    folder
}

fn page(folder: &Folder, name: &str) -> String {
    let html = String::from_utf8(folder.read(name)).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>\n"));
    assert!(!html.contains("<script") && html.len() < 2_000_000);
    // The only address is the name of SVG's elements, which nobody looks up.
    assert!(!html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "").contains("://"));
    html
}

#[test]
fn the_model_s_file_alone_has_a_report() {
    let folder = trained();
    let outcome = folder.run(&["report", MODEL]);
    assert_eq!((outcome.code, &*outcome.stdout), (Some(0), ""));
    assert!(
        outcome.stderr.starts_with("saved ratings.html, ") && outcome.stderr.contains("pass --test FILE")
    );
    let html = page(&folder, "ratings.html");
    assert!(html.contains("Report of ratings.safetensors") && html.contains("Nothing to measure with"));
    assert!(html.contains("&lt;script&gt;Heat&lt;/script&gt;"));
    folder.fail(&["report", MODEL], 73);
    folder.succeed(&["report", MODEL, "--force", "--threads", "1"]);
    assert_eq!(page(&folder, "ratings.html"), html, "the same bytes every time");
}

#[test]
fn the_training_file_has_the_validation_part_again() {
    let folder = trained();
    let outcome = folder.run(&["report", MODEL, "--ratings", "ratings.csv", "-o", "a.html"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("note"), "{}", outcome.stderr);
    let html = page(&folder, "a.html");
    assert!(html.contains("on 270 of the validation ratings"));
    // The error of the run itself, which kept its best epoch.
    let card = &folder.json(&["inspect", MODEL, "--json"])[0];
    let shown = format!("<dd>{:.4}<small>on 270", card["metrics"]["valid_rmse"].as_f64().unwrap());
    assert!(html.contains(&shown), "{shown}");

    folder.succeed(&["report", MODEL, "--ratings", "ratings.csv", "--test", "test.csv", "-o", "b.html"]);
    let measured = &folder.json(&["evaluate", MODEL, "test.csv", "--json"])[0];
    let shown = format!("<dd>{:.4}<small>on 300 of the test ratings", measured["rmse"].as_f64().unwrap());
    assert!(page(&folder, "b.html").contains(&shown), "{shown}");

    let outcome = folder.run(&["report", MODEL, "--ratings", "test.csv", "-o", "c.html"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("their hash differs"), "{}", outcome.stderr);
    assert!(page(&folder, "c.html").contains("are not those that the model was trained on"));
}

#[test]
fn a_run_has_its_report_and_its_model_the_same_bytes() {
    let folder = trained();
    let plain = folder.read(MODEL);
    let train =
        [&TRAIN[..], &["--holdout", "0.1", "--names", "names.csv", "--force", "--report", "r.html"]].concat();
    let all = folder.json(&[&train[..], &["--json"]].concat());
    let saved: Vec<_> = events(&all, "saved").iter().map(|event| event["path"].as_str().unwrap()).collect();
    assert_eq!(saved, [MODEL, "r.html"]);
    assert!(folder.read(MODEL) == plain, "no clock in the model's file");
    let html = page(&folder, "r.html");
    for part in
        ["Error by time", "seconds of training", "--report r.html", "training, planned, of the device"]
    {
        assert!(html.contains(part), "{part}");
    }
    assert!(html.contains("on 270 of the validation ratings"));

    let tested = [&TRAIN[..], &["--test", "test.csv", "-f", "-q", "--report", "t.html"]].concat();
    folder.succeed(&tested);
    assert!(page(&folder, "t.html").contains("on 300 of the test ratings"));
    // The file knows the test curve, which has a series of its own.
    folder.succeed(&["report", MODEL, "-o", "u.html"]);
    assert!(page(&folder, "u.html").contains("\ntest\n</text>"), "a name in the legend");
    let card = &folder.json(&["inspect", MODEL, "--json"])[0];
    assert!(card["curve"].as_array().unwrap().iter().all(|epoch| epoch["test_rmse"].is_f64()));
}

/// The command that a page says made the model, as words.
fn command(html: &str) -> Vec<String> {
    let from = html.find("<pre>").unwrap() + "<pre>".len();
    let text = &html[from..from + html[from..].find("</pre>").unwrap()];
    assert!(!text.contains(['\'', '&']), "no word of these needs quotes: {text}");
    text.split(' ').skip(1).map(str::to_owned).collect()
}

#[test]
fn the_command_of_a_report_makes_the_same_model() {
    let folder = Folder::planted();
    folder.write("run.toml", "device = 'cpu'\n[train]\nepochs = 12\nkernels = 'textbook'\n");
    let settings = ["--holdout", "0.1", "--patience", "3", "--min-ratings", "2"];
    let call = [&["train", "ratings.csv", "--config", "run.toml", "-q"][..], &settings].concat();
    let mut train = folder.command(&[&call[..], &["--report", "r.html"]].concat());
    let outcome = Outcome::of(train.env("DELTAV_TRAIN_RANK", "4"));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let model = folder.read(MODEL);

    // Of the run itself: with what a file and the environment said.
    let words = command(&page(&folder, "r.html"));
    assert!(words.contains(&"--rank=4".to_owned()), "{words:?}");
    std::fs::remove_file(folder.path().join("r.html")).unwrap();
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["--force"]).collect();
    folder.succeed(&words);
    assert!(folder.read(MODEL) == model, "{words:?}");

    // Of the model's file, which has no paths and no device.
    folder.succeed(&["report", MODEL, "-o", "m.html"]);
    let words = command(&page(&folder, "m.html"));
    let words = words.iter().map(|word| if word == "RATINGS" { "ratings.csv" } else { word });
    let words: Vec<&str> = words.chain(["--device", "cpu", "-q", "-o", "again"]).collect();
    folder.succeed(&words);
    assert!(folder.read("again") == folder.read(MODEL), "{words:?}");
}

#[test]
fn what_can_t_be_written_or_read_is_refused_before_the_work() {
    let folder = trained();
    let line = folder.fail(&["report", MODEL, "-o", MODEL, "-f"], 73);
    assert!(line.contains("is an input of this very call"), "{line}");
    folder.fail(&["report", "none.safetensors"], 66);
    folder.fail(&["report", "ratings.csv"], 65);
    folder.fail(&["report", MODEL, "--test", "none.csv"], 66);
    folder.write("strangers.csv", "user,item,rating\nann,heat,5\nbob,heat,4\n");
    for flag in ["--test", "--ratings"] {
        let line = folder.fail(&["report", MODEL, flag, "strangers.csv"], 65);
        assert!(line.contains("none of its users and items is among those trained on"), "{line}");
    }
    folder.fail(&["report", MODEL, "--test", "-", "--ratings", "-"], 2);
    folder.fail(&["report", MODEL, "-o", "none/a.html"], 73);
    let same = ["-f", "-o", "m.safetensors", "--report", "m.safetensors"];
    let line = folder.fail(&[&TRAIN[..], &same].concat(), 73);
    assert!(line.contains("another output of this very call"), "{line}");
    folder.fail(&[&TRAIN[..], &["-f", "--report", "ratings.csv"]].concat(), 73);
    folder.fail(&[&TRAIN[..], &["-o", "m.safetensors", "--report", "names.csv"]].concat(), 73);
}

#[test]
fn a_run_that_diverges_has_no_report() {
    let folder = Folder::planted();
    let diverging =
        ["--optimizer", "gd", "--model", "plain", "--opt", "rate=1000", "-q", "--report", "r.html"];
    folder.fail(&[&["train", "ratings.csv", "--device", "cpu"][..], &diverging].concat(), 3);
}
