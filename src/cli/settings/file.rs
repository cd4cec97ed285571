//! A configuration file: TOML, a table a command, keys as the flags' long names.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::Origin;
use super::keys::{self, nearest};
use crate::data::text::one_line;
use crate::error::{Error, Location, Result};

/// Bytes of a file, at most: no configuration is as long.
const MOST_BYTES: u64 = 1 << 20;

/// What was said of a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It is on, so many times, or off.
    Switch(u8),
    /// It has these values.
    Values(Vec<OsString>),
}

/// A file whose every table and key is known.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Debug)]
struct Entry {
    /// The command of its table; `None` before the first table: for every command with that flag.
    command: Option<String>,
    key: String,
    value: Value,
    line: u64,
}

/// A value as it is written.
#[derive(Debug)]
enum Value {
    Text(String),
    Number(String),
    Switch(bool),
    Time,
    List(Vec<Value>),
    Table(Vec<(String, Value)>),
}

impl File {
    /// Reads a file and checks its names and types; values are checked with the flags.
    ///
    /// # Errors
    /// [`Error::NoInput`], and [`Error::Usage`] that begins with the file and the line.
    pub(super) fn read(path: &Path, program: &Command) -> Result<Self> {
        let no_input = |source| Error::NoInput { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let input = fs::File::open(path).map_err(no_input)?;
        input.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(no_input)?;
        if bytes.len() as u64 > MOST_BYTES {
            let what = format!("{}: is larger than {MOST_BYTES} bytes", path.display());
            return Err(Error::usage(what, "pass a configuration file; see deltav train --print-config"));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count() as u64;
            refused(path, line, "is not UTF-8", "save it as UTF-8")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let document = DeTable::parse(text).map_err(|error| {
            let line = line_of(text, error.span().map_or(0, |span| span.start));
            refused(path, line, &one_line(&error.message()), "write TOML: key = value")
        })?;
        let mut file = Self { path: path.to_owned(), entries: Vec::new() };
        for (key, value) in in_order(document.get_ref()) {
            let (name, line) = (key.get_ref().as_ref(), line_of(text, key.span().start));
            match value.get_ref() {
                DeValue::Table(table) => file.table(name, line, table, text, program)?,
                value => {
                    let value = Value::of(value);
                    let all = program.get_subcommands().chain([program]);
                    let keys: Vec<String> =
                        all.flat_map(Command::get_arguments).filter_map(keys::flag).collect();
                    if is_command(program, name) && !keys.iter().any(|key| key == name) {
                        let what = format!("{name}: is {}", value.kind());
                        return Err(refused(
                            path,
                            line,
                            &what,
                            &format!("write a table, which begins with [{name}]"),
                        ));
                    }
                    file.known(name, line, "no command has this flag", &keys, program)?;
                    file.add(None, name, line, value);
                }
            }
        }
        Ok(file)
    }

    fn table(
        &mut self,
        name: &str,
        line: u64,
        table: &DeTable<'_>,
        text: &str,
        program: &Command,
    ) -> Result<()> {
        let Some(command) = program.find_subcommand(name).filter(|command| command.get_name() == name) else {
            let names: Vec<String> = program.get_subcommands().map(|c| c.get_name().to_owned()).collect();
            return self.known(name, line, "there is no such command", &names, program);
        };
        let keys: Vec<String> = command.get_arguments().filter_map(keys::key).collect();
        for (key, value) in in_order(table) {
            let (name, line) = (key.get_ref().as_ref(), line_of(text, key.span().start));
            self.known(name, line, "no such flag", &keys, command)?;
            self.add(Some(command.get_name()), name, line, Value::of(value.get_ref()));
        }
        // A type is told at once, though another command is called.
        let args: Vec<&Arg> = command.get_arguments().collect();
        for entry in self.entries.iter().filter(|entry| entry.command.as_deref() == Some(name)) {
            if let Some(arg) = args.iter().find(|arg| keys::key(arg).as_deref() == Some(&*entry.key)) {
                self.said(entry, arg)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, command: Option<&str>, key: &str, line: u64, value: Value) {
        let (command, key) = (command.map(str::to_owned), key.to_owned());
        self.entries.push(Entry { command, key, value, line });
    }

    /// An error unless the name is one of these.
    fn known(&self, name: &str, line: u64, why: &str, names: &[String], command: &Command) -> Result<()> {
        if names.iter().any(|known| known == name) {
            return Ok(());
        }
        let help = match command.get_name() {
            "deltav" => "deltav --help".to_owned(),
            name => format!("deltav {name} --help"),
        };
        let see = match nearest(name, names) {
            Some(near) => format!("did you mean {near}? see {help}"),
            None => format!("see {help}"),
        };
        Err(refused(&self.path, line, &format!("{}: {why}", one_line(&name)), &see))
    }

    /// What the file says of a flag of a command, where, and whether for all commands: in the first of
    /// these tables that has it, else before them. `None` if nothing.
    ///
    /// # Errors
    /// [`Error::Usage`] for a value of the wrong type.
    pub(super) fn find(&self, tables: &[&str], arg: &Arg) -> Result<Option<(Said, Origin, bool)>> {
        let own = tables.iter().map(|table| (Some(*table), keys::key(arg)));
        for (table, key) in own.chain([(None, keys::flag(arg))]) {
            let mut entries = self.entries.iter().filter(|entry| entry.command.as_deref() == table);
            if let Some(entry) = entries.find(|entry| Some(&entry.key) == key.as_ref()) {
                let origin = Origin::File(self.path.clone(), entry.line);
                return Ok(Some((self.said(entry, arg)?, origin, table.is_none())));
            }
        }
        Ok(None)
    }

    fn said(&self, entry: &Entry, arg: &Arg) -> Result<Said> {
        said(arg, &entry.value).map_err(|(what, remedy)| {
            refused(&self.path, entry.line, &format!("{}: {what}", entry.key), &remedy)
        })
    }
}

fn is_command(program: &Command, name: &str) -> bool {
    program.find_subcommand(name).is_some_and(|command| command.get_name() == name)
}

/// The value as the flag takes it, or what is wrong with it and what to do.
fn said(arg: &Arg, value: &Value) -> Result<Said, (String, String)> {
    let one =
        |value: &Value| value.scalar().map(OsString::from).map_err(|what| wrong(what, "write one value"));
    match (arg.get_action(), value) {
        (ArgAction::SetTrue, Value::Switch(on)) => Ok(Said::Switch(u8::from(*on))),
        (ArgAction::SetTrue, other) => Err(wrong(other.kind(), "write true or false")),
        (ArgAction::Count, Value::Number(times)) => {
            let times = times.parse().map_err(|_| wrong("out of range", "write a small whole number"))?;
            Ok(Said::Switch(times))
        }
        (ArgAction::Count, other) => Err(wrong(other.kind(), "write a whole number")),
        // A flag whose value may be left out.
        (_, Value::Switch(on)) if keys::is_optional(arg) => {
            Ok(if *on { Said::Values(Vec::new()) } else { Said::Switch(0) })
        }
        (_, Value::List(values)) if keys::is_several(arg) => {
            values.iter().map(one).collect::<Result<_, _>>().map(Said::Values)
        }
        (_, Value::Table(pairs)) if keys::is_pairs(arg) => {
            let pair = |(key, value): &(String, Value)| match value {
                Value::Switch(on) => Ok(format!("{key}={}", if *on { "on" } else { "off" }).into()),
                value => one(value).map(|value| {
                    let mut pair = OsString::from(format!("{key}="));
                    pair.push(value);
                    pair
                }),
            };
            pairs.iter().map(pair).collect::<Result<_, _>>().map(Said::Values)
        }
        (_, value) => Ok(Said::Values(vec![one(value)?])),
    }
}

fn wrong(what: &str, remedy: &str) -> (String, String) {
    (format!("is {what}"), remedy.to_owned())
}

impl Value {
    fn of(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Value::Text(text.clone().into_owned()),
            DeValue::Integer(number) if number.radix() == 10 => Value::Number(number.as_str().to_owned()),
            DeValue::Integer(number) => match u64::from_str_radix(number.as_str(), number.radix()) {
                Ok(whole) => Value::Number(whole.to_string()),
                Err(_) => Value::Number(number.to_string()), // no flag takes that: its parser says so
            },
            DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
            DeValue::Boolean(on) => Value::Switch(*on),
            DeValue::Datetime(_) => Value::Time,
            DeValue::Array(values) => {
                Value::List(values.iter().map(|value| Self::of(value.get_ref())).collect())
            }
            DeValue::Table(table) => {
                let pair = |(key, value): &(&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
                    (key.get_ref().clone().into_owned(), Self::of(value.get_ref()))
                };
                Value::Table(in_order(table).iter().map(pair).collect())
            }
        }
    }

    fn scalar(&self) -> Result<&str, &'static str> {
        match self {
            Value::Text(text) | Value::Number(text) => Ok(text),
            other => Err(other.kind()),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a text",
            Value::Number(_) => "a number",
            Value::Switch(_) => "true or false",
            Value::Time => "a date or a time",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

type Pair<'t, 'i> = (&'t Spanned<DeString<'i>>, &'t Spanned<DeValue<'i>>);

/// The keys as they stand in the file.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Pair<'t, 'i>> {
    let mut pairs: Vec<Pair<'t, 'i>> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    pairs
}

fn line_of(text: &str, at: usize) -> u64 {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn refused(path: &Path, line: u64, what: &str, remedy: &str) -> Error {
    Error::usage(format!("{}: {what}", Location::line(path, line)), remedy)
}
