//! Bad days: each ends in one line, the exit code of the table, and nothing left behind.

use std::io::Write;

use super::Folder;

/// Trains on a file of these bytes, which must be refused with 65.
fn refused(bytes: impl AsRef<[u8]>) -> String {
    let folder = Folder::new();
    folder.write("bad.csv", bytes);
    folder.fail(&["train", "bad.csv"], 65)
}

#[test]
fn a_file_without_ratings_is_refused() {
    assert!(refused("").starts_with("error: bad.csv: "), "{}", refused(""));
    assert!(refused("user,item,rating\n").starts_with("error: bad.csv"));
}

#[test]
fn a_bad_rating_is_named_with_its_line() {
    for (rating, what) in [
        ("good", "\"good\""),
        ("NaN", "NaN"),
        ("inf", "inf"),
        ("-inf", "inf"),
        ("1e39", "1e39"),
        ("", "rating"),
    ] {
        let line = refused(format!("user,item,rating\na,x,4\nb,y,{rating}\nc,z,3\n"));
        assert!(line.starts_with("error: bad.csv:3: "), "{line}");
        assert!(line.contains(what), "{line}");
    }
    let line = refused("user,item,rating\na,x,4\nb,y\n");
    assert!(line.starts_with("error: bad.csv:3: "), "{line}");
}

#[test]
fn a_missing_column_is_named_with_those_there_are() {
    let folder = Folder::new();
    folder.write("bad.csv", "user,item,score\na,x,1\n");
    let line = folder.fail(&["train", "bad.csv", "--columns", "user,item,stars"], 65);
    assert!(
        line.starts_with("error: bad.csv:1: ") && line.contains("stars") && line.contains("score"),
        "{line}"
    );
    let line = refused("user,item\na,x\n");
    assert!(line.starts_with("error: bad.csv:"), "{line}");
}

#[test]
fn a_pair_that_comes_twice_is_named_with_both_lines() {
    let twice = "user,item,rating\na,x,4\nb,y,1\na,x,5\n";
    let line = refused(twice);
    assert!(
        line.starts_with("error: bad.csv:4: ") && line.contains("line 2") && line.contains("--duplicates"),
        "{line}"
    );
    let folder = Folder::new();
    folder.write("twice.csv", twice);
    folder.succeed(&["train", "twice.csv", "--duplicates", "mean", "--epochs", "2", "--device", "cpu"]);
}

#[test]
fn what_is_no_text_is_refused() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for rating in 0..2_000 {
        writeln!(gzip, "{rating},{},{}", rating * 7 % 31, rating % 5).unwrap();
    }
    let gzip = gzip.finish().unwrap();
    let line = refused(&gzip[..gzip.len() / 2]);
    assert!(line.contains("gzip"), "{line}");
    let binary: Vec<u8> = (0..5_000_u32).map(|at| (at * at % 251) as u8).collect();
    refused(binary);
    refused("PK\x03\x04 and so on");
}

#[test]
fn a_missing_input_has_a_code_of_its_own() {
    let folder = Folder::planted();
    let line = folder.fail(&["train", "missing.csv"], 66);
    assert!(line.starts_with("error: missing.csv: "), "{line}");
    folder.fail(&["train", "ratings.csv", "--test", "missing.csv"], 66);
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let line = folder.fail(&["train", "empty"], 66);
    assert!(line.contains("is a folder without a file named .csv"), "{line}");
    folder.fail(&["inspect", "missing.safetensors"], 66);
    folder.fail(&["evaluate", "missing.safetensors", "test.csv"], 66);
}

#[test]
fn settings_that_cannot_be_meant_are_refused_before_anything_else() {
    // Neither the data nor the output are looked at: both would fail as well.
    let folder = Folder::new();
    folder.write("taken", "");
    for settings in [
        &["--rank", "0"][..],
        &["--rank", "100000"],
        &["--rank", "-1"],
        &["--reg", "-0.5"],
        &["--reg", "nan"],
        &["--opt", "rate=-1", "--optimizer", "gd"],
        &["--opt", "rate=0", "--optimizer", "gd"],
        &["--opt", "rate=0.1"],
        &["--reg", "1", "--model", "svdpp"],
        &["--reg", "auto", "--optimizer", "gd"],
        &["--model", "svdpp", "--optimizer", "gd"],
        &["--reg-scaling", "none"],
        &["--reg-bias", "1"],
        &["--reg-bias", "0", "--reg", "1"],
        &["--reg-bias", "1", "--reg", "1", "--model", "centered"],
        &["--opt", "speed=1"],
        &["--opt", "rate"],
        &["--optimizer", "magic"],
        &["--loss", "median"],
        &["--model", "deep"],
        &["--device", "cuda"],
        &["--device", "gpu:x"],
        &["--threads", "0"],
        &["--threads", "4000000000"],
        &["--holdout", "0"],
        &["--holdout", "1"],
        &["--holdout", "-0.1"],
        &["--holdout", "nan"],
        &["--epochs", "-1"],
        &["--columns", "user"],
        &["--columns", "0,1,2"],
        &["--separator", "ab"],
        &["--header", "maybe"],
        &["--duplicates", "sum"],
        &["--no-such-flag"],
    ] {
        let line = folder.fail(&[&["train", "missing.csv", "--out", "taken"], settings].concat(), 2);
        let named = settings[0].trim_start_matches('-');
        let value = settings.get(1).map_or(named, |value| value.split('=').next_back().unwrap_or(value));
        assert!(line.contains(named) || line.contains(value), "{settings:?}: {line}");
    }
    folder.fail(&["train", "-", "--test", "-"], 2);
    folder.fail(&["no-such-command"], 2);
    folder.fail(&["train"], 2);
}

#[test]
fn an_output_never_replaces_what_the_call_reads() {
    let folder = Folder::trained();
    for call in [
        &["train", "ratings.csv", "-f", "-o", "ratings.csv"][..],
        &["train", "ratings.csv", "-f", "--test", "test.csv", "-o", "./test.csv"],
        &["predict", "ratings.safetensors", "test.csv", "-f", "-o", "test.csv"],
        &["predict", "ratings.safetensors", "test.csv", "-f", "-o", "ratings.safetensors"],
        &["export", "ratings.safetensors", "--format", "npz", "-f", "-o", "ratings.safetensors"],
    ] {
        let line = folder.fail(call, 73);
        assert!(line.contains("input"), "{line}");
    }
}

#[test]
fn what_does_not_exist_is_named_with_what_does() {
    let folder = Folder::new();
    let line = folder.fail(&["train", "x.csv", "--optimizer", "magic"], 2);
    assert!(line.contains("gd"), "{line}");
    let line = folder.fail(&["train", "x.csv", "--optimizer", "gd", "--opt", "speed=1"], 2);
    assert!(line.contains("rate"), "{line}");
    let line = folder.fail(&["train", "x.csv", "--opt", "rate=1"], 2);
    assert!(line.contains("no option `rate`") && line.contains("momentum"), "{line}");
    let line = folder.fail(&["train", "x.csv", "--device", "cuda"], 2);
    assert!(line.contains("software"), "{line}");
    let line = folder.fail(&["train", "x.csv", "--rnk", "8"], 2);
    assert!(line.contains("--rank") && line.ends_with("see deltav train --help"), "{line}");
}

#[test]
fn an_output_that_cannot_be_written_is_found_before_the_data_are_read() {
    let folder = Folder::new();
    folder.write("missing.safetensors", "precious");
    // The ratings do not exist: whoever read them first would exit with 66.
    let line = folder.fail(&["train", "missing.csv"], 73);
    assert!(line.contains("missing.safetensors") && line.contains("--force"), "{line}");
    folder.fail(&["train", "missing.csv", "--out", "no/such/folder/model"], 73);
    folder.fail(&["train", "missing.csv", "--out", "."], 73);
    folder.fail(&["predict", "no-model", "pairs.csv", "--out", "missing.safetensors"], 73);
    folder.fail(&["export", "no-model", "--format", "npz", "--out", "missing.safetensors"], 73);
    assert_eq!(folder.read("missing.safetensors"), b"precious");
}

#[test]
fn a_test_file_of_strangers_is_refused_with_a_hint() {
    let folder = Folder::trained();
    folder.write("strangers.csv", "user,item,rating\nx1,y1,3\nx2,y2,4\n");
    for call in [
        &["train", "ratings.csv", "--out", "new", "--test", "strangers.csv"][..],
        &["evaluate", "ratings.safetensors", "strangers.csv"],
    ] {
        let line = folder.fail(call, 65);
        assert!(line.starts_with("error: strangers.csv: ") && line.contains("--columns"), "{line}");
        assert!(line.contains("x1") && line.contains("y1"), "{line}");
    }
}

#[test]
fn divergence_is_named_and_nothing_is_saved() {
    let folder = Folder::planted();
    let call =
        ["train", "ratings.csv", "--optimizer", "gd", "--opt", "rate=1e6", "--device", "cpu", "--quiet"];
    let line = folder.fail(&call, 3);
    assert!(line.contains("epoch") && line.contains("gd") && line.contains("rate"), "{line}");
    assert!(!folder.files().contains(&"ratings.safetensors".to_owned()));
}

#[test]
fn what_is_no_model_is_refused() {
    let folder = Folder::trained();
    let model = folder.read("ratings.safetensors");
    folder.write("cut", &model[..model.len() / 2]);
    for file in ["ratings.csv", "cut"] {
        let line = folder.fail(&["inspect", file], 65);
        assert!(line.starts_with(&format!("error: {file}: ")), "{line}");
        folder.fail(&["recommend", file, "--all"], 65);
    }
}

#[test]
fn users_that_the_model_does_not_know_are_refused_before_a_line_is_written() {
    let folder = Folder::trained();
    let line = folder.fail(&["recommend", "ratings.safetensors", "--user", "u1", "--user", "nobody"], 2);
    assert!(line.contains("nobody"), "{line}");
    folder.fail(&["recommend", "ratings.safetensors"], 2);
    folder.fail(&["recommend", "ratings.safetensors", "--all", "--user", "u1"], 2);
    folder.write("pairs.csv", "user,item\nnobody,i1\n");
    let outcome = folder.run(&["predict", "ratings.safetensors", "pairs.csv", "--unknown", "error"]);
    assert_eq!(outcome.code, Some(65));
    assert!(
        outcome.stderr.starts_with("error: pairs.csv:2: ") && outcome.stderr.contains("nobody"),
        "{}",
        outcome.stderr
    );
}
