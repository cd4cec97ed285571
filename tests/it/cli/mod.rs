//! The program end to end: what it prints, what it leaves behind, how it exits.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;
mod bench;
mod checkpoints;
mod commands;
mod cv;
mod demo;
mod devices;
mod endings;
mod evaluate;
mod fold_in;
mod inputs;
mod manual;
#[cfg(target_os = "linux")]
mod memory;
mod names;
mod plan;
mod recommend;
mod report;
mod settings;
#[cfg(unix)]
mod signals;
mod similar;
#[cfg(target_os = "linux")]
mod surroundings;
#[cfg(unix)]
mod terminal;
mod training;
mod tune;
mod uncertainty;
mod units;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use deltav::data::planted::Planted;
use serde_json::Value;

/// A folder of its own that the program runs in.
pub(crate) struct Folder(tempfile::TempDir);

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder with `ratings.csv` and `test.csv`, planted, with ids `u1`… and `i1`….
    pub(crate) fn planted() -> Self {
        let folder = Self::new();
        let split = Planted::new(120, 80, 3_000).rank(3).seed(1).generate().unwrap().split(0.1, 1).unwrap();
        let (train, test) = (&split.train, &split.test);
        let mut text = "user,item,rating\n".to_owned();
        for p in 0..train.len() {
            let (user, item) = (train.users.text(train.user[p]), train.items.text(train.item[p]));
            writeln!(text, "{user},{item},{}", train.value[p]).unwrap();
        }
        folder.write("ratings.csv", text);
        let mut text = "user,item,rating\n".to_owned();
        for p in 0..test.len() {
            let (user, item) = (test.user[p].unwrap(), test.item[p].unwrap());
            writeln!(text, "{},{},{}", train.users.text(user), train.items.text(item), test.value[p])
                .unwrap();
        }
        folder.write("test.csv", text);
        folder
    }

    /// The same with a model of 60 epochs.
    pub(crate) fn trained() -> Self {
        let folder = Self::planted();
        folder.succeed(&["train", "ratings.csv", "--rank", "4", "--epochs", "60", "--device", "cpu", "-q"]);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap()
    }

    /// The names of its files, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deltav"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(arguments))
    }

    /// Runs a call that must succeed and returns its stdout.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(0), "{arguments:?}: {}", outcome.stderr);
        outcome.stdout
    }

    /// Runs a call that must succeed and returns the objects on its stdout.
    pub(crate) fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let stdout = self.succeed(arguments);
        stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
            .collect()
    }

    /// Runs a call that must fail with this code, in one line, and leave nothing
    /// behind. Returns the line.
    pub(crate) fn fail(&self, arguments: &[&str], code: i32) -> String {
        let before = self.files();
        let Outcome { code: ended, stdout, stderr } = self.run(arguments);
        assert_eq!(ended, Some(code), "{arguments:?}: {stderr}");
        assert_eq!(stdout, "", "{arguments:?}");
        let line = stderr.strip_suffix('\n').unwrap_or_else(|| panic!("{arguments:?}: no line: {stderr}"));
        assert!(line.starts_with("error: ") && !line.contains('\n'), "{arguments:?}: {stderr}");
        assert_eq!(self.files(), before, "{arguments:?} left something behind");
        line.to_owned()
    }
}

impl Outcome {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The events of one kind.
pub(super) fn events<'a>(all: &'a [Value], kind: &str) -> Vec<&'a Value> {
    all.iter().filter(|event| event["event"] == kind).collect()
}
