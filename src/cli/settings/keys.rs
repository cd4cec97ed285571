//! Names of flags in files and in variables, and what values they take: all from the flags themselves.

use clap::{Arg, ArgAction};

/// What says which settings there are is none.
const APART: [&str; 4] = ["help", "version", "config", "print_config"];

/// The key of an argument: its long name, else its letter, else the name of what stands without a flag.
pub(super) fn key(arg: &Arg) -> Option<String> {
    if APART.contains(&arg.get_id().as_str()) {
        return None;
    }
    let short = || arg.get_short().map(String::from);
    let long = arg.get_long().map(str::to_owned);
    long.or_else(short).or_else(|| Some(arg.get_id().as_str().replace('_', "-")))
}

/// The key of a flag, which means the same wherever it stands; `None` for what stands without one.
pub(super) fn flag(arg: &Arg) -> Option<String> {
    key(arg).filter(|_| !arg.is_positional())
}

/// The environment's variable for a key: of one command, or of all.
pub(in crate::cli) fn variable(command: Option<&str>, key: &str) -> String {
    let name = match command {
        Some(command) => format!("deltav-{command}-{key}"),
        None => format!("deltav-{key}"),
    };
    name.replace('-', "_").to_ascii_uppercase()
}

/// The argument as a message names it: `--rank`, or `FILE`.
pub(super) fn shown(arg: &Arg) -> String {
    match (arg.get_long(), arg.get_short()) {
        (Some(long), _) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => arg.to_string(),
    }
}

/// Whether it takes several values.
pub(super) fn is_several(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// Whether it takes `key=value`.
pub(super) fn is_pairs(arg: &Arg) -> bool {
    is_several(arg) && arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "KEY=VALUE"))
}

/// Whether its value may be left out.
pub(super) fn is_optional(arg: &Arg) -> bool {
    !arg.is_positional()
        && arg.get_num_args().is_some_and(|range| range.min_values() == 0 && range.takes_values())
}

/// Whether it takes no value.
pub(super) fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::Count)
}

/// Bytes of what may be meant for a name: comparing takes time, and a file may hold any key.
const LONGEST: usize = 100;

/// The name that was meant, if one is near.
pub(super) fn nearest<'n>(name: &str, names: &'n [String]) -> Option<&'n str> {
    if name.len() > LONGEST {
        return None;
    }
    let folded = name.replace('_', "-").to_lowercase();
    let mut near: Vec<(f64, &str)> =
        names.iter().map(|known| (strsim::jaro(&folded, known), known.as_str())).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.first().filter(|(score, _)| *score > 0.75).map(|(_, known)| *known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::collections::BTreeSet;

    #[test]
    fn every_argument_of_a_command_has_a_key_of_its_own() {
        let mut program = crate::cli::Cli::command();
        program.build();
        for command in program.get_subcommands() {
            let mut seen = BTreeSet::new();
            for arg in command.get_arguments() {
                let Some(key) = key(arg) else { continue };
                let plain = key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
                assert!(plain && seen.insert(key.clone()), "{}: {key}", command.get_name());
            }
        }
        assert_eq!(variable(Some("fold-in"), "include-seen"), "DELTAV_FOLD_IN_INCLUDE_SEEN");
        assert_eq!(variable(None, "device"), "DELTAV_DEVICE");
    }

    #[test]
    fn the_nearest_name_is_near() {
        let names = ["rank", "reg", "reg-scaling", "epochs"].map(str::to_owned);
        assert_eq!(nearest("rnk", &names), Some("rank"));
        assert_eq!(nearest("reg_scaling", &names), Some("reg-scaling"));
        assert_eq!(nearest("zebra", &names), None);
        assert_eq!(nearest(&"rank".repeat(LONGEST), &names), None);
    }
}
