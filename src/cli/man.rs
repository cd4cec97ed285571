//! `deltav man`: the manual's pages, made from the flags.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::settings::{CONFIG, variable};
use super::streams::{Streams, stdout_error};
use super::table::count;
use super::{Cli, help};
use crate::error::{EXIT_CODES, Error, Result};
use crate::output::Output;

/// Write the manual's pages, or print one
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  deltav man train | man -l -
  deltav man --out ~/.local/share/man/man1")]
pub(super) struct Man {
    /// The command whose page is printed [default: that of deltav itself]
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    command: Option<String>,

    /// Write every page into this folder instead: deltav.1, deltav-train.1, …
    #[arg(short, long, value_name = "FOLDER")]
    out: Option<PathBuf>,

    /// Replace existing pages
    #[arg(short, long, requires = "out")]
    force: bool,
}

impl Man {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let mut program = Cli::command();
        program.build();
        let Some(folder) = &self.out else {
            let command = match &self.command {
                None => Some(&program),
                Some(name) => program.find_subcommand(name),
            };
            let command = command.ok_or_else(|| {
                let name = self.command.as_deref().unwrap_or_default();
                Error::usage(format!("there is no command {name:?}"), "see deltav --help")
            })?;
            return page(command, &program)
                .and_then(|page| streams.out().write_all(&page))
                .map_err(stdout_error);
        };
        let failed = |what: io::Error| Error::CantCreate {
            path: folder.clone(),
            what: what.to_string(),
            remedy: "pass another folder".to_owned(),
        };
        fs::create_dir_all(folder).map_err(failed)?;
        // All are opened before one is replaced.
        let mut pages = Vec::new();
        for command in std::iter::once(&program).chain(program.get_subcommands()) {
            let output = Output::create(folder.join(format!("{}.1", page_name(command))), self.force)?;
            pages.push((output, page(command, &program).map_err(failed)?));
        }
        let number = pages.len() as u64;
        for (mut output, page) in pages {
            output.write_all(&page).map_err(|source| output.io_error(source))?;
            output.commit()?;
        }
        streams.note(format!("saved {} in {}", count(number, "page"), folder.display()));
        Ok(())
    }
}

/// `deltav-train`.
fn page_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

/// A command's page as roff.
fn page(command: &Command, program: &Command) -> io::Result<Vec<u8>> {
    let is_program = command.get_name() == program.get_name();
    // Every flag with its help, and lines that stay lines, as on a terminal.
    let whole = command.clone().mut_args(|arg| {
        let lines =
            arg.get_long_help().map(|help| help.to_string().replace("\n\n", "\n").replace('\n', "\n\n"));
        let arg = arg.hide_short_help(false);
        lines.map_or(arg.clone(), |lines| arg.long_help(lines))
    });
    let man = clap_mangen::Man::new(whole)
        .title(page_name(command).to_uppercase())
        .section("1")
        .date("")
        .source(format!("deltav {}", env!("CARGO_PKG_VERSION")))
        .manual("deltav");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut more = Roff::new();
    if is_program {
        more.control("SH", ["COMMANDS"]);
        for command in program.get_subcommands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            entry(&mut more, [bold(page_name(command)), roman("(1)")], &about);
        }
    }
    if let Some(text) = command.get_after_help().or(command.get_after_long_help()) {
        more.control("SH", [if command.get_after_help().is_some() { "EXAMPLES" } else { "DETAILS" }]);
        // Every page of the kind begins so.
        as_it_is(&mut more, text.to_string().trim_start_matches("Examples:\n"));
    }
    exit_status(&mut more);
    environment(&mut more, command, is_program);
    files(&mut more);
    more.control("SH", ["SEE ALSO"]);
    let others = program.get_subcommands().filter(|_| is_program).chain((!is_program).then_some(program));
    let others: Vec<String> = others.map(|other| format!("{}(1)", page_name(other))).collect();
    more.text([roman(others.join(", "))]);
    more.to_writer(&mut page)?;
    Ok(page)
}

fn entry(roff: &mut Roff, term: impl Into<Vec<Inline>>, text: &str) {
    roff.control("TP", []);
    roff.text(term);
    roff.text([roman(text)]);
}

/// Lines that stay lines.
fn as_it_is(roff: &mut Roff, text: &str) {
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

fn exit_status(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_CODES {
        entry(roff, [bold(code.to_string())], &meaning.replace('`', ""));
    }
}

fn environment(roff: &mut Roff, command: &Command, is_program: bool) {
    roff.control("SH", ["ENVIRONMENT"]);
    let name = if is_program { "COMMAND" } else { command.get_name() };
    for (variable, text) in [
        (variable(Some(name), "FLAG"), "what the flag --FLAG of this command says, where it is not passed"),
        (variable(None, "FLAG"), "the same for every command with that flag"),
        (CONFIG.to_owned(), "a configuration file, as --config"),
    ] {
        entry(roff, [bold(variable)], text);
    }
    for (variable, text) in help::ENVIRONMENT {
        entry(roff, [bold(*variable)], text);
    }
}

fn files(roff: &mut Roff) {
    roff.control("SH", ["FILES"]);
    for (path, text) in help::FILES {
        entry(roff, [italic(*path)], text);
    }
}
