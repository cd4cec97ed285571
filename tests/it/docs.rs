//! The commands that the documentation shows, run as it shows them.
//!
//! The rule: what stands in a part ```` ```sh ```` runs, in a folder with planted ratings under the names of
//! [`STAND_INS`]. What can't run there (it asks the network, builds, or measures for minutes) stands in a part
//! ```` ```sh no_run ````, of which [`NOT_RUN`] has the count. Run or not, and in text, too, every `deltav …`
//! is a call that the parser takes.

#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use clap::error::ErrorKind;
use deltav::cli::Cli;

use crate::cli::Folder;

/// Pages whose commands and Python take turns: the tests in the module named run them.
const RUN_ELSEWHERE: [(&str, &str); 2] = [("docs/python.md", "python"), ("docs/export.md", "export")];

/// How many parts of a page are not run.
const NOT_RUN: [(&str, usize); 9] = [
    ("CONTRIBUTING.md", 3),
    ("README.md", 3),
    ("docs/accuracy.md", 2),
    ("docs/clusters.md", 8),
    ("docs/getting-started.md", 2),
    ("docs/gpus.md", 1),
    ("docs/performance.md", 3),
    ("docs/schedule.md", 1),
    ("docs/uncertainty.md", 1),
];

/// Other names of the planted ratings and test ratings. A file's name says nothing of its content.
const STAND_INS: [(&str, &str); 9] = [
    ("ml-latest-small/ratings.csv", "ratings.csv"),
    ("u.data", "ratings.csv"),
    ("u1.train.csv.gz", "ratings.csv"),
    ("split90.train.csv.gz", "ratings.csv"),
    ("2024.csv.gz", "ratings.csv"),
    ("2025/january.csv", "test.csv"),
    ("u1.test.csv.gz", "test.csv"),
    ("split90.test.csv.gz", "test.csv"),
    ("today.jsonl", "test.csv"),
];

/// Every page, in the order of their names.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    paths.extend(["README.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    paths.sort();
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// The fenced parts of a text: language and content.
fn fences(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("```").skip(1).step_by(2);
    parts.filter_map(|part| part.split_once('\n')).collect()
}

/// A folder with planted ratings under every name that the pages use.
fn planted() -> Folder {
    let folder = Folder::planted();
    for (name, source) in STAND_INS {
        let content = String::from_utf8(folder.read(source)).unwrap();
        // MovieLens' ids are numbers.
        let (head, ids) = content.split_once('\n').unwrap();
        let content = format!("{head}\n{}", ids.replace(['u', 'i'], ""));
        std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        folder.write(name, content);
    }
    let titles = (1..=80).map(|item| match item {
        1 => "1,Star Wars: Episode IV - A New Hope (1977)\n".to_owned(),
        _ => format!("{item},Film {item} (1999)\n"),
    });
    let names = format!("movieId,title\n{}", titles.collect::<String>());
    folder.write("ml-latest-small/movies.csv", &names);
    folder.write("u.item", names);
    folder
}

/// Runs the parts `sh` one after the other, and writes a part `toml` to the file that its first line names.
fn run(text: &str) -> Result<usize, String> {
    let folder = planted();
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
    let elsewhere = |name: &str| RUN_ELSEWHERE.iter().any(|(page, _)| *page == name);
    let mut commands = 0;
    for (name, text) in pages().into_iter().filter(|(name, _)| !elsewhere(name)) {
        commands += run(&text).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    assert!(commands > 30, "{commands} commands");
    for (page, module) in RUN_ELSEWHERE {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tests = std::fs::read_to_string(root.join(format!("tests/it/{module}.rs"))).unwrap();
        assert!(tests.contains(&format!("include_str!(\"../../{page}\")")), "{page} is not run by {module}");
    }
}

#[test]
fn what_does_not_run_is_counted() {
    let mut counted = Vec::new();
    for (name, text) in pages() {
        let parts = fences(&text);
        let shell = |(language, _): &&(&str, &str)| {
            ["sh", "bash", "shell", "console"].iter().any(|other| language.starts_with(other))
        };
        for (language, content) in parts.iter().filter(shell) {
            assert!(["sh", "sh no_run"].contains(language), "{name}: ```{language}: {content}");
        }
        let not_run = parts.iter().filter(|(language, _)| *language == "sh no_run").count();
        if not_run > 0 {
            counted.push((name, not_run));
        }
    }
    let counted: Vec<(&str, usize)> = counted.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(counted, NOT_RUN, "parts that are not run, by page");
}

#[test]
fn a_command_that_fails_would_be_seen() {
    assert!(run("```sh\ndeltav train none.csv\n```\n").unwrap_err().contains("none.csv"));
    assert!(run("```sh\ndeltav train --rnk 3\ntrue\n```\n").is_err());
    assert_eq!(run("```text\ndeltav train none.csv\n```\n"), Ok(0));
    assert_eq!(run("```sh no_run\ndeltav train none.csv\n```\n"), Ok(0));
}

/// The words of the commands in a line of a shell, as the shell would split them; of the program's alone.
fn calls(line: &str) -> Vec<Vec<String>> {
    let (mut all, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut quote = None;
    for letter in line.chars().chain([';']) {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ' | '|' | '&' | ';' | '>' | '<' | '(' | ')') => {
                words.extend(word.take());
                if letter != ' ' {
                    all.push(std::mem::take(&mut words));
                }
            }
            _ => word.get_or_insert_default().push(letter),
        }
    }
    all.push(words);
    // Variables, keywords and a prompt may stand before it.
    let begin = |word: &String| !word.contains('=') && !["$", "until", "time"].contains(&word.as_str());
    let command =
        |words: Vec<String>| -> Vec<String> { words.into_iter().skip_while(|w| !begin(w)).collect() };
    all.into_iter().map(command).filter(|words| words.first().is_some_and(|w| w == "deltav")).collect()
}

/// Whether the parser takes a call; one that is `short` may leave out what every call needs.
fn parses(call: &[String], short: bool) -> Result<(), String> {
    let words = call.iter().map(String::as_str).filter(|word| *word != "…");
    let words = words.map(|word| match word {
        "COMMAND" => "train",
        "N" => "1",
        word => word,
    });
    let short = short || call.iter().any(|word| ["--config", "--print-config"].contains(&word.as_str()));
    match Cli::try_parse_from(words) {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(()),
            ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                if short =>
            {
                Ok(())
            }
            _ => Err(format!("{}: {error}", call.join(" "))),
        },
    }
}

/// Has every call of a page parsed, those in its sentences, too. Returns their number.
fn parsed(text: &str) -> Result<usize, String> {
    let mut count = 0;
    for (_, content) in fences(text) {
        for call in content.replace("\\\n", " ").lines().flat_map(calls) {
            parses(&call, false)?;
            count += 1;
        }
    }
    let prose: String = text.split("```").step_by(2).collect();
    for code in prose.split('`').skip(1).step_by(2).filter(|code| code.starts_with("deltav ")) {
        // A table's cells have their pipes escaped.
        for call in calls(&code.replace('\n', " ").replace("\\|", "|")) {
            parses(&call, true)?;
            count += 1;
        }
    }
    Ok(count)
}

#[test]
fn every_call_that_the_documentation_names_is_one() {
    let (mut count, mut wrong) = (0, String::new());
    for (name, text) in pages() {
        match parsed(&text) {
            Ok(calls) => count += calls,
            Err(why) => wrong.push_str(&format!("{name}: {why}\n")),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 80, "{count} calls");
}

#[test]
fn a_call_that_is_none_would_be_seen() {
    assert_eq!(
        calls("printf 'a;b' | A=1 deltav fold-in m - --x \"y z\" > o && deltav man # deltav"),
        [vec!["deltav", "fold-in", "m", "-", "--x", "y z"], vec!["deltav", "man"]]
    );
    for wrong in ["train f --rnk 8", "trian f", "train", "train f --optimizer", "similar m --item A B"] {
        let fenced = format!("```text\n$ deltav {wrong}\n```\n");
        assert!(parsed(&fenced).is_err(), "{wrong}");
    }
    assert!(parsed("so `deltav trian` it").is_err() && parsed("`deltav train --rnk 8`").is_err());
    assert_eq!(parsed("so `deltav train`, as\n```sh no_run\ndeltav train f\n```\n"), Ok(2));
}

#[test]
fn links_of_the_documentation_lead_somewhere() {
    for (name, text) in pages() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let page = root.join(&name);
        let prose: String = text.split("```").step_by(2).collect();
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{name}: {link}");
            let text =
                if anchor.is_empty() { String::new() } else { std::fs::read_to_string(target).unwrap() };
            let anchors = text.lines().filter(|line| line.starts_with('#')).map(|line| {
                let heading = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                heading.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect::<String>()
            });
            assert!(anchor.is_empty() || anchors.into_iter().any(|a| a == anchor), "{name}: {link}");
        }
    }
}

#[test]
fn the_table_of_contents_has_every_page() {
    let contents = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/README.md")).unwrap();
    for (name, _) in pages() {
        let Some(page) = name.strip_prefix("docs/").filter(|page| *page != "README.md") else { continue };
        assert_eq!(contents.matches(&format!("]({page})")).count(), 1, "docs/README.md: {page}");
    }
}
