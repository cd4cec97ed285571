//! Which settings of the environment and of a file hold, and how they become flags.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::file::{File, Said};
use super::{Origin, Setting, Variables, is_given, keys, tables};
use crate::data::text::quoted;
use crate::error::{Error, Result};

/// The settings that hold beside the flags.
pub(super) struct Merged {
    pub(super) settings: Vec<Setting>,
    /// What gave way to a flag, or to a stronger setting.
    pub(super) notes: Vec<String>,
}

/// What the environment and the file say of the flags that are not on the command line.
///
/// # Errors
/// [`Error::Usage`] with the place of a value of the wrong type.
pub(super) fn merge(
    program: &Command,
    command: &Command,
    given: &ArgMatches,
    file: Option<&File>,
    variables: Variables<'_>,
) -> Result<Merged> {
    let mut all = Vec::new();
    for arg in command.get_arguments().filter(|arg| !is_given(given, arg)) {
        let Some(key) = keys::key(arg) else { continue };
        let setting =
            |said, origin, general| Setting { arg: arg.clone(), key: key.clone(), said, origin, general };
        if let Some((name, value, general)) = variable(command, arg, variables) {
            all.push(setting(of_variable(arg, &name, value)?, Origin::Variable(name), general));
        } else if let Some((said, origin, general)) =
            file.map(|file| file.find(&tables(command), arg)).transpose()?.flatten()
        {
            all.push(setting(said, origin, general));
        }
    }
    all.retain(|setting| setting.said != Said::Switch(0));
    Ok(yielding(program, command, given, &all))
}

/// Leaves out what conflicts with a flag of the call, or with a stronger setting, and what asks for
/// what is left out.
fn yielding(program: &Command, command: &Command, given: &ArgMatches, all: &[Setting]) -> Merged {
    let flags: Vec<&Arg> = command.get_arguments().filter(|arg| is_given(given, arg)).collect();
    let mut merged = Merged { settings: Vec::new(), notes: Vec::new() };
    let mut gone: Vec<String> = Vec::new();
    for setting in all {
        let stronger = all.iter().filter(|other| strength(other) > strength(setting)).map(|other| &other.arg);
        let mut stronger = flags.iter().copied().chain(stronger);
        match stronger.find(|other| conflict(command, other, &setting.arg)) {
            None => merged.settings.push(setting.clone()),
            Some(other) => {
                gone.push(setting.arg.to_string());
                // What is said for every command can't suit every call.
                if !setting.general {
                    let (key, origin) = (&setting.key, &setting.origin);
                    merged.notes.push(format!("{key} of {origin} gives way to {}", keys::shown(other)));
                }
            }
        }
    }
    let mut first = 0;
    while first < gone.len() {
        first = gone.len();
        merged.settings.retain(|setting| {
            let stays = !required(program, command, setting).iter().any(|name| gone.contains(name));
            if !stays {
                gone.push(setting.arg.to_string());
                merged.notes.push(format!("{} of {} is left out with it", setting.key, setting.origin));
            }
            stays
        });
    }
    merged
}

/// Of the environment before the file, and of the command before all commands.
fn strength(setting: &Setting) -> (bool, bool) {
    (matches!(setting.origin, Origin::Variable(_)), !setting.general)
}

/// Whether not both may be given.
pub(super) fn conflict(command: &Command, a: &Arg, b: &Arg) -> bool {
    let excludes =
        |a: &Arg, b: &Arg| command.get_arg_conflicts_with(a).iter().any(|arg| arg.get_id() == b.get_id());
    let one_of_both = command.get_groups().any(|group| {
        let holds = |arg: &Arg| group.get_args().any(|id| id == arg.get_id());
        holds(a) && holds(b) && !group.clone().is_multiple()
    });
    excludes(a, b) || excludes(b, a) || one_of_both
}

/// What the environment says of a flag: its variable, its value, and whether that is for all commands.
fn variable(command: &Command, arg: &Arg, variables: Variables<'_>) -> Option<(String, OsString, bool)> {
    let own = tables(command).into_iter().map(|table| (Some(table), keys::key(arg)));
    own.chain([(None, keys::flag(arg))]).find_map(|(table, key)| {
        let name = keys::variable(table, &key?);
        let value = variables(&name).filter(|value| !value.is_empty())?;
        Some((name, value, table.is_none()))
    })
}

fn of_variable(arg: &Arg, name: &str, value: OsString) -> Result<Said> {
    let on = match value.to_str().map(str::to_ascii_lowercase).as_deref() {
        Some("true" | "1" | "yes" | "on") => Some(true),
        Some("false" | "0" | "no" | "off") => Some(false),
        _ => None,
    };
    // Such as DELTAV_VERBOSE=2.
    let times = value.to_str().and_then(|text| text.parse().ok());
    if let (ArgAction::Count, Some(times)) = (arg.get_action(), times) {
        return Ok(Said::Switch(times));
    }
    match on {
        Some(on) if keys::is_switch(arg) => Ok(Said::Switch(u8::from(on))),
        Some(true) if keys::is_optional(arg) => Ok(Said::Values(Vec::new())),
        Some(false) if keys::is_optional(arg) => Ok(Said::Switch(0)),
        None if keys::is_switch(arg) => Err(Error::usage(
            format!("{name}: is {}", quoted(value.as_encoded_bytes())),
            "set it to true or false, or unset it",
        )),
        _ => Ok(Said::Values(vec![value])),
    }
}

/// The call with the settings as flags of the command.
pub(super) fn words(
    call: &[OsString],
    command: &Command,
    program: &Command,
    given: &ArgMatches,
    settings: &[Setting],
) -> Vec<OsString> {
    let at = command_word(call, program, command.get_name()) + 1;
    let (before, after) = call.split_at_checked(at).unwrap_or((call, &[]));
    let mut words = before.to_vec();
    words.extend(settings.iter().filter(|setting| !setting.arg.is_positional()).flat_map(flags));
    words.extend_from_slice(after);
    let mut positional = Vec::new();
    for arg in command.get_positionals() {
        let setting = settings.iter().find(|setting| setting.arg.get_id() == arg.get_id());
        match setting.map(|setting| &setting.said) {
            Some(Said::Values(values)) => positional.extend(values.iter().cloned()),
            // In the place of one that is missing, the next would be taken for it.
            _ if !is_given(given, arg) => break,
            _ => {}
        }
    }
    if !positional.is_empty() {
        words.extend((!after.iter().any(|word| word == "--")).then(|| "--".into()));
        words.extend(positional);
    }
    words
}

/// Where the command stands in the call: the first word that is no flag of the program or its value.
fn command_word(call: &[OsString], program: &Command, name: &str) -> usize {
    let takes_value = |word: &str| {
        let mut args = program.get_arguments();
        args.any(|arg| {
            let long = arg.get_long().is_some_and(|long| word.strip_prefix("--") == Some(long));
            let short = arg.get_short().is_some_and(|short| !word.starts_with("--") && word.ends_with(short));
            (long || short) && arg.get_action().takes_values()
        })
    };
    let mut is_value = false;
    for (at, word) in call.iter().enumerate().skip(1) {
        let word = word.to_string_lossy();
        if is_value {
            is_value = false;
        } else if word.starts_with('-') {
            is_value = takes_value(&word);
        } else if word == name {
            return at;
        }
    }
    call.len()
}

fn flags(setting: &Setting) -> Vec<OsString> {
    let (flag, glue) = match (setting.arg.get_long(), setting.arg.get_short()) {
        (Some(long), _) => (format!("--{long}"), "="),
        (None, short) => (format!("-{}", short.map(String::from).unwrap_or_default()), ""),
    };
    match &setting.said {
        Said::Switch(times) => (0..*times).map(|_| flag.clone().into()).collect(),
        Said::Values(values) if values.is_empty() && keys::is_optional(&setting.arg) => vec![flag.into()],
        Said::Values(values) => {
            let word = |value: &OsString| {
                let mut word = OsString::from(format!("{flag}{glue}"));
                word.push(value);
                word
            };
            values.iter().map(word).collect()
        }
    }
}

/// What the flag of a setting asks for beside it, as the parser names it.
fn required(program: &Command, command: &Command, setting: &Setting) -> Vec<String> {
    let missing = |flags: Vec<OsString>| {
        let call = [OsString::from("deltav"), command.get_name().into()].into_iter().chain(flags);
        let error = program.clone().try_get_matches_from(call).err();
        match error.as_ref().and_then(|error| error.get(ContextKind::InvalidArg)) {
            Some(ContextValue::Strings(names)) => names.clone(),
            _ => Vec::new(),
        }
    };
    let always = missing(Vec::new());
    let mut names = missing(flags(setting));
    names.retain(|name| !always.contains(name));
    names
}
