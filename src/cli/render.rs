//! Events for people or for scripts: a bar on a terminal, a few lines elsewhere, or JSON.

use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::ending::set_bar;
use super::events;
use super::streams::Streams;
use super::table::{bytes, count, seconds, shell_path, shell_word, short};
use crate::data::text::measured;
use crate::error::{Error, Result};
use crate::event::{Epoch, Event, Loaded, Observer, StopReason, Stopped};
use crate::model::Model;

/// Times a second that a bar is drawn, at most.
const HERTZ: u8 = 15;
/// Epochs that get a line where there is no bar, about.
const LINES: u32 = 20;

/// Bytes of an id that is shown as an example.
const LONGEST_ID: usize = 64;

const SPINNER: &str = "{spinner} {wide_msg}";
/// What comes last is cut off where a terminal is narrow.
const BAR: &str = "{bar:10.cyan/dim} {pos}/{len}  ETA {eta}  {wide_msg}";

/// Renders the events of a run.
pub(super) struct Renderer<'a> {
    streams: &'a mut Streams,
    json: bool,
    draws: bool,
    bar: Option<ProgressBar>,
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

    /// Says that a file is being read, which may take a while.
    pub(super) fn reading(&mut self, path: &Path) {
        let name =
            if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
        self.busy(&format!("reading {name}"));
    }

    /// Says what is being done until the first event. Where nobody watches,
    /// that event says enough.
    pub(super) fn busy(&mut self, what: &str) {
        if self.draws {
            let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(HERTZ));
            spinner.set_style(style(SPINNER));
            spinner.set_message(what.to_owned());
            spinner.enable_steady_tick(Duration::from_millis(120));
            self.bar = Some(spinner);
            set_bar(true);
        }
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
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            set_bar(false);
        }
    }

    fn note(&mut self, line: &str) {
        if self.json {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| self.streams.note(line)),
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
            bar.set_style(style(BAR));
            set_bar(true);
            bar
        });
        let pause = Duration::from_secs(1) / u32::from(HERTZ);
        if self.drawn.is_none_or(|drawn| drawn.elapsed() >= pause) {
            self.drawn = Some(Instant::now());
            bar.set_position(u64::from(epoch.epoch));
            bar.set_message(format!("{}RMSE {}", member(epoch), numbers(epoch)));
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
            && valid - best > 5e-4
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

/// A bar for work whose steps are counted. Nothing where nobody watches.
pub(super) fn progress(streams: &Streams, steps: usize, what: &'static str) -> ProgressBar {
    if !streams.draws() {
        return ProgressBar::hidden();
    }
    let target = ProgressDrawTarget::stderr_with_hz(HERTZ);
    let bar = ProgressBar::with_draw_target(Some(steps as u64), target);
    bar.set_style(style(BAR));
    bar.set_message(what);
    set_bar(true);
    bar
}

/// `train 0.6213  valid 0.8812`.
fn errors(epoch: &Epoch) -> String {
    let parts = [("train", epoch.train_rmse), ("valid", epoch.valid_rmse), ("test", epoch.test_rmse)];
    let shown: Vec<String> =
        parts.into_iter().filter_map(|(name, rmse)| Some(format!("{name} {}", measured(rmse?)))).collect();
    shown.join("  ")
}

/// The errors and the speed of an epoch.
fn numbers(epoch: &Epoch) -> String {
    format!("{}  {} ratings/s", errors(epoch), short(epoch.ratings_per_second))
}

/// indicatif leaves colours out where `NO_COLOR` asks for that.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// `model 2: ` where an average is trained.
fn member(epoch: &Epoch) -> String {
    epoch.member.map_or(String::new(), |member| format!("model {member}: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_computed_is_shown() {
        let epoch = Epoch {
            member: None,
            epoch: 1,
            epochs: 1,
            train_rmse: Some(0.51239),
            valid_rmse: None,
            test_rmse: Some(1.0),
            seconds: 0.0,
            ratings_per_second: 0.0,
        };
        assert_eq!(errors(&epoch), "train 0.5124  test 1.0000");
    }

    #[test]
    fn the_templates_are_well_formed() {
        assert!([SPINNER, BAR].into_iter().all(|template| ProgressStyle::with_template(template).is_ok()));
    }
}
