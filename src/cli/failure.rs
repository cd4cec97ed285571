//! How a call ends that did not go well: one line on stderr and an exit code.

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::ending::{self, hold, last_word_or_end, out_of_threads, take_last_word};
use super::settings::Origin;
use super::streams::{error_line, is_closed_pipe};
use crate::error::Error;

/// Runs a call so that even a bug ends in one line and exit code 1.
///
/// Outputs that were begun are dropped and so removed, as after any error.
pub fn guard(call: impl FnOnce() -> u8) -> u8 {
    static FIRST: Once = Once::new();
    panic::set_hook(Box::new(|info| {
        #[cfg(any(feature = "gpu", feature = "parquet"))]
        if crate::panics::are_caught() {
            return;
        }
        let message = panic_message(info);
        if NO_THREAD.iter().any(|what| message.contains(what)) {
            out_of_threads();
        }
        if take_last_word() {
            hold();
            FIRST.call_once(|| error_line(&message));
        }
        // Nobody unwinds while others wait for this process.
        ending::end_others(1);
    }));
    let code = panic::catch_unwind(AssertUnwindSafe(call)).unwrap_or(1);
    drop(panic::take_hook());
    code
}

/// What the standard library and rayon say, in a panic, of a thread that the system refuses.
const NO_THREAD: [&str; 3] = [
    "failed to spawn thread",
    "failed to allocate an alternative stack",
    "thread pool has not been initialized",
];

fn panic_message(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let what = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic");
    let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
    Error::Internal(format!("{what}{place}")).to_string()
}

/// Prints an error and returns its exit code. A closed pipe is no error.
pub(super) fn report(error: &Error) -> u8 {
    if is_closed_pipe(error) {
        return 0;
    }
    last_word_or_end();
    hold();
    error_line(&error.to_string());
    error.exit_code()
}

/// Prints what the parser has to say: help as it is, an error on one line, with the place of what it
/// is about if that is no flag.
pub(super) fn report_usage(error: &clap::Error, origin: Option<&Origin>) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion if !ending::speaks() => 0,
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match error.print() {
            Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
                report(&super::streams::stdout_error(source))
            }
            _ => 0,
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            hold();
            let _ = write!(io::stderr().lock(), "{}", error.render());
            2
        }
        _ => {
            let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
            hold();
            let line = flattened(&error.render().to_string(), &asked_for(arguments));
            error_line(&origin.map_or(line.clone(), |origin| format!("{origin}: {line}")));
            2
        }
    }
}

/// The command that the arguments ask for, to point at its help.
fn asked_for(arguments: impl Iterator<Item = String>) -> String {
    let program = super::Cli::command();
    let word = arguments.skip(1).find(|argument| !argument.starts_with('-'));
    match word.and_then(|word| program.find_subcommand(word).map(|command| command.get_name().to_owned())) {
        Some(command) => format!("deltav {command}"),
        None => "deltav".to_owned(),
    }
}

/// What the parser says of a number that is none, and what to do about it.
const NUMBERS: [(&str, &str); 5] = [
    ("invalid digit found in string", "pass a whole number from 0"),
    ("cannot parse integer from empty string", "pass a whole number from 0"),
    ("number too large to fit in target type", "pass a smaller number"),
    ("number would be zero for non-zero type", "pass a whole number from 1"),
    ("invalid float literal", "pass a number"),
];

/// A message of the parser without its paragraphs: what is wrong, tips, and
/// where to read on.
fn flattened(text: &str, command: &str) -> String {
    let mut message = String::new();
    let end = |line: &&str| line.starts_with("Usage: ") || line.starts_with("For more information");
    // A flag that there is not was hardly meant as a value.
    let said = |line: &&str| !line.is_empty() && !line.starts_with("tip: to pass ");
    for line in text.lines().map(str::trim).filter(said).take_while(|line| !end(line)) {
        let line = line.strip_prefix("error: ").unwrap_or(line);
        message.push_str(match line.chars().next() {
            _ if message.is_empty() => "",
            _ if message.ends_with(':') => " ",
            Some('[') => " ",
            Some('<' | '-') => ", ",
            _ => "; ",
        });
        message.push_str(line);
    }
    for (parser, remedy) in NUMBERS {
        message = message.replace(parser, remedy);
    }
    format!("{message}; see {command} --help")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn refused(arguments: &[&str]) -> String {
        let error = super::super::Cli::try_parse_from(arguments).unwrap_err();
        let command = asked_for(arguments.iter().map(|argument| (*argument).to_owned()));
        flattened(&error.render().to_string(), &command)
    }

    #[test]
    fn usage_errors_are_one_line_that_says_where_to_read_on() {
        let line = refused(&["deltav", "train", "--rnk", "3", "f"]);
        assert!(line.starts_with("unexpected argument '--rnk' found; tip: "), "{line}");
        assert!(line.ends_with("; see deltav train --help"), "{line}");
        let line = refused(&["deltav", "train", "f", "-n", "5"]);
        assert_eq!(line, "unexpected argument '-n' found; see deltav train --help");
        let line = refused(&["deltav", "train", "f", "--loss", "x"]);
        assert!(
            line.starts_with("invalid value 'x' for '--loss <LOSS>' [possible values: mean, sum]; "),
            "{line}"
        );
        let line = refused(&["deltav", "-q", "train", "f", "--holdout", "2"]);
        assert!(
            line.starts_with("invalid value '2' for ") && line.ends_with("; see deltav train --help"),
            "{line}"
        );
        let line = refused(&["deltav", "recommend", "m"]);
        assert!(line.contains("--user <ID>") && line.contains("--all"), "{line}");
        let line = refused(&["deltav", "export", "m"]);
        assert!(line.starts_with("the following required arguments were not provided: --"), "{line}");
        let line = refused(&["deltav", "trian"]);
        assert!(line.starts_with("unrecognized subcommand 'trian'; tip: "), "{line}");
        assert!(line.ends_with("; see deltav --help"), "{line}");
    }

    #[test]
    fn a_number_that_is_none_is_told_what_to_be() {
        for (arguments, remedy) in [
            (["deltav", "train", "f", "--seed", "abc"], "pass a whole number from 0"),
            (["deltav", "train", "f", "--seed", "-1"], "pass a whole number from 0"),
            (["deltav", "train", "f", "--rank", "99999999999999999999"], "pass a smaller number"),
            (["deltav", "recommend", "m", "-n", "-3"], "pass a whole number from 0"),
            (["deltav", "evaluate", "m", "-k", "5,,10"], "pass a whole number from 0"),
            (["deltav", "recommend", "m", "--explore-z", "x"], "pass a number"),
        ] {
            let line = refused(&arguments);
            assert!(line.contains(&format!(": {remedy}; ")), "{line}");
        }
    }

    #[test]
    fn a_bug_ends_with_code_1() {
        assert_eq!(guard(|| 65), 65);
        assert_eq!(guard(|| panic!("two\nlines")), 1);
    }

    #[test]
    fn every_usage_error_is_one_line() {
        for arguments in [
            &["deltav", "train"][..],
            &["deltav", "train", "f", "--rank", "x"],
            &["deltav", "train", "f", "--opt", "rate"],
            &["deltav", "recommend", "m"],
            &["deltav", "recommend", "m", "--all", "--user", "1"],
            &["deltav", "devices", "x"],
        ] {
            let line = refused(arguments);
            assert!(!line.contains('\n') && !line.contains("error"), "{line}");
        }
    }
}
