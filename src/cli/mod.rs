//! The command line: `deltav train`, `predict`, …, a file a command.
//!
//! Data go to stdout, everything else to stderr. An error is one line there,
//! and its exit code that of [`Error::exit_code`](crate::Error::exit_code); a pipe that its reader
//! closed is a quiet 0. The binary alone calls this; flags and the shape of
//! the output are the stable interface, these functions are not.

// A bad day ends in an `Error`: nothing here may panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::todo,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod args;
mod bench;
mod checkpoints;
mod choice;
mod completions;
mod cv;
mod demo;
mod devices;
mod doctor;
mod ending;
mod evaluate;
mod events;
mod export;
mod failure;
mod fold_in;
mod help;
mod input;
mod inspect;
mod interrupt;
mod launched;
mod man;
mod method;
mod plan;
mod predict;
mod processes;
mod progress;
mod recommend;
mod render;
mod report;
mod rows;
mod settings;
mod similar;
mod streams;
mod summary;
mod table;
mod train;
mod tune;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};

use crate::error::{Error, Result};
use crate::world::{Alone, Watchdog, World};
use settings::{Applied, Asked, Refusal};
use streams::Streams;

pub use ending::{aborted, refused};
pub use failure::guard;

/// A parsed command line.
#[derive(Debug, Parser)]
#[command(
    name = "deltav",
    version,
    about = "Matrix factorisation for recommender data, on any GPU or on none",
    after_help = help::FIRST_STEPS,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Nothing on stderr but errors
    #[arg(short, long, global = true)]
    quiet: bool,

    /// More on stderr: timings, the device, its memory, which kernels train
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,

    /// Take from this TOML file what neither a flag nor the environment says; see docs/configuration.md
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// Print the settings of this call as such a file, and do nothing else
    #[arg(long, global = true)]
    print_config: bool,

    #[arg(skip)]
    applied: Applied,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<train::Train>),
    Plan(Box<plan::Plan>),
    Predict(predict::Predict),
    Evaluate(evaluate::Evaluate),
    Cv(Box<cv::Cv>),
    Tune(Box<tune::Tune>),
    Recommend(Box<recommend::Recommend>),
    Similar(similar::Similar),
    FoldIn(fold_in::FoldIn),
    Inspect(inspect::Inspect),
    Report(Box<report::Report>),
    Export(export::Export),
    Devices(devices::Devices),
    Doctor(doctor::Doctor),
    Bench(bench::Bench),
    Demo(demo::Demo),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Parses the process's arguments, with its environment and the file of `--config`. Help, versions
/// and the settings of `--print-config` are printed at once.
///
/// # Errors
/// The exit code, after one of these or an error was printed.
pub fn parse() -> Result<Cli, u8> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    help::instead(&mut words);
    match settings::parse(&words, &|name| std::env::var_os(name)) {
        Ok(Asked::Call(cli, applied)) => Ok(Cli { applied, ..*cli }),
        Ok(Asked::Print(text)) => {
            let mut streams = Streams::new(false, false);
            let printed = streams.line(text.trim_end()).and_then(|()| streams.finish());
            Err(printed.map_or_else(|error| failure::report(&error), |()| 0))
        }
        Err(Refusal::Settings(error)) => Err(failure::report(&error)),
        Err(Refusal::Parser(error, origin)) => Err(failure::report_usage(&error, origin.as_ref())),
    }
}

/// Runs a command and returns the exit code.
pub fn run(cli: Cli) -> u8 {
    let alone = |cli: &Cli| {
        launched::refuse_many()?;
        cli.command.refuse_processes()
    };
    match alone(&cli) {
        Ok(()) => run_in(cli, &Alone),
        Err(error) => failure::report(&cli.applied.named(error)),
    }
}

/// Parses and runs a command as one of several processes, of which the first speaks and writes, and
/// returns the exit code 0. Any other ends them all: `end` does, with that code, from any thread.
pub fn run_among(world: &dyn World, end: fn(u8) -> !) -> u8 {
    ending::join(world.process(), end);
    let code = parse().map_or_else(
        |code| code,
        |cli| match launched::only_training(&cli.command, &cli.applied) {
            Ok(()) => run_in(cli, world),
            Err(error) => failure::report(&error),
        },
    );
    if code > 0 {
        ending::exit(code);
    }
    code
}

/// Prints an error from before a command was parsed, and returns its exit code.
pub fn refuse(error: &Error) -> u8 {
    failure::report(error)
}

fn run_in(mut cli: Cli, world: &dyn World) -> u8 {
    if let Command::Tune(tune) = &mut cli.command {
        tune.read_as = std::mem::take(&mut cli.applied.reading);
    }
    interrupt::start(cli.quiet || !ending::speaks());
    let mut streams = Streams::new(cli.quiet, cli.verbose > 0);
    cli.applied.notes.iter().for_each(|note| streams.note(format!("note: {note}")));
    let watchdog = cli.command.watched(world);
    let done = launched::see_that_all_do_the_same(world, &cli.applied).and_then(|()| {
        if let Command::Train(train) = &mut cli.command {
            train.call = std::mem::take(&mut cli.applied.words);
        }
        cli.command.run(&mut streams, world).and_then(|()| streams.finish())
    });
    drop(watchdog);
    match done {
        Ok(()) => 0,
        Err(error) => failure::report(&cli.applied.named(error)),
    }
}

impl Command {
    /// Refuses what only several processes can mean.
    fn refuse_processes(&self) -> Result<()> {
        match self {
            Command::Train(train) => train.processes.refuse(),
            _ => Ok(()),
        }
    }

    /// Ends the job if this process stands still among several.
    fn watched(&self, world: &dyn World) -> Option<Watchdog> {
        match self {
            Command::Train(train) => train.processes.watched(world),
            _ => None,
        }
    }

    fn run(self, streams: &mut Streams, world: &dyn World) -> Result<()> {
        match self {
            Command::Train(command) => command.run(streams, world),
            // One is enough: nobody waits for it.
            Command::Plan(_) if world.process() > 0 => Ok(()),
            Command::Plan(command) => command.run(streams),
            Command::Predict(command) => command.run(streams),
            Command::Evaluate(command) => command.run(streams),
            Command::Cv(command) => command.run(streams),
            Command::Tune(command) => command.run(streams),
            Command::Recommend(command) => command.run(streams),
            Command::Similar(command) => command.run(streams),
            Command::FoldIn(command) => command.run(streams),
            Command::Inspect(command) => command.run(streams),
            Command::Report(command) => command.run(streams),
            Command::Export(command) => command.run(streams),
            Command::Devices(command) => command.run(streams),
            Command::Doctor(command) => command.run(streams),
            Command::Bench(command) => command.run(streams),
            Command::Demo(command) => command.run(streams),
            Command::Completions(command) => command.run(streams),
            Command::Man(command) => command.run(streams),
        }
    }
}
