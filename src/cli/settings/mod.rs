//! What holds for a call: its flags, else the environment, else a configuration file, else the
//! defaults.
//!
//! No flag is listed here. What the environment and the file say is added to the command line as
//! flags, and parsed with them: so every check holds for them, too.

mod file;
mod keys;
mod merge;
mod print;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};

use self::file::{File, Said};
use self::merge::{Merged, merge};
use super::Cli;
use crate::error::{Error, Result};

pub(super) use self::keys::variable;
pub(super) use self::print::train_table;

/// Names a configuration file, as `--config` does.
pub(super) const CONFIG: &str = "DELTAV_CONFIG";

/// Where a value was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// In a variable of the environment.
    Variable(String),
    /// In a line of the file.
    File(PathBuf, u64),
}

/// Such as `run.toml:7`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Variable(name) => f.write_str(name),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// What was said of a flag elsewhere than on the command line.
#[derive(Debug, Clone)]
struct Setting {
    arg: Arg,
    key: String,
    said: Said,
    origin: Origin,
    /// Said for every command with that flag.
    general: bool,
}

/// The settings of a call that come from elsewhere than its flags.
#[derive(Debug, Clone, Default)]
pub(super) struct Applied {
    origins: Vec<(String, Origin)>,
    /// What the user should know of them.
    pub(super) notes: Vec<String>,
    /// How the call's ratings are read, wherever that was said: flags without dashes and their values.
    pub(super) reading: Vec<(String, String)>,
    /// The call with all of them as flags.
    pub(super) words: Vec<OsString>,
    /// The command's name.
    pub(super) command: String,
}

/// What a command line asks for.
pub(super) enum Asked {
    /// A command.
    Call(Box<Cli>, Applied),
    /// Its settings, as TOML.
    Print(String),
}

/// Why a command line can't be followed.
pub(super) enum Refusal {
    /// The parser's word, with the place of what it is about, if that is no flag.
    Parser(Box<clap::Error>, Option<Origin>),
    /// A file that can't be used.
    Settings(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Settings(error)
    }
}

fn parser(error: clap::Error) -> Refusal {
    Refusal::Parser(Box::new(error), None)
}

/// The environment: the value of a variable by name.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Parses a command line with what the environment and a file say of its flags.
///
/// # Errors
/// [`Refusal`]; help and versions are among them, as with the parser.
pub(super) fn parse(words: &[OsString], variables: Variables<'_>) -> Result<Asked, Refusal> {
    let mut program = Cli::command();
    program.build();
    let strict = |words: &[OsString]| Cli::command().try_get_matches_from(words);
    // What is missing may be said elsewhere.
    let given = match Cli::command().ignore_errors(true).try_get_matches_from(words) {
        Ok(given) if given.subcommand().is_some() => given,
        _ => return call(&strict(words).map_err(parser)?, Applied::default()),
    };
    let Some((name, given)) = given.subcommand() else { return Err(parser(help_is_wanted())) };
    let Some(command) = program.find_subcommand(name) else { return Err(parser(help_is_wanted())) };

    let of_variables = || variables(CONFIG).filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = given.get_one::<PathBuf>("config").cloned().or_else(of_variables);
    let file = path.map(|path| File::read(&path, &program)).transpose()?;
    let Merged { settings, notes } = merge(&program, command, given, file.as_ref(), variables)?;
    let whole = merge::words(words, command, &program, given, &settings);
    let parsed = strict(&whole);
    if given.get_flag("print_config") {
        let lenient = || Cli::command().ignore_errors(true).try_get_matches_from(&whole);
        let matches = match parsed {
            Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => lenient().map_err(parser)?,
            parsed => parsed.map_err(|error| with_origin(error, &settings))?,
        };
        let matches = matches.subcommand().map_or(given, |(_, matches)| matches);
        return Ok(Asked::Print(print::toml(command, matches, &settings, &notes)?));
    }
    let matches = parsed.map_err(|error| with_origin(error, &settings))?;
    let origins = settings.into_iter().map(|setting| (setting.key, setting.origin)).collect();
    let reading = matches.subcommand().map_or_else(Vec::new, |(_, matches)| reading(command, matches));
    call(&matches, Applied { origins, notes, reading, words: whole, command: name.to_owned() })
}

/// The flags that decide what files mean. Whether it is kept (`--cache`) is none of them.
fn reading(command: &Command, matches: &ArgMatches) -> Vec<(String, String)> {
    let decides = |arg: &&Arg| arg.get_help_heading() == Some("Data") && arg.get_id() != "cache";
    let given = command.get_arguments().filter(decides).filter(|arg| is_given(matches, arg));
    let values = |arg: &Arg| {
        let (key, raw) = (keys::key(arg)?, matches.get_raw(arg.get_id().as_str())?);
        Some(raw.filter_map(|value| Some((key.clone(), value.to_str()?.to_owned()))).collect::<Vec<_>>())
    };
    given.filter_map(values).flatten().collect()
}

fn call(matches: &ArgMatches, applied: Applied) -> Result<Asked, Refusal> {
    let cli = Cli::from_arg_matches(matches).map_err(|error| parser(error.format(&mut Cli::command())))?;
    Ok(Asked::Call(Box::new(cli), applied))
}

fn help_is_wanted() -> clap::Error {
    Cli::command().error(ErrorKind::MissingSubcommand, "no command was given")
}

/// The error with the place of the setting that it names.
fn with_origin(error: clap::Error, settings: &[Setting]) -> Refusal {
    let named: Vec<&str> = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(name)) => vec![name],
        Some(ContextValue::Strings(names)) => names.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let setting = settings.iter().find(|setting| named.contains(&&*setting.arg.to_string()));
    let origin = setting.map(|setting| setting.origin.clone());
    Refusal::Parser(Box::new(error), origin)
}

/// Whether the flag stands on the command line.
fn is_given(matches: &ArgMatches, arg: &Arg) -> bool {
    matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
}

/// The tables of a command: its own, and that of the command whose every flag it takes.
fn tables(command: &Command) -> Vec<&str> {
    match command.get_name() {
        "plan" => vec!["plan", "train"],
        name => vec![name],
    }
}

impl Applied {
    /// The error with the place of the setting that it is about, if that is no flag.
    pub(super) fn named(&self, error: Error) -> Error {
        let Error::Usage { what, remedy } = error else { return error };
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let words = |text: &str| text.split(|c| !is_part(c)).map(str::to_owned).collect::<Vec<_>>();
        let (problem, way_out) = (words(&what), words(&remedy));
        let is_subject = |key: &str| problem.first().is_some_and(|first| first == key);
        let is_in = |words: &[String], key: &str| words.contains(&format!("--{key}"));
        let find = |about: &dyn Fn(&str) -> bool| self.origins.iter().find(|(key, _)| about(key));
        let named = find(&|key| is_subject(key) || is_in(&problem, key));
        match named.or_else(|| find(&|key| is_in(&way_out, key))) {
            Some((_, origin)) => Error::Usage { what: format!("{origin}: {what}"), remedy },
            None => Error::Usage { what, remedy },
        }
    }
}
