//! Exports as other programs read them: the page of the docs is run, in Python too.

use std::path::Path;

use super::cli::Folder;
use super::support::python::run_python;

/// The fenced blocks of a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(&*fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

fn python(folder: &Path, script: &str) -> String {
    run_python(script, |command| command.current_dir(folder))
}

/// A folder with a model whose first items have names.
fn named(items: usize, rank: &str) -> Folder {
    let folder = Folder::planted();
    let names: String = (0..items).map(|i| format!("i{i},\"Film {i}, the Ω\"\n")).collect();
    folder.write("names.csv", format!("item,title\n{names}"));
    let train = ["train", "ratings.csv", "--epochs", "9", "--device", "cpu", "--names", "names.csv", "-q"];
    folder.succeed(&[&train[..], &["--rank", rank]].concat());
    folder
}

/// All formats hold the same numbers, and the formula predicts what the program predicts.
const AGREE: &str = r#"
import csv
import numpy as np, polars as pl
from safetensors.numpy import load_file

m = np.load("ratings.npz")
t = load_file("tensors.safetensors")
for name in ["user_factors", "item_factors", "user_bias", "item_bias", "global_mean"]:
    assert m[name].dtype == t[name].dtype and m[name].tobytes() == t[name].tobytes(), name
for name in ["user_ids", "item_ids", "item_names"]:
    texts = t[name].view(f"S{t[name].shape[1]}").ravel()
    assert [x.decode() for x in texts] == list(m[name]), name
for side, file, names in [("user", "users.npy", False), ("item", "items.npy", True)]:
    a = np.load(file)
    assert list(a["id"]) == list(m[side + "_ids"])
    assert np.array_equal(a["factors"], m[side + "_factors"]) and np.array_equal(a["bias"], m[side + "_bias"])
    assert ("name" in a.dtype.names) == names
    assert not names or list(a["name"]) == list(m["item_names"])
with open("items.txt", encoding="utf-8") as file:
    rows, k = map(int, next(file).split())
    vectors = {id: np.array(numbers, np.float32) for id, *numbers in map(str.split, file)}
known = np.abs(m["item_factors"]).sum(1) > 0
assert rows == len(vectors) == known.sum() and k == m["item_factors"].shape[1]
for row in np.flatnonzero(known):
    assert np.array_equal(vectors[m["item_ids"][row]], m["item_factors"][row]), row
p = pl.read_parquet("items.parquet")
assert p["id"].to_list() == list(m["item_ids"]) and [x or "" for x in p["name"]] == list(m["item_names"])
assert np.array_equal(np.array(p["factors"].to_list(), np.float32), m["item_factors"])
assert np.array_equal(p["bias"].to_numpy(), m["item_bias"])
counts = {}
for row in csv.DictReader(open("ratings.csv")):
    counts[row["item"]] = counts.get(row["item"], 0) + 1
assert p["ratings"].to_list() == [counts.get(id, 0) for id in m["item_ids"]]
u = {id: row for row, id in enumerate(m["user_ids"])}
i = {id: row for row, id in enumerate(m["item_ids"])}
worst, pairs = 0, 0
for row in csv.DictReader(open("predicted.csv")):
    a, b = u[row["user"]], i[row["item"]]
    ours = m["global_mean"] + m["user_bias"][a] + m["item_bias"][b] + m["user_factors"][a] @ m["item_factors"][b]
    worst, pairs = max(worst, abs(ours - float(row["prediction"]))), pairs + 1
assert pairs > 100 and worst < 1e-5, (pairs, worst)
new = {row[0]: np.array(row[1:], np.float64) for row in list(csv.reader(open("new.csv")))[1:]}
lists = 0
values = np.loadtxt("ratings.csv", delimiter=",", skiprows=1, usecols=2)
for row in csv.DictReader(open("lists.csv")):
    bias, factors = new[row["user"]][0], new[row["user"]][1:]
    b = i[row["item"]]
    ours = m["global_mean"] + bias + m["item_bias"][b] + factors @ m["item_factors"][b]
    assert abs(np.clip(ours, values.min(), values.max()) - float(row["score"])) < 1e-4, row
    lists += 1
assert lists > 100
print("agree")
"#;

#[test]
fn the_page_s_commands_and_its_python_run() {
    let page = include_str!("../../docs/export.md");
    let folder = named(80, "6");
    let commands: Vec<&str> = blocks(page, "sh").into_iter().flat_map(str::lines).collect();
    assert_eq!(commands.len(), deltav::model::EXPORTS.len() + 1, "every format, and one for users");
    for command in commands {
        let mut words = command.split(' ');
        assert_eq!(words.next(), Some("deltav"));
        folder.succeed(&words.collect::<Vec<_>>());
    }
    let scripts = blocks(page, "python");
    assert!(scripts.len() >= 5);
    for script in scripts {
        python(folder.path(), script);
    }
    folder.succeed(&["predict", "ratings.safetensors", "test.csv", "--no-clip", "-o", "predicted.csv"]);
    // A new user's factors go with exported items.
    let fold_in = ["fold-in", "ratings.safetensors", "ratings.csv", "-q", "-o"];
    folder.succeed(&[&fold_in[..], &["new.csv", "--factors"]].concat());
    folder.succeed(&[&fold_in[..], &["lists.csv", "-n", "3"]].concat());
    assert_eq!(python(folder.path(), AGREE).trim(), "agree");
}

/// Answers as CSV, JSON lines and Parquet are one table.
const SAME: &str = r#"
import polars as pl
from polars.testing import assert_frame_equal

for name, ids in [("lists", 2), ("alike", 2), ("pairs", 2), ("new", 1)]:
    texts = {f: pl.String for f in ["user", "item", "neighbor", "name"]}
    table = pl.read_parquet(f"{name}.parquet")
    plain = pl.read_csv(f"{name}.csv", schema_overrides=texts)
    columns = plain.columns
    assert table.height > 20 and columns[:ids] == table.columns[:ids], (name, table)
    kinds = {c: pl.Float32 for c in columns if plain[c].dtype == pl.Float64}
    assert_frame_equal(table.select(columns), plain.cast(kinds))
    if name != "new":
        lines = pl.read_ndjson(f"{name}.jsonl")
        assert lines.columns == table.columns, (name, lines.columns, table.columns)
        assert_frame_equal(table, lines.cast(dict(table.schema)))
print("same")
"#;

#[test]
fn answers_are_one_table_in_every_form() {
    let folder = named(75, "3");
    let model = "ratings.safetensors";
    for form in ["csv", "jsonl", "parquet"] {
        let out = |name: &str| format!("{name}.{form}");
        folder.succeed(&["recommend", model, "--all", "-n", "4", "--device", "cpu", "-o", &out("lists")]);
        folder.succeed(&["similar", model, "--all", "-n", "3", "-o", &out("alike")]);
        folder.succeed(&[
            "predict",
            model,
            "test.csv",
            "--with-std",
            "--interval",
            "0.9",
            "-o",
            &out("pairs"),
        ]);
        if form != "jsonl" {
            folder.succeed(&["fold-in", model, "ratings.csv", "--factors", "-q", "-o", &out("new")]);
        }
    }
    assert_eq!(python(folder.path(), SAME).trim(), "same");
}
