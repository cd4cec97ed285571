//! `deltav demo`.

use super::{Folder, events};

#[test]
fn the_demo_beats_the_biases_and_comes_near_the_floor() {
    let folder = Folder::new();
    let all = folder.json(&["demo", "--device", "cpu", "--json", "--seed", "4"]);
    let report = events(&all, "demo")[0];
    let rmse = |name: &str| report[name].as_f64().unwrap();
    let (mean, bias, model, floor) = (rmse("mean_rmse"), rmse("bias_rmse"), rmse("test_rmse"), rmse("floor"));
    assert!(floor < model && model < bias && bias < mean, "{report}");
    assert!(model - floor < 0.25 * (bias - floor), "{report}");
    let stopped = events(&all, "stopped")[0];
    assert!((stopped["test_rmse"].as_f64().unwrap() - model).abs() < 1e-5, "{stopped}");
    assert_eq!(
        (report["liked"].as_array().unwrap().len(), report["recommended"].as_array().unwrap().len()),
        (3, 10)
    );
    assert!(folder.files().is_empty(), "it writes no file");
}

#[test]
fn the_demo_shows_a_table_and_names_and_keeps_its_model_if_asked() {
    let folder = Folder::new();
    let text = folder.succeed(&["demo", "--device", "cpu", "--quiet", "--out", "demo.safetensors"]);
    for part in ["RMSE", "this model", "bias for each", "noise", " liked\n", "may like", "  The "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(folder.files(), ["demo.safetensors"]);
    folder.fail(&["demo", "--out", "demo.safetensors"], 73);
}
