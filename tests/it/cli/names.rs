//! Names of items: from a file beside the ratings into the model, and out again.

use super::{Folder, events};

const MODEL: &str = "ratings.safetensors";

const TRAIN: [&str; 8] = ["train", "ratings.csv", "--rank", "4", "--epochs", "12", "--device", "cpu"];

#[test]
fn names_go_into_the_model_and_what_is_odd_is_noted() {
    let folder = Folder::planted();
    folder.write("movies.csv", b"itemId,title\ni1,\"Postman, The\"\ni2,Mis\xe9rables\ni9999,Other\n");
    let outcome = folder.run(&[&TRAIN[..], &["--names", "movies.csv"]].concat());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("note: 78 items without a name in movies.csv\n"), "{}", outcome.stderr);
    let recoded = "note: 1 name of movies.csv not in UTF-8, read as Windows-1252\n";
    assert!(outcome.stderr.contains(recoded), "{}", outcome.stderr);
    assert_eq!(folder.json(&["inspect", MODEL, "--json"])[0]["data"]["named_items"], 2);

    let all = folder.json(&[&TRAIN[..], &["--force", "--json", "--names", "movies.csv"]].concat());
    assert_eq!(events(&all, "notice").len(), 2, "{all:?}");
    let one = folder.read(MODEL);
    folder.write("twice.csv", "itemId,title\ni1,\"Postman, The\"\ni1,\"Postman, The\"\ni1,Heat\n");
    let outcome = folder.run(&[&TRAIN[..], &["-o", "twice.safetensors", "--names", "twice.csv"]].concat());
    assert!(outcome.stderr.contains("note: 1 line of twice.csv with another name "), "{}", outcome.stderr);
    folder.write("named.dat", b"Postman, The::i1\nMis\xc3\xa9rables::i2\n");
    folder.succeed(&[&TRAIN[..], &["--force", "--names", "named.dat", "--name-column", "1"]].concat());
    assert!(folder.read(MODEL) == one, "the same names, the same bytes");
    folder.succeed(&[&TRAIN[..], &["--force"]].concat());
    assert_eq!(folder.json(&["inspect", MODEL, "--json"])[0]["data"]["named_items"], 0);
}

#[test]
fn recommendations_have_the_names_last() {
    let folder = Folder::planted();
    folder.write("movies.csv", "itemId,title\ni1,\"Postman, The\"\n");
    folder.succeed(&[&TRAIN[..], &["--names", "movies.csv", "-q"]].concat());
    let call = ["recommend", MODEL, "--user", "u1", "-n", "100", "--include-seen"];
    let text = folder.succeed(&call);
    assert!(text.starts_with("user,item,rank,score,name\n"), "{text}");
    let mut lines = text.lines().skip(1);
    assert!(lines.all(|line| line.ends_with(if line.contains(",i1,") { ",\"Postman, The\"" } else { "," })));
    let objects = folder.json(&[&call[..], &["--json"]].concat());
    assert!(objects.iter().all(|row| row["name"].is_null() != (row["item"] == "i1")));
    let text = folder.succeed(&[&call[..], &["--explore", "ucb"]].concat());
    assert!(text.starts_with("user,item,rank,score,ranked_by,name\n"), "{text}");
}

#[test]
fn a_names_file_that_fits_nothing_is_refused_before_training() {
    let folder = Folder::planted();
    folder.write("movies.csv", "itemId,title\n1,Heat\n");
    let call = |more: &[&'static str]| [&TRAIN[..], more].concat();
    let line = folder.fail(&call(&["--names", "movies.csv"]), 65);
    assert!(line.starts_with("error: movies.csv: none of its ids is an item of the ratings; "), "{line}");
    folder.fail(&call(&["--names", "nowhere.csv"]), 66);
    folder.fail(&call(&["--name-column", "title"]), 2);
    folder.fail(&["train", "-", "--names", "-"], 2);
    folder.fail(&call(&["--names", "movies.csv", "--out", "movies.csv", "--force"]), 73);
}
