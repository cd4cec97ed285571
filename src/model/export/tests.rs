//! What NumPy itself reads from an export.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::super::testing::{ids, known_answers, random_model};
use super::*;
use crate::config::ModelKind;

/// Loads an archive as anybody would and prints what it finds.
const SCRIPT: &str = r"
import json, sys
import numpy as np
arrays = np.load(sys.argv[1])
show = lambda a: [x.hex() for x in a.tolist()] if a.dtype.kind == 'S' else a.tolist()
found = {name: {'dtype': a.dtype.str, 'shape': list(a.shape), 'values': show(a)} for name, a in arrays.items()}
d = {name: a.astype(np.float64) for name, a in arrays.items() if a.dtype.kind == 'f'}
p = d['global_mean'] + d['user_bias'][:, None] + d['item_bias'] + d['user_factors'] @ d['item_factors'].T
print(json.dumps({'arrays': found, 'order': list(arrays.keys()), 'predictions': p.tolist()}))
";

/// Runs the script under `$DELTAV_PYTHON`, by default `python3`. Without NumPy the test fails.
fn numpy(path: &Path) -> Value {
    let python = std::env::var_os("DELTAV_PYTHON").unwrap_or_else(|| "python3".into());
    let run = Command::new(&python).arg("-c").arg(SCRIPT).arg(path).output();
    let run = run.unwrap_or_else(|e| panic!("{python:?}: {e}; set DELTAV_PYTHON to a Python with NumPy"));
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(
        !errors.contains("No module named 'numpy'"),
        "{python:?} has no NumPy: install it, or set DELTAV_PYTHON to a Python that has it"
    );
    assert!(run.status.success(), "NumPy can't read the export:\n{errors}");
    serde_json::from_slice(&run.stdout).unwrap()
}

fn export(model: &Model, path: &Path) -> Result<u64> {
    ExportFormat::find("npz").unwrap().write(model, None, Output::create(path, true).unwrap())
}

fn exported(model: &Model) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.npz");
    let bytes = export(model, &path).unwrap();
    assert_eq!(bytes, std::fs::metadata(&path).unwrap().len());
    numpy(&path)
}

#[test]
fn numpy_reads_the_known_answers() {
    let found = exported(&known_answers(ModelKind::Biased));
    let names =
        ["user_factors", "item_factors", "user_bias", "item_bias", "global_mean", "user_ids", "item_ids"];
    assert_eq!(found["order"], serde_json::json!(names));
    let expected = serde_json::json!({
        // Times the scale 2; cid and z have no training ratings.
        "user_factors": {"dtype": "<f4", "shape": [3, 2], "values": [[2.0, 4.0], [-2.0, 8.0], [0.0, 0.0]]},
        "item_factors": {"dtype": "<f4", "shape": [3, 2], "values": [[0.5, -0.25], [0.0, 0.5], [0.0, 0.0]]},
        "user_bias": {"dtype": "<f4", "shape": [3], "values": [0.5, -1.0, 0.0]},
        "item_bias": {"dtype": "<f4", "shape": [3], "values": [0.25, -1.0, 0.0]},
        "global_mean": {"dtype": "<f8", "shape": [], "values": 3.0},
        "user_ids": {"dtype": "<U3", "shape": [3], "values": ["ann", "bob", "cid"]},
        "item_ids": {"dtype": "<U1", "shape": [3], "values": ["x", "y", "z"]},
    });
    assert_eq!(found["arrays"], expected);
}

#[test]
fn the_formula_gives_the_model_s_predictions() {
    for kind in ModelKind::ALL {
        let model = random_model(kind, 12, 17, 5, 0.05, 4);
        let model = Model { clip: false, ..model };
        // As trained: with everything unknown the mean is the prediction.
        let mut model = model;
        if kind != ModelKind::Plain {
            model.metadata.rating_mean = model.mean;
        }
        let predictor = model.predictor();
        let found = exported(&model);
        let (mut known, mut unknown) = (0, 0);
        for user in 0..12 {
            for item in 0..17 {
                let theirs = found["predictions"][user][item].as_f64().unwrap();
                let ours = predictor.predict(Some(user as u32), Some(item as u32));
                let expected = match (kind, ours.unknown) {
                    (ModelKind::Plain, Some(_)) => 0.0,
                    _ => ours.rating,
                };
                assert!((theirs - expected).abs() < 1e-6, "{} {user} {item}: {theirs}", kind.name());
                *(if ours.unknown.is_some() { &mut unknown } else { &mut known }) += 1;
            }
        }
        assert!(known > 20 && unknown > 20, "{known} known, {unknown} unknown");
    }
}

#[test]
fn ids_are_kept_as_they_are() {
    let mut model = known_answers(ModelKind::Biased);
    model.users = ids(&["007", "", "Zoë 🎬 \"q\""]);
    model.items = ids(&["a\0b".as_bytes(), b"\xff\xfe", b"plain"]);
    let found = exported(&model);
    let (users, items) = (&found["arrays"]["user_ids"], &found["arrays"]["item_ids"]);
    assert_eq!(users["dtype"], "<U9");
    assert_eq!(users["values"], serde_json::json!(["007", "", "Zoë 🎬 \"q\""]));
    assert_eq!(items["dtype"], "|S5");
    assert_eq!(items["values"], serde_json::json!(["610062", "fffe", "706c61696e"]));

    // A NUL inside a string survives there too.
    model.users = ids(&["a\0b", "c", "d"]);
    assert_eq!(exported(&model)["arrays"]["user_ids"]["values"][0], "a\0b");
}

#[test]
fn an_empty_side_is_an_empty_array() {
    let mut model = random_model(ModelKind::Biased, 0, 0, 3, 0.0, 1);
    model.metadata.ratings = 0;
    let found = exported(&model);
    assert_eq!(found["arrays"]["user_factors"]["shape"], serde_json::json!([0, 3]));
    assert_eq!(found["arrays"]["user_ids"]["dtype"], "<U1");
}

#[test]
fn what_numpy_would_lose_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.npz");
    let refusal = |model: &Model| {
        let error = export(model, &path).unwrap_err();
        assert_eq!(error.exit_code(), 73);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
        error.to_string()
    };
    let mut model = known_answers(ModelKind::Biased);
    model.items = ids(&["x", "y\0", "z"]);
    assert!(refusal(&model).contains("can't hold \"y\\0\": NumPy drops"), "{}", refusal(&model));
    let huge = Model { scale: 1e38, ..known_answers(ModelKind::Biased) };
    assert!(refusal(&huge).contains("does not fit into f32"));
}

#[test]
fn one_long_id_does_not_make_them_all_long() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = random_model(ModelKind::Biased, 0, 40_000, 1, 0.0, 1);
    let write = |model: &Model| {
        EXPORTS
            .iter()
            .map(|format| {
                let path = folder.path().join(format.name);
                (format.name, format.write(model, None, Output::create(path, true).unwrap()))
            })
            .collect::<Vec<_>>()
    };
    assert!(write(&model).iter().all(|(_, written)| written.is_ok()));
    let mut names: Vec<String> = (0..40_000).map(|item| format!("i{item}")).collect();
    names[7] = "x".repeat(1 << 20);
    model.items = ids(&names);
    for (name, written) in write(&model) {
        if matches!(name, "npz" | "npy" | "safetensors") {
            let error = written.unwrap_err();
            assert_eq!(error.exit_code(), 73);
            assert!(error.to_string().contains("can't hold 40000 texts in "), "{error}");
        } else {
            assert!(written.is_ok(), "{name}");
        }
    }
}

#[test]
fn two_exports_are_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let model = random_model(ModelKind::Biased, 20, 10, 4, 0.3, 9);
    for format in EXPORTS {
        let [first, second] = ["a", "b"].map(|name| {
            let path = folder.path().join(format!("{}.{name}", format.name));
            let bytes = format.write(&model, None, Output::create(&path, false).unwrap()).unwrap();
            assert_eq!(bytes, std::fs::metadata(&path).unwrap().len());
            std::fs::read(path).unwrap()
        });
        assert_eq!(first, second, "{}", format.name);
    }
}

#[test]
fn text_that_spaces_divide_holds_no_ids_with_spaces() {
    let folder = tempfile::tempdir().unwrap();
    let format = ExportFormat::find("word2vec").unwrap();
    let mut model = known_answers(ModelKind::Biased);
    let write = |model: &Model| {
        let path = folder.path().join("items.txt");
        format.write(model, None, Output::create(&path, true).unwrap()).map(|_| std::fs::read(&path).unwrap())
    };
    // z has no training ratings, so that its id is of no matter.
    model.items = ids(&["x", "Zoë", "a b"]);
    assert_eq!(String::from_utf8(write(&model).unwrap()).unwrap(), "2 2\nx 0.5 -0.25\nZoë 0 0.5\n");
    for id in ["a b", "a\u{a0}b", "", "tab\t"] {
        model.items = ids(&["x", id, "z"]);
        let error = write(&model).unwrap_err();
        assert_eq!(error.exit_code(), 73);
        assert!(error.to_string().contains("spaces end an id"), "{error}");
    }
}

#[test]
fn a_side_is_for_files_of_one_side() {
    let folder = tempfile::tempdir().unwrap();
    let model = known_answers(ModelKind::Biased);
    for format in EXPORTS {
        let output = Output::create(folder.path().join(format.name), false).unwrap();
        let written = format.write(&model, Some(Side::Users), output);
        assert_eq!(written.is_ok(), format.one_sided(), "{}", format.name);
    }
}

#[test]
fn an_unknown_format_is_refused_with_the_names() {
    let error = ExportFormat::find("pickle").unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().starts_with("there is no export format 'pickle'; pass npz, "), "{error}");
}
