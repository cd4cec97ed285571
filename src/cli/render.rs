//! Events for people or for scripts: a bar on a terminal, a few lines elsewhere, or JSON.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget};

use super::events;
use super::progress::{BAR, HERTZ, Standing, style};
use super::streams::Streams;
use super::summary;
use super::table::{bytes, count, seconds, shell_path, short};
use crate::data::Meter;
use crate::data::text::{measured, shell_word};
use crate::error::{Error, Result};
use crate::event::{Epoch, Event, Loaded, Observer, StopReason, Stopped};
use crate::model::Model;

/// Epochs that get a line where there is no bar, about.
const LINES: u32 = 20;

/// By how much of the lowest error a later one is worth a word.
const WORSE: f64 = 5e-4;

/// Bytes of an id that is shown as an example.
const LONGEST_ID: usize = 64;

/// Renders the events of a run.
pub(super) struct Renderer<'a> {
    streams: &'a mut Streams,
    json: bool,
    draws: bool,
    bar: Option<Standing>,
    drawn: Option<Instant>,
    best: Option<(u32, f64)>, // epoch and validation RMSE
    failed: Option<Error>,
}

impl<'a> Renderer<'a> {
    /// `json`: events on stdout, nothing on stderr.
    pub(super) fn new(streams: &'a mut Streams, json: bool) -> Self {
        let draws = !json && streams.draws();
        Self { streams, json, draws, bar: None, drawn: None, best: None, failed: None }
    }

    /// Says that files are being read, and how far, as this meter counts.
    pub(super) fn reading(&mut self, inputs: &[PathBuf]) -> Meter {
        let meter = Meter::default();
        self.clear();
        if self.draws {
            self.bar = Some(Standing::reading(inputs, &meter));
        }
        meter
    }

    /// Says what is being done until the first event. Where nobody watches,
    /// that event says enough.
    pub(super) fn busy(&mut self, what: &'static str) {
        self.clear();
        if self.draws {
            self.bar = Some(Standing::busy(what));
        }
    }

    /// A line for whoever wants to know more.
    pub(super) fn detail(&mut self, line: impl FnOnce() -> String) {
        if self.streams.is_verbose() {
            self.note(&line());
        }
    }

    /// Lines for people.
    pub(super) fn lines(&mut self, lines: &[String]) {
        lines.iter().for_each(|line| self.note(line));
    }

    /// Whether details are told.
    pub(super) fn is_verbose(&self) -> bool {
        self.streams.is_verbose() && !self.json
    }

    /// A command to go on with, for a user that the model knows.
    pub(super) fn next_step(&mut self, path: &Path, model: &Model) {
        let predictor = model.predictor();
        let known = (0..model.users.len() as u32).filter(|&user| predictor.knows_user(user));
        let mut short = known.map(|user| model.users.get(user)).filter(|id| id.len() <= LONGEST_ID);
        // An id that is no text can't be shown so that it can be pasted.
        let Some(user) = short.find_map(|id| std::str::from_utf8(id).ok()) else {
            return;
        };
        let sign = if user.starts_with('-') { "=" } else { " " };
        self.note(&format!(
            "next: deltav recommend {} --user{sign}{} -n 10",
            shell_path(path),
            shell_word(user)
        ));
    }

    /// The first write to stdout that failed, if one did. Training went on:
    /// a reader that left must not cost the model.
    pub(super) fn finish(mut self) -> Result<()> {
        self.clear();
        self.failed.take().map_or(Ok(()), Err)
    }

    fn clear(&mut self) {
        self.bar = None;
    }

    fn note(&mut self, line: &str) {
        if self.json {
            return;
        }
        match &self.bar {
            Some(bar) => bar.bar().suspend(|| self.streams.note(line)),
            None => self.streams.note(line),
        }
    }

    fn loaded(&mut self, loaded: &Loaded) {
        self.clear();
        let mut text = format!(
            "{}, {}, {}",
            count(loaded.users, "user"),
            count(loaded.items, "item"),
            count(loaded.ratings, "rating")
        );
        for (number, what) in [(loaded.valid, "for validation"), (loaded.test, "for the test")] {
            if number > 0 {
                text += &format!(", {} {what}", HumanCount(number));
            }
        }
        self.note(&format!("{text}; training on {}", loaded.device));
        if loaded.test_unknown > 0 {
            self.notice(&unknown_notice(loaded));
        }
    }

    fn notice(&mut self, text: &str) {
        self.note(&format!("note: {text}"));
    }

    fn epoch(&mut self, epoch: &Epoch) {
        if epoch.member.is_none()
            && let Some(rmse) = epoch.valid_rmse
            && self.best.is_none_or(|(_, best)| rmse < best)
        {
            self.best = Some((epoch.epoch, rmse));
        }
        if self.draws {
            self.draw(epoch);
            return;
        }
        let step = epoch.epochs.div_ceil(LINES).max(1);
        if epoch.epoch.is_multiple_of(step) || epoch.epoch == epoch.epochs {
            let width = epoch.epochs.to_string().len();
            let number = format!("{:>width$}/{}", epoch.epoch, epoch.epochs);
            self.note(&format!("{}epoch {number}  RMSE {}", member(epoch), numbers(epoch)));
        }
    }

    /// Draws the bar, unless it was drawn a moment ago: thousands of epochs a
    /// second are possible.
    fn draw(&mut self, epoch: &Epoch) {
        let bar = self.bar.get_or_insert_with(|| {
            let target = ProgressDrawTarget::stderr_with_hz(4 * HERTZ);
            let bar = ProgressBar::with_draw_target(Some(u64::from(epoch.epochs)), target);
            Standing::new(bar.with_style(style(BAR)))
        });
        let pause = Duration::from_secs(1) / u32::from(HERTZ);
        if self.drawn.is_none_or(|drawn| drawn.elapsed() >= pause) {
            self.drawn = Some(Instant::now());
            bar.bar().set_position(u64::from(epoch.epoch));
            bar.bar().set_message(format!("{}RMSE {}", member(epoch), numbers(epoch)));
        }
    }

    fn stopped(&mut self, stopped: &Stopped) {
        self.clear();
        let last = &stopped.last;
        let epochs = count(u64::from(last.epoch), "epoch");
        self.note(&format!("{epochs} in {}: RMSE {}", seconds(last.seconds), errors(last)));
        match stopped.reason {
            StopReason::Patience => self.note("stopped: the validation RMSE fell no more"),
            StopReason::MaxSeconds => self.note("stopped: the time was up"),
            StopReason::Epochs | StopReason::Observer => {}
        }
        if let (Some(epoch), Some(valid)) = (stopped.best_epoch, stopped.kept.valid_rmse) {
            self.note(&format!("kept epoch {epoch} of {}, validation RMSE {}", last.epoch, measured(valid)));
            return;
        }
        if let (Some((epoch, best)), Some(valid)) = (self.best, last.valid_rmse)
            && valid > best * (1.0 + WORSE)
        {
            self.notice(&format!(
                "the validation RMSE was lowest, {}, after {epoch} epochs: try --keep best or --epochs {epoch}",
                measured(best)
            ));
        }
    }
}

impl Observer for Renderer<'_> {
    fn event(&mut self, event: &Event) {
        if self.json {
            if self.failed.is_none() {
                let written = self.streams.json(&events::line(event)).and_then(|()| self.streams.finish());
                self.failed = written.err();
            }
            if let Event::Loaded(loaded) = event
                && loaded.test_unknown > 0
            {
                self.event(&Event::Notice(unknown_notice(loaded)));
            }
            return;
        }
        match event {
            Event::Loaded(loaded) => self.loaded(loaded),
            Event::Epoch(epoch) => self.epoch(epoch),
            Event::Stopped(stopped) => self.stopped(stopped),
            Event::Saved(saved) => {
                self.note(&format!("saved {}, {}", saved.path.display(), bytes(saved.bytes)));
            }
            Event::Notice(text) => self.notice(text),
            // As the epochs go by; an error and an interruption name it.
            Event::Checkpointed(_) => {}
        }
    }
}

impl Drop for Renderer<'_> {
    fn drop(&mut self) {
        self.clear(); // an error is printed where the bar stood
    }
}

fn unknown_notice(loaded: &Loaded) -> String {
    format!(
        "{} of {}: user or item without a training rating, predicted by what is known",
        HumanCount(loaded.test_unknown),
        count(loaded.test, "test rating")
    )
}

/// `train 0.6213  valid 0.8812`.
fn errors(epoch: &Epoch) -> String {
    summary::errors([("train", epoch.train_rmse), ("valid", epoch.valid_rmse), ("test", epoch.test_rmse)])
}

/// The errors and the speed of an epoch.
fn numbers(epoch: &Epoch) -> String {
    format!("{}  {} ratings/s", errors(epoch), short(epoch.ratings_per_second))
}

/// `model 2: ` where an average is trained.
fn member(epoch: &Epoch) -> String {
    epoch.member.map_or(String::new(), |member| format!("model {member}: "))
}
