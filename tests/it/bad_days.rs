//! The table of bad days: each row of docs/reliability.md is a value here, with what proves it.
//! The table is written from these by `DELTAV_WRITE_README=1 cargo test --test it readme`.

mod data;
mod machine;

use std::path::Path;
use std::process::Child;

use crate::cli::Folder;

/// What stands behind a row.
enum Proof {
    /// Runs in a folder with `ratings.csv`, `test.csv` and an older `old` of some bytes.
    Here(fn(&Folder)),
    /// Tests of other files, `file::name`.
    Tests(&'static [&'static str]),
}

use Proof::{Here, Tests};

/// Every row, in the order of the docs.
pub fn days() -> impl Iterator<Item = &'static Day> {
    data::DAYS.iter().chain(machine::DAYS)
}

/// A row: what happens, what deltav does, the exit codes, the proof.
pub struct Day {
    pub case: &'static str,
    pub behaviour: &'static str,
    pub codes: &'static str,
    proof: Proof,
}

const OLD: &[u8] = b"an older file";

/// A call that must be refused in one line with these words, and leave the older file as it was.
fn refused(folder: &Folder, arguments: &[&str], code: i32, words: &[&str]) {
    let line = folder.fail(arguments, code);
    for word in words {
        assert!(line.contains(word), "{arguments:?}: {line}: {word}");
    }
    assert!(folder.read("old") == OLD, "{arguments:?} touched an output");
}

/// Training on these ratings, onto the older file.
fn bad_ratings(folder: &Folder, text: impl AsRef<[u8]>, words: &[&str]) {
    folder.write("bad.csv", text);
    refused(folder, &["train", "bad.csv", "-o", "old", "--force"], 65, words);
}

/// Training that must succeed; what it says.
fn trains(folder: &Folder, text: impl AsRef<[u8]>, more: &[&str]) -> String {
    folder.write("odd.csv", text);
    let call = ["train", "odd.csv", "-o", "new", "--force", "--device", "cpu", "--rank", "2"];
    let outcome = folder.run(&[&call[..], more].concat());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome.stderr
}

fn predicted(folder: &Folder, pairs: &str) -> String {
    folder.write("pairs.csv", pairs);
    folder.succeed(&["predict", "new", "pairs.csv", "-q"])
}

/// A process that is killed with the test, however that ends.
struct Endless(Child);

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn every_row_is_as_it_says() {
    for Day { case, proof, codes, behaviour } in days() {
        assert!(!codes.is_empty() && !behaviour.is_empty());
        match proof {
            Here(run) => {
                let folder = Folder::planted();
                folder.write("old", OLD);
                run(&folder);
            }
            Tests(names) => {
                for name in *names {
                    assert!(is_a_test(name), "{case}: there is no test {name}");
                }
            }
        }
    }
}

/// Whether a file of the tests, or of the sources, has a test of that name.
fn is_a_test(name: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (module, function) = name.rsplit_once("::").unwrap();
    let path = module.replace("::", "/");
    let files = [
        format!("tests/it/{path}.rs"),
        format!("src/{path}.rs"),
        format!("src/{}.rs", path.trim_end_matches("/tests")),
    ];
    let body = format!("fn {function}() {{");
    files.iter().any(|file| {
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        let Some((before, _)) = text.split_once(&body) else { return false };
        before.trim_end().ends_with("#[test]")
    })
}
