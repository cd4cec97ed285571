//! The examples say what they promise.

use std::path::Path;
use std::process::Command;

/// What an example prints, built as the program beside it is.
fn run(name: &str) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let target = Path::new(env!("CARGO_BIN_EXE_deltav")).parent().unwrap().parent().unwrap();
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--locked", "--offline", "--example", name, "--target-dir"]).arg(target);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let done = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// The first number behind a text.
fn number(text: &str, behind: &str) -> f64 {
    let rest = text.split(behind).nth(1).unwrap_or_else(|| panic!("no `{behind}` in {text}"));
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest[..end].trim_end_matches('.').parse().unwrap()
}

#[test]
fn every_example_runs() {
    let train = run("train");
    assert!(train.starts_with("2160 ratings, on "), "{train}");
    assert_eq!(train.lines().filter(|line| line.starts_with("  i")).count(), 5, "{train}");
    assert!(number(&train, "saved ") > 10_000.0);

    let custom = run("custom_data");
    assert!(custom.starts_with("30 customers, 6 products, "), "{custom}");
    assert!(number(&custom, "Assam: ") > 4.0 && number(&custom, "mocha: ") < 2.5, "{custom}");

    let warm = run("warm_start");
    assert!(number(&warm, "seed, ") < number(&warm, "first epoch: "), "{warm}");

    let early = run("early_stop");
    let last = number(&early, "after epoch ");
    assert!(early.contains("stopped (observer)") && last < 200.0, "{early}");
    assert!((1.0..=last).contains(&number(&early, "kept epoch ")), "{early}");

    let serving = run("serving");
    let lines: Vec<&str> = serving.lines().collect();
    let starts = ["recommended: i", "similar: i", "for a newcomer: i", "refused: "];
    assert!(
        lines.len() == 4 && lines.iter().zip(starts).all(|(line, start)| line.starts_with(start)),
        "{serving}"
    );
    assert!(lines[..3].iter().all(|line| line.matches(", ").count() == 2), "{serving}");
}
