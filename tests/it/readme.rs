//! The tables of the README and of the docs are those of the registries.
//!
//! `DELTAV_WRITE_README=1 cargo test --test it readme` writes them anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory;
use deltav::config::ModelKind;
use deltav::error::EXIT_CODES;
use deltav::model::EXPORTS;
use deltav::optim::OPTIMIZERS;

use crate::bad_days::days;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// A Markdown table; the first row is its head.
fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&head.map(str::to_owned));
    let _ = writeln!(text, "|{}", "---|".repeat(N));
    text.extend(rows.into_iter().map(|row| line(&row.map(|cell| cell.replace('|', "\\|")))));
    text
}

/// A table that is generated: its file, what its marker begins with, its text.
struct Generated {
    file: &'static str,
    marker: &'static str,
    table: String,
}

fn tables() -> Vec<Generated> {
    let program = deltav::cli::Cli::command();
    let commands = program.get_subcommands().filter(|command| !command.is_hide_set()).map(|command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        [format!("`deltav {}`", command.get_name()), about]
    });
    let codes = EXIT_CODES.iter().map(|(code, meaning)| [code.to_string(), (*meaning).to_owned()]);
    let models = ModelKind::ALL.map(|kind| [format!("`{}`", kind.name()), kind.formula().to_owned()]);
    let optimizers = OPTIMIZERS.iter().map(|spec| {
        let options = spec.hyperparameters.iter().map(|h| format!("`{}={}`", h.key, h.default));
        let options = options.collect::<Vec<_>>().join(" ");
        [format!("`{}`", spec.name), spec.summary.to_owned(), options, spec.epochs.to_string()]
    });
    let formulas = OPTIMIZERS.iter().map(|spec| {
        let reg = if spec.learns { "learned, or fixed" } else { "fixed" };
        [format!("`{}`", spec.name), spec.formula.to_owned(), reg.to_owned(), spec.source.to_owned()]
    });
    let hyperparameters = OPTIMIZERS.iter().flat_map(|spec| {
        spec.hyperparameters.iter().map(|h| {
            let (key, default) = (format!("`{}`", h.key), format!("`{}`", h.default));
            [format!("`{}`", spec.name), key, default, h.range.to_owned(), h.doc.to_owned()]
        })
    });
    let exports = EXPORTS.iter().map(|format| [format!("`{}`", format.name), format.summary.to_owned()]);
    let readme = |marker, table| Generated { file: "README.md", marker, table };
    vec![
        readme("commands:", table(["command", "what it does"], commands)),
        readme("exit codes:", table(["exit code", "meaning"], codes)),
        readme("models:", table(["`--model`", "prediction"], models)),
        readme("optimizers:", table(["`--optimizer`", "what it is", "`--opt`", "`--epochs`"], optimizers)),
        Generated {
            file: "docs/reliability.md",
            marker: "bad days:",
            table: table(
                ["what happens", "what deltav does", "exit code"],
                days().map(|day| [day.case, day.behaviour, day.codes].map(str::to_owned)),
            ),
        },
        Generated {
            file: "docs/optimizers.md",
            marker: "formulas:",
            table: table(["`--optimizer`", "a step", "λ", "source"], formulas),
        },
        Generated {
            file: "docs/optimizers.md",
            marker: "hyperparameters:",
            table: table(["`--optimizer`", "key", "default", "range", "what it is"], hyperparameters),
        },
        Generated {
            file: "docs/export.md",
            marker: "exports:",
            table: table(["`--format`", "what it is"], exports),
        },
    ]
}

/// The files with such tables.
fn files() -> BTreeSet<&'static str> {
    tables().iter().map(|generated| generated.file).collect()
}

/// The text of a file with every table replaced by that of its registry.
fn regenerated(file: &str, text: &str) -> Result<String, String> {
    let mut text = text.to_owned();
    for Generated { marker, table, .. } in tables().into_iter().filter(|table| table.file == file) {
        let begin = text.find(&format!("<!-- {marker}")).ok_or(format!("no marker `{marker}`"))?;
        let begin = begin + text[begin..].find("-->\n").ok_or(format!("`{marker}` does not end"))? + 4;
        let end = begin + text[begin..].find("<!-- end -->").ok_or(format!("no end of `{marker}`"))?;
        text.replace_range(begin..end, &table);
    }
    Ok(text)
}

#[test]
fn tables_are_those_of_the_registries() {
    for file in files() {
        let text = read(file);
        let expected = regenerated(file, &text).unwrap();
        if std::env::var_os("DELTAV_WRITE_README").is_some() {
            std::fs::write(Path::new(ROOT).join(file), &expected).unwrap();
            continue;
        }
        for (line, (have, want)) in text.lines().zip(expected.lines()).enumerate() {
            assert_eq!(
                have,
                want,
                "{file}:{}: not what the registry says; run DELTAV_WRITE_README=1 cargo test --test it readme",
                line + 1
            );
        }
        assert_eq!(text, expected);
    }
}

#[test]
fn a_changed_table_would_be_seen() {
    for Generated { file, marker, table } in tables() {
        let text = regenerated(file, &read(file)).unwrap();
        assert!(text.contains(&table), "{marker}");
        let changed = text.replacen(&table, &table.replacen(" | ", " |  ", 1), 1);
        assert_ne!(changed, text, "{marker}");
        assert_eq!(regenerated(file, &changed).unwrap(), text, "{marker}");
        assert!(regenerated(file, &text.replace(marker, "")).is_err(), "{marker}");
    }
}

#[test]
fn every_error_has_an_exit_code_of_the_table() {
    // The enum may grow outside this crate's sight, so its own text is asked.
    let source = include_str!("../../src/error.rs");
    let body = source.split("pub fn exit_code").nth(1).unwrap().split("\n    }\n").next().unwrap();
    let used: BTreeSet<u8> = body
        .lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.rsplit_once("=> ")?.1.parse().ok())
        .collect();
    assert!(used.len() >= 9, "{used:?}");
    let listed: BTreeSet<u8> = EXIT_CODES.iter().map(|(code, _)| *code).filter(|&code| code > 0).collect();
    // An interrupted program exits as the shell says, 128 + the signal's number.
    assert_eq!(used, listed.into_iter().filter(|&code| code < 128).collect());
}

#[test]
fn its_links_and_flags_exist() {
    let readme = read("README.md");
    let root = Path::new(ROOT);
    let links: Vec<&str> = readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next())
        .filter(|link| !link.is_empty() && !link.contains("://"))
        .collect();
    assert!(links.len() > 3, "{links:?}");
    for link in links {
        assert!(root.join(link).exists(), "README.md links to {link}");
    }

    let program = deltav::cli::Cli::command();
    let mut flags = BTreeSet::from(["--help", "--version"].map(str::to_owned));
    for command in program.get_subcommands().chain([&program]) {
        flags.extend(command.get_arguments().filter_map(|a| a.get_long()).map(|long| format!("--{long}")));
    }
    // Of cargo, in the same fences.
    flags.extend(["--release", "--path", "--open"].map(str::to_owned));
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    for flag in readme.split(word).filter(|word| word.starts_with("--") && word.len() > 3) {
        assert!(flags.contains(flag) || flag.trim_end_matches('-').len() < 3, "README.md: {flag}");
    }
}
