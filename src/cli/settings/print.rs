//! The settings of a call as a configuration file.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory};

use super::super::Cli;
use super::merge::conflict;
use super::{Setting, is_given, keys};
use crate::error::{Error, Result};

/// Columns before a line's comment, at least.
const LINE: usize = 40;

/// The settings as TOML: a line a flag, with where its value comes from. Flags without a value are comments.
///
/// # Errors
/// [`Error::Usage`] for a value that is no UTF-8, which TOML can't hold.
pub(super) fn toml(
    command: &Command,
    matches: &ArgMatches,
    settings: &[Setting],
    notes: &[String],
) -> Result<String> {
    let name = command.get_name();
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!("# deltav {version}: the settings of a call, for `deltav {name} --config FILE`\n");
    // Writing to a String can't fail.
    for note in notes {
        let _ = writeln!(text, "# {note}");
    }
    let _ = writeln!(text, "\n[{name}]");
    for arg in command.get_arguments() {
        let Some(key) = keys::key(arg) else { continue };
        let setting = settings.iter().find(|setting| setting.arg.get_id() == arg.get_id());
        let origin = match (setting, matches.value_source(arg.get_id().as_str())) {
            (Some(setting), _) => setting.origin.to_string(),
            (None, Some(ValueSource::CommandLine)) => "flag".to_owned(),
            _ => "default".to_owned(),
        };
        // Written down, a default would contradict what was asked for.
        let contradicts =
            || command.get_arguments().any(|other| is_given(matches, other) && conflict(command, arg, other));
        let line = match value(arg, matches)? {
            Some(_) if !is_given(matches, arg) && contradicts() => continue,
            Some(value) => format!("{:<LINE$} # {origin}", format!("{key} = {value}")),
            None => format!("# {key} = {}", placeholder(arg)),
        };
        let _ = writeln!(text, "{line}");
    }
    Ok(text)
}

/// The table of `train` with these flags, by key, and their values.
///
/// # Errors
/// As [`table`].
pub(in crate::cli) fn train_table(flags: impl IntoIterator<Item = (String, String)>) -> Result<String> {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in flags {
        values.entry(key).or_default().push(value);
    }
    let mut program = Cli::command();
    program.build();
    let command = program.find_subcommand("train").ok_or_else(|| Error::Internal("no train".to_owned()))?;
    table(command, &values)
}

/// A table of these values of flags, by key, in the order of the flags. Keys of no flag are comments.
///
/// # Errors
/// None for values in UTF-8, which these are.
fn table(command: &Command, values: &BTreeMap<String, Vec<String>>) -> Result<String> {
    let mut text = format!("[{}]\n", command.get_name());
    let mut left: BTreeMap<&String, &Vec<String>> = values.iter().collect();
    for arg in command.get_arguments() {
        let Some((key, values)) = keys::key(arg).and_then(|key| left.remove_entry(&key)) else { continue };
        let scalars = values.iter().map(|value| scalar(arg, OsStr::new(value)));
        let scalars = scalars.collect::<Result<Vec<_>>>()?.join(", ");
        let value = match values.first().map(String::as_str) {
            Some(on @ ("true" | "false")) if keys::is_switch(arg) => on.to_owned(),
            _ if keys::is_several(arg) => format!("[{scalars}]"),
            _ => scalars,
        };
        // Writing to a String can't fail.
        let _ = writeln!(text, "{key} = {value}");
    }
    for (key, values) in left {
        let _ = writeln!(text, "# {} = {}", quoted(key), quoted(&values.join(", ")));
    }
    Ok(text)
}

fn placeholder(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.first().map(ToString::to_string).unwrap_or_default()
}

/// The value of a flag as TOML; `None` where it has none.
fn value(arg: &Arg, matches: &ArgMatches) -> Result<Option<String>> {
    let id = arg.get_id().as_str();
    match arg.get_action() {
        ArgAction::SetTrue => return Ok(Some(matches.get_flag(id).to_string())),
        ArgAction::Count => return Ok(Some(matches.get_count(id).to_string())),
        _ => {}
    }
    if matches.value_source(id).is_none() {
        return Ok(None);
    }
    let raw = matches.get_raw(id).into_iter().flatten();
    let values: Vec<String> = raw.map(|value| scalar(arg, value)).collect::<Result<_>>()?;
    Ok(match &values[..] {
        [] => Some("true".to_owned()),
        [only] if !keys::is_several(arg) => Some(only.clone()),
        _ => Some(format!("[{}]", values.join(", "))),
    })
}

fn scalar(arg: &Arg, value: &OsStr) -> Result<String> {
    let Some(text) = value.to_str() else {
        return Err(Error::usage(
            format!("{arg}: {} is not UTF-8, which a configuration file has to be", value.to_string_lossy()),
            "rename the file, or leave it out here and pass it on the command line",
        ));
    };
    // An id or a name is a text, whatever it looks like.
    let kind = arg.get_value_parser().type_id();
    let is_text = [TypeId::of::<String>(), TypeId::of::<OsString>(), TypeId::of::<PathBuf>()]
        .iter()
        .any(|text| kind == *text);
    Ok(if !is_text && is_number(text) { text.to_owned() } else { quoted(text) })
}

/// Whether TOML reads it as a number, and as the same text.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let whole = |text: &str| digits(text) && (text == "0" || !text.starts_with('0'));
    let text = text.strip_prefix('-').unwrap_or(text);
    match text.split_once('.') {
        Some((before, after)) => whole(before) && digits(after),
        None => whole(text),
    }
}

/// A text as a TOML string on one line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::de::{DeTable, DeValue};

    #[test]
    fn what_is_written_is_read_as_the_same_text() {
        for text in ["", "a", "ä\"b\\c", "line\nbreak\t\u{7f}\u{85}", "'single'", "1e5", "true", "#"] {
            let line = format!("key = {}", quoted(text));
            let table = DeTable::parse(&line).unwrap();
            assert!(
                matches!(table.get_ref()["key"].get_ref(), DeValue::String(read) if read == text),
                "{line}"
            );
        }
        for number in ["0", "-1", "12", "0.10", "1.5", "-0.5", "99999999999999999999"] {
            assert!(is_number(number));
            let line = format!("key = {number}");
            let table = DeTable::parse(&line).unwrap();
            let read = match table.get_ref()["key"].get_ref() {
                DeValue::Integer(whole) => whole.as_str().to_owned(),
                DeValue::Float(float) => float.as_str().to_owned(),
                other => panic!("{other:?}"),
            };
            assert_eq!(read, number);
        }
        for text in ["007", "1e5", "+1", ".5", "1.", "", "-", "inf", "nan", "1_000"] {
            assert!(!is_number(text), "{text}");
        }
    }
}
