//! The commands that the documentation shows, run as it shows them.

#![cfg(unix)]

use std::path::Path;
use std::process::Command;

use crate::cli::Folder;

/// Files whose commands run in a folder with the planted `ratings.csv` and `test.csv`.
const RUN: [&str; 1] = ["configuration.md"];

/// The fenced parts of a text: language and content.
fn fences(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("```").skip(1).step_by(2);
    parts.map(|part| part.split_once('\n').unwrap()).collect()
}

/// Runs the `sh` parts one after the other, and writes a `toml` part to the file that its first line names.
fn run(text: &str) -> Result<usize, String> {
    let folder = Folder::planted();
    let program = Path::new(env!("CARGO_BIN_EXE_deltav")).parent().unwrap();
    let path = std::env::join_paths(
        std::iter::once(program.to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let path = path.unwrap();
    let mut commands = 0;
    for (language, content) in fences(text) {
        match language {
            "toml" => {
                let name = content.lines().next().and_then(|line| line.strip_prefix("# "));
                folder.write(name.ok_or("a toml part without a name")?, content);
            }
            "sh" => {
                let mut shell = Command::new("bash");
                shell.args(["-euo", "pipefail", "-c", content]).current_dir(folder.path());
                shell.env("PATH", &path).env("HOME", folder.path());
                let output = shell.output().unwrap();
                if !output.status.success() {
                    return Err(format!("{content}: {}", String::from_utf8_lossy(&output.stderr)));
                }
                commands += content.lines().filter(|line| line.contains("deltav ")).count();
            }
            _ => {}
        }
    }
    Ok(commands)
}

#[test]
fn every_command_of_the_documentation_runs() {
    for name in RUN {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
        let commands =
            run(&std::fs::read_to_string(file).unwrap()).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(commands > 3, "{name}: {commands} commands");
    }
}

#[test]
fn a_command_that_fails_would_be_seen() {
    assert!(run("```sh\ndeltav train none.csv\n```\n").unwrap_err().contains("none.csv"));
    assert!(run("```sh\ndeltav train --rnk 3\ntrue\n```\n").is_err());
    assert_eq!(run("```text\ndeltav train none.csv\n```\n"), Ok(0));
}
