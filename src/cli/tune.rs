//! `deltav tune`: settings chosen by hold-out.

mod places;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use self::places::{Place, lines, places};
use super::args::{fraction, one_of};
use super::checkpoints::goes_on;
use super::events::SCHEMA;
use super::help;
use super::input::{TrainingReading, at_most_one_stdin, files};
use super::interrupt;
use super::method::Device;
use super::progress::{Standing, read_shown};
use super::settings;
use super::streams::Streams;
use super::table::{shell_path, shell_word};
use super::train::stem_of;
use crate::config::TrainConfig;
use crate::data::text::measured;
use crate::data::{HoldoutBy, Ratings};
use crate::error::{Error, Result};
use crate::output::{Claim, Output};
use crate::tune::{Axis, Journal, Progress, Space, Trial, Tuned, Tuning, tune};

/// The most splits that a candidate is measured on.
const SPLITS: u32 = 8;

/// Choose rank, regularization and others by hold-out: the better half of the candidates goes on, round by round
#[derive(Debug, Args)]
#[command(after_help = help::TUNE_EXAMPLES)]
pub(super) struct Tune {
    /// Ratings, a user, an item and a rating a line: files, folders, or - for standard input
    #[arg(value_name = "FILE", required = true, long_help = help::inputs())]
    files: Vec<PathBuf>,

    /// The best settings, as TOML for `train --config` [default: the name of the only FILE, else ratings, with .toml, in this folder]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Replace an existing file
    #[arg(short, long)]
    force: bool,

    /// Events as JSON on stdout, an object a run and one for all
    #[arg(long)]
    json: bool,

    #[command(flatten, next_help_heading = "Data")]
    reading: TrainingReading,

    /// A setting and the values to try, in all combinations: rank, model, optimizer, reg, reg-scaling, reg-bias or opt.KEY [default: ranks from 8 to 128, and models or penalties]
    #[arg(long = "try", value_name = "KEY=VALUE,…", help_heading = "Search")]
    axes: Vec<Axis>,

    /// How the factors are found
    #[arg(long, value_name = "NAME", default_value_t = TrainConfig::default().optimizer, help_heading = "Search")]
    optimizer: String,

    /// The most epochs of a run [default: twice those of `train`, ended when they bring nothing more]
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Search")]
    epochs: Option<u32>,

    /// Seed of the splits and of the initial factors
    #[arg(
        long,
        value_name = "SEED",
        allow_negative_numbers = true,
        default_value_t = 0,
        help_heading = "Search"
    )]
    seed: u64,

    /// The part of the ratings that a split holds out to measure with
    #[arg(long, value_name = "FRACTION", value_parser = fraction, allow_negative_numbers = true, default_value_t = 0.1, help_heading = "Search")]
    holdout: f64,

    /// Which part: any ratings, a share of each user's, or the newest
    #[arg(long, value_name = "WHICH", value_parser = one_of(&HoldoutBy::ALL, HoldoutBy::name), help_heading = "Search")]
    holdout_by: Option<HoldoutBy>,

    /// The most splits that a candidate is measured on; by time there is one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), allow_negative_numbers = true, default_value_t = SPLITS, help_heading = "Search")]
    splits: u32,

    /// Start no run after this time
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, help_heading = "Search")]
    max_seconds: Option<f64>,

    /// Keep every run here as it ends: --resume goes on from it
    #[arg(long, value_name = "FILE", help_heading = "Search")]
    journal: Option<PathBuf>,

    /// Go on from --journal, if it is there: what it has is not trained again
    #[arg(long, requires = "journal", help_heading = "Search")]
    resume: bool,

    #[command(flatten, next_help_heading = "Device")]
    device: Device,

    /// How the ratings are read, as flags and values: what is found holds for them so.
    #[arg(skip)]
    pub(super) read_as: Vec<(String, String)>,
}

/// One run.
#[derive(Debug, Serialize)]
struct Run<'a> {
    schema: u32,
    event: &'static str,
    round: usize,
    done: usize,
    total: usize,
    settings: &'a str,
    split: u32,
    valid_rmse: Option<f64>,
    epochs: Option<u32>,
    seconds: f64,
    known: bool,
}

/// All of it.
#[derive(Debug, Serialize)]
struct Summary {
    schema: u32,
    event: &'static str,
    complete: bool,
    candidates: Vec<Place>,
    command: String,
    saved: PathBuf,
}

impl Tune {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let base = TrainConfig {
            optimizer: self.optimizer.clone(),
            epochs: self.epochs,
            seed: self.seed,
            ..TrainConfig::default()
        };
        base.clone().check()?;
        if self.epochs == Some(0) {
            return Err(Error::usage("nothing is learned in 0 epochs", "pass at least --epochs 1"));
        }
        if let Some(most) = self.max_seconds.filter(|most| !(*most >= 0.0 && most.is_finite())) {
            return Err(Error::usage(
                format!("{most} seconds are no time to tune in"),
                "pass a number of at least 0, or leave --max-seconds out",
            ));
        }
        let space =
            if self.axes.is_empty() { Space::usual(&self.optimizer)? } else { Space::of(self.axes.clone())? };
        at_most_one_stdin(&[("FILE", &self.files)])?;
        let inputs = files(&self.files);
        let mut out = stem_of(&self.files);
        out.as_mut_os_string().push(".toml");
        let out = self.out.clone().unwrap_or(out);
        let output = Output::create(out, self.force)?
            .apart_from(inputs.iter().chain(&self.journal).map(|path| &**path))?;
        let journal = self.claim(&inputs)?;
        self.device.limit_threads();
        let ratings = self.read(streams)?;
        let mut backend = self.device.open_alone(streams, self.json)?;
        let listening = interrupt::listening();
        let tuning = Tuning {
            base,
            holdout: self.holdout,
            holdout_by: self.holdout_by.unwrap_or_default(),
            splits: self.splits,
            max_seconds: self.max_seconds,
            interrupt: Some(listening.interrupt()),
        };
        let mut journal =
            journal.map(|file| Journal::open(file, self.resume, &tuning, &ratings)).transpose()?;
        let mut told = Ok(());
        let mut bar: Option<Standing> = None;
        let draws = !self.json && streams.draws();
        let tuned = tune(&tuning, &space, &ratings, &mut *backend, journal.as_mut(), &mut |progress| {
            if draws {
                let bar = bar.get_or_insert_with(|| Standing::counted_here(progress.total as u64));
                bar.at(progress.done as u64, line(progress, &tuning.base));
            } else if told.is_ok() {
                told = self.tell(progress, &tuning.base, streams);
            }
        });
        drop(bar);
        let tuned = listening.done(tuned).map_err(|error| self.resumable(error))?;
        told?;
        let text = self.settings(&tuned, &tuning.base)?;
        self.end(&tuned, &tuning.base, &text, output, streams)
    }

    /// Takes the journal's file.
    fn claim(&self, inputs: &[PathBuf]) -> Result<Option<Claim>> {
        let Some(path) = &self.journal else { return Ok(None) };
        let file = Claim::acquire(path, true)?.apart_from(inputs.iter().map(|input| &**input))?;
        goes_on(path, self.resume, self.force)?;
        Ok(Some(file))
    }

    fn read(&self, streams: &mut Streams) -> Result<Ratings> {
        let times = self.holdout_by == Some(HoldoutBy::Time);
        let draws = !self.json && streams.draws();
        read_shown(&self.files, draws, streams, |meter| self.reading.read(&self.files, times, meter))
    }

    /// Tells of a run where no bar does.
    fn tell(&self, progress: &Progress<'_>, base: &TrainConfig, streams: &mut Streams) -> Result<()> {
        if !self.json {
            streams.note(format!("{}/{}: {}", progress.done, progress.total, line(progress, base)));
            return Ok(());
        }
        let Some(outcome) = progress.trial.outcomes.last() else { return Ok(()) };
        let alone = Trial { outcomes: vec![outcome.clone()], ..progress.trial.clone() };
        let best = alone.best(base);
        streams.json(&Run {
            schema: SCHEMA,
            event: "run",
            round: progress.round,
            done: progress.done,
            total: progress.total,
            settings: &progress.trial.settings.to_string(),
            split: outcome.split,
            valid_rmse: best.map(|best| best.1),
            epochs: best.map(|best| best.0),
            seconds: outcome.seconds,
            known: progress.known,
        })?;
        streams.finish()
    }

    /// An error after which the journal has what was done.
    fn resumable(&self, error: Error) -> Error {
        match (&self.journal, error) {
            (Some(path), Error::Interrupted { signal, .. }) => {
                Error::Interrupted { signal, reached: None, checkpoint: Some(path.clone()) }
            }
            (_, error) => error,
        }
    }

    /// The best settings as the table of `train`.
    fn settings(&self, tuned: &Tuned, base: &TrainConfig) -> Result<String> {
        let best = self.best(tuned, base).into_iter().map(|(key, value)| (key.to_owned(), value));
        let flags = self.read_as.iter().cloned().chain(best);
        let found = tuned
            .best()
            .and_then(|best| best.best(base))
            .map_or(String::new(), |(_, rmse)| format!(", validation RMSE {}", measured(rmse)));
        Ok(format!(
            "# deltav {}: settings found by `deltav tune`{found}\n# for `deltav train FILE --config` this file\n\n{}",
            env!("CARGO_PKG_VERSION"),
            settings::train_table(flags)?
        ))
    }

    /// The flags of the best candidate.
    fn best<'a>(&'a self, tuned: &'a Tuned, base: &TrainConfig) -> Vec<(&'a str, String)> {
        let Some(best) = tuned.best() else { return Vec::new() };
        let mut flags: Vec<(&str, String)> = best.settings.flags().collect();
        if !flags.iter().any(|(key, _)| *key == "optimizer")
            && self.optimizer != TrainConfig::default().optimizer
        {
            flags.push(("optimizer", self.optimizer.clone()));
        }
        if let Some((epochs, _)) = best.best(base) {
            flags.push(("epochs", epochs.to_string()));
        }
        flags
    }

    /// The table, the command line and the file.
    fn end(
        &self,
        tuned: &Tuned,
        base: &TrainConfig,
        text: &str,
        mut output: Output,
        streams: &mut Streams,
    ) -> Result<()> {
        if tuned.best().and_then(|best| best.best(base)).is_none() {
            let (what, remedy) = match tuned.complete {
                true => ("no candidate could be trained without diverging", "try other settings"),
                false => ("the time was up before anything was measured", "pass a larger --max-seconds"),
            };
            return Err(Error::usage(what, remedy));
        }
        let mut words = vec!["deltav train".to_owned()];
        words.extend(self.files.iter().map(|file| shell_path(file)));
        let with_file = words.join(" ");
        words.extend(self.read_as.iter().map(|(key, value)| format!("--{key} {}", shell_word(value))));
        for (key, value) in self.best(tuned, base) {
            words.push(format!("--{key} {}", shell_word(&value)));
        }
        let command = words.join(" ");
        output.write_all(text.as_bytes()).map_err(|source| output.io_error(source))?;
        let path = output.path().to_owned();
        output.commit()?;
        if self.json {
            let candidates = places(tuned, base);
            let (complete, saved) = (tuned.complete, path);
            let event = "tuned";
            return streams.json(&Summary { schema: SCHEMA, event, complete, candidates, command, saved });
        }
        for line in lines(&places(tuned, base)) {
            streams.line(line)?;
        }
        streams.line("")?;
        if !tuned.complete {
            streams.note("note: the time was up before all candidates were measured: the best so far");
        }
        streams.line(&command)?;
        streams.note(format!("saved {}: {with_file} --config {}", path.display(), shell_path(&path)));
        Ok(())
    }
}

/// A run in a line.
fn line(progress: &Progress<'_>, base: &TrainConfig) -> String {
    let error = progress.trial.best(base).map_or("diverged".to_owned(), |(_, rmse)| measured(rmse));
    let known = if progress.known { " (known)" } else { "" };
    let splits = progress.trial.outcomes.len();
    format!("round {}: {}: {error} on {}{known}", progress.round, progress.trial.settings, on(splits))
}

fn on(splits: usize) -> String {
    format!("{splits} split{}", if splits == 1 { "" } else { "s" })
}
